//! The ready-made summaries say what the tables say, whoever wrote those.

use std::path::Path;
use std::sync::Arc;

use paulina::{Filter, HealthFilter, Input, Prompt, Record, Registration, Registry, Resource, Tool};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::support::{BACK_TO_3, Fixture, edit};

const ODD: &str =
    "\"quoted\" \\ back\\slash / \n\t\r line \u{7f} \u{2028} \u{1F980} é 'single' </script> \u{1e}";

async fn summaries(path: &Path) -> Vec<(i64, Option<String>)> {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let sql = "SELECT server, record FROM summaries ORDER BY server";
    let rows = sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows
}

/// Everything that a summary can hold, in characters that JSON, SQL and the registry itself might trip over.
fn odd() -> [Registration; 3] {
    let text = ODD.replace(['\u{1e}', '\u{7f}'], "");
    let definition =
        |name: &str| json!({"name": name, "title": ODD, "description": ODD, "x": [ODD, 1e3, null]});
    let full = Registration::stdio("full", ["/bin/\"x\"", ODD, ""])
        .id("full")
        .title(text.as_str())
        .version("1.0 \"beta\"")
        .description(text.as_str())
        .tool(Tool::from_json(definition("t\"1\\")).unwrap())
        .tool("é")
        .prompt(Prompt::from_json(definition("p")).unwrap())
        .resource(
            Resource::from_json(json!({"uri": "file:///a b\"c", "mimeType": "text/\"x\"", "title": ODD}))
                .unwrap(),
        )
        .resource("res://{a}/*\\")
        .capability_options("logging", json!({"level": ODD, "z": 1, "a": 0.10}))
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
async fn what_the_registry_writes_is_what_the_tables_give() {
    let fixture = Fixture::new().await;
    for registration in odd() {
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

/// Every table that a summary is made of, edited in every way: found at the next tick, and while nobody looks.
#[tokio::test]
async fn edits_by_hand_show() {
    let fixture = Fixture::new().await;
    for registration in odd() {
        fixture.registry.register(registration).await.unwrap();
    }
    let edits = [
        ("UPDATE servers SET title = 'edited' WHERE id = 'full'", "edited"),
        ("UPDATE tools SET description = 'sharper' WHERE name = 'é'", "sharper"),
        ("UPDATE prompts SET title = 'prompted'", "prompted"),
        ("UPDATE resources SET name = 'sourced' WHERE uri IS NOT NULL", "sourced"),
        ("UPDATE capabilities SET options = '{\"level\":\"louder\"}' WHERE name = 'logging'", "louder"),
        ("UPDATE tags SET tag = 'labelled' WHERE tag = 'ü'", "labelled"),
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
    for (sql, shows) in edits {
        assert!(!all(&fixture.registry).await.contains(shows), "{shows} is new");
        edit(&fixture.path(), sql).await;
        fixture.registry.check_writable().await.unwrap();
        assert!(all(&fixture.registry).await.contains(shows), "{sql}");
    }
    for (table, gone) in [
        ("tools", "sharper"),
        ("prompts", "prompted"),
        ("resources", "sourced"),
        ("capabilities", "louder"),
        ("tags", "labelled"),
        ("metadata", "valued"),
        ("servers", "edited"),
    ] {
        assert!(all(&fixture.registry).await.contains(gone));
        edit(&fixture.path(), &format!("DELETE FROM {table}")).await;
        fixture.registry.check_writable().await.unwrap();
        assert!(!all(&fixture.registry).await.contains(gone), "{table}");
    }
    fixture.registry.close().await;
}

async fn records(registry: &Registry) -> Vec<Arc<Record>> {
    let page = registry.find(Filter::new()).await.unwrap();
    page.servers.iter().map(|server| Arc::clone(server.record())).collect()
}

async fn all(registry: &Registry) -> String {
    let page = registry.find(Filter::new().health(HealthFilter::Any)).await.unwrap();
    serde_json::to_string(&page.servers).unwrap()
}

/// A database from before there were summaries gets them as it is migrated.
#[tokio::test]
async fn an_older_database_gets_them() {
    let mut fixture = Fixture::new().await;
    for registration in odd() {
        fixture.registry.register(registration).await.unwrap();
    }
    let written = summaries(&fixture.path()).await;
    let found = records(&fixture.registry).await;
    fixture.registry.close().await;
    let tables = ["tools", "prompts", "resources", "capabilities", "tags", "metadata"];
    let mut back = String::from(BACK_TO_3);
    back.push_str("DROP TABLE tokens; ALTER TABLE settings DROP COLUMN tokens;");
    back.push_str("DROP TABLE summaries; DROP TRIGGER servers_leave;");
    back.push_str("DROP TRIGGER servers_add_summary; DROP TRIGGER servers_change_summary;");
    for table in tables {
        for verb in ["add_to", "change", "leave"] {
            back.extend(["DROP TRIGGER ", table, "_", verb, "_summary;"]);
        }
    }
    back.push_str("DELETE FROM refinery_schema_history WHERE version >= 2;");
    edit(&fixture.path(), &back).await;
    fixture.reopen_after(std::time::Duration::ZERO).await;
    assert_eq!(summaries(&fixture.path()).await, written);
    assert_eq!(records(&fixture.registry).await, found);
    fixture.registry.close().await;
}

/// The cache emptied, and a record that is none any more: its neighbours live and expire as ever, and registering it again
/// mends it.
#[tokio::test]
async fn what_somebody_has_broken_harms_nobody_else() {
    let fixture = Fixture::new().await;
    for id in ["a", "b", "c"] {
        let own = Registration::stdio("s", ["x"]).id(id).ttl(if id == "c" { 30 } else { 1 });
        fixture.registry.register(own.tool("t")).await.unwrap();
    }
    edit(&fixture.path(), "DELETE FROM summaries").await;
    fixture.registry.check_writable().await.unwrap();
    assert_eq!(fixture.registry.find(Filter::new().tool("t")).await.unwrap().servers.len(), 3);

    edit(&fixture.path(), "UPDATE servers SET environment = '5' WHERE id = 'a'").await;
    fixture.pass(std::time::Duration::from_secs(2)).await;
    fixture.registry.prune().await.unwrap();
    let found = fixture.registry.find(Filter::new().health(HealthFilter::Any)).await.unwrap();
    assert_eq!(found.servers.iter().map(|server| server.id.as_str()).collect::<Vec<_>>(), ["c"]);

    edit(&fixture.path(), "UPDATE tools SET definition = '{}', name = 'renamed' WHERE name = 't'").await;
    fixture.registry.check_writable().await.unwrap();
    let renamed = || fixture.registry.find(Filter::new().tool("renamed"));
    assert_eq!(renamed().await.unwrap().servers.len(), 1);
    let mended = Registration::stdio("s", ["x"]).id("c").tool("t").version("2");
    assert!(!fixture.registry.register(mended).await.unwrap().created);
    assert_eq!(renamed().await.unwrap().servers, []);
    assert_eq!(fixture.registry.find(Filter::new().tool("t")).await.unwrap().servers.len(), 1);

    edit(&fixture.path(), "UPDATE servers SET headers = '5', owner = 'ci' WHERE id = 'c'").await;
    fixture.registry.check_writable().await.unwrap();
    fixture.registry.deregister("c").await.unwrap();
    assert_eq!(fixture.registry.stats().await.unwrap().servers.total, 0);
    fixture.registry.close().await;
}

/// Whoever owns a server owns it in pages, too.
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
