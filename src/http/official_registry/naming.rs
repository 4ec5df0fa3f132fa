//! Names, descriptions and versions as the official registry's schema requires them.
//!
//! A name there is `namespace/name`, 3–200 characters, of `[a-zA-Z0-9.-]` before the only slash and `[a-zA-Z0-9._-]` after it.
//! Other names are mapped deterministically: the `@` of an npm scope is removed, and a name without a namespace gets the
//! registry's own. If characters are replaced or cut, the beginning of the name's SHA-256 is appended, so that different names
//! stay different.

use sha2::{Digest, Sha256};

use crate::model::Record;

/// The default namespace of names without one.
pub(crate) const NAMESPACE: &str = "local";

const MAX_NAME_LENGTH: usize = 200;
const MAX_NAMESPACE_LENGTH: usize = 100;
const MAX_TEXT_LENGTH: usize = 100;
/// The key of a registration's metadata that sets its official name.
const NAME_KEY: &str = "registry.name";
/// The version of servers that have none.
const DEFAULT_VERSION: &str = "0.0.0";

fn is_namespace_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-".contains(&byte)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

fn is_official_name(text: &str) -> bool {
    let parts = text.split_once('/').filter(|_| (3..=MAX_NAME_LENGTH).contains(&text.len()));
    parts.is_some_and(|(space, name)| {
        !space.is_empty()
            && !name.is_empty()
            && space.bytes().all(is_namespace_byte)
            && name.bytes().all(is_name_byte)
    })
}

/// Whether a text is a valid namespace.
#[cfg(feature = "cli")]
pub(crate) fn is_namespace(text: &str) -> bool {
    (1..=MAX_NAMESPACE_LENGTH).contains(&text.len()) && text.bytes().all(is_namespace_byte)
}

/// Returns the official name of a server.
pub(super) fn name(record: &Record, namespace: &str) -> String {
    match record.metadata.get(NAME_KEY) {
        Some(given) if is_official_name(given) => given.clone(),
        _ => map_name(&record.name, namespace),
    }
}

fn map_name(name: &str, namespace: &str) -> String {
    // The prefix of an npm scope.
    let plain = name.strip_prefix('@').unwrap_or(name);
    if is_official_name(plain) {
        return plain.to_owned();
    }
    let whole = format!("{namespace}/{plain}");
    if is_official_name(&whole) {
        return whole;
    }
    let (space, rest) = plain.split_once('/').unwrap_or((namespace, plain));
    let replaced = |text: &str, fits: fn(u8) -> bool| -> String {
        text.chars()
            .map(|character| if character.is_ascii() && fits(character as u8) { character } else { '-' })
            .collect()
    };
    let (space, rest) = (replaced(space, is_namespace_byte), replaced(rest, is_name_byte));
    let mut space = if space.is_empty() { namespace.to_owned() } else { space };
    space.truncate(MAX_NAMESPACE_LENGTH);
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(name.as_bytes()));
    let suffix = format!("{:08x}", u32::from_be_bytes([a, b, c, d]));
    let mut text = format!("{space}/{rest}");
    text.truncate(MAX_NAME_LENGTH - suffix.len() - 1);
    format!("{text}-{suffix}")
}

/// Returns the official version of a server, which is never empty, nor `latest`, which has a meaning of its own in queries.
pub(super) fn version(record: &Record) -> String {
    match record.version.as_deref().map(str::trim) {
        None | Some("" | "latest") => DEFAULT_VERSION.to_owned(),
        Some(version) => version.to_owned(),
    }
}

/// Shortens a text to one line of up to 100 characters. Returns `None` for an empty one.
pub(super) fn shorten(text: &str) -> Option<String> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_TEXT_LENGTH) {
        None => Some(line).filter(|line| !line.is_empty()),
        Some(_) => Some(line.chars().take(MAX_TEXT_LENGTH - 1).chain(['…']).collect()),
    }
}

/// Returns the official description of a server, which is never empty.
pub(super) fn description(record: &Record) -> String {
    let own = record.description.as_deref().and_then(shorten);
    own.or_else(|| record.title.as_deref().and_then(shorten))
        .or_else(|| shorten(&format!("The MCP server {}", record.name)))
        .unwrap_or_else(|| "An MCP server".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_mapped_deterministically() {
        for (name, expected) in [
            ("io.github.user/weather", "io.github.user/weather"),
            ("filesystem", "local/filesystem"),
            ("@modelcontextprotocol/server-git", "modelcontextprotocol/server-git"),
            ("my files", "local/my-files-3c02e611"),
            ("a/b/c", "a/b-c-d76a7b72"),
            ("my_space/x", "my-space/x-3c6cda2b"),
            ("/", "local/-8a5edab2"),
        ] {
            assert_eq!(map_name(name, "local"), expected);
        }
        assert_ne!(map_name("my files", "local"), map_name("my-files", "local"));
        assert_ne!(map_name("a/b/c", "local"), map_name("a/b-c", "local"));
    }

    #[test]
    fn texts_are_shortened_to_one_line_at_character_boundaries() {
        assert_eq!(shorten("  two\n words "), Some("two words".to_owned()));
        assert_eq!(shorten(" \n"), None);
        let long = shorten(&"ä".repeat(200)).unwrap();
        assert_eq!(long.chars().count(), 100);
    }

    proptest! {
        #[test]
        fn every_mapped_name_is_valid(name in "[A-Za-z0-9._/@ -]{1,200}|[a_]{90,198}/[a_]{1,100}") {
            prop_assert!(is_official_name(&map_name(&name, "local")), "{}", map_name(&name, "local"));
        }
    }
}
