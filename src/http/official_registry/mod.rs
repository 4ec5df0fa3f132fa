//! The API of the official MCP registry, read side, <https://github.com/modelcontextprotocol/registry>: `/v0.1/servers` and its
//! older twin `/v0/servers`. VS Code, GitHub Copilot and Docker ask it.
//!
//! It shows what is registered here and alive, in that API's words: each name and version once, however many servers run it,
//! with who they are under a `_meta` key of our own. Its clients are not strict, so this is not either: what is unknown in
//! a query is passed over, and a name may be written with `%2F` or with a plain slash.

mod entry;
pub(super) mod listing;
pub(super) mod naming;
mod query;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::http::problem::{Code, Problem};
use crate::http::response::{fingerprint, tagged};
use crate::http::state::App;
use crate::model::Score;
use listing::Catalogue;
pub(crate) use naming::NAMESPACE;
#[cfg(feature = "cli")]
pub(crate) use naming::is_namespace;
use query::{Question, Scores};

/// Its routes.
pub(super) fn routes() -> Router<App> {
    ["/v0.1", "/v0"].into_iter().fold(Router::new(), |router, version| {
        router
            .route(&format!("{version}/servers"), get(list))
            .route(&format!("{version}/servers/"), get(list))
            .route(&format!("{version}/servers/{{*rest}}"), get(one))
    })
}

/// A problem as that API's clients read it.
fn refused(problem: Problem) -> Response {
    problem.in_short().into_response()
}

/// `GET /v0.1/servers`.
async fn list(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    let answer = async {
        let question = Question::of(&uri)?;
        let scores = app.scores(&question).await?;
        let catalogue = app.catalogue(question.include_deleted).await?;
        let (found, next) = question.answer(&catalogue, &scores);
        Ok(answered(&headers, &page(&found, next.as_deref())))
    };
    answer.await.unwrap_or_else(refused)
}

/// `GET /v0.1/servers/{name}/versions` and `…/versions/{version}`; `…/servers/{name}` is its latest.
async fn one(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    let answer = async {
        let path = uri.path();
        let rest = path.split_once("/servers/").map_or("", |(_, rest)| rest).trim_end_matches('/');
        let include_deleted = Question::of(&uri)?.include_deleted;
        let catalogue = app.catalogue(include_deleted).await?;
        let (name, version) = match rest.rsplit_once("/versions/") {
            Some((name, version)) => (decoded(name), Some(decoded(version))),
            None => match rest.strip_suffix("/versions") {
                Some(name) => (decoded(name), None),
                None => (decoded(rest), Some("latest".to_owned())),
            },
        };
        let versions: Vec<_> = catalogue.versions_of(&name).collect();
        if versions.is_empty() {
            return Err(Problem::new(Code::NotRegistered, format!("no server named {name:?} is registered")));
        }
        let Some(version) = version else {
            return Ok(answered(&headers, &page(&versions, None)));
        };
        let wanted = |entry: &Arc<entry::Entry>| {
            if version == "latest" { entry.is_latest } else { entry.version == version }
        };
        let found = versions.into_iter().find(wanted);
        let found = found.ok_or_else(|| {
            Problem::new(Code::NotRegistered, format!("{name:?} is not registered in version {version:?}"))
        })?;
        Ok(answered(&headers, &found.json))
    };
    answer.await.unwrap_or_else(refused)
}

/// A page. `metadata` is always there, and says nothing of a next page where there is none.
fn page(entries: &[Arc<entry::Entry>], next: Option<&str>) -> Value {
    let mut metadata = json!({ "count": entries.len() });
    if let (Some(next), Some(metadata)) = (next, metadata.as_object_mut()) {
        metadata.insert("nextCursor".to_owned(), json!(next));
    }
    let servers: Vec<&Value> = entries.iter().map(|entry| &entry.json).collect();
    json!({"servers": servers, "metadata": metadata})
}

fn answered(headers: &HeaderMap, body: &Value) -> Response {
    let text = body.to_string();
    tagged(headers, fingerprint(&text), || text.clone())
}

fn decoded(text: &str) -> String {
    let plain = text.replace('+', "%2B");
    form_urlencoded::parse(plain.as_bytes()).next().map_or_else(String::new, |(key, _)| key.into_owned())
}

impl App {
    /// What is registered, in that API's words.
    async fn catalogue(&self, include_deleted: bool) -> Result<Arc<Catalogue>, Problem> {
        self.kept().catalogue(self.registry(), include_deleted).await.map_err(Problem::from)
    }

    /// The servers that a question searches for.
    async fn scores(&self, question: &Question) -> Result<Scores, Problem> {
        let mut scores = Scores::new();
        let mut next = question.filter();
        while let Some(filter) = next.take() {
            let page = self.registry().find(filter.clone()).await?;
            let found = page.servers.iter();
            scores.extend(found.filter_map(|server| Some((server.id.clone(), server.score?))));
            // The best come first: behind one that is not clear there is none.
            let is_clear = page.servers.last().is_some_and(|last| last.score >= Some(Score::CLEAR));
            next = page.next_cursor.filter(|_| is_clear).map(|cursor| filter.after(&cursor));
        }
        Ok(scores)
    }
}

/// The answer to a browser that asks whether a page may ask: anything may, where the catalogue is public.
pub(super) fn open_to_pages(response: &mut Response) {
    use axum::http::{HeaderValue, header};
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, OPTIONS"));
    let allowed = HeaderValue::from_static("Authorization, Content-Type, If-None-Match");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
}

/// The answer to such a question.
pub(super) fn preflight() -> Response {
    StatusCode::NO_CONTENT.into_response()
}
