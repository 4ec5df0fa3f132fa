//! The filters of the API as flags, shared by the commands that find servers and tools.

use clap::Args;

use crate::model::{Filter, FilterError, Match};

/// The servers to find. All filters have to match, and so do all values of a repeated flag.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Filters")]
pub(super) struct FilterArgs {
    /// Text to search for: words or a sentence, like "open a pull request". The best match comes first.
    #[arg(value_name = "SEARCH")]
    search: Vec<String>,

    /// Servers with this name.
    #[arg(long)]
    name: Vec<String>,

    /// Servers that offer this tool.
    #[arg(long)]
    tool: Vec<String>,

    /// Servers that offer this prompt.
    #[arg(long)]
    prompt: Vec<String>,

    /// Servers that can serve this URI.
    #[arg(long, value_name = "URI")]
    resource: Vec<String>,

    /// Servers with this capability. `tools`, `resources` and `prompts` match servers that offer any.
    #[arg(long)]
    capability: Vec<String>,

    /// Servers with this tag.
    #[arg(long, value_delimiter = ',')]
    tag: Vec<String>,

    /// Servers with this transport: stdio, streamable-http or sse.
    #[arg(long, value_name = "KIND")]
    transport: Vec<String>,

    /// Servers with this version.
    #[arg(long = "version", id = "server version", value_name = "VERSION")]
    version: Vec<String>,

    /// Servers registered with the token of this name.
    #[arg(long, value_name = "NAME")]
    owner: Vec<String>,

    /// Servers with this metadata.
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,

    /// Servers that are healthy (true), unhealthy (false), or both (any).
    #[arg(long, value_name = "true|false|any", default_value = "true")]
    healthy: String,
}

/// The number and the precision of the results.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Results")]
pub(super) struct SearchArgs {
    /// Maximum number of results, 1-1000. If not set, a search returns the best 20, and anything else all.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,

    /// Only results that contain every word of the search text, as the beginning of a word.
    #[arg(long)]
    all_words: bool,
}

impl SearchArgs {
    /// The limit of a search without --limit.
    const DEFAULT_SEARCH_LIMIT: u32 = 20;

    /// Returns the filter with these settings, and whether only the first page is to be shown.
    pub(super) fn apply(&self, filter: Filter) -> (Filter, bool) {
        let filter = if self.all_words { filter.matching(Match::All) } else { filter };
        match self.limit.or(filter.search.is_some().then_some(Self::DEFAULT_SEARCH_LIMIT)) {
            Some(limit) => (filter.limit(limit), true),
            None => (filter, false),
        }
    }
}

/// The line after results that were cut off by the limit.
pub(super) const MORE_RESULTS: &str = "more results exist: raise --limit to see them";

impl FilterArgs {
    /// Returns the filter that the flags describe.
    pub(super) fn filter(&self) -> Result<Filter, FilterError> {
        let lists = [
            ("name", &self.name),
            ("tool", &self.tool),
            ("prompt", &self.prompt),
            ("resource", &self.resource),
            ("capability", &self.capability),
            ("tag", &self.tag),
            ("transport", &self.transport),
            ("version", &self.version),
            ("owner", &self.owner),
            ("q", &self.search),
        ];
        let pairs =
            lists.into_iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value.clone())));
        let metadata = self.metadata.iter().map(|pair| ("metadata", pair.replacen('=', ":", 1)));
        let healthy = [("healthy", self.healthy.clone())];
        Filter::from_pairs(pairs.chain(metadata).chain(healthy)).map_err(|error| {
            match error.parameter.as_str() {
                "q" => FilterError { parameter: "search".to_owned(), ..error },
                _ => error,
            }
        })
    }
}
