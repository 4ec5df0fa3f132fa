//! Passing on what a server says, byte by byte as it comes, with an ear for lists that have changed.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::watch;

/// How the notifications of a change end that tools, resources and prompts have in common.
const CHANGED: &[u8] = b"/list_changed\"";
const BUFFER: usize = 64 * 1024;

/// How the passing goes.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Whether it waits for the client, and not for the server.
    writing: AtomicBool,
    pieces: AtomicU64,
}

impl Progress {
    /// How many pieces have come so far; none while one of them waits for the client.
    pub(super) fn pieces(&self) -> Option<u64> {
        let pieces = self.pieces.load(Ordering::SeqCst);
        (!self.writing.load(Ordering::SeqCst)).then_some(pieces)
    }
}

/// Copies until either side ends. Each change of a list that passes is counted.
pub(super) fn pass(
    mut from: impl Read,
    to: &mut impl Write,
    heard: &watch::Sender<u64>,
    progress: &Progress,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut ear = Ear::default();
    loop {
        progress.writing.store(false, Ordering::SeqCst);
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        progress.writing.store(true, Ordering::SeqCst);
        progress.pieces.fetch_add(1, Ordering::SeqCst);
        let bytes = buffer.get(..count).unwrap_or_default();
        to.write_all(bytes)?;
        if ear.hears(bytes) {
            heard.send_modify(|count| *count += 1);
        }
    }
}

/// The standard output of this process, unbuffered. A parent may share it with somebody who has made it non-blocking, as node
/// does: then it is waited for.
#[cfg(unix)]
pub(super) struct Out(std::fs::File);

#[cfg(unix)]
impl Out {
    pub(super) fn of_process() -> io::Result<Self> {
        use std::os::fd::AsFd;
        let own = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self(own.into()))
    }

    /// Ends it: whoever reads sees its end, although this process lives on.
    pub(super) fn end(self) -> io::Result<()> {
        drop(self.0);
        let nowhere = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
        Ok(rustix::stdio::dup2_stdout(nowhere)?)
    }
}

#[cfg(unix)]
impl Write for Out {
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
pub(super) struct Out(io::Stdout);

#[cfg(not(unix))]
impl Out {
    pub(super) fn of_process() -> io::Result<Self> {
        Ok(Self(io::stdout()))
    }

    #[expect(clippy::unnecessary_wraps, reason = "as elsewhere")]
    pub(super) fn end(self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(not(unix))]
impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.0.flush()?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Finds the words also where they are cut in two.
#[derive(Default)]
struct Ear {
    tail: Vec<u8>,
}

impl Ear {
    fn hears(&mut self, bytes: &[u8]) -> bool {
        self.tail.extend_from_slice(bytes);
        let found = memchr::memmem::find(&self.tail, CHANGED).is_some();
        self.tail.drain(..self.tail.len().saturating_sub(CHANGED.len() - 1));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hears_the_words_wherever_they_are_cut() {
        let message = br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
        for size in 1..=message.len() {
            let mut ear = Ear::default();
            let heard = message.chunks(size).filter(|part| ear.hears(part)).count();
            assert_eq!(heard, 1, "in pieces of {size}");
        }
        let mut ear = Ear::default();
        assert!(!ear.hears(br#"{"jsonrpc":"2.0","result":{"listChanged":true}}"#));
    }

    #[test]
    fn passes_on_every_byte() {
        let said: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let (sender, _) = watch::channel(0);
        let mut heard = Vec::new();
        pass(said.as_slice(), &mut heard, &sender, &Progress::default()).unwrap();
        assert_eq!(heard, said);
    }
}
