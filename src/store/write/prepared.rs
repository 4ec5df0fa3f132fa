//! Registrations that are prepared before the writer gets them, since there is only one writer.

use std::sync::Arc;

use chrono::DateTime;
use sqlx::Error;

use super::search_text::Text;
use crate::model::{Actor, Record, ValidRegistration};
use crate::store::cache::search_index::Search;
use crate::store::error::StoreError;
use crate::store::record::RecordTimes;

/// A registration that is ready to be written, with everything that is derived from it.
pub(crate) struct PreparedRegistration {
    pub(in crate::store) record: Arc<Record>,
    /// Its timestamps are set when it is written.
    pub(in crate::store) times: RecordTimes,
    /// The head of its summary.
    pub(in crate::store) summary: String,
    /// The documents that searches find it by.
    pub(in crate::store) text: Text,
    pub(in crate::store) only_new: bool,
    pub(in crate::store) actor: Actor,
}

impl PreparedRegistration {
    /// Prepares a registration. With `only_new`, a server that has the id already is not replaced.
    pub(crate) fn new(
        registration: ValidRegistration,
        only_new: bool,
        actor: Actor,
        search: &Search,
    ) -> Result<Self, StoreError> {
        let (mut record, ttl) = registration.into_record();
        record.owner = actor.owner(None);
        let times =
            RecordTimes { ttl, registered_at: DateTime::UNIX_EPOCH, updated_at: DateTime::UNIX_EPOCH };
        let summary = summary(&record)?;
        let text = Text::of(&record, |digest| search.uses(digest));
        Ok(Self { text, summary, times, record: Arc::new(record), only_new, actor })
    }

    pub(crate) fn id(&self) -> &str {
        &self.record.id
    }

    /// Returns about how many bytes it writes.
    pub(crate) fn bytes(&self) -> usize {
        self.summary.len() + self.record.capabilities.bytes() + self.text.bytes()
    }
}

/// Returns the head of a record's summary.
pub(in crate::store) fn summary(record: &Record) -> Result<String, StoreError> {
    Ok(serde_json::to_string(&record.summary()).map_err(|error| Error::Encode(error.into()))?)
}
