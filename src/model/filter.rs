//! Which servers, or which tools, somebody asks for. As the parameters of a query: `query.rs`.

use super::words::words;
use super::{
    Cursor, DEFAULT_PAGE_LIMIT, MAX_FILTERS, MAX_QUERY, PAGE_LIMITS, Position, Record, TransportKind,
};

/// Which servers by health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum HealthFilter {
    /// Only those whose lease runs.
    #[default]
    Healthy,
    /// Only those whose lease has run out and that are not pruned yet.
    Unhealthy,
    /// Both.
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

/// Which results a search has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Match {
    /// All that hold some of the words, or that mean something like them.
    #[default]
    Any,
    /// Only those that hold every word, as the beginning of a word or of its stem.
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

/// How much of each server an answer holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum View {
    /// Of tools, resources and prompts what tells them apart: no schemas. Real catalogues weigh megabytes.
    #[default]
    Summary,
    /// All that was registered.
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

/// What a server has to match. Everything asked for must hold; asking the same thing twice means both.
///
/// ```
/// use paulina::Filter;
///
/// let filter = Filter::new().tool("read_file").capability("sampling").tags(["production"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    pub(crate) terms: Vec<(Term, String)>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) words: Option<String>,
    pub(crate) matching: Match,
    pub(crate) health: HealthFilter,
    pub(crate) limit: u32,
    pub(crate) view: View,
    pub(crate) after: Option<Position>,
    /// By what watchers were told instead of by health: all whose end they were not told of.
    pub(crate) told: bool,
}

/// The filters that are one exact text each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Term {
    Name,
    Tool,
    Prompt,
    Resource,
    Capability,
    Tag,
    Transport,
    Version,
    Owner,
}

impl Term {
    pub(crate) const ALL: [Self; 9] = [
        Self::Name,
        Self::Tool,
        Self::Prompt,
        Self::Resource,
        Self::Capability,
        Self::Tag,
        Self::Transport,
        Self::Version,
        Self::Owner,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
            Self::Capability => "capability",
            Self::Tag => "tag",
            Self::Transport => "transport",
            Self::Version => "version",
            Self::Owner => "owner",
        }
    }
}

/// What is wrong with a query: mend the parameter that it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("query parameter {parameter:?} {detail}")]
pub struct FilterError {
    /// The parameter.
    pub parameter: String,
    /// What is wrong with it.
    pub detail: String,
}

pub(super) fn wrong(parameter: &str, detail: impl Into<String>) -> FilterError {
    FilterError { parameter: parameter.to_owned(), detail: detail.into() }
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            terms: Vec::new(),
            metadata: Vec::new(),
            words: None,
            matching: Match::default(),
            health: HealthFilter::default(),
            limit: DEFAULT_PAGE_LIMIT,
            view: View::default(),
            after: None,
            told: false,
        }
    }
}

