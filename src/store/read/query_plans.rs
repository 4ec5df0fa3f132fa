//! Tests of the query plan of every statement: none scans a table that grows.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::lookup::ServerKey;
use super::query;
use crate::model::{Filter, FilterField, HealthFilter, Position, View};
use crate::store::cache::state::InitialState;
use crate::store::database::connect::SharedConnection;
use crate::store::database::location::Location;
use crate::store::moment::Moment;
use crate::store::open::open;
use crate::store::record;
use crate::store::write::{leases, transaction};

const NOW: Moment = Moment { lease: 1_000, wall: 1_000, offset: 0 };

/// Returns the steps of a statement's plan.
async fn plan(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(connection).await;
    rows.unwrap_or_else(|error| panic!("{sql}: {error}")).iter().map(|row| row.get("detail")).collect()
}

/// Returns the scans of tables that grow. Not among them: `settings` and `sqlite_sequence` (one row), `json_each` of a
/// parameter, and what the statement itself has computed (`page`, subqueries).
fn scans(plan: &[String]) -> Vec<&String> {
    let harmless = |step: &&String| {
        [
            "SCAN g",
            "SCAN settings",
            "SCAN sqlite_sequence",
            "SCAN page",
            "SCAN CONSTANT ROW",
            "SCAN (",
            "SCAN p VIRTUAL",
            "SCAN j VIRTUAL",
        ]
        .iter()
        .any(|start| step.starts_with(start))
            || step.contains("json_each VIRTUAL")
    };
    let all = |step: &&String| step.starts_with("SCAN") || step.contains("(rowid>?)");
    plan.iter().filter(all).filter(|step| !harmless(step)).collect()
}

/// With a bare parameter as LIMIT or OFFSET, SQLite plans again at every call.
fn assert_stays_prepared(sql: &str) {
    assert!(!sql.contains("LIMIT ?") && !sql.contains("OFFSET ?"), "{sql}");
}

async fn connection() -> (tempfile::TempDir, SharedConnection) {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(&Location::File(folder.path().join("plans.db")), InitialState::New(0)).await.unwrap();
    (folder, opened.writer.connection())
}

#[tokio::test]
async fn no_fixed_statement_scans_a_growing_table() {
    // The exceptions, with the reason.
    let allowed = [
        ("FROM leases l CROSS JOIN servers s", "all leases are read into memory at start"),
        (
            "SELECT name, role, hash",
            "all tokens are read into memory at start and when they change: a few dozen",
        ),
        ("SELECT count(*) FROM servers", "an integrity check reads everything"),
        ("'health', CASE", "statistics count everything"),
        ("FROM changes WHERE revision > ?1 ORDER BY", "a range of the primary key, bounded by its limit"),
        ("DELETE FROM changes", "once a minute, over a bounded table"),
        ("record IS NULL", "the partial index contains only missing summaries"),
        ("FROM search_unused", "once a minute, at most a thousand rows"),
        (
            "FROM servers s WHERE number > ?1 AND NOT EXISTS",
            "a range of the primary key, after an update or an edit",
        ),
    ];
    let queries: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(include_str!("../../../sqlx-data.json")).unwrap();
    assert!(queries.len() > 15);
    let (_folder, connection) = connection().await;
    let mut connection = connection.lock().await;
    let mut excused = std::collections::HashSet::new();
    for query in queries.values() {
        let sql = query["query"].as_str().unwrap();
        assert_stays_prepared(sql);
        if ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"].iter().any(|word| sql.starts_with(word)) {
            continue;
        }
        let plan = plan(&mut connection, sql).await;
        let scans = scans(&plan);
        if let Some((part, _)) = allowed.iter().find(|(part, _)| sql.contains(part)) {
            assert!(!scans.is_empty(), "no exception is needed for {sql}");
            excused.insert(part);
        } else {
            assert!(scans.is_empty(), "{sql}\nscans {scans:?}");
        }
    }
    assert_eq!(excused.len(), allowed.len(), "an exception is not needed any more");
}

