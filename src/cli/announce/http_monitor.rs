//! Monitors a server that runs by itself and is reached over HTTP.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};

use super::recheck::RecheckThrottle;
use super::{Announce, log_status};
use crate::client::Client;
use crate::clock::{Clock, SystemClock};
use crate::mcp::{McpError, Session, Target};
use crate::model::Registration;
use crate::net::backoff::Backoff;
use crate::shutdown;

/// How soon a server that cannot be described yet is read again. Each further interval is longer by half.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// Time limit of a health check.
const HEALTH_CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server may take to close the session.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) async fn run(announce: &Announce, client: &Client, target: &Target) -> anyhow::Result<ExitCode> {
    let stop = shutdown::signal().context("cannot wait for signals")?;
    let mut stop = std::pin::pin!(stop);
    let mut monitor = Monitor::new(announce, target);
    let registration = tokio::select! {
        registration = monitor.wait_for_registration() => registration,
        _ = &mut stop => return Ok(ExitCode::SUCCESS),
    };
    let (check_sender, mut checks) = mpsc::channel::<oneshot::Sender<bool>>(1);
    let is_alive = move || {
        let check_sender = check_sender.clone();
        async move {
            let (sender, result) = oneshot::channel();
            check_sender.send(sender).await.is_ok() && result.await.unwrap_or(false)
        }
    };
    let mut registered = registration.clone();
    let heartbeat = client.keep_alive_while(registration, is_alive)?;
    log_status::log_changes(&heartbeat);
    loop {
        let event = tokio::select! {
            _ = &mut stop => break,
            event = monitor.next_event(&mut checks) => event,
        };
        // A slow server must not delay a stop.
        let description = tokio::select! {
            _ = &mut stop => break,
            description = monitor.handle(event) => description,
        };
        if let Some(registration) = description.filter(|registration| *registration != registered) {
            registered = registration.clone();
            if let Err(invalid) = heartbeat.replace(registration) {
                monitor.warn_once(invalid.to_string());
            }
        }
    }
    drop(checks);
    tokio::join!(heartbeat.stop(), monitor.close());
    Ok(ExitCode::SUCCESS)
}

/// An event that the monitor reacts to.
enum Event {
    /// The heartbeat asks whether the server is alive.
    HealthCheck(oneshot::Sender<bool>),
    /// A recheck is due.
    Recheck,
}

/// The monitored server.
struct Monitor<'a> {
    announce: &'a Announce,
    target: &'a Target,
    session: Option<Session>,
    clock: SystemClock,
    throttle: RecheckThrottle,
    next_recheck: Duration,
    last_warning: String,
}

impl<'a> Monitor<'a> {
    fn new(announce: &'a Announce, target: &'a Target) -> Self {
        let (session, clock, last_warning) = (None, SystemClock::new(), String::new());
        Self {
            announce,
            target,
            session,
            clock,
            throttle: RecheckThrottle::new(announce.recheck_interval),
            next_recheck: Duration::ZERO,
            last_warning,
        }
    }

    /// Retries until the server can be described.
    async fn wait_for_registration(&mut self) -> Registration {
        let mut backoff = Backoff::new(RETRY_INTERVAL, MAX_RETRY_INTERVAL);
        loop {
            if let Some(registration) = self.describe().await {
                return registration;
            }
            let pause = backoff.next_delay();
            self.clock.sleep_until(self.clock.monotonic() + pause).await;
        }
    }

    /// Waits for the next event.
    async fn next_event(&mut self, checks: &mut mpsc::Receiver<oneshot::Sender<bool>>) -> Event {
        let Self { session, clock, throttle, next_recheck, .. } = self;
        loop {
            let list_changed = async {
                let notified = match session {
                    Some(session) => session.list_changed().await.is_ok(),
                    None => false,
                };
                if !notified {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                Some(reply) = checks.recv() => return Event::HealthCheck(reply),
                () = list_changed => {
                    *next_recheck = throttle.next_check(clock.monotonic()).min(*next_recheck);
                }
                () = clock.sleep_until(*next_recheck) => return Event::Recheck,
            }
        }
    }

    /// Handles an event. Returns the description of the server, if it was read.
    async fn handle(&mut self, event: Event) -> Option<Registration> {
        match event {
            Event::Recheck => self.describe().await,
            Event::HealthCheck(reply) => {
                let (is_alive, description) = self.check_health().await;
                let _ = reply.send(is_alive);
                description
            }
        }
    }

    /// Returns whether the server responds, and its description if a new session was opened for the check.
    async fn check_health(&mut self) -> (bool, Option<Registration>) {
        if let Some(session) = &mut self.session {
            match session.ping(HEALTH_CHECK_TIMEOUT).await {
                Ok(()) => return (true, None),
                // The server may have been restarted: try a new session.
                Err(_) => self.session = None,
            }
        }
        let description =
            tokio::time::timeout(HEALTH_CHECK_TIMEOUT, self.describe()).await.unwrap_or_default();
        (description.is_some(), description)
    }

    /// Returns the description of the server. Logs a warning and returns none on failure.
    async fn describe(&mut self) -> Option<Registration> {
        let now = self.clock.monotonic();
        self.next_recheck = now + self.announce.recheck_interval;
        self.throttle.record_check(now);
        match self.try_describe().await {
            Ok(registration) => {
                self.last_warning.clear();
                Some(registration)
            }
            Err(error) => {
                self.session = None;
                self.warn_once(error.to_string());
                None
            }
        }
    }

    async fn try_describe(&mut self) -> Result<Registration, McpError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.announce.server_args.open(self.target).await?,
        };
        let description = self.session.insert(session).describe().await?;
        Ok(self.announce.server_args.complete(description, &self.announce.registration_args))
    }

    /// Closes the session.
    async fn close(mut self) {
        if let Some(session) = self.session.take() {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, session.close()).await;
        }
    }

    /// Logs a warning unless it repeats the last one.
    fn warn_once(&mut self, reason: String) {
        if self.last_warning != reason {
            tracing::warn!("{reason}");
            self.last_warning = reason;
        }
    }
}
