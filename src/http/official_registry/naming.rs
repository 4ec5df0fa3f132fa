//! Names, descriptions and versions as the official registry's schema wants them.
//!
//! A name there is `namespace/name`, 3–200 characters, of `[a-zA-Z0-9.-]` before the one slash and `[a-zA-Z0-9._-]` behind
//! it. A name that is none is mapped always in the same way: the `@` of an npm scope falls away, and a name without a
//! namespace gets the registry's own. Where characters had to be replaced or cut, the beginning of the name's SHA-256
//! stands behind it, so that no two of them become one.

use sha2::{Digest, Sha256};

use crate::model::Record;

/// The namespace of names that have none.
pub(crate) const NAMESPACE: &str = "local";

const LONGEST_NAME: usize = 200;
const LONGEST_NAMESPACE: usize = 100;
const LONGEST_TEXT: usize = 100;
/// The metadata of a registration that names it there.
const NAME: &str = "registry.name";
/// The version of what says none.
const NO_VERSION: &str = "0.0.0";

fn fits_before(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-".contains(&byte)
}

fn fits_behind(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

fn is_name(text: &str) -> bool {
    let parts = text.split_once('/').filter(|_| (3..=LONGEST_NAME).contains(&text.len()));
    parts.is_some_and(|(space, name)| {
        !space.is_empty()
            && !name.is_empty()
            && space.bytes().all(fits_before)
            && name.bytes().all(fits_behind)
    })
}

/// Whether a text may be the namespace of names that have none.
#[cfg(feature = "cli")]
pub(crate) fn is_namespace(text: &str) -> bool {
    (1..=LONGEST_NAMESPACE).contains(&text.len()) && text.bytes().all(fits_before)
}

/// A server's name there.
pub(super) fn name(record: &Record, namespace: &str) -> String {
    match record.metadata.get(NAME) {
        Some(given) if is_name(given) => given.clone(),
        _ => mapped(&record.name, namespace),
    }
}

fn mapped(name: &str, namespace: &str) -> String {
    // As npm writes a scope.
    let plain = name.strip_prefix('@').unwrap_or(name);
    if is_name(plain) {
        return plain.to_owned();
    }
    let whole = format!("{namespace}/{plain}");
    if is_name(&whole) {
        return whole;
    }
    let (space, rest) = plain.split_once('/').unwrap_or((namespace, plain));
    let replaced = |text: &str, fits: fn(u8) -> bool| -> String {
        text.chars()
            .map(|character| if character.is_ascii() && fits(character as u8) { character } else { '-' })
            .collect()
    };
    let (space, rest) = (replaced(space, fits_before), replaced(rest, fits_behind));
    let mut space = if space.is_empty() { namespace.to_owned() } else { space };
    space.truncate(LONGEST_NAMESPACE);
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(name.as_bytes()));
    let mark = format!("{:08x}", u32::from_be_bytes([a, b, c, d]));
    let mut text = format!("{space}/{rest}");
    text.truncate(LONGEST_NAME - mark.len() - 1);
    format!("{text}-{mark}")
}

/// A server's version there, which is never empty, nor the word that stands for the newest.
pub(super) fn version(record: &Record) -> String {
    match record.version.as_deref().map(str::trim) {
        None | Some("" | "latest") => NO_VERSION.to_owned(),
        Some(version) => version.to_owned(),
    }
}

/// A text of 1–100 characters, in one line.
pub(super) fn short(text: &str) -> Option<String> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_TEXT) {
        None => Some(line).filter(|line| !line.is_empty()),
        Some(_) => Some(line.chars().take(LONGEST_TEXT - 1).chain(['…']).collect()),
    }
}

/// A server's description there, which is never empty.
pub(super) fn description(record: &Record) -> String {
    let own = record.description.as_deref().and_then(short);
    own.or_else(|| record.title.as_deref().and_then(short))
        .or_else(|| short(&format!("The MCP server {}", record.name)))
        .unwrap_or_else(|| "An MCP server".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_mapped_always_in_the_same_way() {
        for (name, expected) in [
            ("io.github.user/weather", "io.github.user/weather"),
            ("filesystem", "local/filesystem"),
            ("@modelcontextprotocol/server-git", "modelcontextprotocol/server-git"),
            ("my files", "local/my-files-3c02e611"),
            ("a/b/c", "a/b-c-d76a7b72"),
            ("my_space/x", "my-space/x-3c6cda2b"),
            ("/", "local/-8a5edab2"),
        ] {
            assert_eq!(mapped(name, "local"), expected);
        }
        assert_ne!(mapped("my files", "local"), mapped("my-files", "local"));
        assert_ne!(mapped("a/b/c", "local"), mapped("a/b-c", "local"));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(short("  two\n words "), Some("two words".to_owned()));
        assert_eq!(short(" \n"), None);
        let long = short(&"ä".repeat(200)).unwrap();
        assert_eq!(long.chars().count(), 100);
    }

    proptest! {
        #[test]
        fn every_name_fits(name in "[A-Za-z0-9._/@ -]{1,200}|[a_]{90,198}/[a_]{1,100}") {
            prop_assert!(is_name(&mapped(&name, "local")), "{}", mapped(&name, "local"));
        }
    }
}
