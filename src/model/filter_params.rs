//! Converts filters from and to query parameters.

use std::str::FromStr;

use super::filter::FilterField;
use super::filter_check::filter_error;
use super::{Cursor, Filter, FilterError, HealthFilter, Match, Position, TransportKind, View};

impl Filter {
    /// Returns the query parameters of the filter, without the cursor.
    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut pairs: Vec<_> = self.fields.iter().map(|(field, text)| pair(field.name(), text)).collect();
        pairs.extend(self.metadata.iter().map(|(key, value)| pair("metadata", &format!("{key}:{value}"))));
        pairs.extend(self.search.iter().map(|search| pair("q", search.text())));
        if self.matching != Match::default() {
            pairs.push(pair("match", self.matching.as_str()));
        }
        pairs.push(pair("healthy", self.health.as_str()));
        pairs.push(pair("limit", &self.limit.to_string()));
        pairs.push(pair("view", self.view.as_str()));
        pairs
    }

    /// Returns the cursor of a page of this filter that ends at this position.
    pub(crate) fn cursor(&self, position: Position) -> Cursor {
        Cursor::new(position, self.pairs())
    }

    /// Reads the query parameters of a request.
    ///
    /// A cursor contains the filters of its query. The same parameters may be given in addition to it.
    ///
    /// # Errors
    /// If a parameter is unknown or its value is not valid, or if parameters differ from those that the cursor contains.
    pub fn from_pairs<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, FilterError> {
        let mut parser = FilterParser::default();
        for (key, value) in pairs {
            parser.read(key.as_ref(), value.as_ref())?;
        }
        parser.finish()
    }
}

#[derive(Default)]
struct FilterParser {
    filter: Filter,
    given: Vec<String>,
    cursor: Option<Cursor>,
}

impl FilterParser {
    fn read(&mut self, key: &str, value: &str) -> Result<(), FilterError> {
        let filter = std::mem::take(&mut self.filter);
        let once = matches!(key, "healthy" | "limit" | "match" | "view" | "cursor");
        if once && self.given.iter().any(|given| given == key) {
            return Err(filter_error(key, "is given twice"));
        }
        self.given.push(if key == "tags" { "tag" } else { key }.to_owned());
        self.filter = match key {
            "tags" => filter.tags(value.split(',')),
            "transport" => {
                let kind = TransportKind::from_str(value).map_err(|detail| filter_error(key, detail))?;
                filter.transport(kind)
            }
            "metadata" => match value.split_once(':') {
                Some((key, value)) if !key.is_empty() => filter.metadata(key, value),
                _ => return Err(filter_error(key, "must have the form key:value")),
            },
            "q" => filter.search(value),
            "healthy" => {
                let kinds = [HealthFilter::Healthy, HealthFilter::Unhealthy, HealthFilter::Any];
                let kind = kinds.into_iter().find(|kind| kind.as_str() == value);
                filter.health(kind.ok_or_else(|| filter_error(key, "must be true, false or any"))?)
            }
            "limit" => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                let limit = value.parse().ok().filter(|_| digits);
                filter.limit(
                    limit.ok_or_else(|| filter_error(key, "must be a whole number between 1 and 1000"))?,
                )
            }
            "match" => {
                let matching =
                    [Match::Any, Match::All].into_iter().find(|matching| matching.as_str() == value);
                filter.matching(matching.ok_or_else(|| filter_error(key, "must be any or all"))?)
            }
            "view" => {
                let view = [View::Summary, View::Full].into_iter().find(|view| view.as_str() == value);
                filter.view(view.ok_or_else(|| filter_error(key, "must be summary or full"))?)
            }
            "cursor" => {
                let cursor = Cursor::from_str(value).map_err(|error| filter_error(key, error.to_string()))?;
                self.cursor = Some(cursor);
                filter
            }
            _ => match FilterField::ALL.into_iter().find(|field| field.name() == key) {
                Some(field) => filter.field(field, value),
                None => return Err(filter_error(key, "is not known here")),
            },
        };
        Ok(())
    }

    fn finish(self) -> Result<Filter, FilterError> {
        let Some(cursor) = self.cursor else {
            return self.filter.check().map(|()| self.filter);
        };
        let original = Self::filter_of(&cursor)?;
        let (given, expected) = (self.filter.pairs(), original.pairs());
        for key in self.given.iter().filter(|key| *key != "cursor") {
            let values_of = |pairs: &[(String, String)]| -> Vec<String> {
                let mut values: Vec<_> =
                    pairs.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone()).collect();
                values.sort();
                values
            };
            if values_of(&given) != values_of(&expected) {
                return Err(filter_error(key, "differs from the query that the cursor belongs to"));
            }
        }
        Ok(original.after(&cursor))
    }

    /// Parses the filter that a cursor contains.
    fn filter_of(cursor: &Cursor) -> Result<Filter, FilterError> {
        let mut parser = Self::default();
        for (key, value) in cursor.pairs() {
            if key == "cursor" {
                return Err(filter_error(
                    "cursor",
                    "is not a cursor of this registry; start without a cursor",
                ));
            }
            parser.read(key, value)?;
        }
        parser.filter.check().map(|()| parser.filter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Filter, FilterError> {
        Filter::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn a_cursor_contains_its_filters_and_rejects_others() {
        let filter = Filter::new().tags(["b", "a"]).metadata("k", "v:w").limit(2);
        let cursor = filter.cursor(Position::Server(7)).to_string();
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        let filter = parse(&[("cursor", &cursor)]).unwrap();
        assert_eq!(filter.after, Some(Position::Server(7)));
        assert_eq!(filter.limit, 2);
        assert!(parse(&[("cursor", &cursor), ("tags", "a,b"), ("limit", "2")]).is_ok());
        for other in [("tag", "a"), ("limit", "3"), ("tool", "x"), ("healthy", "any")] {
            let error = parse(&[("cursor", &cursor), other]).unwrap_err();
            assert_eq!(error.parameter, other.0);
        }
        for broken in ["", "x", "e30", "W10"] {
            assert_eq!(parse(&[("cursor", broken)]).unwrap_err().parameter, "cursor");
        }
    }
}
