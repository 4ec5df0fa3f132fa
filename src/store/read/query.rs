//! A [`Filter`] as SQL: joins on indexed columns, each in its place and in a fixed order, so that equal kinds of
//! questions are equal statements and stay prepared.

use sqlx::{QueryBuilder, Sqlite};

use crate::model::{Filter, HealthFilter, Position, Term, uri_prefixes};
use crate::store::moment::Moment;
use crate::store::record;

/// A statement being put together.
pub(in crate::store) type Statement = QueryBuilder<Sqlite>;

/// How many bytes of summaries one row may hold. A larger page is asked for row by row.
const ROW_BYTES: usize = 16 * 1024 * 1024;

/// What stands for the texts of a page that is too large for one row.
pub(in crate::store) const LARGE: &str = "large";

/// The page of servers that a filter asks for as one row: the epoch and revision of the snapshot, and the texts of the
/// servers, one more than the limit if there are more. A page of too many bytes is [`LARGE`] instead. With a search it is
/// those of the servers that were found, a JSON list of numbers, to which the filter applies.
pub(in crate::store) fn servers(filter: &Filter, found: Option<&str>, now: Moment) -> Statement {
    let mut sql = page(filter, found, now);
    sql.push(" SELECT g.epoch, g.revision, ");
    let large = format!(
        "(SELECT total(octet_length(c.record)) FROM page CROSS JOIN summaries c ON c.server = page.number) > {ROW_BYTES}"
    );
    sql.push(format_args!(
        "CASE WHEN {large} THEN '{LARGE}' ELSE (SELECT group_concat({}, char({}){}) FROM page \
         CROSS JOIN servers s ON s.number = page.number JOIN leases l ON l.server = page.number \
         JOIN summaries c ON c.server = page.number) END AS servers FROM settings g",
        record::columns(filter.view),
        u32::from(record::SEPARATOR),
        if found.is_some() { " ORDER BY page.place" } else { "" },
    ));
    sql
}

/// The same page with a row for each server, in order, to be read until it is enough. One without a text if it is empty.
pub(in crate::store) fn servers_in_rows(filter: &Filter, found: Option<&str>, now: Moment) -> Statement {
    let mut sql = page(filter, found, now);
    // SQLite reads what it has materialized in the order in which it was put in. Sorting again would hold every text.
    sql.push(format_args!(
        " SELECT g.epoch, g.revision, page.place AS place, iif(page.number IS NULL, NULL, {}) AS server FROM settings g \
         LEFT JOIN page ON TRUE LEFT JOIN servers s ON s.number = page.number LEFT JOIN leases l ON l.server = page.number \
         LEFT JOIN summaries c ON c.server = page.number",
        record::columns(filter.view),
    ));
    sql
}

/// The numbers of the servers on a page, and one more than the limit if there are more.
fn page(filter: &Filter, found: Option<&str>, now: Moment) -> Statement {
    let mut sql = Statement::new("WITH page AS MATERIALIZED (SELECT s.number AS number");
    match found {
        Some(list) => {
            sql.push(", j.key AS place FROM json_each(").push_bind(list.to_owned());
            sql.push(") j CROSS JOIN servers s ON s.number = j.value");
        }
        None => {
            sql.push(", NULL AS place FROM servers s");
        }
    }
    joins(&mut sql, filter, Tools::ChooseServers);
    sql.push(" WHERE TRUE");
    conditions(&mut sql, filter, now);
    if let Some(Position::Server(number)) = &filter.after {
        sql.push(" AND s.number > ").push_bind(*number);
    }
    let order = if found.is_some() { "place" } else { "number" };
    sql.push(format_args!(" ORDER BY {order}"));
    limit(&mut sql, " LIMIT ", i64::from(filter.limit) + 1);
    sql.push(")");
    sql
}

/// The SQL of a page of servers, for who wants to measure it.
#[cfg(feature = "bench")]
pub(crate) fn find_sql(filter: &Filter) -> String {
    servers(filter, None, Moment { lease: 0, wall: 0, offset: 0 }).sql().as_str().to_owned()
}

/// The numbers of the servers that a filter chooses, as one text.
pub(in crate::store) fn chosen(filter: &Filter, tools: Tools, now: Moment) -> Statement {
    let mut sql = Statement::new("SELECT group_concat(s.number, ' ') FROM servers s");
    joins(&mut sql, filter, tools);
    sql.push(" WHERE TRUE");
    conditions(&mut sql, filter, now);
    sql
}

