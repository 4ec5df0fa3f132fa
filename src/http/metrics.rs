//! Metrics in the text format of OpenMetrics 1.0, <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::pipeline::route::Route;
use super::problem::Code;
use crate::model::Stats;
use crate::registry::{self, RegistryStats};

/// A counter by the value of one label.
type LabeledCounter = Family<[(&'static str, &'static str); 1], Counter>;

/// A gauge by the value of one label.
type LabeledGauge = Family<[(&'static str, String); 1], Gauge>;

/// The metrics of a server, and the registry that encodes them.
#[derive(Clone)]
pub(super) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    connections: ConnectionMetrics,
    requests: RequestMetrics,
    registry_state: RegistryMetrics,
}

/// What happens to connections.
struct ConnectionMetrics {
    open: Gauge,
    closed: LabeledCounter,
}

impl ConnectionMetrics {
    fn register(registry: &mut Registry) -> Self {
        let help = "Connections closed by the server, by reason";
        let reasons = ["limit", "header", "idle", "write"];
        let closed = labeled_counter(registry, "connections_closed", help, "reason", &reasons);
        Self { open: gauge(registry, "connections", "Open connections"), closed }
    }
}

/// What happens to requests.
struct RequestMetrics {
    completed: Family<RequestLabels, Counter>,
    durations: [Histogram; Route::ALL.len()],
    shed: LabeledCounter,
    bodies_rejected: LabeledCounter,
    denied: LabeledCounter,
    refreshes_in_flight: Gauge,
    requests_in_flight: Gauge,
    watchers: Gauge,
    in_flight_bytes: Gauge,
}

impl RequestMetrics {
    fn register(registry: &mut Registry) -> Self {
        let completed = Family::default();
        registry.register("requests", "Completed requests, by route and status", completed.clone());
        let by_route =
            Family::<[(&str, &str); 1], Histogram, _>::new_with_constructor(histogram as fn() -> Histogram);
        let help = "Time until the response; for a watch, until the stream began";
        registry.register_with_unit("request_duration", help, Unit::Seconds, by_route.clone());
        let durations =
            Route::ALL.map(|route| by_route.get_or_create(&[("route", route.template())]).clone());
        let help = "Requests rejected with 503, by the limit that was reached";
        let limits = ["requests", "refreshes", "watchers", "memory"];
        let shed = labeled_counter(registry, "requests_shed", help, "limit", &limits);
        let help = "Request bodies rejected, by reason";
        let bodies_rejected =
            labeled_counter(registry, "request_bodies_rejected", help, "reason", &["size", "time"]);
        let help = "Requests rejected by authentication or host checks, by code";
        let codes = [
            Code::MalformedRequest,
            Code::HostNotAllowed,
            Code::OriginNotAllowed,
            Code::Unauthorized,
            Code::Forbidden,
        ];
        let denied = labeled_counter(registry, "requests_denied", help, "code", &codes.map(Code::as_str));
        let in_flight_bytes = Gauge::default();
        let help = "Memory of request bodies and large responses in flight";
        registry.register_with_unit("in_flight", help, Unit::Bytes, in_flight_bytes.clone());
        Self {
            completed,
            durations,
            shed,
            bodies_rejected,
            denied,
            refreshes_in_flight: gauge(registry, "refreshes_in_flight", "Lease refreshes in flight"),
            requests_in_flight: gauge(registry, "requests_in_flight", "Other requests in flight"),
            watchers: gauge(registry, "watchers", "Open watch streams"),
            in_flight_bytes,
        }
    }
}

/// The state of the registry.
struct RegistryMetrics {
    servers: Gauge,
    servers_by_transport: LabeledGauge,
    servers_by_health: LabeledGauge,
    queue_length: Gauge,
    wal_bytes: Gauge,
    storage_failing: Gauge,
    standby: Gauge,
}

impl RegistryMetrics {
    fn register(registry: &mut Registry) -> Self {
        let [servers_by_transport, servers_by_health] = [
            ("servers_by_transport", "Registered servers, by transport"),
            ("servers_by_health", "Registered servers, by health"),
        ]
        .map(|(name, help)| {
            let gauge = LabeledGauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        });
        let wal_bytes = Gauge::default();
        let help = "Size of the database's write-ahead log";
        registry.register_with_unit("wal", help, Unit::Bytes, wal_bytes.clone());
        let storage_failing = "1 while the database is not writable and leases are paused";
        let standby = "1 while this registry is a read-only standby";
        Self {
            servers: gauge(registry, "servers", "Registered servers"),
            servers_by_transport,
            servers_by_health,
            queue_length: gauge(registry, "queue_length", "Commands waiting for the writer"),
            wal_bytes,
            storage_failing: gauge(registry, "storage_failing", storage_failing),
            standby: gauge(registry, "standby", standby),
        }
    }

    fn set(&self, registry_stats: RegistryStats, stats: Option<&Stats>) {
        set(&self.servers, registry_stats.servers);
        set(&self.queue_length, registry_stats.queue_length);
        self.wal_bytes.set(i64::try_from(registry_stats.wal_bytes).unwrap_or(i64::MAX));
        self.storage_failing.set(i64::from(registry_stats.paused));
        self.standby.set(i64::from(registry_stats.standby));
        let Some(stats) = stats else { return };
        let groups = [
            (
                &self.servers_by_transport,
                "transport",
                &["stdio", "streamable-http", "sse"][..],
                &stats.servers.by_transport,
            ),
            (&self.servers_by_health, "health", &["healthy", "unhealthy"], &stats.servers.by_health),
        ];
        for (family, label, known, counts) in groups {
            family.clear();
            for value in known {
                drop(family.get_or_create(&[(label, (*value).to_owned())]));
            }
            for (value, count) in counts {
                let gauge = family.get_or_create(&[(label, value.clone())]);
                gauge.set(i64::try_from(*count).unwrap_or(i64::MAX));
            }
        }
    }
}

/// Registers a counter. Its known labels start at 0, so that the first increment is visible as a rate.
fn labeled_counter(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: &[&'static str],
) -> LabeledCounter {
    let counter = LabeledCounter::default();
    registry.register(name, help, counter.clone());
    for value in values {
        drop(counter.get_or_create(&[(label, *value)]));
    }
    counter
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

fn set(gauge: &Gauge, value: usize) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

/// The bounds of the buckets of request durations, in seconds.
const DURATION_BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

/// The requests and the memory that are in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InFlight {
    /// Lease refreshes.
    pub(super) refreshes: usize,
    /// Other requests.
    pub(super) requests: usize,
    /// Open watch streams.
    pub(super) watchers: usize,
    /// Bytes of request bodies and large responses.
    pub(super) bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: u16,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("paulina");
        let connections = ConnectionMetrics::register(&mut registry);
        let requests = RequestMetrics::register(&mut registry);
        let registry_state = RegistryMetrics::register(&mut registry);
        Self(Arc::new(Inner { registry, connections, requests, registry_state }))
    }

    /// Returns metrics that include the counters of a registry.
    pub(super) fn with_registry(registry: registry::Registry) -> Self {
        let mut metrics = Self::new();
        if let Some(inner) = Arc::get_mut(&mut metrics.0) {
            inner.registry.register_collector(Box::new(RegistryCollector(registry)));
        }
        metrics
    }

    /// Counts a completed request.
    pub(super) fn request_completed(&self, route: Route, status: StatusCode, took: Duration) {
        let requests = &self.0.requests;
        if let Some(histogram) = requests.durations.get(route as usize) {
            histogram.observe(took.as_secs_f64());
        }
        let labels = RequestLabels { route: route.template(), status: status.as_u16() };
        requests.completed.get_or_create(&labels).inc();
    }

    /// Counts a new connection.
    pub(super) fn connection_opened(&self) {
        self.0.connections.open.inc();
    }

    /// Counts the end of a connection.
    pub(super) fn connection_ended(&self) {
        self.0.connections.open.dec();
    }

    /// Counts a connection that the server closed.
    pub(super) fn connection_closed(&self, reason: &'static str) {
        self.0.connections.closed.get_or_create(&[("reason", reason)]).inc();
    }

    /// Counts a request that exceeded a limit.
    pub(super) fn request_shed(&self, limit: &'static str) {
        self.0.requests.shed.get_or_create(&[("limit", limit)]).inc();
    }

    /// Counts a rejected request body.
    pub(super) fn body_rejected(&self, reason: &'static str) {
        self.0.requests.bodies_rejected.get_or_create(&[("reason", reason)]).inc();
    }

    /// Counts a request that failed authentication or the host checks.
    pub(super) fn request_denied(&self, code: &'static str) {
        self.0.requests.denied.get_or_create(&[("code", code)]).inc();
    }

    /// Encodes all metrics as text.
    pub(super) fn text(
        &self,
        in_flight: InFlight,
        registry_stats: RegistryStats,
        stats: Option<&Stats>,
    ) -> Result<String, fmt::Error> {
        let requests = &self.0.requests;
        set(&requests.refreshes_in_flight, in_flight.refreshes);
        set(&requests.requests_in_flight, in_flight.requests);
        set(&requests.watchers, in_flight.watchers);
        set(&requests.in_flight_bytes, in_flight.bytes);
        self.0.registry_state.set(registry_stats, stats);
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

fn histogram() -> Histogram {
    Histogram::new(DURATION_BUCKETS)
}

/// Reads the registry's own counters when the metrics are encoded.
#[derive(Debug)]
struct RegistryCollector(registry::Registry);

impl Collector for RegistryCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.0.counters();
        for (name, help, count) in counts.counters() {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a time, exact to the millisecond for thousands of years"
        )]
        let last = ConstGauge::new(counts.last_commit() as f64 / 1_000.0);
        let help =
            "Unix time of the last commit; on a standby, of the last commit in its copy of the database";
        let descriptor = encoder.encode_descriptor(
            "last_commit_timestamp",
            help,
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        last.encode(descriptor)?;
        let histograms = [
            ("commit_duration", "Time to commit a batch", Some(Unit::Seconds), counts.commits().read()),
            ("commit_batch_size", "Commands per commit", None, counts.batches().read()),
        ];
        for (name, help, unit, (sum, count, buckets)) in histograms {
            let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
            metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}
