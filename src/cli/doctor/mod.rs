//! `paulina doctor`: what is wrong with a database or a running registry, and what to do.

mod database;
mod registry;

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::store::resolved;

/// Check a database and a running registry, and say what is wrong and what to do.
///
/// Exit code 0: nothing is wrong, or there are only warnings; 1: something is.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// The registry's SQLite database.
    #[arg(long, env = "PAULINA_DATABASE", default_value = "paulina.db", value_name = "FILE")]
    database: PathBuf,

    #[command(flatten)]
    registry: crate::cli::registry_args::At,
}

/// What the checks come to.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<(Verdict, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Fine,
    Warning,
    Wrong,
}

impl Report {
    fn fine(&mut self, what: impl Into<String>) {
        self.findings.push((Verdict::Fine, what.into()));
    }

    fn warn(&mut self, what: impl Into<String>) {
        self.findings.push((Verdict::Warning, what.into()));
    }

    fn wrong(&mut self, what: impl Into<String>) {
        self.findings.push((Verdict::Wrong, what.into()));
    }
}

/// Checks, and prints a line for each check.
pub(super) async fn run(doctor: Doctor) -> anyhow::Result<()> {
    let mut report = Report::default();
    database::check(&mut report, &resolved(&doctor.database)?).await;
    registry::check(&mut report, &doctor.registry).await;
    let mut out = std::io::stdout();
    for (verdict, what) in &report.findings {
        let mark = match verdict {
            Verdict::Fine => "ok     ",
            Verdict::Warning => "warning",
            Verdict::Wrong => "WRONG  ",
        };
        writeln!(out, "{mark}  {what}")?;
    }
    match report.findings.iter().filter(|(verdict, _)| *verdict == Verdict::Wrong).count() {
        0 => Ok(()),
        1 => bail!("one thing is wrong"),
        count => bail!("{count} things are wrong"),
    }
}
