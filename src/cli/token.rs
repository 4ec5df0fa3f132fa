//! The command `paulina token`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use comfy_table::Cell;

use super::output::{Table, print_lines, text_cell};
use crate::clock::{Clock, SystemClock};
use crate::model::{Role, Secret, TokenInfo, TokenName, Tokens};
use crate::store::{Companion, TokenAdmin, TokenChange, tokens_in};

/// Create, list and revoke the tokens of a registry.
///
/// The registry can be running. Once a token exists, the API requires one. A server belongs to the token that registered
/// it, by the token's name.
#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a token and print it on a line of its own. It cannot be shown again.
    Create {
        #[command(flatten)]
        database: Database,
        /// Name of the token: 1–100 characters of [A-Za-z0-9._/@-].
        #[arg(long)]
        name: TokenName,
        /// What the token may do: read; register (and change its own servers); or admin (and change all servers).
        #[arg(long, value_name = "read|register|admin")]
        role: Role,
    },
    /// List tokens, without their secrets.
    List {
        #[command(flatten)]
        database: Database,
    },
    /// Revoke a token. The servers that it registered remain.
    Revoke {
        #[command(flatten)]
        database: Database,
        /// Name of the token.
        #[arg(long)]
        name: TokenName,
    },
}

#[derive(Debug, Args)]
struct Database {
    /// SQLite database of the registry; `create` creates it if it does not exist.
    #[arg(long, env = "PAULINA_DATABASE", default_value = "paulina.db", value_name = "FILE")]
    database: PathBuf,
}

pub(super) async fn run(Token { command }: Token) -> anyhow::Result<()> {
    match command {
        Command::Create { database, name, role } => create(&database.database, name, role).await,
        Command::List { database } => list(&database.database).await,
        Command::Revoke { database, name } => revoke(&database.database, name).await,
    }
}

async fn create(database: &Path, name: TokenName, role: Role) -> anyhow::Result<()> {
    if !database.exists() && Companion::Standby.path(database).exists() {
        bail!(
            "database {} does not exist, since this machine is a standby: create the token on the primary, and it is replicated",
            database.display()
        );
    }
    let is_new = !database.exists();
    let secret = Secret::random().context("the operating system provides no random bytes")?;
    let token = TokenInfo { name: name.clone(), role, created_at: SystemClock::new().wall() };
    let change = TokenChange::Create { token, hash: secret.hash() };
    if matches!(apply(database, &change).await?, Outcome::Unchanged) {
        bail!("token {name} already exists; choose another name, or revoke it first");
    }
    if is_new {
        writeln!(
            std::io::stderr(),
            "created the database {}; a registry that serves another database does not know this token",
            database.display()
        )?;
    }
    writeln!(std::io::stderr(), "created token {name} (role: {role}). It will not be shown again:")?;
    Ok(writeln!(std::io::stdout(), "{}", secret.expose())?)
}

async fn revoke(database: &Path, name: TokenName) -> anyhow::Result<()> {
    ensure_exists(database)?;
    let Outcome::Applied(remaining) = apply(database, &TokenChange::Revoke(name.clone())).await? else {
        bail!("token {name} does not exist; see `paulina token list`");
    };
    let mut out = std::io::stdout();
    writeln!(out, "revoked {name}")?;
    if remaining.is_some_and(|tokens| tokens.is_empty()) {
        writeln!(out, "no tokens left: a registry on loopback now accepts unauthenticated requests again")?;
    }
    Ok(())
}

async fn list(database: &Path) -> anyhow::Result<()> {
    ensure_exists(database)?;
    let tokens = tokens_in(database).await?.list();
    if tokens.is_empty() {
        return print_lines(["no tokens: the registry accepts unauthenticated requests"]);
    }
    let mut table = Table::new(&["NAME", "ROLE!", "CREATED!"]);
    for TokenInfo { name, role, created_at } in tokens {
        let created = created_at.format("%Y-%m-%d %H:%M:%S");
        table.row(vec![text_cell(name.as_str()), Cell::new(role.as_str()), Cell::new(created)]);
    }
    table.print()
}

fn ensure_exists(database: &Path) -> anyhow::Result<()> {
    if database.exists() {
        return Ok(());
    }
    bail!("database {} does not exist; name it with --database", database.display())
}

/// The serving process is given `POLL_INTERVAL` times `MAX_POLLS`, 5 s, to apply a change.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const MAX_POLLS: usize = 250;

/// The result of a change.
enum Outcome {
    /// There was nothing to change.
    Unchanged,
    /// The tokens after the change; none if they cannot be read.
    Applied(Option<Tokens>),
}

/// Writes a change and waits until the process that serves the database has applied it. Problems after the write are only
/// reported: a new token has to be printed in any case.
async fn apply(database: &Path, change: &TokenChange) -> anyhow::Result<Outcome> {
    let mut file = TokenAdmin::open(database).await?;
    if !file.change(change).await? {
        file.close().await?;
        return Ok(Outcome::Unchanged);
    }
    let tokens = file.load().await.ok();
    let applied = match &tokens {
        Some(tokens) => wait_until_applied(&file, tokens.version).await,
        None => false,
    };
    if !applied {
        writeln!(
            std::io::stderr(),
            "the process that serves {} has not applied the change yet: see its log",
            database.display()
        )?;
    }
    let _ = file.close().await;
    Ok(Outcome::Applied(tokens))
}

/// Waits until the process that serves the database has applied this version of the tokens; returns false after a timeout.
async fn wait_until_applied(file: &TokenAdmin, version: i64) -> bool {
    for _ in 0..MAX_POLLS {
        if !file.is_server_behind(version) {
            return true;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    false
}
