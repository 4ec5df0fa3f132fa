//! A standby over HTTP: reads, rejected writes and promotion.

use std::sync::Arc;

use paulina::client::{ClientError, ClientOptions};
use paulina::http::{HttpServer, Limits};
use paulina::{Options, Registration, Registry, Role, Standby};
use reqwest::Method;
use serde_json::json;

use crate::support::{Api, pretty_bodies};

/// The API of a standby whose copy contains one server, `files`.
pub(crate) struct StandbyApi {
    pub(crate) api: Api,
    standby: Arc<Standby>,
}

impl StandbyApi {
    pub(crate) async fn new(configure: impl FnOnce(HttpServer, Arc<Standby>) -> HttpServer) -> Self {
        Self::with_tokens(configure, &[]).await.0
    }

    async fn with_tokens(
        configure: impl FnOnce(HttpServer, Arc<Standby>) -> HttpServer,
        roles: &[Role],
    ) -> (Self, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        let primary = Registry::open(&copy).await.unwrap();
        primary.register(Registration::stdio("files", ["x"]).id("files")).await.unwrap();
        let mut tokens = Vec::new();
        for role in roles {
            let secret = primary.create_token(role.as_str().parse().unwrap(), *role).await.unwrap();
            tokens.push(format!("Bearer {}", secret.expose()));
        }
        primary.close().await;
        let standby = Options::new().primary("http://primary:7285").standby(&copy).await.unwrap();
        let standby = Arc::new(standby);
        let registry = standby.registry();
        let known = Arc::clone(&standby);
        let api = Api::of(registry, folder, Limits::default(), |server| configure(server, known));
        (Self { api, standby }, tokens)
    }

    /// Configures promotion from a new copy, if it is forced.
    fn promoting(server: HttpServer, standby: Arc<Standby>) -> HttpServer {
        let folder = tempfile::tempdir().unwrap();
        let folder = Arc::new(folder);
        server.on_promote(move |force| {
            let (standby, folder) = (Arc::clone(&standby), Arc::clone(&folder));
            async move {
                if !force {
                    return Err("the peer still serves".to_owned());
                }
                let at = |name: &str| folder.path().join(name);
                let other = Registry::open(at("copy")).await.map_err(|error| error.to_string())?;
                other.register(Registration::stdio("files", ["x"]).id("files")).await.unwrap();
                other.close().await;
                standby.promote(at("copy"), at("paulina.db")).await.map_err(|error| error.to_string())
            }
        })
    }
}

#[tokio::test]
async fn reads_are_served_with_the_role_header() {
    let StandbyApi { api, .. } = StandbyApi::new(|server, _| server).await;
    assert_eq!(api.get("/readyz").await.json(), json!({"status": "ok", "role": "standby"}));
    for path in [
        "/healthz",
        "/readyz",
        "/v1/servers",
        "/v1/servers/files",
        "/v1/tools",
        "/v1/stats",
        "/v1/watch",
        "/",
    ] {
        let answer = api.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.header("paulina-role")), (200, "standby"), "{path}");
    }
    assert_eq!(api.get("/v1/servers/gone").await.header("paulina-role"), "standby");
    let metrics = api.get("/metrics").await.text;
    assert!(metrics.contains("\npaulina_standby 1\n") && metrics.contains("\npaulina_storage_failing 0\n"));
    let primary = Api::new().await;
    assert_eq!(primary.get("/readyz").await.json(), json!({"status": "ok", "role": "primary"}));
    assert_eq!(primary.get("/v1/servers").await.header("paulina-role"), "");
}

#[tokio::test]
async fn writes_are_rejected_with_the_address_of_the_primary() {
    let StandbyApi { api, .. } = StandbyApi::new(|server, _| server).await;
    let body = json!({"name": "a", "transport": "stdio", "command": ["x"]});
    for refused in [
        api.post("/v1/servers", &body).await,
        api.post("/v1/refresh", &json!({"ids": ["files"]})).await,
        api.put("/v1/servers/files/refresh").await,
        api.delete("/v1/servers/files").await,
    ] {
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "standby"), "{refused:?}");
        assert_eq!(refused.json()["primary"], "http://primary:7285");
        assert_eq!(refused.header("retry-after"), "1");
    }
    let wrong = api.post("/v1/servers", &json!({"name": "a"})).await;
    assert_eq!(wrong.code(), "invalid_registration", "validation comes first");
}

