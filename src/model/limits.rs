//! How large things may be. Real servers have up to 32 tools and 180 KB of schemas; the limits leave room above.

/// Characters of a registration's `id`.
pub const MAX_ID_CHARACTERS: usize = 128;
/// Characters of a registration's `name`.
pub const MAX_NAME_CHARACTERS: usize = 200;
/// Characters of a registration's `title`.
pub const MAX_TITLE_CHARACTERS: usize = 200;
/// Characters of a registration's `version`.
pub const MAX_VERSION_CHARACTERS: usize = 100;
/// Characters of a registration's `description`.
pub const MAX_DESCRIPTION_CHARACTERS: usize = 10_000;
/// Characters of a `url`.
pub const MAX_URL_CHARACTERS: usize = 2_000;
/// Words of a `command`.
pub const MAX_COMMAND_WORDS: usize = 256;
/// Bytes of one word of a `command`.
pub const MAX_COMMAND_WORD_BYTES: usize = 8_192;
/// Declared environment variables, and declared headers.
pub const MAX_INPUTS: usize = 256;
/// Tools, resources and prompts, each.
pub const MAX_DEFINITIONS: usize = 2_000;
/// Characters of the name of a tool, prompt, capability, environment variable or header.
pub const MAX_DEFINITION_NAME_CHARACTERS: usize = 256;
/// Bytes of a resource's URI or template.
pub const MAX_URI_BYTES: usize = 2_000;
/// Named flags beside tools, resources and prompts.
pub const MAX_FLAGS: usize = 64;
/// Tags of a server.
pub const MAX_TAGS: usize = 64;
/// Characters of a tag.
pub const MAX_TAG_CHARACTERS: usize = 100;
/// Pairs of metadata.
pub const MAX_METADATA: usize = 64;
/// Characters of a metadata key.
pub const MAX_METADATA_KEY_CHARACTERS: usize = 64;
/// Characters of a metadata value.
pub const MAX_METADATA_VALUE_CHARACTERS: usize = 1_000;
/// The shortest and the longest `ttl`, in seconds.
pub const TTL_SECONDS: std::ops::RangeInclusive<u32> = 1..=86_400;
/// The `ttl` of a registration that names none, in seconds.
pub const DEFAULT_TTL_SECONDS: u32 = 30;
/// Levels of nesting in a definition.
pub const MAX_JSON_DEPTH: usize = 128;
/// Violations listed for one body; the last one says how many more there are.
pub const MAX_VIOLATIONS: usize = 1_000;
/// Ids in one batch refresh.
pub const MAX_REFRESH_IDS: usize = 10_000;
/// Filters in one query, and words in a `q` that must all match.
pub const MAX_FILTERS: usize = 32;
/// Characters in one `q`.
pub const MAX_QUERY: usize = 2_000;
/// The smallest and the largest `limit` of a page.
pub const PAGE_LIMITS: std::ops::RangeInclusive<u32> = 1..=1_000;
/// The `limit` of a page that names none.
pub const DEFAULT_PAGE_LIMIT: u32 = 100;
