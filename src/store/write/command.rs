//! The commands of the writer, and how they are answered.

use tokio::sync::oneshot;

use super::changelog::ChangeRetention;
use super::leases;
use super::leases::{DeregisterOutcome, DeregisterRequest, PruneOutcome, RefreshOutcome, RefreshRequest};
use super::prepared::PreparedRegistration;
use super::registrations::RegisterOutcome;
use super::tokens::TokenChange;
use crate::model::{Actor, LeaseRef};
use crate::store::error::StoreError;

/// An input of the writer and the channel for its outcome.
pub(crate) struct Job<I, O> {
    pub(in crate::store) input: I,
    pub(in crate::store) outcome: Option<Result<O, StoreError>>,
    sender: oneshot::Sender<Result<O, StoreError>>,
}

impl<I, O> Job<I, O> {
    pub(crate) fn new(input: I) -> (Self, oneshot::Receiver<Result<O, StoreError>>) {
        let (sender, receiver) = oneshot::channel();
        (Self { input, outcome: None, sender }, receiver)
    }

    fn is_abandoned(&self) -> bool {
        self.sender.is_closed()
    }

    fn reply(self) {
        if let Some(outcome) = self.outcome {
            let _ = self.sender.send(outcome);
        }
    }
}

/// The number of commands with each effect.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BatchCounts {
    pub(crate) registered: u64,
    pub(crate) refreshed: u64,
    pub(crate) deregistered: u64,
    pub(crate) expired: u64,
}

/// A command for the writer.
pub(crate) enum WriteCommand {
    /// Registers a server, replaces it, or renews its lease.
    Register(Box<Job<PreparedRegistration, RegisterOutcome>>),
    /// Refreshes leases.
    Refresh(Job<RefreshRequest, Vec<RefreshOutcome>>),
    /// Deregisters a server.
    Deregister(Job<DeregisterRequest, DeregisterOutcome>),
    /// Prunes some of the expired servers. The input is the retention in milliseconds.
    Prune(Job<i64, PruneOutcome>),
    /// Creates or revokes a token. The outcome is whether anything changed.
    Token(Job<TokenChange, bool>),
    /// Deletes the oldest changes beyond the retention.
    Trim(Job<ChangeRetention, ()>),
    /// Creates the search texts of a few servers that have none.
    Index(Job<(), ()>),
    /// Commits an empty transaction, to test that the database is writable and to store the lease clock.
    Commit(Job<(), ()>),
}

impl WriteCommand {
    pub(crate) fn is_prune(&self) -> bool {
        matches!(self, Self::Prune(_))
    }

    pub(crate) fn is_refresh(&self) -> bool {
        matches!(self, Self::Refresh(_))
    }

