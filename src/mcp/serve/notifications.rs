//! Notifications of changes to clients.
//!
//! The current revision is recorded before a client is promised notifications, by the response to `initialize` or the
//! acknowledgment of a subscription. The client therefore misses no change after the promise, however long it takes to start
//! watching a remote registry. If the revision is unknown, everything is reported as changed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::model::ResourceUpdatedNotificationParam;
use rmcp::service::{Peer, SubscriptionContext};
use rmcp::{ErrorData, RoleServer};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::backend::{Backend, RequestError};
use super::resources::{SERVERS_URI, server_uri};
use crate::model::{Change, ChangeKind, Revision, WatchEvent};

/// The revision after which a subscription reports changes.
#[derive(Debug, Clone)]
pub(super) struct StartRevision(pub(super) Option<Revision>);

/// The notifications to one client.
#[derive(Debug)]
pub(super) struct ClientNotifications {
    start_revision: Mutex<Option<Revision>>,
    /// The resources that the client has subscribed to, in the era of `initialize`.
    subscribed_uris: Arc<Mutex<HashSet<String>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl ClientNotifications {
    pub(super) fn new(start_revision: Option<Revision>) -> Self {
        Self {
            start_revision: Mutex::new(start_revision),
            subscribed_uris: Arc::default(),
            task: Mutex::default(),
        }
    }

    pub(super) fn set_start_revision(&self, revision: Option<Revision>) {
        *lock(&self.start_revision) = revision;
    }

    pub(super) fn subscribed_uris(&self) -> MutexGuard<'_, HashSet<String>> {
        lock(&self.subscribed_uris)
    }

    /// Starts to notify the client, in the era of `initialize`, until the session ends.
    pub(super) fn start(&self, backend: &Backend, peer: Peer<RoleServer>) {
        let revision = lock(&self.start_revision).clone();
        let task = tokio::spawn(notify(backend.clone(), revision, peer, Arc::clone(&self.subscribed_uris)));
        if let Some(previous) = lock(&self.task).replace(task) {
            previous.abort();
        }
    }

    /// Notifies a subscription of the era of `subscriptions/listen` until it ends.
    pub(super) async fn listen(
        &self,
        backend: &Backend,
        stopping: CancellationToken,
        context: SubscriptionContext,
    ) -> Result<(), ErrorData> {
        let failed = |RequestError(reason): RequestError| ErrorData::internal_error(reason, None);
        let recorded = context.request_context().extensions.get::<StartRevision>();
        let revision = recorded
            .map_or_else(|| lock(&self.start_revision).clone(), |StartRevision(revision)| revision.clone());
        let mut changes = backend.watch(revision).map_err(failed)?;
        let accepted = context.accepted();
        let wants_list = accepted.resources_list_changed == Some(true);
        let subscribed_uris: HashSet<String> =
            accepted.resource_subscriptions.iter().flatten().cloned().collect();
        loop {
            let event = tokio::select! {
                biased;
                () = context.cancelled() => return Ok(()),
                // Returning notifies the client of the end.
                () = stopping.cancelled() => return Ok(()),
                event = changes.next() => event.map_err(failed)?,
            };
            let notifications = Notifications::of(&event, &subscribed_uris);
            let sink = context.sink();
            let mut sent = Ok(());
            if wants_list && notifications.list_changed {
                sent = sink.notify_resource_list_changed().await;
            }
            for uri in notifications.updated {
                sent = sent.and(sink.notify_resource_updated(uri).await);
            }
            if sent.is_err() {
                return Ok(());
            }
        }
    }
}

impl Drop for ClientNotifications {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pause after the changes could not be read.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

async fn notify(
    backend: Backend,
    mut revision: Option<Revision>,
    peer: Peer<RoleServer>,
    subscribed_uris: Arc<Mutex<HashSet<String>>>,
) {
    // An error means that the registry was closed.
    while let Ok(mut changes) = backend.watch(revision.clone()) {
        while let Ok(event) = changes.next().await {
            let notifications = Notifications::of(&event, &lock(&subscribed_uris));
            revision = Some(event.revision().clone());
            if notifications.list_changed && peer.notify_resource_list_changed().await.is_err() {
                return;
            }
            for uri in notifications.updated {
                if peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

/// The notifications to send for an event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Notifications {
    /// Whether servers were added or removed.
    list_changed: bool,
    /// The subscribed resources whose content has changed.
    updated: Vec<String>,
}

impl Notifications {
    /// Returns the notifications for an event. A snapshot may contain any change.
    fn of(event: &WatchEvent, subscribed_uris: &HashSet<String>) -> Self {
        match event {
            WatchEvent::Snapshot(_) => {
                let mut updated: Vec<String> = subscribed_uris.iter().cloned().collect();
                updated.sort();
                Self { list_changed: true, updated }
            }
            WatchEvent::Change(Change { kind, server, .. }) => {
                let changed = [SERVERS_URI.to_owned(), server_uri(&server.id)];
                Self {
                    list_changed: *kind != ChangeKind::Updated,
                    updated: changed.into_iter().filter(|uri| subscribed_uris.contains(uri)).collect(),
                }
            }
        }
    }
}
