//! The stored summaries always match the tables, also after edits with SQL.

use std::path::Path;
use std::sync::Arc;

use paulina::{Filter, HealthFilter, Input, Prompt, Record, Registration, Registry, Resource, Tool};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::support::older::{downgrade, older_versions};
use crate::support::{Fixture, edit};

const SPECIAL_CHARACTERS: &str =
    "\"quoted\" \\ back\\slash / \n\t\r line \u{7f} \u{2028} \u{1F980} é 'single' </script> \u{1e}";

async fn summaries(path: &Path) -> Vec<(i64, Option<String>)> {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let sql = "SELECT server, record FROM summaries ORDER BY server";
    let rows = sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows
}

/// Registrations with every member of a summary, in characters that need escaping in JSON or SQL.
fn registrations_with_special_characters() -> [Registration; 3] {
    let text = SPECIAL_CHARACTERS.replace(['\u{1e}', '\u{7f}'], "");
    let definition = |name: &str| json!({"name": name, "title": SPECIAL_CHARACTERS, "description": SPECIAL_CHARACTERS, "x": [SPECIAL_CHARACTERS, 1e3, null]});
    let full = Registration::stdio("full", ["/bin/\"x\"", SPECIAL_CHARACTERS, ""])
        .id("full")
        .title(text.as_str())
        .version("1.0 \"beta\"")
        .description(text.as_str())
        .tool(Tool::from_json(definition("t\"1\\")).unwrap())
        .tool("é")
        .prompt(Prompt::from_json(definition("p")).unwrap())
        .resource(
            Resource::from_json(
                json!({"uri": "file:///a b\"c", "mimeType": "text/\"x\"", "title": SPECIAL_CHARACTERS}),
            )
            .unwrap(),
        )
        .resource("res://{a}/*\\")
        .capability_options("logging", json!({"level": SPECIAL_CHARACTERS, "z": 1, "a": 0.10}))
        .capability("z")
        .capability("a\"b")
        .tag("ü")
        .tag("\"tag\"")
        .metadata("key", text.as_str())
        .input(Input { description: Some(text.clone()), secret: true, ..Input::new("API_KEY") });
    let http = Registration::streamable_http("http", "https://example.com/mcp?a=\"b\"").id("http");
    [full, http, Registration::sse("sse", "http://[::1]/sse").id("sse").ttl(7)]
}

#[tokio::test]
async fn stored_summaries_equal_those_computed_from_the_tables() {
    let fixture = Fixture::new().await;
    for registration in registrations_with_special_characters() {
        fixture.registry.register(registration).await.unwrap();
    }
    let written = summaries(&fixture.path()).await;
    assert!(written.len() == 3 && written.iter().all(|(_, record)| record.is_some()), "{written:?}");
    edit(&fixture.path(), "UPDATE summaries SET record = NULL").await;
    fixture.registry.check_writable().await.unwrap();
    assert_eq!(summaries(&fixture.path()).await, written);
    let found = fixture.registry.find(Filter::new()).await.unwrap();
    for server in found.servers {
        let stored = fixture.registry.get(&server.id).await.unwrap().unwrap();
        assert_eq!(server.capabilities.tools.len(), stored.capabilities.tools.len());
        assert_eq!((&server.title, &server.transport), (&stored.title, &stored.transport));
    }
    fixture.registry.close().await;
}

/// Edits, additions and deletions in every table of a summary show after the next tick.
#[tokio::test]
async fn edits_of_every_table_show_in_summaries() {
    let fixture = Fixture::new().await;
    for registration in registrations_with_special_characters() {
        fixture.registry.register(registration).await.unwrap();
    }
    let edits = [
        ("UPDATE servers SET title = 'edited' WHERE id = 'full'", "edited"),
        ("UPDATE tools SET description = 'sharper' WHERE name = 'é'", "sharper"),
        ("UPDATE prompts SET title = 'prompted'", "prompted"),
        ("UPDATE resources SET name = 'sourced' WHERE uri IS NOT NULL", "sourced"),
        ("UPDATE capabilities SET options = '{\"level\":\"louder\"}' WHERE name = 'logging'", "louder"),
        ("UPDATE tags SET tag = 'labeled' WHERE tag = 'ü'", "labeled"),
        ("UPDATE metadata SET value = 'valued'", "valued"),
        (
            "INSERT INTO tools (server, position, name, definition) SELECT number, 9, 'added_tool', '{}' FROM servers WHERE id = 'sse'",
            "added_tool",
        ),
        (
            "INSERT INTO prompts (server, position, name, definition) SELECT number, 9, 'added_prompt', '{}' FROM servers WHERE id = 'sse'",
            "added_prompt",
        ),
        (
            "INSERT INTO resources (server, position, uri, definition) SELECT number, 9, 'added:resource', '{}' FROM servers WHERE id = 'sse'",
            "added:resource",
        ),
        (
            "INSERT INTO capabilities SELECT number, 'added_flag', 'true' FROM servers WHERE id = 'sse'",
            "added_flag",
        ),
        ("INSERT INTO tags SELECT number, 'added_tag' FROM servers WHERE id = 'sse'", "added_tag"),
        ("INSERT INTO metadata SELECT number, 'added_key', 'v' FROM servers WHERE id = 'sse'", "added_key"),
    ];
    for (sql, expected) in edits {
        assert!(!all_servers_as_json(&fixture.registry).await.contains(expected), "{expected} is new");
        edit(&fixture.path(), sql).await;
        fixture.registry.check_writable().await.unwrap();
        assert!(all_servers_as_json(&fixture.registry).await.contains(expected), "{sql}");
    }
    for (table, removed) in [
        ("tools", "sharper"),
        ("prompts", "prompted"),
        ("resources", "sourced"),
        ("capabilities", "louder"),
        ("tags", "labeled"),
        ("metadata", "valued"),
        ("servers", "edited"),
    ] {
        assert!(all_servers_as_json(&fixture.registry).await.contains(removed));
        edit(&fixture.path(), &format!("DELETE FROM {table}")).await;
        fixture.registry.check_writable().await.unwrap();
        assert!(!all_servers_as_json(&fixture.registry).await.contains(removed), "{table}");
    }
    fixture.registry.close().await;
}

