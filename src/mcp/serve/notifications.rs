//! What changes, told to clients, from the moment on at which they are promised it.
//!
//! A promise (the answer to `initialize`, the acknowledgement of a subscription) is given only when it is known what has
//! happened up to then: a client that reads everything after it misses nothing, however long it takes until a registry
//! elsewhere is watched. Where that cannot be known, all there is may be news, and is told as such.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::model::{
    ClientNotification, ClientRequest, ProtocolVersion, ResourceUpdatedNotificationParam, ServerConfig,
    ServerResult,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, Service};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Registrar;
use super::backend::{Catalogue, Failure};
use super::resources::{ALL, address};
use crate::model::{Change, ChangeKind, Revision, Watched};

/// A registrar for one client, which asks what has happened before it promises to tell of what will. Over HTTP there is a
/// registrar for each session or request, which has known it from its beginning.
#[derive(Debug)]
pub(crate) struct Attentive(pub(crate) Registrar);

/// What had happened when something was promised.
#[derive(Debug, Clone)]
struct Since(Option<Revision>);

impl Service<RoleServer> for Attentive {
    async fn handle_request(
        &self,
        request: ClientRequest,
        mut context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        match request {
            ClientRequest::InitializeRequest(_) => {
                let newest = self.0.catalogue.newest().await;
                *held(&self.0.session.since) = newest;
            }
            ClientRequest::SubscriptionsListenRequest(_) => {
                context.extensions.insert(Since(self.0.catalogue.newest().await));
            }
            _ => {}
        }
        self.0.handle_request(request, context).await
    }

    async fn handle_notification(
        &self,
        notification: ClientNotification,
        context: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.0.handle_notification(notification, context).await
    }

    fn get_info(&self) -> ServerConfig {
        Service::get_info(&self.0)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Service::supported_protocol_versions(&self.0)
    }
}

/// What one client is told.
#[derive(Debug)]
pub(super) struct Session {
    /// What had happened when it was promised to be told.
    since: Mutex<Option<Revision>>,
    /// The resources of which it asks to be told, in the era of `initialize`.
    asked_for: Arc<Mutex<HashSet<String>>>,
    telling: Mutex<Option<JoinHandle<()>>>,
}

impl Session {
    pub(super) fn new(since: Option<Revision>) -> Self {
        Self { since: Mutex::new(since), asked_for: Arc::default(), telling: Mutex::default() }
    }

    pub(super) fn asked_for(&self) -> MutexGuard<'_, HashSet<String>> {
        held(&self.asked_for)
    }

    /// Tells it what changes, in the era of `initialize`, for as long as it is there.
    pub(super) fn tell(&self, catalogue: &Catalogue, peer: Peer<RoleServer>) {
        let since = held(&self.since).clone();
        let telling = tokio::spawn(tell(catalogue.clone(), since, peer, Arc::clone(&self.asked_for)));
        if let Some(before) = held(&self.telling).replace(telling) {
            before.abort();
        }
    }

    /// Tells a subscription of the era of `subscriptions/listen` what changes, for as long as it lasts.
    pub(super) async fn listen(
        &self,
        catalogue: &Catalogue,
        mut stopping: watch::Receiver<bool>,
        context: SubscriptionContext,
    ) -> Result<(), ErrorData> {
        let failed = |Failure(reason): Failure| ErrorData::internal_error(reason, None);
        let asked = context.request_context().extensions.get::<Since>();
        let since = asked.map_or_else(|| held(&self.since).clone(), |Since(since)| since.clone());
        let mut changes = catalogue.watch(since).map_err(failed)?;
        let accepted = context.accepted();
        let lists = accepted.resources_list_changed == Some(true);
        let asked_for: HashSet<String> = accepted.resource_subscriptions.iter().flatten().cloned().collect();
        loop {
            let watched = tokio::select! {
                biased;
                () = context.cancelled() => return Ok(()),
                // The client is told that this is the end.
                _ = stopping.wait_for(|stopping| *stopping) => return Ok(()),
                watched = changes.next() => watched.map_err(failed)?,
            };
            let news = News::of(&watched, &asked_for);
            let sink = context.sink();
            let mut sent = Ok(());
            if lists && news.list_changed {
                sent = sink.notify_resource_list_changed().await;
            }
            for uri in news.updated {
                sent = sent.and(sink.notify_resource_updated(uri).await);
            }
            if sent.is_err() {
                return Ok(());
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(telling) = held(&self.telling).take() {
            telling.abort();
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long it rests when it cannot be said what changes.
const AGAIN: Duration = Duration::from_secs(1);

async fn tell(
    catalogue: Catalogue,
    mut since: Option<Revision>,
    peer: Peer<RoleServer>,
    asked_for: Arc<Mutex<HashSet<String>>>,
) {
    // An error means that the registry was closed.
    while let Ok(mut changes) = catalogue.watch(since.clone()) {
        while let Ok(watched) = changes.next().await {
            let news = News::of(&watched, &held(&asked_for));
            since = Some(watched.revision().clone());
            if news.list_changed && peer.notify_resource_list_changed().await.is_err() {
                return;
            }
            for uri in news.updated {
                if peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// What is to be told of something that happened.
#[derive(Debug, Default, PartialEq, Eq)]
struct News {
    /// Servers have come or gone.
    list_changed: bool,
    /// The resources that read differently now, of those that are asked for.
    updated: Vec<String>,
}

impl News {
    /// A snapshot may have any change in it.
    fn of(watched: &Watched, asked_for: &HashSet<String>) -> Self {
        match watched {
            Watched::Snapshot(_) => {
                let mut updated: Vec<String> = asked_for.iter().cloned().collect();
                updated.sort();
                Self { list_changed: true, updated }
            }
            Watched::Change(Change { kind, server, .. }) => {
                let changed = [ALL.to_owned(), address(&server.id)];
                Self {
                    list_changed: *kind != ChangeKind::Updated,
                    updated: changed.into_iter().filter(|uri| asked_for.contains(uri)).collect(),
                }
            }
        }
    }
}
