//! For any template and URI, the registry finds the template exactly if a simple matcher accepts the URI.
#![no_main]

mod harness;

use libfuzzer_sys::fuzz_target;
use paulina::{Filter, Registration, Resource};

/// Returns the literals between wildcards: `{…}` and `*` match any run of characters.
fn literals(template: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = template.chars();
    while let Some(character) = rest.next() {
        match character {
            '*' => parts.push(String::new()),
            '{' => {
                rest.by_ref().find(|character| *character == '}');
                parts.push(String::new());
            }
            other => parts.last_mut().unwrap().push(other),
        }
    }
    parts
}

/// Matches the literals greedily from the left; the last one has to be at the end.
fn matches(template: &str, uri: &str) -> bool {
    let parts = literals(template);
    let (first, others) = parts.split_first().unwrap();
    let Some(mut rest) = uri.strip_prefix(first.as_str()) else { return false };
    let Some((last, middle)) = others.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

fuzz_target!(|input: (&str, &str)| {
    let (template, uri) = input;
    let resource = Resource::template(template);
    let Ok(registration) = Registration::stdio("s", ["x"]).id("s").resource(resource).validate() else { return };
    if uri.is_empty() || uri.contains('\0') {
        return;
    }
    harness::with(async |registry| {
        registry.register_valid(registration).await.unwrap();
        let found = registry.find(Filter::new().resource(uri)).await.unwrap();
        assert_eq!(found.servers.len() == 1, matches(template, uri), "{template:?} and {uri:?}");
    });
});
