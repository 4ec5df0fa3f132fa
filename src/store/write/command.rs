//! What the writer can be told to do, and the way back for its answer.

use tokio::sync::oneshot;

use super::changelog::Kept;
use super::leases;
use super::leases::{Deregistration, Ending, Pruned, RefreshOutcome, Refreshes};
use super::prepared::PreparedRegistration;
use super::registrations::Registering;
use super::tokens::TokenChange;
use crate::model::{Actor, LeaseRef};
use crate::store::error::StoreError;

/// A question to the writer and the way back for its answer.
pub(crate) struct Job<I, O> {
    pub(in crate::store) input: I,
    pub(in crate::store) outcome: Option<Result<O, StoreError>>,
    reply: oneshot::Sender<Result<O, StoreError>>,
}

impl<I, O> Job<I, O> {
    pub(crate) fn new(input: I) -> (Self, oneshot::Receiver<Result<O, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { input, outcome: None, reply }, answer)
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn answer(self) {
        if let Some(outcome) = self.outcome {
            let _ = self.reply.send(outcome);
        }
    }
}

/// What commands have done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) registered: u64,
    pub(crate) refreshed: u64,
    pub(crate) deregistered: u64,
    pub(crate) expired: u64,
}

/// What the writer can be told to do.
pub(crate) enum Command {
    /// Register, or replace, or renew.
    Register(Box<Job<PreparedRegistration, Registering>>),
    /// Refresh leases.
    Refresh(Job<Refreshes, Vec<RefreshOutcome>>),
    /// Take a server out.
    Deregister(Job<Ending, Deregistration>),
    /// Take a bite out of what has expired; holds the retention in milliseconds.
    Prune(Job<i64, Pruned>),
    /// Make or revoke a token; says whether that was to be done.
    Token(Job<TokenChange, bool>),
    /// Delete the oldest changes beyond what is kept.
    Trim(Job<Kept, ()>),
    /// Make what a few servers are found by, where that is missing.
    Index(Job<(), ()>),
    /// Commit, to see that it can be done and to keep the lease clock.
    Commit(Job<(), ()>),
}

impl Command {
    pub(crate) fn is_prune(&self) -> bool {
        matches!(self, Self::Prune(_))
    }

    pub(crate) fn is_refresh(&self) -> bool {
        matches!(self, Self::Refresh(_))
    }

    /// About how many bytes of a registration it writes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Register(job) => job.input.bytes(),
            _ => 0,
        }
    }

    /// Whether its commit must be on disk before its answer. What can be lost in a power cut: heartbeats, for which
    /// the lease clock makes up, and what is not told to anybody. The trimming of changes, once a minute, takes the
    /// heartbeats before it along: no more than a minute of them is ever lost.
    pub(in crate::store) fn is_durable(&self) -> bool {
        match self {
            Self::Register(_) | Self::Deregister(_) | Self::Prune(_) | Self::Token(_) | Self::Trim(_) => true,
            Self::Refresh(_) | Self::Index(_) | Self::Commit(_) => false,
        }
    }

    /// About how many pages it writes that are to be folded into the database soon. Refreshes write the same few pages
    /// again and again: what is folded rarely is folded once.
    pub(in crate::store) fn pages(&self) -> usize {
        match self {
            Self::Register(_) => 60,
            Self::Deregister(_) => 30,
            Self::Prune(_) => leases::BITE * 30,
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

    /// Whether it is a change that nobody waits for any more. A heartbeat counts even so.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::Register(job) => job.is_abandoned(),
            Self::Deregister(job) => job.is_abandoned(),
            Self::Token(job) => job.is_abandoned(),
            Self::Refresh(_) | Self::Prune(_) | Self::Trim(_) | Self::Index(_) | Self::Commit(_) => false,
        }
    }

    /// Adds what it has done, now that it is committed.
    pub(crate) fn tally(&self, tally: &mut Tally) {
        match self {
            Self::Register(job) => {
                tally.registered += u64::from(matches!(job.outcome, Some(Ok(Registering::Done(_)))));
            }
            Self::Refresh(job) => {
                let outcomes = job.outcome.iter().flatten().flatten();
                let done = outcomes.filter(|outcome| matches!(outcome, RefreshOutcome::Refreshed(_)));
                tally.refreshed += done.count() as u64;
            }
            Self::Deregister(job) => {
                tally.deregistered += u64::from(matches!(job.outcome, Some(Ok(Deregistration::Done { .. }))));
            }
            Self::Prune(job) => {
                tally.expired +=
                    job.outcome.iter().flatten().map(|pruned| pruned.expired.len() as u64).sum::<u64>();
            }
            Self::Token(_) | Self::Trim(_) | Self::Index(_) | Self::Commit(_) => {}
        }
    }

    /// Gives the caller the answer.
    pub(crate) fn answer(self) {
        match self {
            Self::Register(job) => job.answer(),
            Self::Refresh(job) => job.answer(),
            Self::Deregister(job) => job.answer(),
            Self::Prune(job) => job.answer(),
            Self::Token(job) => job.answer(),
            Self::Trim(job) => job.answer(),
            Self::Index(job) | Self::Commit(job) => job.answer(),
        }
    }
}

/// Gives every command of a batch that failed as a whole its share of the error.
pub(in crate::store) fn spread(batch: &mut [Command], error: StoreError) -> StoreError {
    let again = |error: &StoreError| match error {
        StoreError::Full => StoreError::Full,
        StoreError::Busy => StoreError::Busy,
        StoreError::Failed(error) => StoreError::Failed(sqlx::Error::Protocol(error.to_string())),
    };
    for command in batch {
        command.fail(again(&error));
    }
    error
}

/// The leases that a batch's refreshes ask for, and on whose behalf.
pub(in crate::store) fn asked(batch: &[Command]) -> impl Iterator<Item = (&LeaseRef, &Actor)> {
    let jobs = batch.iter().filter_map(|command| match command {
        Command::Refresh(job) => Some(&job.input),
        _ => None,
    });
    jobs.flat_map(|refreshes| refreshes.leases.iter().map(|lease| (lease, &refreshes.actor)))
}

/// Gives a batch's refreshes their outcomes.
pub(in crate::store) fn tell(batch: &mut [Command], outcomes: Vec<RefreshOutcome>) {
    let mut outcomes = outcomes.into_iter();
    for command in batch {
        if let Command::Refresh(job) = command {
            job.outcome = Some(Ok(outcomes.by_ref().take(job.input.leases.len()).collect()));
        }
    }
}
