//! Query strings. Unknown parameters are rejected, never ignored.

use std::str::FromStr;

use axum::http::Uri;

use crate::http::problem::{Code, Problem};
use crate::model::{Filter, FilterError, LeaseId, Revision, RevisionError};

fn pairs(uri: &Uri) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned()
}

fn invalid(parameter: &str, detail: &str) -> Problem {
    FilterError { parameter: parameter.to_owned(), detail: detail.to_owned() }.into()
}

/// Parses a filter.
pub(in crate::http) fn filter(uri: &Uri) -> Result<Filter, Problem> {
    if !is_utf8(uri.query().unwrap_or_default()) {
        return Err(Problem::new(Code::InvalidQuery, "the query is not percent-encoded UTF-8"));
    }
    Ok(Filter::from_pairs(pairs(uri))?)
}

/// Parses a filter and `since`.
pub(in crate::http) fn watch(uri: &Uri) -> Result<(Filter, Option<Revision>), Problem> {
    let (since, filters): (Vec<_>, Vec<_>) = pairs(uri).partition(|(key, _)| key == "since");
    if let Some((key, _)) = filters.iter().find(|(key, _)| matches!(key.as_str(), "limit" | "cursor")) {
        return Err(invalid(key, "is not known here"));
    }
    if !is_utf8(uri.query().unwrap_or_default()) {
        return Err(Problem::new(Code::InvalidQuery, "the query is not percent-encoded UTF-8"));
    }
    let since = match &since[..] {
        [] => None,
        [(_, text)] => {
            Some(text.parse().map_err(|error: RevisionError| invalid("since", &error.to_string()))?)
        }
        _ => return Err(invalid("since", "is given more than once")),
    };
    Ok((Filter::from_pairs(filters)?, since))
}

/// Rejects any parameter.
pub(in crate::http) fn reject_parameters(uri: &Uri) -> Result<(), Problem> {
    match pairs(uri).next() {
        Some((key, _)) => Err(invalid(&key, "is not known here")),
        None => Ok(()),
    }
}

/// Parses the optional parameter `lease`, a UUID.
pub(in crate::http) fn lease(uri: &Uri) -> Result<Option<LeaseId>, Problem> {
    let mut lease = None;
    for (key, value) in pairs(uri) {
        if key != "lease" {
            return Err(invalid(&key, "is not known here"));
        }
        if lease.is_some() {
            return Err(invalid(&key, "is given more than once"));
        }
        lease = Some(LeaseId::from_str(&value).map_err(|_| invalid(&key, "must be a UUID"))?);
    }
    Ok(lease)
}

/// Parses an optional parameter that is `true` or `false`, by default false.
pub(in crate::http) fn flag(uri: &Uri, name: &str) -> Result<bool, Problem> {
    let mut flag = None;
    for (key, value) in pairs(uri) {
        if key != name {
            return Err(invalid(&key, "is not known here"));
        }
        if flag.is_some() {
            return Err(invalid(&key, "is given more than once"));
        }
        flag = Some(value.parse().map_err(|_| invalid(&key, "must be true or false"))?);
    }
    Ok(flag.unwrap_or_default())
}

/// Whether a percent-encoded text decodes to UTF-8. The parser would silently insert replacement characters.
fn is_utf8(query: &str) -> bool {
    let mut bytes = Vec::with_capacity(query.len());
    let mut rest = query.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex =
            after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    std::str::from_utf8(&bytes).is_ok()
}
