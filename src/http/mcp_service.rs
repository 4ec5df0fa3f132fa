//! An external service mounted behind the same pipeline, such as the registry as an MCP server.

use std::convert::Infallible;
use std::fmt;

use axum::extract::Request;
use axum::response::Response;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

/// A service at a path.
#[derive(Clone)]
pub(super) struct Mounted {
    pub(super) path: &'static str,
    service: BoxCloneSyncService<Request, Response, Infallible>,
}

impl fmt::Debug for Mounted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Mounted").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Mounted {
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
