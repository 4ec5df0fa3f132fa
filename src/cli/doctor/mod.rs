//! The command `paulina doctor`.

mod database;
mod registry;

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::cli::registry_args::RegistryArgs;
use crate::store::resolve_symlinks;

/// Check a database and a running registry for problems, and print how to fix them.
///
/// Exit code 0: no errors, possibly warnings; 1: errors.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// SQLite database of the registry.
    #[arg(long, env = "PAULINA_DATABASE", default_value = "paulina.db", value_name = "FILE")]
    database: PathBuf,

    #[command(flatten)]
    registry_args: RegistryArgs,
}

/// The findings of all checks.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<(Severity, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Ok,
    Warning,
    Error,
}

impl Report {
    fn ok(&mut self, finding: impl Into<String>) {
        self.findings.push((Severity::Ok, finding.into()));
    }

    fn warn(&mut self, finding: impl Into<String>) {
        self.findings.push((Severity::Warning, finding.into()));
    }

    fn error(&mut self, finding: impl Into<String>) {
        self.findings.push((Severity::Error, finding.into()));
    }
}

/// Runs all checks and prints a line for each finding.
pub(super) async fn run(doctor: Doctor) -> anyhow::Result<()> {
    let mut report = Report::default();
    database::check(&mut report, &resolve_symlinks(&doctor.database)?).await;
    registry::check(&mut report, &doctor.registry_args).await;
    let mut out = std::io::stdout();
    for (severity, finding) in &report.findings {
        let label = match severity {
            Severity::Ok => "ok     ",
            Severity::Warning => "warning",
            Severity::Error => "ERROR  ",
        };
        writeln!(out, "{label}  {finding}")?;
    }
    match report.findings.iter().filter(|(severity, _)| *severity == Severity::Error).count() {
        0 => Ok(()),
        1 => bail!("1 error found"),
        count => bail!("{count} errors found"),
    }
}
