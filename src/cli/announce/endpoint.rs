//! Watching a server that runs by itself, behind HTTP.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};

use super::{Announce, beats};
use crate::client::Client;
use crate::mcp::{McpError, Session, Target};
use crate::model::Registration;
use crate::shutdown;

/// How soon a server is asked again that does not speak MCP yet.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a server may take to say that it is alive.
const PULSE: Duration = Duration::from_secs(5);

pub(super) async fn run(announce: &Announce, client: &Client, target: &Target) -> anyhow::Result<ExitCode> {
    let stop = shutdown::signal().context("cannot wait for signals")?;
    let mut stop = std::pin::pin!(stop);
    let mut watched = Watched { announce, target, session: None, complaint: String::new() };
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
    beats::tell(&heartbeat);
    loop {
        let read = tokio::select! {
            _ = &mut stop => break,
            Some(answer) = asked.recv() => {
                let (alive, read) = watched.is_alive().await;
                let _ = answer.send(alive);
                read
            }
            () = watched.changed() => watched.read().await,
            () = tokio::time::sleep(announce.recheck) => watched.read().await,
        };
        if let Some(registration) = read.filter(|registration| *registration != known) {
            known = registration.clone();
            if let Err(invalid) = heartbeat.replace(registration) {
                watched.complain(invalid.to_string());
            }
        }
    }
    heartbeat.stop().await;
    Ok(ExitCode::SUCCESS)
}

struct Watched<'a> {
    announce: &'a Announce,
    target: &'a Target,
    session: Option<Session>,
    complaint: String,
}

impl Watched<'_> {
    /// Tries until the server says what it can do.
    async fn first(&mut self) -> Registration {
        loop {
            if let Some(registration) = self.read().await {
                return registration;
            }
            tokio::time::sleep(AGAIN).await;
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

    /// Waits until the server says that a list of its has changed.
    async fn changed(&mut self) {
        if let Some(session) = &mut self.session
            && session.changed().await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    fn complain(&mut self, why: String) {
        if self.complaint != why {
            tracing::warn!("{why}");
            self.complaint = why;
        }
    }
}
