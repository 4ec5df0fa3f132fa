//! Admission control: limits on concurrent requests and on the memory of bodies and large responses.
//!
//! What exceeds a limit is rejected with 503 before it takes memory. Refreshes have separate limits, so that other load cannot
//! starve them. Probes and static content are never rejected.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::route::AdmissionClass;
use crate::http::metrics::{InFlight, Metrics};
use crate::http::problem::{Code, Problem};
use crate::http::server::limits::Limits;

/// Issues permits for requests and memory.
#[derive(Debug, Clone)]
pub(in crate::http) struct AdmissionControl {
    requests: Arc<Semaphore>,
    watchers: Arc<Semaphore>,
    refreshes: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    refresh_bytes: Arc<Semaphore>,
    limits: Limits,
    metrics: Metrics,
}

/// Permission to handle one request; released on drop.
#[derive(Debug, Default)]
pub(in crate::http) struct AdmissionPermit {
    _permit: Option<OwnedSemaphorePermit>,
}

/// Permission to use an amount of memory; released on drop.
#[derive(Debug)]
pub(in crate::http) struct MemoryPermit {
    permit: OwnedSemaphorePermit,
}

impl AdmissionControl {
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

    /// Acquires a permit for one more request.
    pub(in crate::http) fn admit(&self, class: AdmissionClass) -> Result<AdmissionPermit, Problem> {
        let (permits, what, limit) = match class {
            AdmissionClass::Probe => return Ok(AdmissionPermit { _permit: None }),
            AdmissionClass::Refresh => (&self.refreshes, "refreshes", self.limits.requests),
            AdmissionClass::Watch => (&self.watchers, "watchers", self.limits.watchers),
            AdmissionClass::Other => (&self.requests, "requests", self.limits.requests),
        };
        if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            return Ok(AdmissionPermit { _permit: Some(permit) });
        }
        self.metrics.request_shed(what);
        let detail = format!("more than {limit} concurrent {what}; try again shortly");
        Err(Problem::new(Code::Overloaded, detail))
    }

    /// Acquires a permit for an amount of memory. Refreshes have a separate budget here, too.
    pub(in crate::http) fn reserve(
        &self,
        class: AdmissionClass,
        bytes: usize,
    ) -> Result<MemoryPermit, Problem> {
        let count = u32::try_from(bytes).unwrap_or(u32::MAX);
        let budget = if class == AdmissionClass::Refresh { &self.refresh_bytes } else { &self.bytes };
        if let Ok(permit) = Arc::clone(budget).try_acquire_many_owned(count) {
            return Ok(MemoryPermit { permit });
        }
        self.metrics.request_shed("memory");
        let detail =
            "the bodies and responses in flight use all the memory they are allowed; try again shortly";
        Err(Problem::new(Code::Overloaded, detail))
    }

    /// Returns the number of permits in use.
    pub(in crate::http) fn in_flight(&self) -> InFlight {
        let used = |semaphore: &Semaphore, limit: usize| limit.saturating_sub(semaphore.available_permits());
        InFlight {
            refreshes: used(&self.refreshes, self.limits.requests),
            requests: used(&self.requests, self.limits.requests),
            watchers: used(&self.watchers, self.limits.watchers),
            bytes: used(&self.bytes, self.limits.memory_bytes.min(u32::MAX as usize)),
        }
    }
}

impl MemoryPermit {
    /// Merges another permit of the same budget into this one.
    pub(in crate::http) fn merge(&mut self, other: Self) {
        self.permit.merge(other.permit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refreshes_are_admitted_when_other_requests_are_rejected() {
        let limits = Limits { requests: 2, ..Limits::default() };
        let admission = AdmissionControl::new(limits, Metrics::new());
        let others = [admission.admit(AdmissionClass::Other), admission.admit(AdmissionClass::Other)];
        assert!(others.iter().all(Result::is_ok));
        assert_eq!(admission.admit(AdmissionClass::Other).unwrap_err().code(), Code::Overloaded);
        let refreshes = [admission.admit(AdmissionClass::Refresh), admission.admit(AdmissionClass::Refresh)];
        assert!(refreshes.iter().all(Result::is_ok), "they have separate permits");
        assert!(
            admission.admit(AdmissionClass::Refresh).is_err()
                && admission.admit(AdmissionClass::Probe).is_ok()
        );
        let all = admission.reserve(AdmissionClass::Other, limits.memory_bytes).unwrap();
        assert!(
            admission.reserve(AdmissionClass::Other, 1).is_err()
                && admission.reserve(AdmissionClass::Refresh, 1).is_ok()
        );
        drop(all);
        assert_eq!(admission.in_flight(), InFlight { refreshes: 2, requests: 2, watchers: 0, bytes: 0 });
        drop((others, refreshes));
        assert!(admission.admit(AdmissionClass::Other).is_ok());
        assert_eq!(admission.in_flight(), InFlight { refreshes: 0, requests: 0, watchers: 0, bytes: 0 });
    }
}