#[tokio::test]
async fn no_composed_statement_scans_a_growing_table() {
    let begin = transaction::BEGIN.split(';').filter(|part| part.contains("SELECT")).map(str::to_owned);
    let mut statements: Vec<String> = begin.collect();
    statements.extend([leases::expired_sql(), record::FILL_SUMMARIES.clone()]);
    for view in [View::Summary, View::Full] {
        statements.extend([ServerKey::Id("a").sql(view), ServerKey::Number(1).sql(view)]);
    }
    let (_folder, connection) = connection().await;
    let mut connection = connection.lock().await;
    for sql in statements {
        let plan = plan(&mut connection, &sql).await;
        let scans = scans(&plan);
        // The partial index contains only missing summaries.
        let missing = |step: &&String| step.contains("summaries_missing");
        assert!(scans.iter().all(missing), "{sql}\nscans {scans:?}");
    }
}

/// Adds a condition to a filter.
type Add = Box<dyn Fn(Filter) -> Filter>;

/// Every filter by its name.
fn filters() -> Vec<(&'static str, Add)> {
    let field = |field: FilterField| -> (&'static str, Add) {
        (field.name(), Box::new(move |filter: Filter| filter.field(field, "file:///tmp/x")))
    };
    let others: [(&'static str, Add); 4] = [
        ("metadata", Box::new(|filter| filter.metadata("a", "b"))),
        ("q", Box::new(|filter| filter.search("a"))),
        ("healthy=false", Box::new(|filter| filter.health(HealthFilter::Unhealthy))),
        ("healthy=any", Box::new(|filter| filter.health(HealthFilter::Any))),
    ];
    FilterField::ALL.into_iter().map(field).chain(others).collect()
}

/// Filters only by health select from all servers, in the order of registration, until the page is full.
fn lists_everything(names: &[&str]) -> bool {
    names.iter().all(|name| name.starts_with("healthy"))
}

/// If `tool` selects tools, and servers are filtered only by health, all servers are selected.
fn chooses_all(names: &[&str]) -> bool {
    names.iter().all(|name| name.starts_with("healthy") || ["q", "tool"].contains(name))
}

async fn check(connection: &mut SqliteConnection, names: &[&str], filter: Filter) {
    for view in [View::Summary, View::Full] {
        let filter = filter.clone().view(view);
        let ranked = filter.search.as_ref().map(|_| "[1]");
        for position in [None, Some(Position::Server(5))] {
            let filter = match position {
                Some(position) if ranked.is_none() => filter.clone().after(&filter.cursor(position)),
                _ => filter.clone(),
            };
            for statement in [query::servers, query::servers_as_rows] {
                let statement = statement(&filter, ranked, NOW);
                assert_stays_prepared(statement.sql().as_str());
                let plan = plan(&mut *connection, statement.sql().as_ref()).await;
                let scans = scans(&plan);
                assert!(
                    lists_everything(names) || scans.is_empty(),
                    "servers by {names:?} scans {scans:?}\nof {plan:#?}"
                );
            }
        }
    }
    let ranked = filter.search.as_ref().map(|_| "[\"a\"]");
    for choose in [query::ToolFilter::SelectsServers, query::ToolFilter::SelectsTools] {
        let statement = query::matching_numbers(&filter, choose, NOW);
        let plan = plan(&mut *connection, statement.sql().as_ref()).await;
        let scans = scans(&plan);
        assert!(
            chooses_all(names) || scans.is_empty(),
            "servers selected by {names:?} scan {scans:?}\nof {plan:#?}"
        );
    }
    let statement = query::tools(&filter, ranked, NOW);
    assert_stays_prepared(statement.sql().as_str());
    let plan = plan(&mut *connection, statement.sql().as_ref()).await;
    let scans: Vec<_> = scans(&plan).into_iter().filter(|step| !walks_tools(step)).collect();
    assert!(scans.is_empty(), "tools by {names:?} scans {scans:?}\nof {plan:#?}");
}

/// `/v1/tools` without filters reads the tools in the order of their names, until the page is full.
fn walks_tools(step: &str) -> bool {
    step.starts_with("SCAN t USING") && step.contains("tools_by_name")
}

#[tokio::test]
async fn no_filter_or_pair_of_filters_scans_a_growing_table() {
    let (_folder, connection) = connection().await;
    let mut connection = connection.lock().await;
    check(&mut connection, &[], Filter::new()).await;
    let filters = filters();
    for (index, (name, add)) in filters.iter().enumerate() {
        check(&mut connection, &[name], add(Filter::new())).await;
        for (other, add_other) in filters.iter().skip(index) {
            check(&mut connection, &[name, other], add_other(add(Filter::new()))).await;
        }
    }
}
