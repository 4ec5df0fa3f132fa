//! The SQL of a [`Filter`]: joins on indexed columns in a fixed order, so that queries of the same kind use the same
//! statement, which stays prepared.

use sqlx::{QueryBuilder, Sqlite};

use crate::model::{FieldSource, Filter, FilterField, HealthFilter, Position, uri_prefixes};
use crate::store::moment::Moment;
use crate::store::record;

/// A statement that is being composed.
pub(in crate::store) type Statement = QueryBuilder<Sqlite>;

/// The maximum size of the summaries in one row, in bytes. A larger page is fetched row by row.
const MAX_JOINED_BYTES: usize = 16 * 1024 * 1024;

/// The text of a page that is too large for one row.
pub(in crate::store) const TOO_LARGE: &str = "large";

/// Returns the statement of a page of servers as a single row: the epoch and revision of the snapshot, and the texts of the
/// servers, one more than the limit if there are more. A page that is too large is [`TOO_LARGE`] instead. For a search,
/// `ranked` is the JSON list of the numbers that were found, to which the filter applies.
pub(in crate::store) fn servers(filter: &Filter, ranked: Option<&str>, now: Moment) -> Statement {
    let mut sql = page(filter, ranked, now);
    sql.push(" SELECT g.epoch, g.revision, ");
    let large = format!(
        "(SELECT total(octet_length(c.record)) FROM page CROSS JOIN summaries c ON c.server = page.number) > {MAX_JOINED_BYTES}"
    );
    sql.push(format_args!(
        "CASE WHEN {large} THEN '{TOO_LARGE}' ELSE (SELECT group_concat({}, char({}){}) FROM page \
         CROSS JOIN servers s ON s.number = page.number JOIN leases l ON l.server = page.number \
         JOIN summaries c ON c.server = page.number) END AS servers FROM settings g",
        record::columns(filter.view),
        u32::from(record::SEPARATOR),
        if ranked.is_some() { " ORDER BY page.place" } else { "" },
    ));
    sql
}

/// Returns the statement of the same page with a row for each server, in order. An empty page is a row without a text.
pub(in crate::store) fn servers_as_rows(filter: &Filter, ranked: Option<&str>, now: Moment) -> Statement {
    let mut sql = page(filter, ranked, now);
    // SQLite reads materialized rows in the order of their insertion. Sorting again would keep every text in memory.
    sql.push(format_args!(
        " SELECT g.epoch, g.revision, page.place AS place, iif(page.number IS NULL, NULL, {}) AS server FROM settings g \
         LEFT JOIN page ON TRUE LEFT JOIN servers s ON s.number = page.number LEFT JOIN leases l ON l.server = page.number \
         LEFT JOIN summaries c ON c.server = page.number",
        record::columns(filter.view),
    ));
    sql
}

/// Selects the numbers of the servers on a page, one more than the limit if there are more.
fn page(filter: &Filter, ranked: Option<&str>, now: Moment) -> Statement {
    let mut sql = Statement::new("WITH page AS MATERIALIZED (SELECT s.number AS number");
    match ranked {
        Some(list) => {
            sql.push(", j.key AS place FROM json_each(").push_bind(list.to_owned());
            sql.push(") j CROSS JOIN servers s ON s.number = j.value");
        }
        None => {
            sql.push(", NULL AS place FROM servers s");
        }
    }
    joins(&mut sql, filter, ToolFilter::SelectsServers);
    sql.push(" WHERE TRUE");
    conditions(&mut sql, filter, now);
    if let Some(Position::Server(number)) = &filter.after {
        sql.push(" AND s.number > ").push_bind(*number);
    }
    let order = if ranked.is_some() { "place" } else { "number" };
    sql.push(format_args!(" ORDER BY {order}"));
    limit(&mut sql, " LIMIT ", i64::from(filter.limit) + 1);
    sql.push(")");
    sql
}

/// Returns the SQL of a page of servers, for benchmarks.
#[cfg(feature = "bench")]
pub(crate) fn find_sql(filter: &Filter) -> String {
    servers(filter, None, Moment { lease: 0, wall: 0, offset: 0 }).sql().as_str().to_owned()
}

/// Returns the statement that selects the numbers of all matching servers as one text.
pub(in crate::store) fn matching_numbers(filter: &Filter, tools: ToolFilter, now: Moment) -> Statement {
    let mut sql = Statement::new("SELECT group_concat(s.number, ' ') FROM servers s");
    joins(&mut sql, filter, tools);
    sql.push(" WHERE TRUE");
    conditions(&mut sql, filter, now);
    sql
}

