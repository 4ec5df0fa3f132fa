//! How text becomes words for full-text search, the same way when it is stored and when it is asked for.
//!
//! SQLite's unicode61 tokenizer folds case and diacritics and parts words at everything that is no letter or digit.
//! Two things are added here. `readFile` is two words, and also one, so that `github` finds GitHub. And each word is
//! followed by its stem: a query matches the beginning of a word *or* of its stem, so that what somebody types
//! keeps matching at each keystroke from `r` to `running`. (With the tokenizer's own stemming, `runni` finds
//! nothing: the index holds `run` alone.)

use rust_stemmers::{Algorithm, Stemmer};

use super::MAX_FILTERS;

/// A text with all that it should be found by.
pub(crate) fn searchable(text: &str) -> String {
    let stemmer = Stemmer::create(Algorithm::English);
    let mut output = String::with_capacity(text.len() * 3 / 2);
    let mut add = |word: &str| {
        output.push_str(word);
        output.push(' ');
    };
    for word in words(text) {
        let parts = parts(word);
        if parts.len() > 1 {
            add(word);
        }
        for part in parts {
            add(part);
            let lower = part.to_lowercase();
            let stem = stemmer.stem(&lower);
            if stem != lower {
                add(&stem);
            }
        }
    }
    output
}

/// What a person types as an FTS5 expression; `None` if there is no word in it, an error if there are too many.
pub(crate) fn match_expression(query: &str) -> Result<Option<String>, usize> {
    let stemmer = Stemmer::create(Algorithm::English);
    let begins = |word: &str| {
        let lower = word.to_lowercase();
        let stem = stemmer.stem(&lower);
        if stem == lower { format!("\"{lower}\"*") } else { format!("(\"{lower}\"* OR \"{stem}\"*)") }
    };
    let mut terms = Vec::new();
    for word in words(query) {
        let parts = parts(word);
        if parts.len() > 1 {
            let every = parts.iter().map(|part| begins(part)).collect::<Vec<_>>().join(" AND ");
            terms.push(format!("({} OR ({every}))", begins(word)));
        } else {
            terms.push(begins(word));
        }
    }
    match terms.len() {
        0 => Ok(None),
        count if count > MAX_FILTERS => Err(count),
        _ => Ok(Some(terms.join(" AND "))),
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let combining = |character: char| ('\u{300}'..='\u{36F}').contains(&character);
    text.split(move |character: char| !character.is_alphanumeric() && !combining(character))
        .filter(|word| !word.is_empty())
}

/// The words inside a camelCase word: `readFile` is read and File, `HTTPServer` is HTTP and Server.
fn parts(word: &str) -> Vec<&str> {
    let characters: Vec<(usize, char)> = word.char_indices().collect();
    let mut starts = vec![0];
    for window in characters.windows(2) {
        if let [(_, before), (at, here)] = window {
            let next = word.get(at + here.len_utf8()..).and_then(|rest| rest.chars().next());
            let new_word = here.is_uppercase() && !before.is_uppercase();
            let after_acronym =
                here.is_uppercase() && before.is_uppercase() && next.is_some_and(char::is_lowercase);
            if new_word || after_acronym {
                starts.push(*at);
            }
        }
    }
    let ends = starts.iter().skip(1).copied().chain([word.len()]);
    starts.iter().zip(ends).filter_map(|(start, end)| word.get(*start..end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn camel_case_is_parted_and_kept() {
        assert_eq!(parts("readFile"), ["read", "File"]);
        assert_eq!(parts("HTTPServer"), ["HTTP", "Server"]);
        assert_eq!(parts("JSON"), ["JSON"]);
        assert_eq!(searchable("read_file, GitHub"), "read file GitHub Git Hub ");
        assert_eq!(searchable("Running servers"), "Running run servers server ");
    }

    #[test]
    fn nothing_in_a_query_is_syntax() {
        assert_eq!(match_expression("a\" OR b*").unwrap().unwrap(), "\"a\"* AND \"or\"* AND \"b\"*");
        assert_eq!(match_expression("--- (\"*\")").unwrap(), None);
        assert_eq!(match_expression("files").unwrap().unwrap(), "(\"files\"* OR \"file\"*)");
        assert_eq!(match_expression(&"a ".repeat(33)), Err(33));
    }
}
