//! An external service mounted behind the same pipeline, such as the registry's own MCP server.

use std::convert::Infallible;
use std::fmt;

use axum::extract::Request;
use axum::response::Response;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

/// A service and the path that it is mounted at.
#[derive(Clone)]
pub(super) struct McpService {
    pub(super) path: &'static str,
    service: BoxCloneSyncService<Request, Response, Infallible>,
}

impl fmt::Debug for McpService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("McpService").field("path", &self.path).finish_non_exhaustive()
    }
}

impl McpService {
    pub(super) fn new<S>(path: &'static str, service: S) -> Self
    where
        S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        Self { path, service: BoxCloneSyncService::new(service) }
    }

    pub(super) async fn call(self, request: Request) -> Response {
        self.service.oneshot(request).await.unwrap_or_else(|never| match never {})
    }
}
