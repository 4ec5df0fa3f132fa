//! Databases of older versions.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

/// Returns the migrations, from version 1 on.
fn migrations() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut migrations: Vec<(usize, String)> = files
        .map(|file| {
            let name = file.file_name().unwrap().to_str().unwrap();
            let version = name.strip_prefix('V').unwrap().split("__").next().unwrap();
            (version.parse().unwrap(), std::fs::read_to_string(&file).unwrap())
        })
        .collect();
    migrations.sort();
    migrations.into_iter().map(|(_, sql)| sql).collect()
}

/// Returns the versions before the newest.
pub(crate) fn older_versions() -> std::ops::Range<usize> {
    1..migrations().len()
}

/// Replaces a database by one of an older version with the same data, as far as that version can store it.
pub(crate) async fn downgrade(path: &Path, version: usize) {
    let older = path.with_extension("older");
    let options = SqliteConnectOptions::new().filename(&older).create_if_missing(true).foreign_keys(false);
    let mut connection = options.connect().await.unwrap();
    run(&mut connection, "PRAGMA journal_mode = WAL").await;
    for migration in &migrations()[..version] {
        run(&mut connection, migration).await;
    }
    let newer = path.to_str().unwrap();
    sqlx::query("ATTACH ? AS newer").bind(newer).execute(&mut connection).await.unwrap();
    let history = "SELECT sql FROM newer.sqlite_schema WHERE name = 'refinery_schema_history'";
    let create: String = sqlx::query_scalar(history).fetch_one(&mut connection).await.unwrap();
    run(&mut connection, &create).await;
    // Those that triggers change come last.
    let mut tables = tables(&mut connection).await;
    tables.sort_by_key(|table| ["summaries", "settings"].contains(&table.as_str()));
    for table in tables {
        let columns = columns(&mut connection, "main", &table).await;
        let known = self::columns(&mut connection, "newer", &table).await;
        let renamed = |column: &String| match column.as_str() {
            "tokens" if !known.contains(column) => "token_version".to_owned(),
            column => column.to_owned(),
        };
        let from: Vec<String> = columns.iter().map(renamed).collect();
        let condition =
            if table == "refinery_schema_history" { format!("version <= {version}") } else { "TRUE".into() };
        let copy = format!(
            "DELETE FROM main.{table}; INSERT INTO main.{table} ({}) SELECT {} FROM newer.{table} WHERE {condition}",
            columns.join(", "),
            from.join(", ")
        );
        run(&mut connection, &copy).await;
    }
    let sequence = "UPDATE main.sqlite_sequence SET seq = (SELECT seq FROM newer.sqlite_sequence WHERE name = 'servers')";
    run(&mut connection, sequence).await;
    connection.close().await.unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{newer}{suffix}"));
    }
    std::fs::rename(older, path).unwrap();
}

async fn run(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

/// Returns the tables that both databases have, without virtual tables and what belongs to them.
async fn tables(connection: &mut SqliteConnection) -> Vec<String> {
    let common = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name IN \
                  (SELECT name FROM newer.sqlite_schema WHERE type = 'table')";
    sqlx::query_scalar(common).fetch_all(connection).await.unwrap()
}

async fn columns(connection: &mut SqliteConnection, schema: &str, table: &str) -> Vec<String> {
    let columns = "SELECT name FROM pragma_table_info(?, ?)";
    sqlx::query_scalar(columns).bind(table).bind(schema).fetch_all(connection).await.unwrap()
}
