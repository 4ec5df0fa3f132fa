//! A server as a child process that is spoken to over its standard input and output.
//!
//! It has a process group of its own: `npx` and its like start the server as a child of theirs, and both have to go.

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
use super::error::shown;

/// How long it may take to end when its standard input has ended, and again when it is told to.
const FAREWELL: Duration = Duration::from_secs(2);
/// Bytes that are kept of what it writes to its standard error.
const LAST_WORDS: usize = 2_000;
/// Characters of it that are shown.
const SHOWN_WORDS: usize = 280;
/// How long it is waited for that the last of it is read.
const LINGER: Duration = Duration::from_millis(200);
/// Characters that are shown of a line which is no MCP.
const SAMPLE: usize = 120;

/// Tells a server that announces itself that this is done for it.
pub(crate) const ANNOUNCED: &str = "PAULINA_ANNOUNCED";

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::process::Child,
    group: Option<u32>,
    said: Arc<Mutex<VecDeque<u8>>>,
    listening: JoinHandle<()>,
    rubbish: Arc<OnceLock<String>>,
}

/// What it says and what is said to it.
pub(super) type Pipes = (Watched, ChildStdin);

impl Child {
    pub(super) fn start(words: &[String]) -> Result<(Self, Pipes), McpError> {
        let (program, arguments) =
            words.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        let failed = |reason| McpError::Start { program: program.to_owned(), reason };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // What Paulina is trusted with is none of the server's.
        command.env_remove("PAULINA_TOKEN").env(ANNOUNCED, "1").kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut process = command.spawn().map_err(failed)?;
        let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(failed(io::Error::other("it has no pipes")));
        };
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let listening = tokio::spawn(listen(stderr, Arc::clone(&said)));
        let rubbish = Arc::new(OnceLock::new());
        let watched = Watched { stdout, rubbish: Arc::clone(&rubbish), line: Line::Begins };
        let group = process.id();
        Ok((Self { process, group, said, listening, rubbish }, (watched, stdin)))
    }

    /// The end of what it wrote to its standard error, in one line.
    pub(super) async fn last_words(&mut self) -> String {
        // What it wrote as it ended may not be read yet.
        let _ = tokio::time::timeout(LINGER, &mut self.listening).await;
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = said.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let newest: Vec<char> = text.chars().rev().take(SHOWN_WORDS).collect();
        shown(&newest.into_iter().rev().collect::<String>())
    }

    /// A line that it wrote to its standard output and that is no MCP.
    pub(super) fn rubbish(&self) -> Option<&str> {
        self.rubbish.get().map(String::as_str)
    }

    /// How it ended, if it does so soon.
    pub(super) async fn ended(&mut self) -> Option<ExitStatus> {
        tokio::time::timeout(FAREWELL, self.process.wait()).await.ok()?.ok()
    }

    /// Waits until it has ended, now that nobody speaks to it any more; tells it to, and ends it, if need be.
    pub(super) async fn close(mut self) {
        if self.ended().await.is_none() {
            self.signal(false);
            let _ = self.ended().await;
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

/// What is left of it and its children goes with it.
impl Drop for Child {
    fn drop(&mut self) {
        self.signal(true);
    }
}

async fn listen(mut stderr: ChildStderr, said: Arc<Mutex<VecDeque<u8>>>) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend(buffer.get(..count).unwrap_or_default());
        let surplus = said.len().saturating_sub(LAST_WORDS);
        said.drain(..surplus);
    }
}

/// Its standard output, in which the first line that is no MCP is noted.
pub(super) struct Watched {
    stdout: ChildStdout,
    rubbish: Arc<OnceLock<String>>,
    line: Line,
}

enum Line {
    Begins,
    Message,
    Rubbish(Vec<u8>),
}

impl Watched {
    fn look(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match &mut self.line {
                _ if *byte == b'\n' => self.line_ends(),
                Line::Begins if byte.is_ascii_whitespace() || *byte > 0x7F => {}
                Line::Begins if *byte == b'{' || *byte == b'[' => self.line = Line::Message,
                Line::Begins => self.line = Line::Rubbish(vec![*byte]),
                Line::Rubbish(text) if text.len() < SAMPLE => text.push(*byte),
                Line::Message | Line::Rubbish(_) => {}
            }
        }
    }

    fn line_ends(&mut self) {
        if let Line::Rubbish(text) = std::mem::replace(&mut self.line, Line::Begins) {
            let _ = self.rubbish.set(String::from_utf8_lossy(&text).into_owned());
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Once there was such a line, the others say no more.
        if self.rubbish.get().is_some() {
            return Pin::new(&mut self.stdout).poll_read(context, buffer);
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stdout).poll_read(context, buffer);
        if read.is_ready() {
            let new = buffer.filled().get(before..).unwrap_or_default();
            if new.is_empty() { self.line_ends() } else { self.look(new) }
        }
        read
    }
}