#[tokio::test]
async fn a_standby_is_promoted_by_request() {
    let StandbyApi { api, .. } = StandbyApi::new(StandbyApi::promoting).await;
    let promote = |query: &str| api.send(api.request(Method::POST, &format!("/v1/promote{query}")));
    let refused = promote("").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "not_promoted"));
    assert_eq!(refused.json()["detail"], "the peer still serves");
    for wrong in ["?force=yes", "?force=true&force=true", "?fast=true"] {
        assert_eq!(promote(wrong).await.code(), "invalid_query", "{wrong}");
    }
    assert_eq!(promote("?force=true").await.json(), json!({"status": "ok", "role": "primary"}));
    assert_eq!(promote("").await.json(), json!({"status": "ok", "role": "primary"}), "it stays a primary");
    let refreshed = api.put("/v1/servers/files/refresh").await;
    assert_eq!((refreshed.status.as_u16(), refreshed.header("paulina-role")), (200, ""));
}

#[tokio::test]
async fn only_admins_can_promote() {
    let (StandbyApi { api, .. }, tokens) =
        StandbyApi::with_tokens(|server, _| server, &[Role::Register, Role::Admin]).await;
    let with = |token: &str| api.request(Method::POST, "/v1/promote").header("authorization", token);
    assert_eq!(api.send(api.request(Method::POST, "/v1/promote")).await.code(), "unauthorized");
    assert_eq!(api.send(with(&tokens[0])).await.code(), "forbidden");
    let known = api.send(with(&tokens[1])).await;
    assert_eq!(known.code(), "not_promoted", "promotion is not configured: {known:?}");
}

#[tokio::test]
async fn clients_send_writes_to_the_primary() {
    let primary = Api::new().await;
    let StandbyApi { api, standby } = StandbyApi::new(|server, _| server).await;
    let addresses = [api.address, primary.address].map(|address| format!("http://{address}"));
    let client = addresses.iter().fold(ClientOptions::new(), ClientOptions::address).build().unwrap();
    assert!(client.get("files").await.unwrap().is_some(), "the standby answers reads");
    let new = Registration::stdio("new", ["x"]).id("new");
    // The standby rejected the request without effect, so a retry at the other address is safe.
    assert!(client.register_new(new.clone()).await.unwrap().created);
    assert!(primary.registry.get("new").await.unwrap().is_some());
    let standby_only = ClientOptions::new().address(&addresses[0]).build().unwrap();
    let refused = standby_only.register(new).await.unwrap_err();
    assert!(refused.is_temporary(), "it may be promoted: {refused}");
    assert!(matches!(refused, ClientError::Api(refusal) if refusal.code == "standby"));
    drop(standby);
}

#[tokio::test]
async fn problems_of_a_standby() {
    let StandbyApi { api, .. } = StandbyApi::new(StandbyApi::promoting).await;
    let responses = [
        api.put("/v1/servers/files/refresh").await,
        api.send(api.request(Method::POST, "/v1/promote")).await,
    ];
    insta::assert_snapshot!(pretty_bodies(&responses), @r#"
    {
      "type": "urn:paulina:problem:standby",
      "title": "The registry is a standby",
      "status": 503,
      "detail": "this registry is a read-only standby; use the primary at http://primary:7285",
      "code": "standby",
      "errors": [],
      "primary": "http://primary:7285"
    }
    {
      "type": "urn:paulina:problem:not_promoted",
      "title": "The standby was not promoted",
      "status": 409,
      "detail": "the peer still serves",
      "code": "not_promoted",
      "errors": []
    }
    "#);
}
