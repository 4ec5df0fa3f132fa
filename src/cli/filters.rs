//! The filters of the API as flags.

use clap::Args;

use crate::model::{Filter, FilterError, Match};

/// Which servers. All that is given has to hold; a flag that is given twice means both.
#[derive(Debug, Args, Default)]
pub(super) struct Filters {
    /// What is needed, in words or in a sentence, best first: "open a pull request".
    #[arg(value_name = "WORDS")]
    words: Vec<String>,

    /// Servers of this name.
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

    /// Servers with this capability; tools, resources and prompts mean that they have any.
    #[arg(long)]
    capability: Vec<String>,

    /// Servers with this tag.
    #[arg(long, value_delimiter = ',')]
    tag: Vec<String>,

    /// Servers reached by stdio, streamable-http or sse.
    #[arg(long, value_name = "KIND")]
    transport: Vec<String>,

    /// Servers of this version.
    #[arg(long = "version", id = "server version", value_name = "VERSION")]
    version: Vec<String>,

    /// Servers registered with the token of this name.
    #[arg(long, value_name = "NAME")]
    owner: Vec<String>,

    /// Servers with this pair of metadata.
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,

    /// Which by health: true, false or any.
    #[arg(long, value_name = "true|false|any", default_value = "true")]
    healthy: String,
}

/// How much of what is found is shown.
#[derive(Debug, Args, Default)]
pub(super) struct Best {
    /// How many at most, 1-1000; of a search the best 20 if not set, else all.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,

    /// Only what holds every word of the search, as the beginning of a word.
    #[arg(long)]
    all_words: bool,
}

impl Best {
    /// How many are shown of a search, if nobody says.
    const SHOWN: u32 = 20;

    /// The filter with what is to be shown of it, and whether that is the best alone.
    pub(super) fn of(&self, filter: Filter) -> (Filter, bool) {
        let filter = if self.all_words { filter.matching(Match::All) } else { filter };
        match self.limit.or(filter.words.is_some().then_some(Self::SHOWN)) {
            Some(limit) => (filter.limit(limit), true),
            None => (filter, false),
        }
    }
}

/// Says that there is more than was shown.
pub(super) const MORE: &str = "there are more: --limit shows them";

impl Filters {
    /// The filter that they describe.
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
            ("q", &self.words),
        ];
        let pairs =
            lists.into_iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value.clone())));
        let metadata = self.metadata.iter().map(|pair| ("metadata", pair.replacen('=', ":", 1)));
        let healthy = [("healthy", self.healthy.clone())];
        Filter::from_pairs(pairs.chain(metadata).chain(healthy)).map_err(|error| {
            match error.parameter.as_str() {
                "q" => FilterError { parameter: "words".to_owned(), ..error },
                _ => error,
            }
        })
    }
}