/// The page of tools that a filter asks for, by name, with one row more than its limit if there are more. With a search it
/// is those that were found, a JSON list of names, to whose servers the filter applies.
pub(in crate::store) fn tools(filter: &Filter, found: Option<&str>, now: Moment) -> Statement {
    let mut sql = Statement::new("WITH page AS (SELECT ");
    if let Some(list) = found {
        sql.push("j.key AS place, j.value AS name FROM json_each(").push_bind(list.to_owned()).push(") j");
    } else {
        sql.push("NULL AS place, t.name AS name FROM tools t JOIN servers s ON s.number = t.server");
        joins(&mut sql, filter, Tools::AreChosen);
        sql.push(" WHERE TRUE");
        conditions(&mut sql, filter, now);
        for (_, name) in filter.terms.iter().filter(|(term, _)| *term == Term::Tool) {
            sql.push(" AND t.name = ").push_bind(name.clone());
        }
        if let Some(Position::Tool(name)) = &filter.after {
            sql.push(" AND t.name > ").push_bind(name.clone());
        }
        // By name the index gives the order, and SQLite stops when the page is full.
        sql.push(" GROUP BY t.name ORDER BY t.name");
        limit(&mut sql, " LIMIT ", i64::from(filter.limit) + 1);
    }
    sql.push(
        ") SELECT page.name, min(s.number), t.title, t.description, count(DISTINCT t.definition) AS definitions, \
         json_group_array(json_array(s.number, s.id, s.name, s.transport, l.expires_at) ORDER BY s.number) AS servers \
         FROM page JOIN tools t ON t.name = page.name JOIN servers s ON s.number = t.server",
    );
    joins(&mut sql, filter, Tools::AreChosen);
    sql.push(" WHERE TRUE");
    conditions(&mut sql, filter, now);
    sql.push(" GROUP BY page.name ORDER BY page.place, page.name");
    sql
}

/// A limit or offset. Were it a parameter and nothing else, SQLite would look at its value while it plans, and plan anew
/// whenever a value is bound to it, which costs several times the query.
fn limit(sql: &mut Statement, clause: &str, count: i64) {
    sql.push(clause).push("(0 + ").push_bind(count).push(")");
}

/// Whether the filter `tool` is about the servers or about the tools themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Tools {
    ChooseServers,
    AreChosen,
}

/// The lease, and a join for each filter on a table of its own. Each of them has at most one row a server.
fn joins(sql: &mut Statement, filter: &Filter, tools: Tools) {
    sql.push(" JOIN leases l ON l.server = s.number");
    for (index, (term, text)) in filter.terms.iter().enumerate() {
        let (table, column) = match term {
            Term::Tool if tools == Tools::ChooseServers => ("tools", "name"),
            Term::Prompt => ("prompts", "name"),
            Term::Capability => ("capabilities", "name"),
            Term::Tag => ("tags", "tag"),
            Term::Tool | Term::Resource | Term::Name | Term::Transport | Term::Version | Term::Owner => {
                continue;
            }
        };
        sql.push(format_args!(
            " JOIN {table} j{index} ON j{index}.server = s.number AND j{index}.{column} = "
        ));
        sql.push_bind(text.clone());
        if *term == Term::Capability {
            sql.push(format_args!(" AND j{index}.options <> 'false'"));
        }
    }
    for (index, (key, value)) in filter.metadata.iter().enumerate() {
        sql.push(format_args!(" JOIN metadata m{index} ON m{index}.server = s.number AND m{index}.key = "));
        sql.push_bind(key.clone());
        sql.push(format_args!(" AND m{index}.value = ")).push_bind(value.clone());
    }
}

/// The filters on the server's own row, its lease, and the resources that it can serve.
fn conditions(sql: &mut Statement, filter: &Filter, now: Moment) {
    for (term, text) in &filter.terms {
        let column = match term {
            Term::Name => "name",
            Term::Transport => "transport",
            Term::Version => "version",
            Term::Owner => "owner",
            Term::Resource => {
                resource(sql, text);
                continue;
            }
            Term::Tool | Term::Prompt | Term::Capability | Term::Tag => continue,
        };
        sql.push(format_args!(" AND s.{column} = ")).push_bind(text.clone());
    }
    if filter.told {
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

/// Servers that registered the URI, or a template that matches it. Templates are looked up by the text before their
/// first wildcard, which must be a beginning of the URI.
fn resource(sql: &mut Statement, uri: &str) {
    sql.push(" AND s.number IN (SELECT server FROM resources WHERE uri = ").push_bind(uri.to_owned());
    sql.push(" UNION ALL SELECT r.server FROM json_each(");
    sql.push_bind(serde_json::Value::from(uri_prefixes(uri)).to_string());
    sql.push(") p CROSS JOIN resources r ON r.prefix = p.value WHERE ").push_bind(uri.to_owned());
    sql.push(" GLOB r.glob)");
}
