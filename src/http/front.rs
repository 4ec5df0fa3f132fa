//! What every request passes on its way to the router: its id, the checks of `Host` and `Origin`, the time limit, and
//! compression for those who ask for it.
//!
//! One service rather than a stack of layers: axum clones and boxes what is behind each layer at every request, and
//! together that cost more than the answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use tower::Service;
use tower_http::compression::{Compression, CompressionLayer};
use tracing::Instrument;

use super::access::Hosts;
use super::problem::{Code, Problem};
use super::request_id;

/// See the [module](self).
#[derive(Clone)]
pub(super) struct Front {
    plain: Router,
    compressed: Compression<Router>,
    hosts: Arc<Hosts>,
    limit: Duration,
}

impl Front {
    pub(super) fn new(router: Router, hosts: Arc<Hosts>, limit: Duration) -> Self {
        let compressed = tower::Layer::layer(&CompressionLayer::new(), router.clone());
        Self { plain: router, compressed, hosts, limit }
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl Service<Request<Incoming>> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answering {
        let request = request.map(Body::new);
        let id = request_id::of(request.headers());
        let span = request_id::span(&request, id.as_ref());
        let answer = if let Err(problem) = self.hosts.check(request.headers(), request.uri()) {
            Answer::Refused(problem)
        } else if request.headers().contains_key(header::ACCEPT_ENCODING) {
            Answer::Compressed(Box::pin(self.compressed.call(request)))
        } else {
            Answer::Plain(self.plain.call(request))
        };
        let limit = self.limit;
        let answering = async move {
            let answer = tokio::time::timeout(limit, answer.response()).await;
            let mut response = answer.unwrap_or_else(|_| Ok(late(limit).into_response()))?;
            request_id::put(&mut response, id);
            Ok(response)
        };
        Box::pin(answering.instrument(span))
    }
}

/// Where an answer comes from.
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
enum Answer {
    Refused(Problem),
    Plain(<Router as Service<Request>>::Future),
    Compressed(Pin<Box<<Compression<Router> as Service<Request>>::Future>>),
}

impl Answer {
    async fn response(self) -> Result<Response, Infallible> {
        match self {
            Self::Refused(problem) => Ok(problem.into_response()),
            Self::Plain(answering) => answering.await,
            Self::Compressed(answering) => answering.await.map(|response| response.map(Body::new)),
        }
    }
}

fn late(limit: Duration) -> Problem {
    let detail = format!("the registry could not answer within {} s; try again in a moment", limit.as_secs());
    Problem::new(Code::Overloaded, detail)
}
