//! The command queue of the writer: one channel for refreshes and one for everything else.
//!
//! A flood of registrations must not let healthy servers expire, so refreshes never wait behind other commands: a batch
//! contains all waiting refreshes first, and then as many other commands as one commit should have.

use tokio::sync::{mpsc, oneshot};

use super::error::Error;
use crate::store::{StoreError, WriteCommand};

/// The maximum number of commands that wait in a channel.
const QUEUE_CAPACITY: usize = 4_096;
/// The maximum number of commands of each channel in a commit.
const MAX_BATCH_COMMANDS: usize = 512;
/// The maximum bytes of registrations in a commit: refreshes wait until they are written.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The sending half of the command queue.
#[derive(Debug, Clone)]
pub(super) struct CommandSender {
    refreshes: mpsc::Sender<WriteCommand>,
    others: mpsc::Sender<WriteCommand>,
}

/// The receiving half of the command queue.
pub(super) struct CommandReceiver {
    refreshes: mpsc::Receiver<WriteCommand>,
    others: mpsc::Receiver<WriteCommand>,
}

pub(super) fn command_queue() -> (CommandSender, CommandReceiver) {
    let (refreshes, refresh_receiver) = mpsc::channel(QUEUE_CAPACITY);
    let (others, other_receiver) = mpsc::channel(QUEUE_CAPACITY);
    let receiver = CommandReceiver { refreshes: refresh_receiver, others: other_receiver };
    (CommandSender { refreshes, others }, receiver)
}

impl CommandSender {
    /// Returns the number of waiting commands.
    #[cfg(feature = "server")]
    pub(super) fn queue_length(&self) -> usize {
        [&self.refreshes, &self.others]
            .iter()
            .map(|channel| channel.max_capacity() - channel.capacity())
            .sum()
    }

    pub(super) async fn send(&self, command: WriteCommand) -> Result<(), Error> {
        let channel = if command.is_refresh() { &self.refreshes } else { &self.others };
        channel.send(command).await.map_err(|_| Error::Closed)
    }
}

impl CommandReceiver {
    /// Returns the next command; `None` if all senders are dropped.
    pub(super) async fn next(&mut self) -> Option<WriteCommand> {
        tokio::select! {
            biased;
            Some(command) = self.refreshes.recv() => Some(command),
            command = self.others.recv() => match command {
                Some(command) => Some(command),
                None => self.refreshes.recv().await,
            },
        }
    }

    /// Adds waiting commands to a batch up to its limits. Returns whether it added any.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> bool {
        let before = batch.commands.len();
        while batch.refreshes < MAX_BATCH_COMMANDS
            && let Ok(command) = self.refreshes.try_recv()
        {
            batch.push(command);
        }
        while batch.others < MAX_BATCH_COMMANDS
            && batch.bytes < MAX_BATCH_BYTES
            && let Ok(command) = self.others.try_recv()
        {
            batch.push(command);
        }
        batch.commands.len() > before
    }

    /// Rejects new commands. Waiting ones can still be received.
    pub(super) fn close(&mut self) {
        self.refreshes.close();
        self.others.close();
    }
}

/// The commands of one commit.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) commands: Vec<WriteCommand>,
    refreshes: usize,
    others: usize,
    bytes: usize,
}

impl Batch {
    pub(super) fn of(command: WriteCommand) -> Self {
        let mut batch = Self::default();
        batch.push(command);
        batch
    }

    fn push(&mut self, command: WriteCommand) {
        *if command.is_refresh() { &mut self.refreshes } else { &mut self.others } += 1;
        self.bytes += command.bytes();
        self.commands.push(command);
    }
}

/// Waits for the outcome of a command. Without one, the task has ended.
pub(super) async fn receive_outcome<O>(
    receiver: oneshot::Receiver<Result<O, StoreError>>,
) -> Result<O, Error> {
    Ok(receiver.await.map_err(|_| Error::Closed)??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Actor, Json, LeaseRef, Registration, Tool};
    use crate::store::{Job, PreparedRegistration, RefreshRequest, Search};

    fn refresh(id: &str) -> WriteCommand {
        let leases = vec![LeaseRef::new(id, None)];
        WriteCommand::Refresh(Job::new(RefreshRequest { leases, actor: Actor::InProcess }).0)
    }

    fn register(bytes: usize) -> WriteCommand {
        let tool = format!("{{\"name\":\"t\",\"description\":\"{}\"}}", "x".repeat(bytes));
        let tool = Tool::from_json(Json::parse(&tool).unwrap()).unwrap();
        let registration = Registration::stdio("s", ["x"]).tool(tool);
        let prepared = PreparedRegistration::new(
            registration.validate().unwrap(),
            false,
            Actor::InProcess,
            &Search::default(),
        )
        .unwrap();
        WriteCommand::Register(Box::new(Job::new(prepared).0))
    }

    #[tokio::test]
    async fn refreshes_are_taken_before_other_commands() {
        let (sender, mut receiver) = command_queue();
        for _ in 0..5 {
            sender.send(register(2 * 1024 * 1024)).await.unwrap();
        }
        for id in ["a", "b", "c"] {
            sender.send(refresh(id)).await.unwrap();
        }
        let mut batch = Batch::of(receiver.next().await.unwrap());
        assert!(receiver.fill(&mut batch));
        assert_eq!((batch.refreshes, batch.others), (3, 1), "all refreshes, and registrations up to 4 MiB");
        let mut batch = Batch::of(receiver.next().await.unwrap());
        sender.send(refresh("d")).await.unwrap();
        receiver.fill(&mut batch);
        assert_eq!((batch.refreshes, batch.others), (1, 1));
        drop(sender);
        for _ in 0..3 {
            assert!(receiver.next().await.is_some());
        }
        assert!(receiver.next().await.is_none());
    }
}
