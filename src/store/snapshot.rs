//! A read-only copy of another registry's database.
//!
//! The file is never written after it is complete: the next copy is another file. So it is opened as immutable, and SQLite
//! takes no locks and creates no log.

use std::path::Path;

use sqlx::{ConnectOptions, Connection};

use super::cache::lease_table::LeaseTable;
use super::cache::state::CommittedState;
use super::database::connect::{SharedConnection, connect_readers, file_options};
use super::database::create::{migrate_and_checkpoint, restrict_to_owner};
use super::database::inspect::inspect_schema;
use super::database::migrations;
use super::error::OpenError;
use super::read::reader::Readers;
use super::read::settings::{self, Settings};
use super::write::tokens;
use crate::model::{Revision, Tokens};
use std::sync::Arc;

/// An open copy, and the state that is kept in memory.
pub(crate) struct SnapshotDatabase {
    connections: Vec<SharedConnection>,
    leases: LeaseTable,
    tokens: Tokens,
    revision: Revision,
    /// The lease time of its last commit.
    pub(crate) committed: i64,
    /// The wall time of its last commit, in milliseconds.
    pub(crate) committed_at: i64,
}

impl SnapshotDatabase {
    /// Opens a copy. A copy of an older Paulina is migrated first.
    pub(crate) async fn open(path: &Path) -> Result<Self, OpenError> {
        restrict_to_owner(path).map_err(|reason| OpenError::Io { path: path.to_owned(), reason })?;
        let options = file_options(path).read_only(true).immutable(true);
        match inspect_schema(path, options.clone()).await? {
            None => return Err(OpenError::NotADatabase { path: path.to_owned() }),
            Some(known) if known == migrations::newest() => {}
            Some(_) => migrate_and_checkpoint(path).await?,
        }
        let mut connection = options.connect().await.map_err(|error| OpenError::from_sqlite(path, &error))?;
        let read = async {
            let settings = settings::load(&mut connection).await?;
            let (leases, tokens) =
                (LeaseTable::load(&mut connection).await?, tokens::load(&mut connection).await?);
            Ok((settings, leases, tokens))
        };
        let read = read.await.map_err(|error| OpenError::from_store(path, &error));
        connection.close().await.map_err(|error| OpenError::from_sqlite(path, &error))?;
        let (settings, leases, tokens) = read?;
        let Settings { revision, lease_clock: committed, wall_offset } = settings;
        let connections = connect_readers(path, &options).await?;
        let committed_at = committed.saturating_add(wall_offset);
        Ok(Self { connections, leases, tokens, revision, committed, committed_at })
    }

    /// Returns the state and the readers of the first copy.
    pub(crate) fn start(self, cache_bytes: u64) -> (Arc<CommittedState>, Readers) {
        let state = Arc::new(CommittedState::new(self.leases, self.revision, self.tokens, cache_bytes));
        let readers = Readers::new(self.connections, Arc::clone(&state));
        (state, readers)
    }

    /// Replaces an older copy, which must not be read any more.
    pub(crate) fn replace_in(self, state: &Arc<CommittedState>) -> Readers {
        state.advance_to(self.leases, self.revision, self.tokens);
        Readers::new(self.connections, Arc::clone(state))
    }
}
