//! How much is in hand at once: requests, and bytes of bodies and large answers.
//!
//! What is over a limit is turned away with 503 before it takes memory. Refreshes are the last to be: they have places of
//! their own. What tells whether the registry is well, or is the same for everybody, is never turned away.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::route::AdmissionClass;
use crate::http::metrics::{Metrics, Reading};
use crate::http::problem::{Code, Problem};
use crate::http::server::limits::Limits;

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
    pub(in crate::http) fn admit(&self, class: AdmissionClass) -> Result<Place, Problem> {
        let (places, what, most) = match class {
            AdmissionClass::Probe => return Ok(Place { _permit: None }),
            AdmissionClass::Refresh => (&self.refreshes, "refreshes", self.limits.requests),
            AdmissionClass::Watch => (&self.watchers, "watchers", self.limits.watchers),
            AdmissionClass::Other => (&self.requests, "requests", self.limits.requests),
        };
        if let Ok(permit) = Arc::clone(places).try_acquire_owned() {
            return Ok(Place { _permit: Some(permit) });
        }
        self.metrics.shed(what);
        let detail = format!("more than {most} {what} at once; try again in a moment");
        Err(Problem::new(Code::Overloaded, detail))
    }

    /// Room for so many bytes. Refreshes have room of their own, too.
    pub(in crate::http) fn take(&self, class: AdmissionClass, bytes: usize) -> Result<Bytes, Problem> {
        let count = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = if class == AdmissionClass::Refresh { &self.refresh_bytes } else { &self.bytes };
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
        let others = [load.admit(AdmissionClass::Other), load.admit(AdmissionClass::Other)];
        assert!(others.iter().all(Result::is_ok));
        assert_eq!(load.admit(AdmissionClass::Other).unwrap_err().code(), Code::Overloaded);
        let refreshes = [load.admit(AdmissionClass::Refresh), load.admit(AdmissionClass::Refresh)];
        assert!(refreshes.iter().all(Result::is_ok), "they have places of their own");
        assert!(load.admit(AdmissionClass::Refresh).is_err() && load.admit(AdmissionClass::Probe).is_ok());
        let all = load.take(AdmissionClass::Other, limits.memory_bytes).unwrap();
        assert!(
            load.take(AdmissionClass::Other, 1).is_err() && load.take(AdmissionClass::Refresh, 1).is_ok()
        );
        drop(all);
        assert_eq!(load.reading(), Reading { refreshes: 2, requests: 2, watchers: 0, bytes: 0 });
        drop((others, refreshes));
        assert!(load.admit(AdmissionClass::Other).is_ok());
        assert_eq!(load.reading(), Reading { refreshes: 0, requests: 0, watchers: 0, bytes: 0 });
    }
}
