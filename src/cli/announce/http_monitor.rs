//! Watching a server that runs by itself, behind HTTP.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};

use super::recheck::Pace;
use super::{Announce, log_status};
use crate::client::Client;
use crate::clock::{Clock, SystemClock};
use crate::mcp::{McpError, Session, Target};
use crate::model::Registration;
use crate::shutdown;

/// How soon a server is asked again that does not speak MCP yet; each further time half as long again.
const AGAIN: Duration = Duration::from_millis(500);
const RARELY: Duration = Duration::from_secs(10);
/// How long a server may take to say that it is alive.
const PULSE: Duration = Duration::from_secs(5);
/// How long it is waited for that it lets the session go.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) async fn run(announce: &Announce, client: &Client, target: &Target) -> anyhow::Result<ExitCode> {
    let stop = shutdown::signal().context("cannot wait for signals")?;
    let mut stop = std::pin::pin!(stop);
    let mut watched = Watched::new(announce, target);
    let registration = tokio::select! {
        registration = watched.first() => registration,
        _ = &mut stop => return Ok(ExitCode::SUCCESS),
    };
    let (asking, mut asked) = mpsc::channel::<oneshot::Sender<bool>>(1);
    let is_alive = move || {
        let asking = asking.clone();
        async move {
            let (sender, answer) = oneshot::channel();
            asking.send(sender).await.is_ok() && answer.await.unwrap_or(false)
        }
    };
    let mut known = registration.clone();
    let heartbeat = client.keep_alive_while(registration, is_alive)?;
    log_status::tell(&heartbeat);
    loop {
        let turn = tokio::select! {
            _ = &mut stop => break,
            turn = watched.turn(&mut asked) => turn,
        };
        // A server may take its time, and is left alone at once all the same.
        let read = tokio::select! {
            _ = &mut stop => break,
            read = watched.take(turn) => read,
        };
        if let Some(registration) = read.filter(|registration| *registration != known) {
            known = registration.clone();
            if let Err(invalid) = heartbeat.replace(registration) {
                watched.complain(invalid.to_string());
            }
        }
    }
    drop(asked);
    tokio::join!(heartbeat.stop(), watched.leave());
    Ok(ExitCode::SUCCESS)
}

/// What is to be done.
enum Turn {
    /// Somebody asks whether the server is alive.
    Asked(oneshot::Sender<bool>),
    /// It may be able to do something else now.
    Read,
}

struct Watched<'a> {
    announce: &'a Announce,
    target: &'a Target,
    session: Option<Session>,
    clock: SystemClock,
    pace: Pace,
    /// When the server is asked anew what it can do.
    recheck: Duration,
    complaint: String,
}

impl<'a> Watched<'a> {
    fn new(announce: &'a Announce, target: &'a Target) -> Self {
        let (session, clock, complaint) = (None, SystemClock::new(), String::new());
        Self {
            announce,
            target,
            session,
            clock,
            pace: Pace::new(announce.recheck),
            recheck: Duration::ZERO,
            complaint,
        }
    }

    /// Tries until the server says what it can do.
    async fn first(&mut self) -> Registration {
        let mut pause = AGAIN;
        loop {
            if let Some(registration) = self.read().await {
                return registration;
            }
            self.clock.sleep_until(self.clock.monotonic() + pause).await;
            pause = (pause * 3 / 2).min(RARELY);
        }
    }

    /// Waits for what is to be done next.
    async fn turn(&mut self, asked: &mut mpsc::Receiver<oneshot::Sender<bool>>) -> Turn {
        let Self { session, clock, pace, recheck, .. } = self;
        loop {
            let changed = async {
                let heard = match session {
                    Some(session) => session.changed().await.is_ok(),
                    None => false,
                };
                if !heard {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                Some(answer) = asked.recv() => return Turn::Asked(answer),
                () = changed => *recheck = pace.due(clock.monotonic()).min(*recheck),
                () = clock.sleep_until(*recheck) => return Turn::Read,
            }
        }
    }

    /// Does it; gives what the server can do, if that was read.
    async fn take(&mut self, turn: Turn) -> Option<Registration> {
        match turn {
            Turn::Read => self.read().await,
            Turn::Asked(answer) => {
                let (alive, read) = self.is_alive().await;
                let _ = answer.send(alive);
                read
            }
        }
    }

    /// Whether it answers; and what it can do, if it was greeted anew for that.
    async fn is_alive(&mut self) -> (bool, Option<Registration>) {
        if let Some(session) = &mut self.session {
            match session.check(PULSE).await {
                Ok(()) => return (true, None),
                // It may have been started again: another conversation tells.
                Err(_) => self.session = None,
            }
        }
        let read = tokio::time::timeout(PULSE, self.read()).await.unwrap_or_default();
        (read.is_some(), read)
    }

    /// What it can do; none, with a complaint, if it does not say so.
    async fn read(&mut self) -> Option<Registration> {
        let now = self.clock.monotonic();
        self.recheck = now + self.announce.recheck;
        self.pace.asked(now);
        match self.try_read().await {
            Ok(registration) => {
                self.complaint.clear();
                Some(registration)
            }
            Err(error) => {
                self.session = None;
                self.complain(error.to_string());
                None
            }
        }
    }

    async fn try_read(&mut self) -> Result<Registration, McpError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.announce.reached.open(self.target).await?,
        };
        let own = self.session.insert(session).read().await?;
        Ok(self.announce.reached.complete(own, &self.announce.said))
    }

    /// Ends the conversation.
    async fn leave(mut self) {
        if let Some(session) = self.session.take() {
            let _ = tokio::time::timeout(FAREWELL, session.close()).await;
        }
    }

    fn complain(&mut self, why: String) {
        if self.complaint != why {
            tracing::warn!("{why}");
            self.complaint = why;
        }
    }
}
