//! Metrics in the text format of OpenMetrics 1.0, <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::registry::Vitals;

/// Why something was counted.
type Reasons = Family<[(&'static str, &'static str); 1], Counter>;

/// What is counted, and the registry that writes it.
#[derive(Clone)]
pub(super) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    connections: Gauge,
    closed: Reasons,
    shed: Reasons,
    bodies: Reasons,
    denied: Reasons,
    refreshing: Gauge,
    requesting: Gauge,
    watchers: Gauge,
    memory: Gauge,
    wal: Gauge,
    standing: Gauge,
    servers: Gauge,
}

/// How much is in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// Refreshes.
    pub(super) refreshes: usize,
    /// Other requests.
    pub(super) requests: usize,
    /// Watchers.
    pub(super) watchers: usize,
    /// Bytes of bodies and large answers.
    pub(super) bytes: usize,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("paulina");
        let mut family = |name: &str, help: &str| {
            let reasons = Reasons::default();
            registry.register(name, help, reasons.clone());
            reasons
        };
        let closed = family("connections_closed", "Connections that the server cut off, by reason");
        let shed = family("requests_shed", "Requests turned away with 503, by what there was too much of");
        let bodies = family("bodies_refused", "Bodies refused, by reason");
        let denied = family("requests_denied", "Requests refused before they were looked at, by code");
        let mut gauge = |name: &str, help: &str, unit: Option<Unit>| {
            let gauge = Gauge::default();
            match unit {
                Some(unit) => registry.register_with_unit(name, help, unit, gauge.clone()),
                None => registry.register(name, help, gauge.clone()),
            }
            gauge
        };
        let connections = gauge("connections", "Open connections", None);
        let refreshing = gauge("refreshes_in_flight", "Refreshes in hand", None);
        let requesting = gauge("requests_in_flight", "Other requests in hand", None);
        let watchers = gauge("watchers", "Clients that watch", None);
        let memory = gauge("in_flight", "Bodies and large answers in memory", Some(Unit::Bytes));
        let wal = gauge("wal", "The size of the write-ahead log beside the database", Some(Unit::Bytes));
        let standing =
            gauge("storage_failing", "1 while the database takes no writes: leases stand still", None);
        let servers = gauge("servers", "Registered servers", None);
        Self(Arc::new(Inner {
            registry,
            connections,
            closed,
            shed,
            bodies,
            denied,
            refreshing,
            requesting,
            watchers,
            memory,
            wal,
            standing,
            servers,
        }))
    }

    /// A connection came.
    pub(super) fn connected(&self) {
        self.0.connections.inc();
    }

    /// A connection ended.
    pub(super) fn disconnected(&self) {
        self.0.connections.dec();
    }

    /// A connection was cut off.
    pub(super) fn cut_off(&self, reason: &'static str) {
        self.0.closed.get_or_create(&[("reason", reason)]).inc();
    }

    /// A request was turned away.
    pub(super) fn shed(&self, what: &'static str) {
        self.0.shed.get_or_create(&[("limit", what)]).inc();
    }

    /// A body was refused.
    pub(super) fn refused_body(&self, reason: &'static str) {
        self.0.bodies.get_or_create(&[("reason", reason)]).inc();
    }

    /// A request was refused for who sent it.
    pub(super) fn denied(&self, code: &'static str) {
        self.0.denied.get_or_create(&[("code", code)]).inc();
    }

    /// All of it as text.
    pub(super) fn text(&self, load: Reading, vitals: Vitals) -> Result<String, fmt::Error> {
        let set = |gauge: &Gauge, value: usize| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.0.refreshing, load.refreshes);
        set(&self.0.requesting, load.requests);
        set(&self.0.watchers, load.watchers);
        set(&self.0.memory, load.bytes);
        set(&self.0.servers, vitals.servers);
        self.0.wal.set(i64::try_from(vitals.wal_bytes).unwrap_or(i64::MAX));
        self.0.standing.set(i64::from(vitals.paused));
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}
