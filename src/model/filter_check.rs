//! The checks of filters.

use super::{Filter, HealthFilter, MAX_FILTERS, MAX_QUERY, Match, PAGE_LIMITS, View};

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

impl Filter {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_text_is_split_only_if_it_is_short_enough() {
        for (text, is_valid) in [("read a file".to_owned(), true), ("a ".repeat(MAX_QUERY), false)] {
            let filter = Filter::new().search(text);
            assert_eq!(filter.check().is_ok(), is_valid);
            assert_eq!(filter.search.unwrap().is_split(), is_valid);
        }
    }
}
