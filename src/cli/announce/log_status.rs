//! Logging of status changes of a heartbeat.

use tokio::sync::watch;

use crate::client::{Heartbeat, HeartbeatStatus};

/// Logs each change once, until the heartbeat ends.
pub(super) fn log_changes(heartbeat: &Heartbeat) {
    let (id, mut status) = (heartbeat.id().to_owned(), heartbeat.status());
    tokio::spawn(async move {
        let mut last_message = String::new();
        loop {
            let (message, is_healthy) = describe(&status, &id);
            if !message.is_empty() && message != last_message {
                if is_healthy {
                    tracing::info!("{message}");
                } else {
                    tracing::warn!("{message}");
                }
                last_message = message;
            }
            if status.changed().await.is_err() {
                return;
            }
        }
    });
}

fn describe(status: &watch::Receiver<HeartbeatStatus>, id: &str) -> (String, bool) {
    match &*status.borrow() {
        HeartbeatStatus::Alive(registered) => {
            let all = &registered.server.capabilities;
            let (tools, resources, prompts) = (all.tools.len(), all.resources.len(), all.prompts.len());
            let message = format!(
                "registered {:?} as {id}: tools {tools}, resources {resources}, prompts {prompts}",
                registered.server.name
            );
            (message, true)
        }
        HeartbeatStatus::Failing(error) => (format!("not registered for now: {error}"), false),
        HeartbeatStatus::Lapsing => ("the server does not respond: its lease will expire".to_owned(), false),
        HeartbeatStatus::Replaced => (
            format!("another process has registered {id} since: not refreshing it while that lease is held"),
            false,
        ),
        _ => (String::new(), true),
    }
}
