//! The signals that ask a process to stop, and a standby to become a primary.

/// Waits for SIGTERM or SIGINT (Ctrl-C) and says which it was.
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

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub(crate) fn signal() -> std::io::Result<impl Future<Output = &'static str>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
        "Ctrl-C"
    })
}

/// SIGUSR1, again and again.
#[cfg(unix)]
pub(crate) struct Promotion(tokio::signal::unix::Signal);

#[cfg(not(unix))]
pub(crate) struct Promotion(());

/// From now on SIGUSR1 does not end this process.
#[cfg(unix)]
pub(crate) fn promotion() -> std::io::Result<Promotion> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1()).map(Promotion)
}

#[cfg(not(unix))]
pub(crate) fn promotion() -> std::io::Result<Promotion> {
    Ok(Promotion(()))
}

impl Promotion {
    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        if self.0.recv().await.is_some() {
            return;
        }
        std::future::pending::<()>().await;
    }
}
