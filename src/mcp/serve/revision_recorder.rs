//! Records the current revision before a request is answered that promises notifications.

use std::borrow::Cow;

use rmcp::model::{ClientNotification, ClientRequest, ProtocolVersion, ServerConfig, ServerResult};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ErrorData, RoleServer, Service};

use super::handler::RegistryMcpServer;
use super::notifications::StartRevision;

/// A server for a single client that records the current revision before it promises notifications. Over HTTP this is not
/// needed: there is a server for each session or request, which records the revision when it is created.
#[derive(Debug)]
pub(crate) struct RevisionRecorder(pub(crate) RegistryMcpServer);

impl Service<RoleServer> for RevisionRecorder {
    async fn handle_request(
        &self,
        request: ClientRequest,
        mut context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        match request {
            ClientRequest::InitializeRequest(_) => {
                let revision = self.0.backend.current_revision().await;
                self.0.notifications.set_start_revision(revision);
            }
            ClientRequest::SubscriptionsListenRequest(_) => {
                context.extensions.insert(StartRevision(self.0.backend.current_revision().await));
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
