//! A copy of another registry's database, which is only read.
//!
//! Nobody writes the file once it is there: the next copy is another file. So it is opened as what does not change, and
//! SQLite takes no locks and makes no log beside it.

use std::path::Path;

use sqlx::{ConnectOptions, Connection};

use super::cache::lease_table::Mirror;
use super::cache::state::Live;
use super::database::connect::{Shared, all_reading, file_options};
use super::database::create::{fold, private};
use super::database::inspect::inspect_schema;
use super::database::migrations;
use super::error::OpenError;
use super::read::reader::Readers;
use super::write::tokens;
use super::write::writer::settings;
use crate::model::{Revision, Tokens};
use std::sync::Arc;

/// A copy, and what is to be known of it without asking it.
pub(crate) struct Copied {
    connections: Vec<Shared>,
    mirror: Mirror,
    tokens: Tokens,
    revision: Revision,
    /// The lease time of its last commit.
    pub(crate) committed: i64,
    /// The wall time of its last commit, in milliseconds.
    pub(crate) committed_at: i64,
}

impl Copied {
    /// Opens a copy, one of an older Paulina once it is brought up to date.
    pub(crate) async fn open(path: &Path) -> Result<Self, OpenError> {
        private(path).map_err(|reason| OpenError::Io { path: path.to_owned(), reason })?;
        let options = file_options(path).read_only(true).immutable(true);
        match inspect_schema(path, options.clone()).await? {
            None => return Err(OpenError::NotADatabase { path: path.to_owned() }),
            Some(known) if known == migrations::newest() => {}
            Some(_) => fold(path).await?,
        }
        let mut connection = options.connect().await.map_err(|error| OpenError::sqlite(path, &error))?;
        let read = async {
            let (revision, committed, offset) = settings(&mut connection).await?;
            let (mirror, tokens) =
                (Mirror::load(&mut connection).await?, tokens::load(&mut connection).await?);
            Ok((revision, committed, offset, mirror, tokens))
        };
        let read = read.await.map_err(|error| OpenError::unreadable(path, &error));
        connection.close().await.map_err(|error| OpenError::sqlite(path, &error))?;
        let (revision, committed, offset, mirror, tokens) = read?;
        let connections = all_reading(path, &options).await?;
        let committed_at = committed.saturating_add(offset);
        Ok(Self { connections, mirror, tokens, revision, committed, committed_at })
    }

    /// What begins with it.
    pub(crate) fn begin(self, answer_bytes: u64) -> (Arc<Live>, Readers) {
        let live = Arc::new(Live::new(self.mirror, self.revision, self.tokens, answer_bytes));
        let readers = Readers::new(self.connections, Arc::clone(&live));
        (live, readers)
    }

    /// Takes the place of an older copy. Nobody may be reading that one.
    pub(crate) fn succeed(self, live: &Arc<Live>) -> Readers {
        live.move_on(self.mirror, self.revision, self.tokens);
        Readers::new(self.connections, Arc::clone(live))
    }
}
