//! What benchmarks measure against: the store without registry and HTTP.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::model::{Actor, Filter, ValidRegistration};
use crate::store::{self, Command, Job, Known, Location, Moment, Put, Search, Writer};

/// The writer of a database, and nobody else.
pub struct Raw(Writer);

const NOW: Moment = Moment { lease: 1_000_000, wall: 1_000_000, offset: 0 };

impl Raw {
    /// A new database.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn create(path: &Path) -> Result<Self, crate::OpenError> {
        Ok(Self(store::open(&Location::File(path.to_owned()), Known::Anew(0)).await?.writer))
    }

    /// Writes all these registrations in one transaction, and says how long that takes.
    ///
    /// # Panics
    /// When it fails.
    #[expect(clippy::expect_used, clippy::disallowed_methods, reason = "a benchmark")]
    pub async fn insert(&mut self, registrations: Vec<ValidRegistration>) -> Duration {
        let command = |registration: ValidRegistration| {
            let put =
                Put::new(registration, true, Actor::Process, &Search::default()).expect("it can be stored");
            Command::Register(Box::new(Job::new(put).0))
        };
        let mut batch: Vec<Command> = registrations.into_iter().map(command).collect();
        let start = Instant::now();
        self.0.run(&mut batch, NOW).await.expect("the batch is committed");
        start.elapsed()
    }
}

/// The SQL of a page of servers.
#[must_use]
pub fn find_sql(filter: &Filter) -> String {
    store::find_sql(filter)
}
