//! What is said of a heartbeat: when it begins, fails, and goes on.

use tokio::sync::watch;

use crate::client::{Beat, Heartbeat};

/// Says each change once, until the heartbeat ends.
pub(super) fn tell(heartbeat: &Heartbeat) {
    let (id, mut beat) = (heartbeat.id().to_owned(), heartbeat.beat());
    tokio::spawn(async move {
        let mut said = String::new();
        loop {
            let (what, fine) = words(&beat, &id);
            if !what.is_empty() && what != said {
                if fine {
                    tracing::info!("{what}");
                } else {
                    tracing::warn!("{what}");
                }
                said = what;
            }
            if beat.changed().await.is_err() {
                return;
            }
        }
    });
}

fn words(beat: &watch::Receiver<Beat>, id: &str) -> (String, bool) {
    match &*beat.borrow() {
        Beat::Alive(registered) => {
            let all = &registered.server.capabilities;
            let (tools, resources, prompts) = (all.tools.len(), all.resources.len(), all.prompts.len());
            let what = format!(
                "registered {:?} as {id}: tools {tools}, resources {resources}, prompts {prompts}",
                registered.server.name
            );
            (what, true)
        }
        Beat::Failing(error) => (format!("not registered for now: {error}"), false),
        Beat::Lapsing => ("the server does not answer: its lease runs out".to_owned(), false),
        Beat::Replaced => (
            format!("another process has registered {id} since: it is left to it, as long as it is there"),
            false,
        ),
        _ => (String::new(), true),
    }
}
