//! Filters of servers and tools. `filter_params.rs` converts them from and to query parameters.

use super::filter_field::FilterField;
use super::search_text::SearchText;
use super::{Cursor, DEFAULT_PAGE_LIMIT, MAX_FILTERS, MAX_QUERY, PAGE_LIMITS, Position, Record};

/// Selects servers by health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum HealthFilter {
    /// Only servers with a running lease.
    #[default]
    Healthy,
    /// Only servers whose lease has expired and that are not pruned yet.
    Unhealthy,
    /// Servers of any health.
    Any,
}

impl HealthFilter {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "true",
            Self::Unhealthy => "false",
            Self::Any => "any",
        }
    }
}

/// Selects the results of a search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Match {
    /// Results that contain some of the words, or are similar in meaning.
    #[default]
    Any,
    /// Only results that contain every word, as a prefix of a word or of its stem.
    All,
}

impl Match {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
        }
    }
}

/// How much of each server a response contains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum View {
    /// Names and descriptions of tools, resources and prompts, but no schemas: full catalogs can have megabytes.
    #[default]
    Summary,
    /// The whole record.
    Full,
}

impl View {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Full => "full",
        }
    }
}

/// Conditions that a server has to match, all of them. Repeated conditions of the same kind have to match as well.
///
/// ```
/// use paulina::Filter;
///
/// let filter = Filter::new().tool("read_file").capability("sampling").tags(["production"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    pub(crate) fields: Vec<(FilterField, String)>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) search: Option<SearchText>,
    pub(crate) matching: Match,
    pub(crate) health: HealthFilter,
    pub(crate) limit: u32,
    pub(crate) view: View,
    pub(crate) after: Option<Position>,
    /// Ignores health, and selects all servers whose expiry has not been recorded as a change.
    pub(crate) expiry_not_recorded: bool,
}

/// A query parameter is not valid: fix the parameter that the error names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("query parameter {parameter:?} {detail}")]
pub struct FilterError {
    /// The name of the query parameter.
    pub parameter: String,
    /// What is wrong with it.
    pub detail: String,
}

pub(super) fn filter_error(parameter: &str, detail: impl Into<String>) -> FilterError {
    FilterError { parameter: parameter.to_owned(), detail: detail.into() }
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            fields: Vec::new(),
            metadata: Vec::new(),
            search: None,
            matching: Match::default(),
            health: HealthFilter::default(),
            limit: DEFAULT_PAGE_LIMIT,
            view: View::default(),
            after: None,
            expiry_not_recorded: false,
        }
    }
}

impl Filter {
    /// Creates a filter for all healthy servers, in summary, 100 per page.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn field(mut self, field: FilterField, text: impl Into<String>) -> Self {
        self.fields.push((field, text.into()));
        self.fields.sort_by_key(|(field, _)| *field);
        self
    }

    /// Selects servers with this metadata.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Searches for words or a sentence of at most 2,000 characters. The results are ranked by names, titles, descriptions
    /// and parameters of the server and its tools, resources and prompts, and by its tags.
    #[must_use]
    pub fn search(mut self, text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        self.search = Some(match self.search {
            None => SearchText::new(text.to_owned()),
            Some(before) => SearchText::new(format!("{} {text}", before.text())),
        });
        self
    }

    /// Sets which results a [`search`](Self::search) has; any relevant ones by default.
    #[must_use]
    pub fn matching(mut self, matching: Match) -> Self {
        self.matching = matching;
        self
    }

    /// Selects servers by health; healthy ones by default.
    #[must_use]
    pub fn health(mut self, health: HealthFilter) -> Self {
        self.health = health;
        self
    }

    /// Sets the maximum number of results per page, 1–1,000; 100 by default.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Sets how much of each server a response contains; a summary by default.
    #[must_use]
    pub fn view(mut self, view: View) -> Self {
        self.view = view;
        self
    }

    /// Selects the page after a cursor.
    #[must_use]
    pub fn after(mut self, cursor: &Cursor) -> Self {
        self.after = Some(cursor.position().clone());
        self
    }

    /// Checks that the filter is valid: no empty texts, not too many conditions, a limit in range, a search with words.
    pub(crate) fn check(&self) -> Result<(), FilterError> {
        if let Some((field, _)) = self.fields.iter().find(|(_, text)| text.is_empty()) {
            return Err(filter_error(field.name(), "must not be empty"));
        }
        if self.fields.len() + self.metadata.len() > MAX_FILTERS {
            let count = self.fields.len() + self.metadata.len();
            let detail =
                format!("and the other filters are {count} in total; at most {MAX_FILTERS} are allowed");
            return Err(filter_error("tag", detail));
        }
        if !PAGE_LIMITS.contains(&self.limit) {
            return Err(filter_error("limit", "must be a whole number between 1 and 1000"));
        }
        self.check_search()
    }

    /// Checks that the search is valid.
    pub(crate) fn check_search(&self) -> Result<(), FilterError> {
        let Some(search) = &self.search else {
            return match self.matching {
                Match::Any => Ok(()),
                Match::All => Err(filter_error("match", "has no effect without q")),
            };
        };
        let characters = search.text().chars().count();
        if characters > MAX_QUERY {
            return Err(filter_error(
                "q",
                format!("has {characters} characters; at most {MAX_QUERY} are allowed"),
            ));
        }
        match search.words().len() {
            0 => Err(filter_error("q", "contains no word to search for")),
            count if self.matching == Match::All && count > MAX_FILTERS => Err(filter_error(
                "q",
                format!("has {count} words; at most {MAX_FILTERS} are allowed with match=all"),
            )),
            _ => Ok(()),
        }
    }

    /// Checks that the filter can be watched: without ranking, pagination and unhealthy servers.
    pub(crate) fn check_watch(&self) -> Result<(), FilterError> {
        self.check()?;
        if self.search.is_some() {
            return Err(filter_error("q", "cannot be watched, since events are not ranked"));
        }
        if self.health == HealthFilter::Unhealthy {
            return Err(filter_error(
                "healthy",
                "cannot be false here: an unhealthy server is reported as expired",
            ));
        }
        if self.view == View::Full {
            return Err(filter_error("view", "must be summary here; get full records by id"));
        }
        if self.after.is_some() {
            return Err(filter_error("cursor", "is not known here; resume with since or Last-Event-ID"));
        }
        Ok(())
    }

    /// Returns whether every server matches, apart from health and search.
    pub(crate) fn has_no_conditions(&self) -> bool {
        self.fields.is_empty() && self.metadata.is_empty()
    }

    /// Returns whether a server matches, apart from health and search, with the same result as the SQL of a query.
    pub(crate) fn matches(&self, record: &Record) -> bool {
        self.fields.iter().all(|(field, text)| field.matches(record, text))
            && self.metadata.iter().all(|(key, value)| record.metadata.get(key) == Some(value))
    }
}