async fn records(registry: &Registry) -> Vec<Arc<Record>> {
    let page = registry.find(Filter::new()).await.unwrap();
    page.servers.iter().map(|server| Arc::clone(server.record())).collect()
}

async fn all_servers_as_json(registry: &Registry) -> String {
    let page = registry.find(Filter::new().health(HealthFilter::Any)).await.unwrap();
    serde_json::to_string(&page.servers).unwrap()
}

#[tokio::test]
async fn an_older_database_gets_summaries_when_it_is_migrated() {
    let mut fixture = Fixture::new().await;
    for registration in registrations_with_special_characters() {
        fixture.registry.register(registration).await.unwrap();
    }
    let written = summaries(&fixture.path()).await;
    let found = records(&fixture.registry).await;
    fixture.registry.close().await;
    downgrade(&fixture.path(), 1).await;
    fixture.reopen_after(std::time::Duration::ZERO).await;
    assert_eq!(summaries(&fixture.path()).await, written);
    assert_eq!(records(&fixture.registry).await, found);
    fixture.registry.close().await;
}

#[tokio::test]
async fn a_migrated_database_has_the_schema_of_a_new_one_and_its_data() {
    let mut fixture = Fixture::new().await;
    for registration in registrations_with_special_characters() {
        fixture.registry.register(registration).await.unwrap();
    }
    let found = records(&fixture.registry).await;
    let schema = schema(&fixture.path()).await;
    for version in older_versions() {
        fixture.registry.close().await;
        downgrade(&fixture.path(), version).await;
        assert_ne!(self::schema(&fixture.path()).await, schema, "version {version}");
        fixture.reopen_after(std::time::Duration::ZERO).await;
        assert_eq!(self::schema(&fixture.path()).await, schema, "version {version}");
        assert_eq!(records(&fixture.registry).await, found, "version {version}");
    }
    fixture.registry.close().await;
}

/// Returns the definition of every table, index, trigger and view.
async fn schema(path: &std::path::Path) -> Vec<(String, Option<String>)> {
    let mut connection = SqliteConnectOptions::new().filename(path).read_only(true).connect().await.unwrap();
    let schema = "SELECT name, sql FROM sqlite_schema ORDER BY name";
    sqlx::query_as(schema).fetch_all(&mut connection).await.unwrap()
}

/// Deleted summaries are computed again. A damaged record does not stop other servers from expiring, and registering it again
/// repairs it.
#[tokio::test]
async fn a_damaged_record_does_not_affect_other_servers() {
    let fixture = Fixture::new().await;
    for id in ["a", "b", "c"] {
        let own = Registration::stdio("s", ["x"]).id(id).ttl(if id == "c" { 30 } else { 1 });
        fixture.registry.register(own.tool("t")).await.unwrap();
    }
    edit(&fixture.path(), "DELETE FROM summaries").await;
    fixture.registry.check_writable().await.unwrap();
    assert_eq!(fixture.registry.find(Filter::new().tool("t")).await.unwrap().servers.len(), 3);

    edit(&fixture.path(), "UPDATE servers SET environment = '5' WHERE id = 'a'").await;
    fixture.run_for(std::time::Duration::from_secs(2)).await;
    fixture.registry.prune().await.unwrap();
    let found = fixture.registry.find(Filter::new().health(HealthFilter::Any)).await.unwrap();
    assert_eq!(found.servers.iter().map(|server| server.id.as_str()).collect::<Vec<_>>(), ["c"]);

    edit(&fixture.path(), "UPDATE tools SET definition = '{}', name = 'renamed' WHERE name = 't'").await;
    fixture.registry.check_writable().await.unwrap();
    let renamed = || fixture.registry.find(Filter::new().tool("renamed"));
    assert_eq!(renamed().await.unwrap().servers.len(), 1);
    let replacement = Registration::stdio("s", ["x"]).id("c").tool("t").version("2");
    assert!(!fixture.registry.register(replacement).await.unwrap().created);
    assert_eq!(renamed().await.unwrap().servers, []);
    assert_eq!(fixture.registry.find(Filter::new().tool("t")).await.unwrap().servers.len(), 1);

    edit(&fixture.path(), "UPDATE servers SET headers = '5', owner = 'ci' WHERE id = 'c'").await;
    fixture.registry.check_writable().await.unwrap();
    fixture.registry.deregister("c").await.unwrap();
    assert_eq!(fixture.registry.stats().await.unwrap().servers.total, 0);
    fixture.registry.close().await;
}

/// The owner is also part of the summary.
#[tokio::test]
async fn a_replaced_registration_keeps_its_owner() {
    let fixture = Fixture::new().await;
    fixture.registry.register(Registration::stdio("s", ["x"]).id("a")).await.unwrap();
    edit(&fixture.path(), "UPDATE servers SET owner = 'ci'").await;
    fixture.registry.check_writable().await.unwrap();
    fixture.registry.register(Registration::stdio("s", ["x"]).id("a").version("2")).await.unwrap();
    let page = fixture.registry.find(Filter::new()).await.unwrap();
    assert_eq!(page.servers[0].owner.as_deref(), Some("ci"));
    assert_eq!(fixture.registry.get("a").await.unwrap().as_ref(), page.servers.first());
    fixture.registry.close().await;
}
