//! The texts that servers are found by, as they are stored: each once, not for ever, and made again when they are missing.

use std::time::Duration;

use paulina::Registration;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::search::{described, first, found};
use crate::support::{BACK_TO_3, Fixture, edit};

async fn texts(fixture: &Fixture) -> Vec<(Vec<u8>, i64, Vec<u8>)> {
    let mut connection = SqliteConnectOptions::new().filename(fixture.path()).connect().await.unwrap();
    let sql = "SELECT digest, version, documents FROM search_texts ORDER BY digest";
    let rows = sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows
}

/// Servers of one name that offer the same share what it is found by, and what nobody has is deleted.
#[tokio::test]
async fn equal_texts_are_kept_once_and_not_for_ever() {
    let fixture = Fixture::new().await;
    let server = |id: &str| {
        Registration::stdio("same", ["x"]).id(id).ttl(600).tool(described("one", "Does one thing"))
    };
    for id in ["a", "b", "c"] {
        fixture.registry.register(server(id)).await.unwrap();
    }
    assert_eq!(texts(&fixture).await.len(), 1);
    fixture.registry.register(server("c").tool("two")).await.unwrap();
    assert_eq!(texts(&fixture).await.len(), 2);
    fixture.registry.deregister("c").await.unwrap();
    fixture.pass(Duration::from_secs(70)).await;
    assert_eq!(texts(&fixture).await.len(), 1, "the minute's work deletes what is used no more");
    assert_eq!(found(&fixture.registry, "one thing").await, ["one"]);
    fixture.registry.close().await;
}

/// One server whose rows somebody has broken hides itself, and nobody else; one whose documents are broken gets new ones.
#[tokio::test]
async fn what_somebody_has_broken_hides_nobody_else() {
    let mut fixture = Fixture::new().await;
    for name in ["mint", "sage", "thyme"] {
        let server = Registration::stdio(name, ["x"]).id(name).ttl(600).tool(described(name, "Grows a herb"));
        fixture.registry.register(server).await.unwrap();
    }
    fixture.registry.close().await;
    let broken =
        "UPDATE search_texts SET documents = x'ff'; UPDATE servers SET environment = '5' WHERE id = 'sage'";
    edit(&fixture.path(), broken).await;
    fixture.reopen_after(Duration::ZERO).await;
    let mut herbs = found(&fixture.registry, "herb").await;
    herbs.sort();
    assert_eq!(herbs, ["mint", "thyme"]);
    fixture.pass(Duration::from_secs(2)).await;
    fixture
        .registry
        .register(Registration::stdio("mint", ["x"]).id("mint").ttl(600).tool("spearmint"))
        .await
        .unwrap();
    assert_eq!(first(&fixture.registry, "spearmint").await, "spearmint", "the rest goes on");
    fixture.registry.close().await;
}

/// What is inserted with sqlite3 is found, and kept for the next start.
#[tokio::test]
async fn what_is_inserted_by_hand_is_found_and_kept() {
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
    fixture.pass(Duration::from_secs(2)).await;
    assert_eq!(texts(&fixture).await.len(), 2);
    fixture.registry.close().await;
}

/// A server that comes back after what it was found by was deleted is kept like any other.
#[tokio::test]
async fn what_comes_back_is_kept_again() {
    let fixture = Fixture::new().await;
    let server =
        || Registration::stdio("back", ["x"]).id("back").ttl(600).tool(described("one", "Does one thing"));
    fixture.registry.register(server()).await.unwrap();
    assert_eq!(found(&fixture.registry, "one thing").await, ["one"]);
    fixture.registry.deregister("back").await.unwrap();
    fixture.pass(Duration::from_secs(70)).await;
    assert_eq!(texts(&fixture).await.len(), 0);
    fixture.registry.register(server()).await.unwrap();
    assert_eq!(texts(&fixture).await.len(), 1);
    fixture.registry.close().await;
}

/// A database of an older version, or of another table of vectors, is searched at once, and brought up to date meanwhile.
#[tokio::test]
async fn an_older_database_is_searched_at_once_and_brought_up_to_date() {
    let mut fixture = Fixture::new().await;
    for number in 0..20 {
        let server = Registration::stdio("s", ["x"]).id(format!("s{number}")).ttl(600);
        fixture
            .registry
            .register(server.tool(described(&format!("t{number}"), "Waters plants")))
            .await
            .unwrap();
    }
    let written = texts(&fixture).await;
    assert_eq!(written.len(), 20);
    fixture.registry.close().await;
    for older in [
        BACK_TO_3,
        "UPDATE search_texts SET version = 1, documents = x'00'; UPDATE settings SET search_version = 1",
    ] {
        edit(&fixture.path(), older).await;
        fixture.reopen_after(Duration::ZERO).await;
        assert_eq!(found(&fixture.registry, "water the plants").await.len(), 20);
        fixture.pass(Duration::from_secs(70)).await;
        assert_eq!(texts(&fixture).await, written, "{older}");
        assert_eq!(found(&fixture.registry, "plants").await.len(), 20);
        fixture.registry.close().await;
    }
}
