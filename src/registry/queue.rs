//! What waits for the writer, in two lines: refreshes, and all else.
//!
//! A registry under a flood of registrations must not let the living expire, so refreshes never wait behind it: each batch
//! takes all that are there, and then as much of the other line as one commit should hold.

use tokio::sync::{mpsc, oneshot};

use super::error::Error;
use crate::store::{Command, StoreError};

/// How many commands may wait in a line.
const LINE: usize = 4_096;
/// How many of each line share a commit.
const BATCH: usize = 512;
/// How many bytes of registrations share a commit: the refreshes in it, and behind it, wait until they are written.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The end that callers hold.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    refreshes: mpsc::Sender<Command>,
    others: mpsc::Sender<Command>,
}

/// The end that the task holds.
pub(super) struct Waiting {
    refreshes: mpsc::Receiver<Command>,
    others: mpsc::Receiver<Command>,
}

pub(super) fn queue() -> (Queue, Waiting) {
    let ((refreshes, first), (others, second)) = (mpsc::channel(LINE), mpsc::channel(LINE));
    (Queue { refreshes, others }, Waiting { refreshes: first, others: second })
}

impl Queue {
    /// How many commands wait.
    #[cfg(feature = "server")]
    pub(super) fn waiting(&self) -> usize {
        [&self.refreshes, &self.others].iter().map(|line| line.max_capacity() - line.capacity()).sum()
    }

    pub(super) async fn send(&self, command: Command) -> Result<(), Error> {
        let line = if command.is_refresh() { &self.refreshes } else { &self.others };
        line.send(command).await.map_err(|_| Error::Closed)
    }
}

impl Waiting {
    /// The next command; none when nobody can send any more.
    pub(super) async fn next(&mut self) -> Option<Command> {
        tokio::select! {
            biased;
            Some(command) = self.refreshes.recv() => Some(command),
            command = self.others.recv() => match command {
                Some(command) => Some(command),
                None => self.refreshes.recv().await,
            },
        }
    }

    /// Puts what waits to a batch, as far as it has room, and says whether there was any.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> bool {
        let before = batch.commands.len();
        while batch.refreshes < BATCH
            && let Ok(command) = self.refreshes.try_recv()
        {
            batch.push(command);
        }
        while batch.others < BATCH
            && batch.bytes < BATCH_BYTES
            && let Ok(command) = self.others.try_recv()
        {
            batch.push(command);
        }
        batch.commands.len() > before
    }

    /// Takes no more; what is there can still be had.
    pub(super) fn close(&mut self) {
        self.refreshes.close();
        self.others.close();
    }
}

/// What is to share a commit.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) commands: Vec<Command>,
    refreshes: usize,
    others: usize,
    bytes: usize,
}

impl Batch {
    pub(super) fn of(command: Command) -> Self {
        let mut batch = Self::default();
        batch.push(command);
        batch
    }

    fn push(&mut self, command: Command) {
        *if command.is_refresh() { &mut self.refreshes } else { &mut self.others } += 1;
        self.bytes += command.bytes();
        self.commands.push(command);
    }
}

/// An answer that has not come: the task is gone.
pub(super) async fn answer<O>(receiver: oneshot::Receiver<Result<O, StoreError>>) -> Result<O, Error> {
    Ok(receiver.await.map_err(|_| Error::Closed)??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Actor, Json, LeaseRef, Registration, Tool};
    use crate::store::{Job, PreparedRegistration, Refreshes, Search};

    fn refresh(id: &str) -> Command {
        let leases = vec![LeaseRef::new(id, None)];
        Command::Refresh(Job::new(Refreshes { leases, actor: Actor::Process }).0)
    }

    fn register(bytes: usize) -> Command {
        let tool = format!("{{\"name\":\"t\",\"description\":\"{}\"}}", "x".repeat(bytes));
        let tool = Tool::from_json(Json::parse(&tool).unwrap()).unwrap();
        let registration = Registration::stdio("s", ["x"]).tool(tool);
        let put = PreparedRegistration::new(
            registration.validate().unwrap(),
            false,
            Actor::Process,
            &Search::default(),
        )
        .unwrap();
        Command::Register(Box::new(Job::new(put).0))
    }

    #[tokio::test]
    async fn refreshes_pass_whatever_else_waits() {
        let (queue, mut waiting) = queue();
        for _ in 0..5 {
            queue.send(register(2 * 1024 * 1024)).await.unwrap();
        }
        for id in ["a", "b", "c"] {
            queue.send(refresh(id)).await.unwrap();
        }
        let mut batch = Batch::of(waiting.next().await.unwrap());
        assert!(waiting.fill(&mut batch));
        assert_eq!((batch.refreshes, batch.others), (3, 1), "all refreshes, and registrations up to 4 MiB");
        let mut batch = Batch::of(waiting.next().await.unwrap());
        queue.send(refresh("d")).await.unwrap();
        waiting.fill(&mut batch);
        assert_eq!((batch.refreshes, batch.others), (1, 1));
        drop(queue);
        for _ in 0..3 {
            assert!(waiting.next().await.is_some());
        }
        assert!(waiting.next().await.is_none());
    }
}
