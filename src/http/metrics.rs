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
use crate::model::Stats;
use crate::registry::{self, Vitals};

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
    standby: Gauge,
    servers: Gauge,
    waiting: Gauge,
    by_transport: Family<[(&'static str, String); 1], Gauge>,
    by_health: Family<[(&'static str, String); 1], Gauge>,
    requests: Family<Answered, Counter>,
    durations: [Histogram; Route::ALL.len()],
}

/// Seconds that an answer takes.
const DURATIONS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

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

/// What is told apart among answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
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
        let standby = gauge("standby", "1 while this registry is a standby, which only answers", None);
        let servers = gauge("servers", "Registered servers", None);
        let waiting = gauge("queue_length", "Commands that wait for the writer", None);
        let by_transport = Family::default();
        registry.register("servers_by_transport", "Registered servers, by transport", by_transport.clone());
        let by_health = Family::default();
        registry.register("servers_by_health", "Registered servers, by health", by_health.clone());
        let requests = Family::default();
        registry.register("requests", "Answers, by route and status", requests.clone());
        let all =
            Family::<[(&str, &str); 1], Histogram, _>::new_with_constructor(histogram as fn() -> Histogram);
        let help = "How long answers took; of a watch, until it began";
        registry.register_with_unit("request_duration", help, Unit::Seconds, all.clone());
        let durations = Route::ALL.map(|route| all.get_or_create(&[("route", route.template())]).clone());
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
            standby,
            servers,
            waiting,
            by_transport,
            by_health,
            requests,
            durations,
        }))
    }

    /// The same with what the registry itself counts.
    pub(super) fn with(registry: registry::Registry) -> Self {
        let mut metrics = Self::new();
        if let Some(inner) = Arc::get_mut(&mut metrics.0) {
            inner.registry.register_collector(Box::new(Counted(registry)));
        }
        metrics
    }

    /// A request was answered.
    pub(super) fn answered(&self, route: Route, status: StatusCode, took: Duration) {
        if let Some(histogram) = self.0.durations.get(route as usize) {
            histogram.observe(took.as_secs_f64());
        }
        self.0.requests.get_or_create(&Answered { route: route.template(), status: status.as_u16() }).inc();
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
    pub(super) fn text(
        &self,
        load: Reading,
        vitals: Vitals,
        stats: Option<&Stats>,
    ) -> Result<String, fmt::Error> {
        let set = |gauge: &Gauge, value: usize| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.0.refreshing, load.refreshes);
        set(&self.0.requesting, load.requests);
        set(&self.0.watchers, load.watchers);
        set(&self.0.memory, load.bytes);
        set(&self.0.servers, vitals.servers);
        set(&self.0.waiting, vitals.waiting);
        if let Some(stats) = stats {
            let groups = [
                (&self.0.by_transport, "transport", &stats.servers.by_transport),
                (&self.0.by_health, "health", &stats.servers.by_health),
            ];
            for (family, label, group) in groups {
                family.clear();
                for (value, count) in group {
                    let gauge = family.get_or_create(&[(label, value.clone())]);
                    gauge.set(i64::try_from(*count).unwrap_or(i64::MAX));
                }
            }
        }
        self.0.wal.set(i64::try_from(vitals.wal_bytes).unwrap_or(i64::MAX));
        self.0.standing.set(i64::from(vitals.paused));
        self.0.standby.set(i64::from(vitals.standby));
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

fn histogram() -> Histogram {
    Histogram::new(DURATIONS)
}

/// What the registry counts, read when it is asked for.
#[derive(Debug)]
struct Counted(registry::Registry);

impl Collector for Counted {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.0.counts();
        for (name, help, count) in counts.counters() {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a time, exact to the millisecond for the next thousands of years"
        )]
        let last = ConstGauge::new(counts.last_commit() as f64 / 1_000.0);
        let help =
            "When the database last took a commit, as Unix time; of a standby, how far its copy has come";
        let descriptor = encoder.encode_descriptor(
            "last_commit_timestamp",
            help,
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        last.encode(descriptor)?;
        let histograms = [
            (
                "commit_duration",
                "How long a batch took to commit",
                Some(Unit::Seconds),
                counts.commits().read(),
            ),
            ("commit_batch_size", "Commands that shared a commit", None, counts.batches().read()),
        ];
        for (name, help, unit, (sum, count, buckets)) in histograms {
            let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
            metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}
