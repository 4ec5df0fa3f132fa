//! The MCP request handler, one for each session.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, Extensions, Implementation, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ServerCapabilities, ServerConfig, SubscribeRequestParams, SubscriptionFilter,
    UnsubscribeRequestParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio_util::sync::CancellationToken;

use super::backend::Backend;
use super::notifications::ClientNotifications;
use super::{resources, tool_definitions, tools};
use crate::model::{Access, Actor};

/// Which clients may write.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WriteAccess {
    /// Clients whose HTTP request may write.
    ByToken,
    /// All clients, or none.
    Fixed(bool),
}

/// The registry as an MCP server.
#[derive(Debug)]
pub(crate) struct RegistryMcpServer {
    pub(super) backend: Backend,
    write_access: WriteAccess,
    stopping: CancellationToken,
    pub(super) notifications: ClientNotifications,
}

const INSTRUCTIONS: &str = "A registry of MCP servers: which servers are running, what they offer, and whether they are healthy. \
    Use find_tools to find a tool by what it does, find_servers to find servers, and get_server to see how a server is \
    reached and to get complete schemas.";

/// Maximum number of resources that a session may subscribe to.
const MAX_SUBSCRIPTIONS: usize = 1_000;

/// Returns the access of the HTTP request that carries a message.
fn access(extensions: &Extensions) -> Option<&Access> {
    extensions.get::<http::request::Parts>()?.extensions.get()
}

impl RegistryMcpServer {
    /// Creates a server that uses the backend until `stopping` is canceled.
    pub(crate) fn new(backend: Backend, write_access: WriteAccess, stopping: CancellationToken) -> Self {
        let notifications = ClientNotifications::new(backend.local_revision());
        Self { backend, write_access, stopping, notifications }
    }

    /// Returns the actor for a write, or what is required to write.
    fn writer(&self, context: &RequestContext<RoleServer>) -> Result<Actor, &'static str> {
        match (self.write_access, access(&context.extensions)) {
            (WriteAccess::Fixed(true), _) => Ok(Actor::InProcess),
            (WriteAccess::Fixed(false), _) => Err("this tool requires `paulina mcp --allow-writes`"),
            // Since the request was authorized, the first token may have been created, or its own token revoked.
            (_, Some(Access { actor, may_write: true })) if self.backend.is_current(actor) => {
                Ok(actor.clone())
            }
            _ => Err("this tool requires a token with the role register or admin"),
        }
    }
}

impl ServerHandler for RegistryMcpServer {
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
        tools::call(&self.backend, request, writer, version).await.map(CallToolResponse::Complete)
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        resources::list(&self.backend, request.and_then(|request| request.cursor)).await
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
        resources::read(&self.backend, &request.uri).await.map(ReadResourceResponse::Complete)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.notifications.start(&self.backend, context.peer);
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if !resources::is_known(&request.uri) {
            return Err(ErrorData::resource_not_found(
                format!("resource {:?} does not exist", request.uri),
                None,
            ));
        }
        let mut subscribed_uris = self.notifications.subscribed_uris();
        if subscribed_uris.len() >= MAX_SUBSCRIPTIONS {
            return Err(ErrorData::invalid_params(
                "too many subscriptions; unsubscribe from some first",
                None,
            ));
        }
        subscribed_uris.insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.notifications.subscribed_uris().remove(&request.uri);
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
        self.notifications.listen(&self.backend, self.stopping.clone(), context).await
    }
}
