//! The filters of the API as flags, shared by the commands that find servers and tools.

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};

use crate::model::{FieldDefinition, Filter, FilterError, FilterField, Match};

/// The servers to find. All filters have to match, and so do all values of a repeated flag.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Filters")]
pub(super) struct FilterArgs {
    /// Text to search for: words or a sentence, like "open a pull request". The best match comes first.
    #[arg(value_name = "SEARCH")]
    search: Vec<String>,

    #[command(flatten)]
    fields: FieldArgs,

    /// Servers with this metadata.
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,

    /// Servers that are healthy (true), unhealthy (false), or both (any).
    #[arg(long, value_name = "true|false|any", default_value = "true")]
    healthy: String,
}

/// A flag for each field that filters match exactly, with its values.
#[derive(Debug, Default)]
struct FieldArgs(Vec<(FilterField, String)>);

/// Returns the id of a field's flag. The id `version` belongs to the flag that prints the version of the program.
fn flag_id(field: FilterField) -> &'static str {
    if field == FilterField::Version { "server version" } else { field.name() }
}

impl Args for FieldArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        FilterField::ALL.into_iter().fold(command, |command, field| {
            let FieldDefinition { name, value_name, description, .. } = field.definition();
            let mut flag = Arg::new(flag_id(field))
                .long(name)
                .value_name(value_name)
                .help(description.trim_end_matches('.'))
                .help_heading("Filters")
                .action(ArgAction::Append);
            if field == FilterField::Tag {
                flag = flag.value_delimiter(',');
            }
            command.arg(flag)
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FieldArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let values = |field: FilterField| {
            let values = matches.get_many::<String>(flag_id(field)).into_iter().flatten();
            values.map(move |value| (field, value.clone()))
        };
        Ok(Self(FilterField::ALL.into_iter().flat_map(values).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
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
        let fields = self.fields.0.iter().map(|(field, value)| (field.name(), value.clone()));
        let search = self.search.iter().map(|text| ("q", text.clone()));
        let pairs = fields.chain(search);
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