impl Filter {
    /// Every healthy server, a hundred a page, in summary.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn term(mut self, term: Term, text: impl Into<String>) -> Self {
        self.terms.push((term, text.into()));
        self.terms.sort_by_key(|(term, _)| *term);
        self
    }

    /// Servers of this name.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.term(Term::Name, name)
    }

    /// Servers that offer this tool.
    #[must_use]
    pub fn tool(self, name: impl Into<String>) -> Self {
        self.term(Term::Tool, name)
    }

    /// Servers that offer this prompt.
    #[must_use]
    pub fn prompt(self, name: impl Into<String>) -> Self {
        self.term(Term::Prompt, name)
    }

    /// Servers that can serve this URI: they registered it, or a template that matches it.
    #[must_use]
    pub fn resource(self, uri: impl Into<String>) -> Self {
        self.term(Term::Resource, uri)
    }

    /// Servers with this capability; `tools`, `resources` and `prompts` mean that they have any.
    #[must_use]
    pub fn capability(self, name: impl Into<String>) -> Self {
        self.term(Term::Capability, name)
    }

    /// Servers with this tag.
    #[must_use]
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.term(Term::Tag, tag)
    }

    /// Servers with all these tags.
    #[must_use]
    pub fn tags<T: Into<String>>(self, tags: impl IntoIterator<Item = T>) -> Self {
        tags.into_iter().fold(self, Self::tag)
    }

    /// Servers reached by this transport.
    #[must_use]
    pub fn transport(self, kind: TransportKind) -> Self {
        self.term(Term::Transport, kind.as_str())
    }

    /// Servers of this version.
    #[must_use]
    pub fn version(self, version: impl Into<String>) -> Self {
        self.term(Term::Version, version)
    }

    /// Servers registered with the token of this name.
    #[must_use]
    pub fn owner(self, name: impl Into<String>) -> Self {
        self.term(Term::Owner, name)
    }

    /// Servers with this pair of metadata.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// What is needed, in words or in a sentence: best first, by the names, titles, descriptions and parameters of the
    /// server and of what it offers, and by its tags. At most 2,000 characters.
    #[must_use]
    pub fn words(mut self, words: impl AsRef<str>) -> Self {
        let words = words.as_ref();
        self.words = Some(self.words.map_or_else(|| words.to_owned(), |before| format!("{before} {words}")));
        self
    }

    /// Which results [`words`](Self::words) has; any that are relevant if not set.
    #[must_use]
    pub fn matching(mut self, matching: Match) -> Self {
        self.matching = matching;
        self
    }

    /// Servers of this health; healthy ones if not set.
    #[must_use]
    pub fn health(mut self, health: HealthFilter) -> Self {
        self.health = health;
        self
    }

    /// How many a page holds, 1–1,000; 100 if not set.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// How much of each server an answer holds; a summary if not set.
    #[must_use]
    pub fn view(mut self, view: View) -> Self {
        self.view = view;
        self
    }

    /// The page that begins where another one ended.
    #[must_use]
    pub fn after(mut self, cursor: &Cursor) -> Self {
        self.after = Some(cursor.position().clone());
        self
    }

    /// What no query can answer: empty texts, too many filters, a limit out of range, a `q` without words.
    pub(crate) fn check(&self) -> Result<(), FilterError> {
        if let Some((term, _)) = self.terms.iter().find(|(_, text)| text.is_empty()) {
            return Err(wrong(term.as_str(), "must not be empty"));
        }
        if self.terms.len() + self.metadata.len() > MAX_FILTERS {
            return Err(wrong("tag", format!("and the other filters are more than {MAX_FILTERS}")));
        }
        if !PAGE_LIMITS.contains(&self.limit) {
            return Err(wrong("limit", "must be a whole number between 1 and 1000"));
        }
        self.check_words()
    }

    /// What cannot be searched for.
    pub(crate) fn check_words(&self) -> Result<(), FilterError> {
        let Some(text) = &self.words else {
            return match self.matching {
                Match::Any => Ok(()),
                Match::All => Err(wrong("match", "says how the words of q match, and there is no q")),
            };
        };
        let characters = text.chars().count();
        if characters > MAX_QUERY {
            return Err(wrong("q", format!("has {characters} characters; at most {MAX_QUERY} are allowed")));
        }
        match words(text).len() {
            0 => Err(wrong("q", "holds no word to search for")),
            count if self.matching == Match::All && count > MAX_FILTERS => Err(wrong(
                "q",
                format!("has {count} words; at most {MAX_FILTERS} are allowed with match=all"),
            )),
            _ => Ok(()),
        }
    }

    /// What nobody can watch: what is not alive, an order, a part of it.
    pub(crate) fn check_watch(&self) -> Result<(), FilterError> {
        self.check()?;
        if self.words.is_some() {
            return Err(wrong("q", "cannot be watched: it asks for an order, and a stream has its own"));
        }
        if self.health == HealthFilter::Unhealthy {
            return Err(wrong("healthy", "cannot be false here: an unhealthy server is told of as expired"));
        }
        if self.view == View::Full {
            return Err(wrong("view", "is always summary here; ask for the record of a server"));
        }
        if self.after.is_some() {
            return Err(wrong("cursor", "is not known here; resume with since, or Last-Event-ID"));
        }
        Ok(())
    }

    /// Whether every server matches, but for its health and what is searched for.
    pub(crate) fn is_for_all(&self) -> bool {
        self.terms.is_empty() && self.metadata.is_empty()
    }

    /// Whether a server matches, but for its health and what is searched for: as SQL decides it, in memory.
    pub(crate) fn matches(&self, record: &Record) -> bool {
        let capabilities = &record.capabilities;
        let term = |(term, text): &(Term, String)| match term {
            Term::Name => record.name == *text,
            Term::Tool => capabilities.tools.iter().any(|tool| tool.name() == text),
            Term::Prompt => capabilities.prompts.iter().any(|prompt| prompt.name() == text),
            Term::Resource => capabilities.resources.iter().any(|resource| resource.address().serves(text)),
            Term::Capability => {
                capabilities.named().any(|(name, options)| name == text && options != "false")
            }
            Term::Tag => record.tags.contains(text),
            Term::Transport => record.transport.kind().as_str() == text,
            Term::Version => record.version.as_ref() == Some(text),
            Term::Owner => record.owner.as_ref() == Some(text),
        };
        self.terms.iter().all(term)
            && self.metadata.iter().all(|(key, value)| record.metadata.get(key) == Some(value))
    }
}
