//! A filter as the parameters of a query, written and read.

use std::str::FromStr;

use super::filter::{Term, wrong};
use super::{Cursor, Filter, FilterError, HealthFilter, Match, TransportKind, View};

impl Filter {
    /// The query parameters that say the same, but for the cursor.
    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut pairs: Vec<_> = self.terms.iter().map(|(term, text)| pair(term.as_str(), text)).collect();
        pairs.extend(self.metadata.iter().map(|(key, value)| pair("metadata", &format!("{key}:{value}"))));
        pairs.extend(self.words.iter().map(|words| pair("q", words)));
        if self.matching != Match::default() {
            pairs.push(pair("match", self.matching.as_str()));
        }
        pairs.push(pair("healthy", self.health.as_str()));
        pairs.push(pair("limit", &self.limit.to_string()));
        pairs.push(pair("view", self.view.as_str()));
        pairs
    }

    /// Reads the query parameters of a request.
    ///
    /// A cursor carries the filters of the query it came from: the same parameters beside it are fine.
    ///
    /// # Errors
    /// When a parameter is unknown or has a value of the wrong kind, or when parameters beside a cursor differ from
    /// what it carries.
    pub fn from_pairs<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, FilterError> {
        let mut reader = Reader::default();
        for (key, value) in pairs {
            reader.read(key.as_ref(), value.as_ref())?;
        }
        reader.finish()
    }
}

#[derive(Default)]
struct Reader {
    filter: Filter,
    given: Vec<String>,
    cursor: Option<Cursor>,
}

impl Reader {
    fn read(&mut self, key: &str, value: &str) -> Result<(), FilterError> {
        let filter = std::mem::take(&mut self.filter);
        let once = matches!(key, "healthy" | "limit" | "match" | "view" | "cursor");
        if once && self.given.iter().any(|given| given == key) {
            return Err(wrong(key, "is given twice"));
        }
        self.given.push(if key == "tags" { "tag" } else { key }.to_owned());
        self.filter = match key {
            "tags" => filter.tags(value.split(',')),
            "transport" => {
                let kind = TransportKind::from_str(value).map_err(|detail| wrong(key, detail))?;
                filter.transport(kind)
            }
            "metadata" => match value.split_once(':') {
                Some((key, value)) if !key.is_empty() => filter.metadata(key, value),
                _ => return Err(wrong(key, "must have the form key:value")),
            },
            "q" => filter.words(value),
            "healthy" => {
                let kinds = [HealthFilter::Healthy, HealthFilter::Unhealthy, HealthFilter::Any];
                let kind = kinds.into_iter().find(|kind| kind.as_str() == value);
                filter.health(kind.ok_or_else(|| wrong(key, "must be true, false or any"))?)
            }
            "limit" => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                let limit = value.parse().ok().filter(|_| digits);
                filter.limit(limit.ok_or_else(|| wrong(key, "must be a whole number between 1 and 1000"))?)
            }
            "match" => {
                let matching =
                    [Match::Any, Match::All].into_iter().find(|matching| matching.as_str() == value);
                filter.matching(matching.ok_or_else(|| wrong(key, "must be any or all"))?)
            }
            "view" => {
                let view = [View::Summary, View::Full].into_iter().find(|view| view.as_str() == value);
                filter.view(view.ok_or_else(|| wrong(key, "must be summary or full"))?)
            }
            "cursor" => {
                let cursor = Cursor::from_str(value).map_err(|error| wrong(key, error.to_string()))?;
                self.cursor = Some(cursor);
                filter
            }
            _ => match Term::ALL.into_iter().find(|term| term.as_str() == key) {
                Some(term) => filter.term(term, value),
                None => return Err(wrong(key, "is not known here")),
            },
        };
        Ok(())
    }

    fn finish(self) -> Result<Filter, FilterError> {
        let Some(cursor) = self.cursor else {
            return self.filter.check().map(|()| self.filter);
        };
        let carried = Self::carried(&cursor)?;
        let (given, known) = (self.filter.pairs(), carried.pairs());
        for key in self.given.iter().filter(|key| *key != "cursor") {
            let of = |pairs: &[(String, String)]| -> Vec<String> {
                let mut values: Vec<_> =
                    pairs.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone()).collect();
                values.sort();
                values
            };
            if of(&given) != of(&known) {
                return Err(wrong(key, "differs from the query that the cursor belongs to"));
            }
        }
        Ok(carried.after(&cursor))
    }

    fn carried(cursor: &Cursor) -> Result<Filter, FilterError> {
        let mut reader = Self::default();
        for (key, value) in cursor.pairs() {
            if key == "cursor" {
                return Err(wrong("cursor", "is not one of this registry's"));
            }
            reader.read(key, value)?;
        }
        reader.filter.check().map(|()| reader.filter)
    }
}
