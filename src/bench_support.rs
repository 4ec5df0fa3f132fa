//! Access for benchmarks to the store without registry and HTTP, and to single signals of the search.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::model::{Actor, Filter, Match, SearchText, Tool, ValidRegistration};
use crate::search::{Index, PageBounds, Query, Ranking, SearchSignal, digest, documents_of, encode};
use crate::store;
use crate::store::{InitialState, Job, Location, Moment, PreparedRegistration, Search, WriteCommand, Writer};

/// The writer of a database, without a registry.
pub struct RawWriter(Writer);

const NOW: Moment = Moment { lease: 1_000_000, wall: 1_000_000, offset: 0 };

impl RawWriter {
    /// Creates a database.
    ///
    /// # Errors
    /// If it cannot be created.
    pub async fn create(path: &Path) -> Result<Self, crate::OpenError> {
        Ok(Self(store::open(&Location::File(path.to_owned()), InitialState::New(0)).await?.writer))
    }

    /// Writes registrations in one transaction and returns how long that took.
    ///
    /// # Panics
    /// If the transaction fails.
    #[expect(clippy::expect_used, clippy::disallowed_methods, reason = "a benchmark")]
    pub async fn insert(&mut self, registrations: Vec<ValidRegistration>) -> Duration {
        let command = |registration: ValidRegistration| {
            let prepared =
                PreparedRegistration::new(registration, true, Actor::InProcess, &Search::default())
                    .expect("it can be stored");
            WriteCommand::Register(Box::new(Job::new(prepared).0))
        };
        let mut batch: Vec<WriteCommand> = registrations.into_iter().map(command).collect();
        let start = Instant::now();
        self.0.run(&mut batch, NOW).await.expect("the batch is committed");
        start.elapsed()
    }
}

/// Returns the SQL of a page of servers.
#[must_use]
pub fn find_sql(filter: &Filter) -> String {
    store::find_sql(filter)
}

/// A search without a database.
#[derive(Default)]
pub struct SearchBench(Index);

/// The signals that a search uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchMode {
    /// Only words, all of which have to match.
    Strict,
    /// Only words.
    Lexical,
    /// Only embeddings.
    Semantic,
    /// Words and embeddings.
    Both,
}

impl SearchBench {
    /// Adds a server.
    pub fn add(&mut self, number: i64, registration: ValidRegistration) {
        let (record, _) = registration.into_record();
        let definitions = || record.capabilities.tools.iter().map(Tool::definition);
        let documents = encode(&documents_of(&record, definitions()));
        self.0.put(number, digest(&record, definitions()), Some(&documents));
    }

    /// Returns the names of matching tools, best first.
    #[must_use]
    pub fn tools(&self, text: &str, mode: SearchMode) -> Vec<String> {
        let query = Query::new(&SearchText::new(text.to_owned()));
        let matching = if mode == SearchMode::Strict { Match::All } else { Match::Any };
        let ranking = Ranking::new(&self.0, &query, matching);
        let ranking = match mode {
            SearchMode::Strict | SearchMode::Both => ranking,
            SearchMode::Lexical => ranking.restricted_to(SearchSignal::Lexical),
            SearchMode::Semantic => ranking.restricted_to(SearchSignal::Semantic),
        };
        let all = PageBounds { after: None, limit: usize::MAX };
        ranking.tools(|_| true, None, &all).into_iter().map(|result| result.item.to_string()).collect()
    }
}
