//! The stored search texts: each is stored once, deleted when unused, and created again when missing.

use std::time::Duration;

use paulina::Registration;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::search::{described, first, found};
use crate::support::older::downgrade;
use crate::support::{Fixture, edit};

async fn stored_texts(fixture: &Fixture) -> Vec<(Vec<u8>, i64, Vec<u8>)> {
    let mut connection = SqliteConnectOptions::new().filename(fixture.path()).connect().await.unwrap();
    let sql = "SELECT digest, version, documents FROM search_texts ORDER BY digest";
    let rows = sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows
}

/// Servers with equal names and definitions share one search text, and an unused one is deleted.
#[tokio::test]
async fn equal_texts_are_stored_once_and_deleted_when_unused() {
    let fixture = Fixture::new().await;
    let server = |id: &str| {
        Registration::stdio("same", ["x"]).id(id).ttl(600).tool(described("one", "Does one thing"))
    };
    for id in ["a", "b", "c"] {
        fixture.registry.register(server(id)).await.unwrap();
    }
    assert_eq!(stored_texts(&fixture).await.len(), 1);
    fixture.registry.register(server("c").tool("two")).await.unwrap();
    assert_eq!(stored_texts(&fixture).await.len(), 2);
    fixture.registry.deregister("c").await.unwrap();
    fixture.run_for(Duration::from_secs(70)).await;
    assert_eq!(stored_texts(&fixture).await.len(), 1, "the task that runs every minute deletes unused texts");
    assert_eq!(found(&fixture.registry, "one thing").await, ["one"]);
    fixture.registry.close().await;
}

/// A server with damaged rows hides only itself; one with damaged search documents gets new ones.
#[tokio::test]
async fn a_damaged_record_does_not_hide_other_servers() {
    let mut fixture = Fixture::new().await;
    for name in ["mint", "sage", "thyme"] {
        let server = Registration::stdio(name, ["x"]).id(name).ttl(600).tool(described(name, "Grows a herb"));
        fixture.registry.register(server).await.unwrap();
    }
    fixture.registry.close().await;
    let damage =
        "UPDATE search_texts SET documents = x'ff'; UPDATE servers SET environment = '5' WHERE id = 'sage'";
    edit(&fixture.path(), damage).await;
    fixture.reopen_after(Duration::ZERO).await;
    let mut herbs = found(&fixture.registry, "herb").await;
    herbs.sort();
    assert_eq!(herbs, ["mint", "thyme"]);
    fixture.run_for(Duration::from_secs(2)).await;
    fixture
        .registry
        .register(Registration::stdio("mint", ["x"]).id("mint").ttl(600).tool("spearmint"))
        .await
        .unwrap();
    assert_eq!(
        first(&fixture.registry, "spearmint").await,
        "spearmint",
        "other servers can still be changed and found"
    );
    fixture.registry.close().await;
}

/// Rows inserted with `sqlite3` are found, and their search text is stored for the next start.
#[tokio::test]
async fn rows_inserted_with_sql_are_found_and_stored() {
    let fixture = Fixture::new().await;
    fixture.registry.register(Registration::stdio("a", ["x"]).id("a").ttl(600)).await.unwrap();
    let insert = "
        INSERT INTO servers (id, name, transport, command, environment, headers, registered_at, updated_at)
        SELECT 'b', 'b', transport, command, environment, headers, registered_at, updated_at FROM servers;
        INSERT INTO leases (server, lease, ttl, expires_at, refreshed_at)
        SELECT 2, lease, ttl, expires_at, refreshed_at FROM leases;
        INSERT INTO tools (server, position, name, description, definition)
        VALUES (2, 0, 'inserted', 'Peels oranges', '{\"name\":\"inserted\"}');";
    edit(&fixture.path(), insert).await;
    fixture.registry.check_writable().await.unwrap();
    assert_eq!(found(&fixture.registry, "peel an orange").await, ["inserted"]);
    fixture.run_for(Duration::from_secs(2)).await;
    assert_eq!(stored_texts(&fixture).await.len(), 2);
    fixture.registry.close().await;
}

/// The search text of a server that is registered again, after it was deleted as unused, is stored again.
#[tokio::test]
async fn texts_of_a_server_registered_again_are_stored_again() {
    let fixture = Fixture::new().await;
    let server =
        || Registration::stdio("back", ["x"]).id("back").ttl(600).tool(described("one", "Does one thing"));
    fixture.registry.register(server()).await.unwrap();
    assert_eq!(found(&fixture.registry, "one thing").await, ["one"]);
    fixture.registry.deregister("back").await.unwrap();
    fixture.run_for(Duration::from_secs(70)).await;
    assert_eq!(stored_texts(&fixture).await.len(), 0);
    fixture.registry.register(server()).await.unwrap();
    assert_eq!(stored_texts(&fixture).await.len(), 1);
    fixture.registry.close().await;
}

/// A database of an older version, or with other embeddings, can be searched at once, and is upgraded in the background.
#[tokio::test]
async fn an_older_database_can_be_searched_at_once_and_is_upgraded() {
    let mut fixture = Fixture::new().await;
    for number in 0..20 {
        let server = Registration::stdio("s", ["x"]).id(format!("s{number}")).ttl(600);
        fixture
            .registry
            .register(server.tool(described(&format!("t{number}"), "Waters plants")))
            .await
            .unwrap();
    }
    let written = stored_texts(&fixture).await;
    assert_eq!(written.len(), 20);
    fixture.registry.close().await;
    for has_texts in [false, true] {
        if has_texts {
            let older = "UPDATE search_texts SET version = 1, documents = x'00'; UPDATE settings SET search_version = 1";
            edit(&fixture.path(), older).await;
        } else {
            downgrade(&fixture.path(), 3).await;
        }
        fixture.reopen_after(Duration::ZERO).await;
        assert_eq!(found(&fixture.registry, "water the plants").await.len(), 20);
        fixture.run_for(Duration::from_secs(70)).await;
        assert_eq!(stored_texts(&fixture).await, written, "older texts: {has_texts}");
        assert_eq!(found(&fixture.registry, "plants").await.len(), 20);
        fixture.registry.close().await;
    }
}
