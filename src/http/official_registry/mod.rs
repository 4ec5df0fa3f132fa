//! The read API of the official MCP registry, <https://github.com/modelcontextprotocol/registry>: `/v0.1/servers` and its older
//! version `/v0/servers`. VS Code, GitHub Copilot and Docker use it.
//!
//! It lists the healthy servers in that API's format: each name and version once, however many servers run it, with those
//! servers under a `_meta` key of our own. Clients of that API are lenient, so unknown query parameters are ignored, and a
//! name can be written with `%2F` or with a slash.

mod entry;
pub(super) mod listing;
pub(super) mod naming;
mod query;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::http::problem::{Code, Problem};
use crate::http::response::{fingerprint, json_with_etag};
use crate::http::state::App;
use crate::model::Score;
use listing::Listing;
pub(crate) use naming::NAMESPACE;
#[cfg(feature = "cli")]
pub(crate) use naming::is_namespace;
use query::{ListQuery, Scores};

/// Returns the routes of this API.
pub(super) fn routes() -> Router<App> {
    ["/v0.1", "/v0"].into_iter().fold(Router::new(), |router, version| {
        router
            .route(&format!("{version}/servers"), get(list))
            .route(&format!("{version}/servers/"), get(list))
            .route(&format!("{version}/servers/{{*rest}}"), get(get_versions))
    })
}

/// Returns a problem in the format of this API.
fn error_response(problem: Problem) -> Response {
    problem.with_legacy_error_member().into_response()
}

/// `GET /v0.1/servers`.
async fn list(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    let response = async {
        let query = ListQuery::parse(&uri)?;
        let scores = app.scores(&query).await?;
        let listing = app.listing(query.include_deleted).await?;
        let (entries, next_cursor) = query.page(&listing, &scores);
        Ok(json_response(&headers, &page_json(&entries, next_cursor.as_deref())))
    };
    response.await.unwrap_or_else(error_response)
}

/// `GET /v0.1/servers/{name}/versions` and `…/versions/{version}`; `…/servers/{name}` is the latest version.
async fn get_versions(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    let response = async {
        let path = uri.path();
        let rest = path.split_once("/servers/").map_or("", |(_, rest)| rest).trim_end_matches('/');
        let include_deleted = ListQuery::parse(&uri)?.include_deleted;
        let listing = app.listing(include_deleted).await?;
        let (name, version) = match rest.rsplit_once("/versions/") {
            Some((name, version)) => (decode_path(name), Some(decode_path(version))),
            None => match rest.strip_suffix("/versions") {
                Some(name) => (decode_path(name), None),
                None => (decode_path(rest), Some("latest".to_owned())),
            },
        };
        let versions: Vec<_> = listing.versions_of(&name).collect();
        if versions.is_empty() {
            return Err(Problem::new(Code::NotRegistered, format!("no server named {name:?} is registered")));
        }
        let Some(version) = version else {
            return Ok(json_response(&headers, &page_json(&versions, None)));
        };
        let wanted = |entry: &Arc<entry::ListingEntry>| {
            if version == "latest" { entry.is_latest } else { entry.version == version }
        };
        let found = versions.into_iter().find(wanted);
        let found = found.ok_or_else(|| {
            Problem::new(Code::NotRegistered, format!("{name:?} is not registered in version {version:?}"))
        })?;
        Ok(json_response(&headers, &found.json))
    };
    response.await.unwrap_or_else(error_response)
}

/// Serializes a page. `metadata` is always present; on the last page it has no `nextCursor`.
fn page_json(entries: &[Arc<entry::ListingEntry>], next: Option<&str>) -> Value {
    let mut metadata = json!({ "count": entries.len() });
    if let (Some(next), Some(metadata)) = (next, metadata.as_object_mut()) {
        metadata.insert("nextCursor".to_owned(), json!(next));
    }
    let servers: Vec<&Value> = entries.iter().map(|entry| &entry.json).collect();
    json!({"servers": servers, "metadata": metadata})
}

fn json_response(headers: &HeaderMap, body: &Value) -> Response {
    let text = body.to_string();
    json_with_etag(headers, fingerprint(&text), || text.clone())
}

fn decode_path(text: &str) -> String {
    let plain = text.replace('+', "%2B");
    form_urlencoded::parse(plain.as_bytes()).next().map_or_else(String::new, |(key, _)| key.into_owned())
}

impl App {
    /// Returns the current listing.
    async fn listing(&self, include_deleted: bool) -> Result<Arc<Listing>, Problem> {
        self.listing_cache().listing(self.registry(), include_deleted).await.map_err(Problem::from)
    }

    /// Returns the scores of the servers that match the search.
    async fn scores(&self, query: &ListQuery) -> Result<Scores, Problem> {
        let mut scores = Scores::new();
        let mut next = query.filter();
        while let Some(filter) = next.take() {
            let page = self.registry().find(filter.clone()).await?;
            let found = page.servers.iter();
            scores.extend(found.filter_map(|server| Some((server.id.clone(), server.score?))));
            // The best come first: after a result that is not clear there is no clear one.
            let is_clear = page.servers.last().is_some_and(|last| last.score >= Some(Score::RELEVANT));
            next = page.next_cursor.filter(|_| is_clear).map(|cursor| filter.after(&cursor));
        }
        Ok(scores)
    }
}