    /// Returns the approximate size in bytes of the registration that it writes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Register(job) => job.input.bytes(),
            _ => 0,
        }
    }

    /// Returns whether its commit must be on disk before it is answered. A power failure may lose heartbeats, because the
    /// lease clock is set back with them, and writes without an answer. Trimming runs once a minute and makes all
    /// heartbeats before it durable, so at most a minute of them is lost.
    pub(in crate::store) fn is_durable(&self) -> bool {
        match self {
            Self::Register(_) | Self::Deregister(_) | Self::Prune(_) | Self::Token(_) | Self::Trim(_) => true,
            Self::Refresh(_) | Self::Index(_) | Self::Commit(_) => false,
        }
    }

    /// Returns about how many pages it writes that are to be checkpointed soon. Refreshes do not count: they rewrite the
    /// same few pages, and a checkpoint writes each page once.
    pub(in crate::store) fn pages(&self) -> usize {
        match self {
            Self::Register(_) => 60,
            Self::Deregister(_) => 30,
            Self::Prune(_) => leases::PRUNE_BATCH_SIZE * 30,
            Self::Index(_) => 100,
            Self::Refresh(_) | Self::Token(_) | Self::Trim(_) | Self::Commit(_) => 0,
        }
    }

    fn fail(&mut self, error: StoreError) {
        match self {
            Self::Register(job) => job.outcome = Some(Err(error)),
            Self::Refresh(job) => job.outcome = Some(Err(error)),
            Self::Deregister(job) => job.outcome = Some(Err(error)),
            Self::Prune(job) => job.outcome = Some(Err(error)),
            Self::Token(job) => job.outcome = Some(Err(error)),
            Self::Trim(job) => job.outcome = Some(Err(error)),
            Self::Index(job) | Self::Commit(job) => job.outcome = Some(Err(error)),
        }
    }

    /// Returns whether it is a change whose caller has gone away. Refreshes are run even so.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::Register(job) => job.is_abandoned(),
            Self::Deregister(job) => job.is_abandoned(),
            Self::Token(job) => job.is_abandoned(),
            Self::Refresh(_) | Self::Prune(_) | Self::Trim(_) | Self::Index(_) | Self::Commit(_) => false,
        }
    }

    /// Adds its effects to the counts, after the commit.
    pub(crate) fn count_into(&self, counts: &mut BatchCounts) {
        match self {
            Self::Register(job) => {
                counts.registered += u64::from(matches!(job.outcome, Some(Ok(RegisterOutcome::Done(_)))));
            }
            Self::Refresh(job) => {
                let outcomes = job.outcome.iter().flatten().flatten();
                let done = outcomes.filter(|outcome| matches!(outcome, RefreshOutcome::Refreshed(_)));
                counts.refreshed += done.count() as u64;
            }
            Self::Deregister(job) => {
                counts.deregistered +=
                    u64::from(matches!(job.outcome, Some(Ok(DeregisterOutcome::Done { .. }))));
            }
            Self::Prune(job) => {
                counts.expired +=
                    job.outcome.iter().flatten().map(|pruned| pruned.expired.len() as u64).sum::<u64>();
            }
            Self::Token(_) | Self::Trim(_) | Self::Index(_) | Self::Commit(_) => {}
        }
    }

    /// Sends the outcome to the caller.
    pub(crate) fn reply(self) {
        match self {
            Self::Register(job) => job.reply(),
            Self::Refresh(job) => job.reply(),
            Self::Deregister(job) => job.reply(),
            Self::Prune(job) => job.reply(),
            Self::Token(job) => job.reply(),
            Self::Trim(job) => job.reply(),
            Self::Index(job) | Self::Commit(job) => job.reply(),
        }
    }
}

/// Fails all commands of a batch with copies of an error.
pub(in crate::store) fn fail_all(batch: &mut [WriteCommand], error: StoreError) -> StoreError {
    let copy_of = |error: &StoreError| match error {
        StoreError::Full => StoreError::Full,
        StoreError::Busy => StoreError::Busy,
        StoreError::Failed(error) => StoreError::Failed(sqlx::Error::Protocol(error.to_string())),
    };
    for command in batch {
        command.fail(copy_of(&error));
    }
    error
}

/// Returns the leases that the refreshes of a batch name, and the actors.
pub(in crate::store) fn refresh_requests(
    batch: &[WriteCommand],
) -> impl Iterator<Item = (&LeaseRef, &Actor)> {
    let jobs = batch.iter().filter_map(|command| match command {
        WriteCommand::Refresh(job) => Some(&job.input),
        _ => None,
    });
    jobs.flat_map(|request| request.leases.iter().map(|lease| (lease, &request.actor)))
}

/// Sets the outcomes of the refreshes of a batch.
pub(in crate::store) fn set_refresh_outcomes(batch: &mut [WriteCommand], outcomes: Vec<RefreshOutcome>) {
    let mut outcomes = outcomes.into_iter();
    for command in batch {
        if let WriteCommand::Refresh(job) = command {
            job.outcome = Some(Ok(outcomes.by_ref().take(job.input.leases.len()).collect()));
        }
    }
}
