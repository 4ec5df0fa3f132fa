//! The real binary as a child process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// `paulina serve` on a free port; killed on drop.
pub(crate) struct Binary {
    child: Child,
    pub(crate) url: String,
    log: Option<BufReader<std::process::ChildStderr>>,
}

pub(crate) fn command(database: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paulina"));
    command.env("PAULINA_LISTEN", "127.0.0.1:0");
    command.args(["serve", "--log-format", "json", "--database"]);
    command.arg(database).args(arguments).stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

impl Binary {
    pub(crate) fn start(database: &Path) -> Self {
        Self::with(database, &[])
    }

    pub(crate) fn with(database: &Path, arguments: &[&str]) -> Self {
        let mut child = command(database, arguments).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut binary = Self { child, url: String::new(), log: Some(log) };
        binary.url = binary.read_address();
        binary
    }

    /// Reads the log up to the line with the address.
    fn read_address(&mut self) -> String {
        let log = self.log.as_mut().unwrap();
        let mut earlier = String::new();
        loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "the registry did not start: {earlier}");
            earlier.push_str(&line);
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if let Some(address) = line["fields"]["address"].as_str() {
                return address.to_owned();
            }
        }
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// Sends SIGKILL: no handler runs, and nothing is flushed.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the process to exit; returns the exit status and the log after startup.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.log.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap(), log)
    }

    /// Discards the rest of the log, so that a full pipe does not block the process.
    pub(crate) fn drain(&mut self) {
        let mut log = self.log.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