/// Returns the statement of a page of tools by name, with one row more than the limit if there are more. For a search,
/// `ranked` is the JSON list of the names that were found, and the filter applies to their servers.
pub(in crate::store) fn tools(filter: &Filter, ranked: Option<&str>, now: Moment) -> Statement {
    let mut sql = Statement::new("WITH page AS (SELECT ");
    if let Some(list) = ranked {
        sql.push("j.key AS place, j.value AS name FROM json_each(").push_bind(list.to_owned()).push(") j");
    } else {
        sql.push("NULL AS place, t.name AS name FROM tools t JOIN servers s ON s.number = t.server");
        joins(&mut sql, filter, ToolFilter::SelectsTools);
        sql.push(" WHERE TRUE");
        conditions(&mut sql, filter, now);
        for (_, name) in filter.fields.iter().filter(|(field, _)| *field == FilterField::Tool) {
            sql.push(" AND t.name = ").push_bind(name.clone());
        }
        if let Some(Position::Tool(name)) = &filter.after {
            sql.push(" AND t.name > ").push_bind(name.clone());
        }
        // The index gives the order by name, and SQLite stops when the page is full.
        sql.push(" GROUP BY t.name ORDER BY t.name");
        limit(&mut sql, " LIMIT ", i64::from(filter.limit) + 1);
    }
    sql.push(
        ") SELECT page.name, min(s.number), t.title, t.description, count(DISTINCT t.definition) AS definitions, \
         json_group_array(json_array(s.number, s.id, s.name, s.transport, l.expires_at) ORDER BY s.number) AS servers \
         FROM page JOIN tools t ON t.name = page.name JOIN servers s ON s.number = t.server",
    );
    joins(&mut sql, filter, ToolFilter::SelectsTools);
    sql.push(" WHERE TRUE");
    conditions(&mut sql, filter, now);
    sql.push(" GROUP BY page.name ORDER BY page.place, page.name");
    sql
}

/// Appends a limit or offset. If it were only a parameter, SQLite would look at its value while planning and plan again
/// whenever a value is bound, which costs several times the query.
fn limit(sql: &mut Statement, clause: &str, count: i64) {
    sql.push(clause).push("(0 + ").push_bind(count).push(")");
}

/// Whether the filter `tool` selects servers or tools.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum ToolFilter {
    SelectsServers,
    SelectsTools,
}

/// Joins the lease, and a table for each filter that has one. Each has at most one row per server.
fn joins(sql: &mut Statement, filter: &Filter, tools: ToolFilter) {
    sql.push(" JOIN leases l ON l.server = s.number");
    for (index, (field, text)) in filter.fields.iter().enumerate() {
        let source = field.definition().source;
        let (table, column) = match source {
            FieldSource::Tools if tools == ToolFilter::SelectsServers => ("tools", "name"),
            FieldSource::Prompts => ("prompts", "name"),
            FieldSource::Capabilities => ("capabilities", "name"),
            FieldSource::Tags => ("tags", "tag"),
            FieldSource::Tools | FieldSource::Resources | FieldSource::Text(_) => continue,
        };
        sql.push(format_args!(
            " JOIN {table} j{index} ON j{index}.server = s.number AND j{index}.{column} = "
        ));
        sql.push_bind(text.clone());
        if matches!(source, FieldSource::Capabilities) {
            sql.push(format_args!(" AND j{index}.options <> 'false'"));
        }
    }
    for (index, (key, value)) in filter.metadata.iter().enumerate() {
        sql.push(format_args!(" JOIN metadata m{index} ON m{index}.server = s.number AND m{index}.key = "));
        sql.push_bind(key.clone());
        sql.push(format_args!(" AND m{index}.value = ")).push_bind(value.clone());
    }
}

/// Adds the filters on the server's own row, its lease, and its resources.
fn conditions(sql: &mut Statement, filter: &Filter, now: Moment) {
    for (field, text) in &filter.fields {
        match field.definition().source {
            FieldSource::Text(_) => {
                sql.push(format_args!(" AND s.{} = ", field.name())).push_bind(text.clone());
            }
            FieldSource::Resources => resource(sql, text),
            FieldSource::Tools | FieldSource::Prompts | FieldSource::Capabilities | FieldSource::Tags => {}
        }
    }
    if filter.expiry_not_recorded {
        sql.push(" AND l.expired = 0");
        return;
    }
    match filter.health {
        HealthFilter::Any => return,
        HealthFilter::Healthy => sql.push(" AND l.expires_at > "),
        HealthFilter::Unhealthy => sql.push(" AND l.expires_at <= "),
    };
    sql.push_bind(now.lease);
}

/// Selects servers that registered the URI or a template that matches it. Templates are looked up by the text before their
/// first wildcard, which must be a prefix of the URI.
fn resource(sql: &mut Statement, uri: &str) {
    sql.push(" AND s.number IN (SELECT server FROM resources WHERE uri = ").push_bind(uri.to_owned());
    sql.push(" UNION ALL SELECT r.server FROM json_each(");
    sql.push_bind(serde_json::Value::from(uri_prefixes(uri)).to_string());
    sql.push(") p CROSS JOIN resources r ON r.prefix = p.value WHERE ").push_bind(uri.to_owned());
    sql.push(" GLOB r.glob)");
}
