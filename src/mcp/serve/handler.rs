//! The server as the protocol sees it, one for each session.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, Extensions, Implementation, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ResourceUpdatedNotificationParam, ServerCapabilities, ServerConfig,
    SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::catalogue::{Catalogue, Changes};
use super::resources::{self, News};
use super::{definitions, tools};
use crate::model::{Actor, Role, Watched};

/// Who may write.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Writes {
    /// Whoever may over HTTP.
    AsTheTokenMay,
    /// The client of this process, or not.
    ByTheClient(bool),
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Registrar {
    catalogue: Catalogue,
    writes: Writes,
    stopping: watch::Receiver<bool>,
    /// What the session asks to be told of, in the era of `initialize`.
    asked_for: Arc<Mutex<HashSet<String>>>,
    telling: Mutex<Option<JoinHandle<()>>>,
}

const INSTRUCTIONS: &str = "A registry of MCP servers: which are there, what can they do, are they alive. Use find_tools to \
    find a tool by what it does, find_servers to find servers, and get_server for how one is reached and for whole schemas.";

/// Resources that one session may subscribe to.
const MOST_ASKED_FOR: usize = 1_000;

/// On whose behalf a message comes; nobody's, if the gate has let it in to read alone.
fn actor(extensions: &Extensions) -> Option<Actor> {
    extensions.get::<http::request::Parts>()?.extensions.get().cloned()
}

impl Registrar {
    /// Answers from a catalogue, until it is told to stop.
    pub(crate) fn new(catalogue: Catalogue, writes: Writes, stopping: watch::Receiver<bool>) -> Self {
        Self { catalogue, writes, stopping, asked_for: Arc::default(), telling: Mutex::default() }
    }

    /// On whose behalf something is to be written; or what would have to be done first.
    fn writer(&self, context: &RequestContext<RoleServer>) -> Result<Actor, &'static str> {
        match (self.writes, actor(&context.extensions)) {
            (Writes::ByTheClient(true), _) => Ok(Actor::Process),
            (Writes::ByTheClient(false), _) => Err("this takes `paulina mcp --allow-writing`"),
            (_, Some(Actor::Bearer(token))) if token.role >= Role::Register => Ok(Actor::Bearer(token)),
            (_, Some(Actor::Anybody)) if self.catalogue.admits(&Actor::Anybody) => Ok(Actor::Anybody),
            _ => Err("this takes a token with the role register or admin"),
        }
    }

    fn asked_for(&self) -> MutexGuard<'_, HashSet<String>> {
        self.asked_for.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        if let Some(telling) = self.telling.lock().unwrap_or_else(PoisonError::into_inner).take() {
            telling.abort();
        }
    }
}

impl ServerHandler for Registrar {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_resources_subscribe()
            .build();
        let mut info = ServerConfig::new(capabilities);
        info.server_info = Implementation::new("paulina", env!("CARGO_PKG_VERSION")).with_title("Paulina");
        info.instructions = Some(INSTRUCTIONS.to_owned());
        info
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut all = definitions::ALL.reading.clone();
        if self.writer(&context).is_ok() {
            all.extend_from_slice(&definitions::ALL.writing);
        }
        Ok(ListToolsResult::with_all_items(all))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let writer = self.writer(&context);
        tools::call(&self.catalogue, request, writer).await.map(CallToolResponse::Complete)
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        resources::list(&self.catalogue, request.and_then(|request| request.cursor)).await
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(vec![resources::template()]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&self.catalogue, &request.uri).await.map(ReadResourceResponse::Complete)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let Ok(changes) = self.catalogue.watch() else { return };
        let telling = tokio::spawn(tell(context.peer, changes, Arc::clone(&self.asked_for)));
        if let Some(before) = self.telling.lock().unwrap_or_else(PoisonError::into_inner).replace(telling) {
            before.abort();
        }
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if !resources::is_known(&request.uri) {
            return Err(ErrorData::resource_not_found(
                format!("there is no resource {:?}", request.uri),
                None,
            ));
        }
        let mut asked_for = self.asked_for();
        if asked_for.len() >= MOST_ASKED_FOR {
            return Err(ErrorData::invalid_params("too many subscriptions; end some first", None));
        }
        asked_for.insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.asked_for().remove(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut accepted = SubscriptionFilter::new();
        accepted.resources_list_changed = requested.resources_list_changed;
        accepted.resource_subscriptions = requested
            .resource_subscriptions
            .as_ref()
            .map(|uris| uris.iter().filter(|uri| resources::is_known(uri)).cloned().collect());
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let failed = |reason: super::catalogue::Failure| ErrorData::internal_error(reason.0, None);
        let mut changes = self.catalogue.watch().map_err(failed)?;
        let accepted = context.accepted();
        let lists = accepted.resources_list_changed == Some(true);
        let asked_for: HashSet<String> = accepted.resource_subscriptions.iter().flatten().cloned().collect();
        let (mut first, mut stopping) = (true, self.stopping.clone());
        loop {
            let watched = tokio::select! {
                biased;
                () = context.cancelled() => return Ok(()),
                // The client is told that this is the end.
                _ = stopping.wait_for(|stopping| *stopping) => return Ok(()),
                watched = changes.next() => watched.map_err(failed)?,
            };
            if std::mem::take(&mut first) && matches!(watched, Watched::Snapshot(_)) {
                continue;
            }
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

/// Tells a session of the era of `initialize` what changes, for as long as it listens.
async fn tell(peer: Peer<RoleServer>, mut changes: Changes, asked_for: Arc<Mutex<HashSet<String>>>) {
    let mut first = true;
    while let Ok(watched) = changes.next().await {
        if std::mem::take(&mut first) && matches!(watched, Watched::Snapshot(_)) {
            continue;
        }
        let news = News::of(&watched, &asked_for.lock().unwrap_or_else(PoisonError::into_inner));
        if news.list_changed && peer.notify_resource_list_changed().await.is_err() {
            return;
        }
        for uri in news.updated {
            if peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await.is_err() {
                return;
            }
        }
    }
}
