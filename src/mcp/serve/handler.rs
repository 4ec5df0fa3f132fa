//! The server as the protocol sees it, one for each session.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, Extensions, Implementation, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ServerCapabilities, ServerConfig, SubscribeRequestParams, SubscriptionFilter,
    UnsubscribeRequestParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio::sync::watch;

use super::backend::Catalogue;
use super::notifications::Session;
use super::{resources, tool_definitions, tools};
use crate::model::{Access, Actor};

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
    pub(super) catalogue: Catalogue,
    writes: Writes,
    stopping: watch::Receiver<bool>,
    pub(super) session: Session,
}

const INSTRUCTIONS: &str = "A registry of MCP servers: which are there, what can they do, are they alive. Use find_tools to \
    find a tool by what it does, find_servers to find servers, and get_server for how one is reached and for whole schemas.";

/// Resources that one session may subscribe to.
const MOST_ASKED_FOR: usize = 1_000;

/// On whose behalf a message comes over HTTP.
fn access(extensions: &Extensions) -> Option<&Access> {
    extensions.get::<http::request::Parts>()?.extensions.get()
}

impl Registrar {
    /// Answers from a catalogue, until it is told to stop.
    pub(crate) fn new(catalogue: Catalogue, writes: Writes, stopping: watch::Receiver<bool>) -> Self {
        let session = Session::new(catalogue.known());
        Self { catalogue, writes, stopping, session }
    }

    /// On whose behalf something is to be written; or what would have to be done first.
    fn writer(&self, context: &RequestContext<RoleServer>) -> Result<Actor, &'static str> {
        match (self.writes, access(&context.extensions)) {
            (Writes::ByTheClient(true), _) => Ok(Actor::Process),
            (Writes::ByTheClient(false), _) => Err("this takes `paulina mcp --allow-writing`"),
            // Since the request was let in, a first token may have been made, or its own revoked.
            (_, Some(Access { actor, may_write: true })) if self.catalogue.admits(actor) => Ok(actor.clone()),
            _ => Err("this takes a token with the role register or admin"),
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
        let mut all = tool_definitions::ALL.reading.clone();
        if self.writer(&context).is_ok() {
            all.extend_from_slice(&tool_definitions::ALL.writing);
        }
        Ok(ListToolsResult::with_all_items(all))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let writer = self.writer(&context);
        let version = context.protocol_version();
        tools::call(&self.catalogue, request, writer, version).await.map(CallToolResponse::Complete)
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
        self.session.tell(&self.catalogue, context.peer);
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
        let mut asked_for = self.session.asked_for();
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
        self.session.asked_for().remove(&request.uri);
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
        self.session.listen(&self.catalogue, self.stopping.clone(), context).await
    }
}
