//! Registrations as they are prepared before the writer's turn: one task writes, many register.

use std::sync::Arc;

use sqlx::Error;

use super::search_text::Text;
use crate::model::{Actor, Record, ValidRegistration, View};
use crate::store::cache::search_index::Search;
use crate::store::error::StoreError;

/// A registration on its way into the tables, with all that is made of it.
pub(crate) struct PreparedRegistration {
    /// What the server says of itself. Its times are set when it is written.
    pub(in crate::store) record: Arc<Record>,
    /// The head of its summary.
    pub(in crate::store) summary: String,
    /// What it is found by.
    pub(in crate::store) text: Text,
    pub(in crate::store) only_new: bool,
    pub(in crate::store) actor: Actor,
}

impl PreparedRegistration {
    /// With `only_new`, an id that is taken is left alone.
    pub(crate) fn new(
        registration: ValidRegistration,
        only_new: bool,
        actor: Actor,
        search: &Search,
    ) -> Result<Self, StoreError> {
        let mut record = registration.into_record();
        record.owner = actor.owner(None);
        let summary = summary(&record)?;
        let text = Text::of(&record, |digest| search.uses(digest));
        Ok(Self { text, summary, record: Arc::new(record), only_new, actor })
    }

    pub(crate) fn id(&self) -> &str {
        &self.record.id
    }

    /// About how many bytes it writes.
    pub(crate) fn bytes(&self) -> usize {
        self.summary.len() + self.record.capabilities.bytes() + self.text.bytes()
    }
}

/// The head of a record's summary.
pub(in crate::store) fn summary(record: &Record) -> Result<String, StoreError> {
    Ok(record.head(View::Summary).map_err(|error| Error::Encode(error.into()))?)
}
