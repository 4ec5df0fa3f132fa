//! Size limits. Real servers have up to 32 tools and 180 KB of schemas, far below these limits.

/// The maximum number of characters of a registration's `id`.
pub const MAX_ID_CHARACTERS: usize = 128;
/// The maximum number of characters of a registration's `name`.
pub const MAX_NAME_CHARACTERS: usize = 200;
/// The maximum number of characters of a registration's `title`.
pub const MAX_TITLE_CHARACTERS: usize = 200;
/// The maximum number of characters of a registration's `version`.
pub const MAX_VERSION_CHARACTERS: usize = 100;
/// The maximum number of characters of a registration's `description`.
pub const MAX_DESCRIPTION_CHARACTERS: usize = 10_000;
/// The maximum number of characters of a `url`.
pub const MAX_URL_CHARACTERS: usize = 2_000;
/// The maximum number of words of a `command`.
pub const MAX_COMMAND_WORDS: usize = 256;
/// The maximum size of a word of a `command` in bytes.
pub const MAX_COMMAND_WORD_BYTES: usize = 8_192;
/// The maximum number of declared environment variables or headers.
pub const MAX_INPUTS: usize = 256;
/// The maximum number of tools, resources or prompts, each.
pub const MAX_DEFINITIONS: usize = 2_000;
/// The maximum number of characters of the name of a tool, prompt, capability, environment variable or header.
pub const MAX_DEFINITION_NAME_CHARACTERS: usize = 256;
/// The maximum size of a resource's URI or template in bytes.
pub const MAX_URI_BYTES: usize = 2_000;
/// The maximum number of capability flags, besides tools, resources and prompts.
pub const MAX_FLAGS: usize = 64;
/// The maximum number of tags of a server.
pub const MAX_TAGS: usize = 64;
/// The maximum number of characters of a tag.
pub const MAX_TAG_CHARACTERS: usize = 100;
/// The maximum number of metadata pairs.
pub const MAX_METADATA: usize = 64;
/// The maximum number of characters of a metadata key.
pub const MAX_METADATA_KEY_CHARACTERS: usize = 64;
/// The maximum number of characters of a metadata value.
pub const MAX_METADATA_VALUE_CHARACTERS: usize = 1_000;
/// The allowed range of `ttl`, in seconds.
pub const TTL_SECONDS: std::ops::RangeInclusive<u32> = 1..=86_400;
/// The default `ttl` of a registration, in seconds.
pub const DEFAULT_TTL_SECONDS: u32 = 30;
/// The maximum nesting depth of a definition.
pub const MAX_JSON_DEPTH: usize = 128;
/// The maximum number of violations listed for one body; a last one says how many more there are.
pub const MAX_VIOLATIONS: usize = 1_000;
/// The maximum number of ids in a refresh of many leases.
pub const MAX_REFRESH_IDS: usize = 10_000;
/// The maximum number of filters in a query, and of words in a `q` that must all match.
pub const MAX_FILTERS: usize = 32;
/// The maximum number of characters of a `q`.
pub const MAX_QUERY: usize = 2_000;
/// The allowed range of the `limit` of a page.
pub const PAGE_LIMITS: std::ops::RangeInclusive<u32> = 1..=1_000;
/// The default `limit` of a page.
pub const DEFAULT_PAGE_LIMIT: u32 = 100;
