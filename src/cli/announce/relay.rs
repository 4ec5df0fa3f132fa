//! Copies the output of a server unchanged, and detects `list_changed` notifications in it.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::watch;

/// The common suffix of the methods that announce changed tools, resources and prompts.
const LIST_CHANGED_SUFFIX: &[u8] = b"/list_changed\"";
const BUFFER_SIZE: usize = 64 * 1024;

/// The progress of a copy.
#[derive(Debug, Default)]
pub(super) struct RelayProgress {
    /// Whether it is waiting for the client rather than for the server.
    is_writing: AtomicBool,
    chunks: AtomicU64,
}

impl RelayProgress {
    /// Returns the number of chunks copied so far; none while a chunk waits for the client.
    pub(super) fn chunks(&self) -> Option<u64> {
        let chunks = self.chunks.load(Ordering::SeqCst);
        (!self.is_writing.load(Ordering::SeqCst)).then_some(chunks)
    }
}

/// Copies until either side is closed, and counts the `list_changed` notifications.
pub(super) fn copy(
    mut from: impl Read,
    to: &mut impl Write,
    list_changes: &watch::Sender<u64>,
    progress: &RelayProgress,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_SIZE];
    let mut detector = ListChangedDetector::default();
    loop {
        progress.is_writing.store(false, Ordering::SeqCst);
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        progress.is_writing.store(true, Ordering::SeqCst);
        progress.chunks.fetch_add(1, Ordering::SeqCst);
        let bytes = buffer.get(..count).unwrap_or_default();
        to.write_all(bytes)?;
        if detector.detects(bytes) {
            list_changes.send_modify(|count| *count += 1);
        }
    }
}

/// The standard output of this process, unbuffered. Another process may share it and have made it non-blocking, as node does;
/// a write then waits until it is writable.
#[cfg(unix)]
pub(super) struct StandardOutput(std::fs::File);

#[cfg(unix)]
impl StandardOutput {
    pub(super) fn open() -> io::Result<Self> {
        use std::os::fd::AsFd;
        let own = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self(own.into()))
    }

    /// Closes it: the reader sees its end although this process continues to run.
    pub(super) fn close(self) -> io::Result<()> {
        drop(self.0);
        let null = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
        Ok(rustix::stdio::dup2_stdout(null)?)
    }
}

#[cfg(unix)]
impl Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, poll};
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None)?;
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The standard output of this process.
#[cfg(not(unix))]
pub(super) struct StandardOutput(io::Stdout);

#[cfg(not(unix))]
impl StandardOutput {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self(io::stdout()))
    }

    #[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
    pub(super) fn close(self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(not(unix))]
impl Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.0.flush()?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Detects `list_changed` notifications, also where they are split across chunks.
#[derive(Default)]
struct ListChangedDetector {
    tail: Vec<u8>,
}

impl ListChangedDetector {
    fn detects(&mut self, bytes: &[u8]) -> bool {
        self.tail.extend_from_slice(bytes);
        let found = memchr::memmem::find(&self.tail, LIST_CHANGED_SUFFIX).is_some();
        self.tail.drain(..self.tail.len().saturating_sub(LIST_CHANGED_SUFFIX.len() - 1));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_detected_wherever_it_is_split() {
        let message = br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
        for size in 1..=message.len() {
            let mut detector = ListChangedDetector::default();
            let detected = message.chunks(size).filter(|part| detector.detects(part)).count();
            assert_eq!(detected, 1, "in chunks of {size}");
        }
        let mut detector = ListChangedDetector::default();
        assert!(!detector.detects(br#"{"jsonrpc":"2.0","result":{"listChanged":true}}"#));
    }

    #[test]
    fn every_byte_is_copied() {
        let sent: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let (sender, _) = watch::channel(0);
        let mut received = Vec::new();
        copy(sent.as_slice(), &mut received, &sender, &RelayProgress::default()).unwrap();
        assert_eq!(received, sent);
    }
}
