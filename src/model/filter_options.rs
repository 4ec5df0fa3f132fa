//! Which servers a filter selects, in which order, and how much of each.

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
