//! How much is in hand at once: requests, and bytes of bodies and large answers.
//!
//! What is over a limit is turned away with 503 before it takes memory. Refreshes are the last to be: they have places of
//! their own. What tells whether the registry is well, or is the same for everybody, is never turned away.

use std::sync::Arc;

use axum::http::{Method, Uri};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::metrics::{Metrics, Reading};
use crate::http::problem::{Code, Problem};
use crate::http::server::limits::Limits;
use crate::http::ui;

/// See the [module](self).
#[derive(Debug, Clone)]
pub(in crate::http) struct Load {
    requests: Arc<Semaphore>,
    watchers: Arc<Semaphore>,
    refreshes: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    refresh_bytes: Arc<Semaphore>,
    limits: Limits,
    metrics: Metrics,
}

/// What kind of request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Kind {
    /// It keeps servers alive.
    Refresh,
    /// It tells whether the registry is well, or how it is asked. Its answer costs next to nothing.
    Probe,
    /// It goes on for as long as the client likes.
    Watch,
    /// Any other.
    Other,
}

impl Kind {
    pub(in crate::http) fn of(method: &Method, uri: &Uri) -> Self {
        match (method, uri.path()) {
            (_, "/healthz" | "/readyz" | "/metrics" | "/openapi.json") => Self::Probe,
            (_, path) if ui::is_page(path) => Self::Probe,
            (&Method::GET, path) if path.ends_with("/watch") => Self::Watch,
            (&Method::PUT | &Method::POST, path) if path.ends_with("/refresh") => Self::Refresh,
            _ => Self::Other,
        }
    }
}

/// A place; given back when dropped.
#[derive(Debug, Default)]
pub(in crate::http) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

/// Bytes that are accounted for; given back when dropped.
#[derive(Debug)]
pub(in crate::http) struct Bytes {
    permit: OwnedSemaphorePermit,
}

impl Load {
    pub(in crate::http) fn new(limits: Limits, metrics: Metrics) -> Self {
        let semaphore = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self {
            requests: semaphore(limits.requests),
            watchers: semaphore(limits.watchers),
            refreshes: semaphore(limits.requests),
            bytes: semaphore(limits.memory_bytes.min(u32::MAX as usize)),
            refresh_bytes: semaphore(limits.memory_bytes.min(u32::MAX as usize)),
            limits,
            metrics,
        }
    }

    pub(in crate::http) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(in crate::http) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A place for one more request.
    pub(in crate::http) fn admit(&self, kind: Kind) -> Result<Place, Problem> {
        let (places, what, most) = match kind {
            Kind::Probe => return Ok(Place { _permit: None }),
            Kind::Refresh => (&self.refreshes, "refreshes", self.limits.requests),
            Kind::Watch => (&self.watchers, "watchers", self.limits.watchers),
            Kind::Other => (&self.requests, "requests", self.limits.requests),
        };
        if let Ok(permit) = Arc::clone(places).try_acquire_owned() {
            return Ok(Place { _permit: Some(permit) });
        }
        self.metrics.shed(what);
        let detail = format!("more than {most} {what} at once; try again in a moment");
        Err(Problem::new(Code::Overloaded, detail))
    }

    /// Room for so many bytes. Refreshes have room of their own, too.
    pub(in crate::http) fn take(&self, kind: Kind, bytes: usize) -> Result<Bytes, Problem> {
        let count = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = if kind == Kind::Refresh { &self.refresh_bytes } else { &self.bytes };
        if let Ok(permit) = Arc::clone(room).try_acquire_many_owned(count) {
            return Ok(Bytes { permit });
        }
        self.metrics.shed("memory");
        let detail = "the bodies and answers in hand take all the memory they may; try again in a moment";
        Err(Problem::new(Code::Overloaded, detail))
    }

    /// How much is in hand.
    pub(in crate::http) fn reading(&self) -> Reading {
        let taken = |semaphore: &Semaphore, most: usize| most.saturating_sub(semaphore.available_permits());
        Reading {
            refreshes: taken(&self.refreshes, self.limits.requests),
            requests: taken(&self.requests, self.limits.requests),
            watchers: taken(&self.watchers, self.limits.watchers),
            bytes: taken(&self.bytes, self.limits.memory_bytes.min(u32::MAX as usize)),
        }
    }
}

impl Bytes {
    /// Puts more to it.
    pub(in crate::http) fn add(&mut self, more: Self) {
        self.permit.merge(more.permit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refreshes_are_the_last_to_be_turned_away() {
        let limits = Limits { requests: 2, ..Limits::default() };
        let load = Load::new(limits, Metrics::new());
        let others = [load.admit(Kind::Other), load.admit(Kind::Other)];
        assert!(others.iter().all(Result::is_ok));
        assert_eq!(load.admit(Kind::Other).unwrap_err().code(), Code::Overloaded);
        let refreshes = [load.admit(Kind::Refresh), load.admit(Kind::Refresh)];
        assert!(refreshes.iter().all(Result::is_ok), "they have places of their own");
        assert!(load.admit(Kind::Refresh).is_err() && load.admit(Kind::Probe).is_ok());
        let all = load.take(Kind::Other, limits.memory_bytes).unwrap();
        assert!(load.take(Kind::Other, 1).is_err() && load.take(Kind::Refresh, 1).is_ok());
        drop(all);
        assert_eq!(load.reading(), Reading { refreshes: 2, requests: 2, watchers: 0, bytes: 0 });
        drop((others, refreshes));
        assert!(load.admit(Kind::Other).is_ok());
        assert_eq!(load.reading(), Reading { refreshes: 0, requests: 0, watchers: 0, bytes: 0 });
    }

    #[test]
    fn what_kind_of_request_it_is() {
        for (method, path, kind) in [
            (Method::PUT, "/v1/servers/a/refresh", Kind::Refresh),
            (Method::POST, "/v1/refresh", Kind::Refresh),
            (Method::GET, "/readyz", Kind::Probe),
            (Method::GET, "/openapi.json", Kind::Probe),
            (Method::GET, "/v1/watch", Kind::Watch),
            (Method::GET, "/v1/servers", Kind::Other),
            (Method::GET, "/v1/servers/refresh", Kind::Other),
        ] {
            assert_eq!(Kind::of(&method, &path.parse().unwrap()), kind, "{path}");
        }
    }
}
