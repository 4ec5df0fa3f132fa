//! `paulina token`: who may read, register and administer.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::clock::{Clock, SystemClock};
use crate::model::{Role, Secret, TokenInfo, TokenName, Tokens};
use crate::store::{TokenChange, TokenFile, beside, tokens_in};

/// Make, list and revoke the tokens of a registry, also while it is served.
///
/// As soon as there is a token, the API lets in nobody without one. A server belongs to the token that it was registered
/// with, by the token's name.
#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token and print it, alone on the last line. It is shown this once.
    Create {
        #[command(flatten)]
        database: Database,
        /// What it is called: 1–100 characters of [A-Za-z0-9._/@-].
        #[arg(long)]
        name: TokenName,
        /// What it may do: read; register (and change what it has registered); or admin (and change everything).
        #[arg(long, value_name = "read|register|admin")]
        role: Role,
    },
    /// List the tokens, without their secrets.
    List {
        #[command(flatten)]
        database: Database,
    },
    /// Revoke a token. What was registered with it stays.
    Revoke {
        #[command(flatten)]
        database: Database,
        /// Which one.
        #[arg(long)]
        name: TokenName,
    },
}

#[derive(Debug, Args)]
struct Database {
    /// The registry's SQLite database. `create` makes it if there is none.
    #[arg(long, env = "PAULINA_DATABASE", default_value = "paulina.db", value_name = "FILE")]
    database: PathBuf,
}

/// Does what was asked.
pub(super) async fn run(Token { command }: Token) -> anyhow::Result<()> {
    match command {
        Command::Create { database, name, role } => create(&database.database, name, role).await,
        Command::List { database } => list(&database.database).await,
        Command::Revoke { database, name } => revoke(&database.database, name).await,
    }
}

async fn create(database: &Path, name: TokenName, role: Role) -> anyhow::Result<()> {
    if !database.exists() && beside(database, "-standby").exists() {
        bail!(
            "there is no database {}, and this machine is a standby: make the token where the primary is, and it is copied",
            database.display()
        );
    }
    let is_new = !database.exists();
    let secret = Secret::random().context("the operating system gives no random bytes")?;
    let token = TokenInfo { name: name.clone(), role, created_at: SystemClock::new().wall() };
    let change = TokenChange::Create { token, hash: secret.hash() };
    if apply(database, &change).await?.is_none() {
        bail!("there is a token {name} already; choose another name, or revoke that one first");
    }
    if is_new {
        writeln!(
            std::io::stderr(),
            "there was no database {}, and now there is; a registry that serves another one does not know this token",
            database.display()
        )?;
    }
    writeln!(std::io::stderr(), "the token {name} may {role}; it is shown this once:")?;
    Ok(writeln!(std::io::stdout(), "{}", secret.expose())?)
}

async fn revoke(database: &Path, name: TokenName) -> anyhow::Result<()> {
    must_exist(database)?;
    let Some(left) = apply(database, &TokenChange::Revoke(name.clone())).await? else {
        bail!("there is no token {name}; see `paulina token list`");
    };
    let mut out = std::io::stdout();
    writeln!(out, "revoked {name}")?;
    if left.is_some_and(|left| left.is_empty()) {
        writeln!(
            out,
            "there is no token left: a registry that listens on loopback is open to everybody there again"
        )?;
    }
    Ok(())
}

async fn list(database: &Path) -> anyhow::Result<()> {
    must_exist(database)?;
    let tokens = tokens_in(database).await?.list();
    let mut out = std::io::stdout();
    if tokens.is_empty() {
        return Ok(writeln!(out, "no tokens: the registry is open to everybody who reaches it")?);
    }
    let width = tokens.iter().map(|token| token.name.as_str().len()).max().unwrap_or_default().max(4);
    writeln!(out, "{:width$}  {:8}  CREATED", "NAME", "ROLE")?;
    for TokenInfo { name, role, created_at } in tokens {
        writeln!(out, "{name:width$}  {:8}  {}", role.as_str(), created_at.format("%Y-%m-%d %H:%M:%S"))?;
    }
    Ok(())
}

fn must_exist(database: &Path) -> anyhow::Result<()> {
    if database.exists() {
        return Ok(());
    }
    bail!("there is no database {}; name it with --database", database.display())
}

/// How often, and how many times, it is looked whether the serving process has taken a change over: 5 s in all.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: usize = 250;

/// Writes a change, and waits until whoever serves the database goes by it. None if there was nothing to change; else the
/// tokens that there are now, where they can be read: what goes wrong once the change is written is said, and keeps nobody
/// from their token.
async fn apply(database: &Path, change: &TokenChange) -> anyhow::Result<Option<Option<Tokens>>> {
    let mut file = TokenFile::open(database).await?;
    if !file.change(change).await? {
        file.close().await?;
        return Ok(None);
    }
    let tokens = file.load().await.ok();
    let known = match &tokens {
        Some(tokens) => is_known(&file, tokens.version).await,
        None => false,
    };
    if !known {
        writeln!(
            std::io::stderr(),
            "the process that serves {} has not taken the change over yet: see its log",
            database.display()
        )?;
    }
    let _ = file.close().await;
    Ok(Some(tokens))
}

/// Waits until whoever serves the database goes by the tokens in it, and says whether that is so.
async fn is_known(file: &TokenFile, version: i64) -> bool {
    for _ in 0..LOOKS {
        if !file.is_awaited(version) {
            return true;
        }
        tokio::time::sleep(LOOK).await;
    }
    false
}
