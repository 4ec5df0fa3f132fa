//! What benchmarks measure against: the store without registry and HTTP, and each part of the search alone.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::model::{Actor, Filter, Match, Tool, ValidRegistration};
use crate::search::{By, Index, Part, Query, Ranking, digest, documents_of, encode};
use crate::store;
use crate::store::{Command, Job, Known, Location, Moment, PreparedRegistration, Search, Writer};

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
            let put = PreparedRegistration::new(registration, true, Actor::Process, &Search::default())
                .expect("it can be stored");
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

/// A search without a database.
#[derive(Default)]
pub struct SearchBench(Index);

/// What a search goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchMode {
    /// Every word has to match.
    Strict,
    /// Words alone.
    Lexical,
    /// Meaning alone.
    Semantic,
    /// Both.
    Both,
}

impl SearchBench {
    /// Adds a server.
    pub fn add(&mut self, number: i64, registration: ValidRegistration) {
        let record = registration.into_record();
        let definitions = || record.capabilities.tools.iter().map(Tool::stored);
        let documents = encode(&documents_of(&record, definitions()));
        self.0.put(number, digest(&record, definitions()), Some(&documents));
    }

    /// The names of the tools that are found, best first.
    #[must_use]
    pub fn tools(&self, text: &str, mode: SearchMode) -> Vec<String> {
        let query = Query::new(text);
        let matching = if mode == SearchMode::Strict { Match::All } else { Match::Any };
        let ranking = Ranking::new(&self.0, &query, matching);
        let ranking = match mode {
            SearchMode::Strict | SearchMode::Both => ranking,
            SearchMode::Lexical => ranking.only(By::Words),
            SearchMode::Semantic => ranking.only(By::Meaning),
        };
        let all = Part { after: None, limit: usize::MAX };
        ranking.tools(|_| true, None, &all).into_iter().map(|found| found.item.to_string()).collect()
    }
}
