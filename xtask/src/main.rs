//! `cargo xtask docs [--check]`: the generated parts of docs/, see `docs.rs`.
//!
//! `cargo xtask sqlx-data [--check]`: updates the data that checked queries need to compile without a database.
//!
//! The task runs the migrations in a new database with Paulina's own SQLite, checks the crate against it, and merges sqlx's
//! data of each query into the file `sqlx-data.json`. With `--check` it writes nothing, and an outdated file is an error.

mod docs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, error::Error, fs};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "a command line tool")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["docs"] => docs::generate(false),
        ["docs", "--check"] => docs::generate(true),
        ["sqlx-data"] => sqlx_data(false).await,
        ["sqlx-data", "--check"] => sqlx_data(true).await,
        _ => Err("usage: cargo xtask (docs|sqlx-data) [--check]".into()),
    };
    match result {
        Ok(message) => {
            eprintln!("{message}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn sqlx_data(check: bool) -> Result<String, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask has no parent directory")?;
    let work = root.join("target/sqlx-data");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    let queries = work.join("queries");
    fs::create_dir_all(&queries)?;
    let database = work.join("schema.db");
    create_schema(&database, &root.join("migrations")).await?;

    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["check", "--quiet", "--package", "paulina", "--lib"])
        .current_dir(root)
        .env("PAULINA_SQLX_PREPARE", &work)
        .env("DATABASE_URL", format!("sqlite://{}", database.display()))
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", &queries)
        .status()?;
    if !status.success() {
        return Err("the crate does not compile against the schema, see above".into());
    }
    let fresh = merge(&queries)?;

    let path = root.join("sqlx-data.json");
    let stale = fs::read_to_string(&path).unwrap_or_default() != fresh;
    if !check {
        fs::write(&path, &fresh)?;
        return Ok("sqlx-data.json has been written".to_owned());
    }
    if stale {
        return Err("sqlx-data.json is outdated; run `cargo xtask sqlx-data` and commit it".into());
    }
    Ok("sqlx-data.json is up to date".to_owned())
}

async fn create_schema(database: &Path, migrations: &Path) -> Result<(), Box<dyn Error>> {
    let mut connection =
        SqliteConnectOptions::new().filename(database).create_if_missing(true).connect().await?;
    let mut files: Vec<(u32, PathBuf)> = Vec::new();
    for entry in fs::read_dir(migrations)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix('V').and_then(|rest| rest.split_once("__"));
        let (number, _) = number.ok_or_else(|| format!("{name} is not named V<number>__<name>.sql"))?;
        files.push((number.parse()?, path));
    }
    files.sort();
    for (_, path) in files {
        sqlx::raw_sql(AssertSqlSafe(fs::read_to_string(path)?)).execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(())
}

fn merge(queries: &Path) -> Result<String, Box<dyn Error>> {
    let mut merged = BTreeMap::new();
    for entry in fs::read_dir(queries)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(hash) = name.strip_prefix("query-") {
            let data: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
            merged.insert(hash.to_owned(), data);
        }
    }
    Ok(serde_json::to_string_pretty(&merged)? + "\n")
}
