//! The signals that stop a process or promote a standby.

/// Returns a future that waits for SIGTERM or SIGINT (Ctrl-C) and yields its name.
#[cfg(unix)]
pub(crate) fn signal() -> std::io::Result<impl Future<Output = &'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

/// Returns a future that waits for Ctrl-C.
#[cfg(not(unix))]
pub(crate) fn signal() -> std::io::Result<impl Future<Output = &'static str>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
        "Ctrl-C"
    })
}

/// A listener for SIGUSR1, which promotes a standby.
#[cfg(unix)]
pub(crate) struct PromotionSignal(tokio::signal::unix::Signal);

#[cfg(not(unix))]
pub(crate) struct PromotionSignal(());

/// Starts to listen for SIGUSR1, which from then on does not end this process.
#[cfg(unix)]
pub(crate) fn promotion_signal() -> std::io::Result<PromotionSignal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1()).map(PromotionSignal)
}

#[cfg(not(unix))]
pub(crate) fn promotion_signal() -> std::io::Result<PromotionSignal> {
    Ok(PromotionSignal(()))
}

impl PromotionSignal {
    /// Waits for the next signal. Pending forever where there is no SIGUSR1.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        if self.0.recv().await.is_some() {
            return;
        }
        std::future::pending::<()>().await;
    }
}
