//! An MCP server as a child process, connected over its standard input and output.
//!
//! It gets its own process group: `npx` and similar programs start the server as a child of theirs, and both have to be stopped.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::McpError;
use super::error::shorten;

/// How long the server may take to exit after its standard input is closed, and again after SIGTERM.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes stored of the end of standard error.
const STDERR_TAIL_BYTES: usize = 2_000;
/// Characters of it that are shown.
const STDERR_SHOWN_CHARACTERS: usize = 280;
/// How long to wait for the end of standard error.
const STDERR_TIMEOUT: Duration = Duration::from_millis(200);
/// Bytes that are shown of a line that is not MCP.
const NON_MCP_SAMPLE_BYTES: usize = 120;

/// The environment variable that tells a server not to announce itself, since Paulina does.
pub(crate) const ANNOUNCED_VARIABLE: &str = "PAULINA_ANNOUNCED";

/// A running server.
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::process::Child,
    group: Option<u32>,
    stderr_tail: Arc<Mutex<VecDeque<u8>>>,
    stderr_task: JoinHandle<()>,
    non_mcp_line: Arc<OnceLock<String>>,
}

/// The standard output and input of the server.
pub(super) type Pipes = (MonitoredStdout, ChildStdin);

impl Child {
    pub(super) fn start(command_line: &[String]) -> Result<(Self, Pipes), McpError> {
        let (program, arguments) =
            command_line.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        let failed = |reason| McpError::StartFailed { program: program.to_owned(), reason };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The server must not get Paulina's token.
        command.env_remove("PAULINA_TOKEN").env(ANNOUNCED_VARIABLE, "1").kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut process = command.spawn().map_err(failed)?;
        let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(failed(io::Error::other("its pipes cannot be opened")));
        };
        let stderr_tail = Arc::new(Mutex::new(VecDeque::new()));
        let stderr_task = tokio::spawn(collect_stderr(stderr, Arc::clone(&stderr_tail)));
        let non_mcp_line = Arc::new(OnceLock::new());
        let stdout =
            MonitoredStdout { stdout, non_mcp_line: Arc::clone(&non_mcp_line), line: LineState::Start };
        let group = process.id();
        Ok((Self { process, group, stderr_tail, stderr_task, non_mcp_line }, (stdout, stdin)))
    }

    /// Returns the end of its standard error, on one line.
    pub(super) async fn stderr_tail(&mut self) -> String {
        // Output written on exit may not be read yet.
        let _ = tokio::time::timeout(STDERR_TIMEOUT, &mut self.stderr_task).await;
        let tail = self.stderr_tail.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = tail.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let last: Vec<char> = text.chars().rev().take(STDERR_SHOWN_CHARACTERS).collect();
        shorten(&last.into_iter().rev().collect::<String>())
    }

    /// Returns the first line of its standard output that is not MCP.
    pub(super) fn non_mcp_line(&self) -> Option<&str> {
        self.non_mcp_line.get().map(String::as_str)
    }

    /// Waits for its exit for a short time, and returns the status.
    pub(super) async fn wait_for_exit(&mut self) -> Option<ExitStatus> {
        tokio::time::timeout(EXIT_TIMEOUT, self.process.wait()).await.ok()?.ok()
    }

    /// Waits for its exit once standard input is closed, then sends SIGTERM. Dropping it kills what is left.
    pub(super) async fn close(mut self) {
        if self.wait_for_exit().await.is_none() {
            self.signal(false);
            let _ = self.wait_for_exit().await;
        }
    }

    #[cfg(unix)]
    fn signal(&self, kill: bool) {
        use rustix::process::{Pid, Signal, kill_process_group};
        let signal = if kill { Signal::KILL } else { Signal::TERM };
        let group = self.group.and_then(|group| i32::try_from(group).ok()).and_then(Pid::from_raw);
        if let Some(group) = group {
            let _ = kill_process_group(group, signal);
        }
    }

    #[cfg(not(unix))]
    fn signal(&self, _: bool) {}
}

/// Kills the remaining processes of the group.
impl Drop for Child {
    fn drop(&mut self) {
        self.signal(true);
    }
}

async fn collect_stderr(mut stderr: ChildStderr, tail: Arc<Mutex<VecDeque<u8>>>) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend(buffer.get(..count).unwrap_or_default());
        let surplus = tail.len().saturating_sub(STDERR_TAIL_BYTES);
        tail.drain(..surplus);
    }
}

/// The standard output of a server. It records the first line that is not MCP.
pub(super) struct MonitoredStdout {
    stdout: ChildStdout,
    non_mcp_line: Arc<OnceLock<String>>,
    line: LineState,
}

enum LineState {
    Start,
    Message,
    NonMcp(Vec<u8>),
}

impl MonitoredStdout {
    fn inspect(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match &mut self.line {
                _ if *byte == b'\n' => self.end_line(),
                LineState::Start if byte.is_ascii_whitespace() || *byte > 0x7F => {}
                LineState::Start if *byte == b'{' || *byte == b'[' => self.line = LineState::Message,
                LineState::Start => self.line = LineState::NonMcp(vec![*byte]),
                LineState::NonMcp(text) if text.len() < NON_MCP_SAMPLE_BYTES => text.push(*byte),
                LineState::Message | LineState::NonMcp(_) => {}
            }
        }
    }

    fn end_line(&mut self) {
        if let LineState::NonMcp(text) = std::mem::replace(&mut self.line, LineState::Start) {
            let _ = self.non_mcp_line.set(String::from_utf8_lossy(&text).into_owned());
        }
    }
}

impl AsyncRead for MonitoredStdout {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Only the first such line is recorded.
        if self.non_mcp_line.get().is_some() {
            return Pin::new(&mut self.stdout).poll_read(context, buffer);
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stdout).poll_read(context, buffer);
        if read.is_ready() {
            let new = buffer.filled().get(before..).unwrap_or_default();
            if new.is_empty() { self.end_line() } else { self.inspect(new) }
        }
        read
    }
}
