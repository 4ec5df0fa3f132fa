//! Random histories against a reference model in memory, compared after every step. Servers are registered and removed with
//! tokens that are created and revoked; time passes; and faults occur: the process is killed, a backup is restored, a row is
//! deleted with SQL.

mod compare;
mod reference;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use axum::response::Response;
use paulina::{Error, Role};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Fixture, edit, open};
use reference::{Caller, Content, Entry, IDS, Model, NAMES, RETENTION, TAGS, TOKENS, TOOLS};

#[derive(Debug, Clone)]
enum Step {
    Register(usize, Content, bool, Caller),
    Refresh(usize, bool, Caller),
    RefreshMany(Vec<usize>, Caller),
    Deregister(usize, bool, Caller),
    CreateToken(usize),
    RevokeToken(usize),
    RunFor(u64),
    Prune,
    Reopen,
    Kill,
    Backup,
    Restore,
    DeleteWithSql(usize),
}

fn content() -> impl Strategy<Value = Content> {
    let flags = |count| prop::collection::vec(any::<bool>(), count);
    let ttl = prop_oneof![Just(1), Just(5), Just(30)];
    (0..NAMES.len(), flags(TOOLS.len()), flags(TAGS.len()), any::<Option<bool>>(), 0..3usize, ttl).prop_map(
        |(name, tools, tags, sampling, resources, ttl)| Content {
            name,
            tools,
            tags,
            sampling,
            resources,
            ttl,
        },
    )
}

fn caller() -> impl Strategy<Value = Caller> {
    prop_oneof![2 => Just(Caller::InProcess), 1 => Just(Caller::Anonymous), 4 => (0..TOKENS.len()).prop_map(Caller::TokenHolder)]
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..IDS.len();
    let token = || 0..TOKENS.len();
    prop_oneof![
        8 => (id(), content(), any::<bool>(), caller())
            .prop_map(|(id, content, identical, caller)| Step::Register(id, content, identical, caller)),
        6 => (id(), any::<bool>(), caller()).prop_map(|(id, with_lease, caller)| Step::Refresh(id, with_lease, caller)),
        2 => (prop::collection::vec(id(), 0..4), caller()).prop_map(|(ids, caller)| Step::RefreshMany(ids, caller)),
        2 => (id(), any::<bool>(), caller()).prop_map(|(id, with_lease, caller)| Step::Deregister(id, with_lease, caller)),
        3 => token().prop_map(Step::CreateToken),
        1 => token().prop_map(Step::RevokeToken),
        8 => (1..40u64).prop_map(|quarters| Step::RunFor(quarters * 250)),
        4 => Just(Step::Prune),
        1 => Just(Step::Reopen),
        2 => Just(Step::Kill),
        1 => Just(Step::Backup),
        1 => Just(Step::Restore),
        1 => id().prop_map(Step::DeleteWithSql),
    ]
}

/// Returns the HTTP status for the outcome of a call in process.
fn status(outcome: Result<u16, Error>) -> u16 {
    outcome.unwrap_or_else(|error| {
        assert!(matches!(error, Error::NotRegistered(_)), "{error}");
        404
    })
}

struct History {
    fixture: Fixture,
    model: Model,
    backup: Option<(Vec<u8>, Model)>,
    /// The latest secret of each token, also of revoked ones.
    secrets: [String; TOKENS.len()],
}

impl History {
    async fn run(steps: Vec<Step>) {
        let fixture = Fixture::with_retention(Duration::from_millis(RETENTION.unsigned_abs())).await;
        let mut history =
            Self { fixture, model: Model::default(), backup: None, secrets: Default::default() };
        for step in steps {
            history.step(step).await;
            history.compare().await;
        }
        history.fixture.registry.close().await;
    }

    /// Sends a request over HTTP; returns the status and the body.
    async fn request(&self, caller: Caller, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Caller::TokenHolder(token) = caller {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.secrets[token]));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let router = paulina::http::router(self.fixture.registry.clone());
        let response: Response = router.oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    fn current_lease(&self, id: usize, with_lease: bool) -> Option<paulina::LeaseId> {
        self.model.entries.get(&id).and_then(|entry| entry.lease).filter(|_| with_lease)
    }

    fn lease_ref(&self, id: usize, with_lease: bool) -> paulina::LeaseRef {
        paulina::LeaseRef::new(IDS[id], self.current_lease(id, with_lease))
    }

    /// Returns `?lease=…`, if the lease is wanted and known.
    fn lease_query(&self, id: usize, with_lease: bool) -> String {
        let lease = self.current_lease(id, with_lease);
        lease.map_or_else(String::new, |lease| format!("?lease={lease}"))
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Register(id, content, identical, caller) => {
                self.register(id, content, identical, caller).await;
            }
            Step::Refresh(id, with_lease, caller) => {
                let (status, answer) = if caller == Caller::InProcess {
                    (
                        status(
                            self.fixture.registry.refresh(self.lease_ref(id, with_lease)).await.map(|_| 200),
                        ),
                        Value::Null,
                    )
                } else {
                    let path = format!("/v1/servers/{}/refresh{}", IDS[id], self.lease_query(id, with_lease));
                    self.request(caller, Method::PUT, &path, None).await
                };
                let expected = match self.model.authorize(caller, true) {
                    Err(status) => status,
                    Ok(_) if !self.model.entries.contains_key(&id) => 404,
                    Ok(actor) if !self.model.may_change(id, actor) => 403,
                    Ok(_) => {
                        self.model.refresh(id);
                        200
                    }
                };
                assert_eq!(status, expected, "{answer}");
            }
            Step::RefreshMany(ids, caller) => self.refresh_many(&ids, caller).await,
            Step::Deregister(id, with_lease, caller) => {
                let (status, answer) = if caller == Caller::InProcess {
                    let ended = self.fixture.registry.deregister(self.lease_ref(id, with_lease)).await;
                    (status(ended.map(|()| 204)), Value::Null)
                } else {
                    let path = format!("/v1/servers/{}{}", IDS[id], self.lease_query(id, with_lease));
                    self.request(caller, Method::DELETE, &path, None).await
                };
                let expected = match self.model.authorize(caller, true) {
                    Err(status) => status,
                    Ok(_) if !self.model.entries.contains_key(&id) => 404,
                    Ok(actor) if !self.model.may_change(id, actor) => 403,
                    Ok(_) => {
                        let removed = self.model.entries.remove(&id);
                        self.model.revision +=
                            u64::from(removed.is_some_and(|removed| !removed.expiry_recorded));
                        204
                    }
                };
                assert_eq!(status, expected, "{answer}");
            }
            Step::CreateToken(token) => {
                let (name, role): (&str, Role) = TOKENS[token];
                match self.fixture.registry.create_token(name.parse().unwrap(), role).await {
                    Ok(secret) => {
                        secret.expose().clone_into(&mut self.secrets[token]);
                        assert_eq!(self.model.tokens.insert(token, secret.expose().to_owned()), None);
                    }
                    Err(error) => {
                        assert!(matches!(error, Error::TokenExists(_)), "{error}");
                        assert!(self.model.tokens.contains_key(&token));
                    }
                }
            }
            Step::RevokeToken(token) => {
                let revoked = self.fixture.registry.revoke_token(&TOKENS[token].0.parse().unwrap()).await;
                assert_eq!(revoked.is_ok(), self.model.tokens.remove(&token).is_some());
            }
            Step::RunFor(milliseconds) => {
                self.fixture.run_for(Duration::from_millis(milliseconds)).await;
                self.model.run_for(i64::try_from(milliseconds).unwrap());
            }
            Step::Prune => {
                self.fixture.registry.prune().await.unwrap();
                self.model.prune();
            }
            fault => self.apply_fault(fault).await,
        }
    }

    async fn register(&mut self, id: usize, content: Content, identical: bool, caller: Caller) {
        let existing = self.model.entries.get(&id).cloned();
        let content =
            existing.as_ref().filter(|_| identical).map_or(content, |existing| existing.content.clone());
        let actor = self.model.authorize(caller, true);
        let expected = match actor {
            Err(status) => status,
            Ok(actor) if !self.model.may_change(id, actor) => 403,
            Ok(_) if existing.is_some() => 200,
            Ok(_) => 201,
        };
        let lease = if caller == Caller::InProcess {
            let registered = self.fixture.registry.register(content.registration(id)).await.unwrap();
            assert_eq!(registered.created, existing.is_none());
            let found = self.fixture.registry.get(IDS[id]).await.unwrap();
            assert_eq!(found.as_ref(), Some(&registered.server));
            Some(registered.lease)
        } else {
            let (status, answer) =
                self.request(caller, Method::POST, "/v1/servers", Some(content.body(id))).await;
            assert_eq!(status, expected, "{answer}");
            answer["lease"].as_str().map(|lease| lease.parse().unwrap())
        };
        if expected >= 400 {
            return;
        }
        if let Some(old) = existing.as_ref().and_then(|existing| existing.lease) {
            let stale = paulina::LeaseRef::new(IDS[id], Some(old));
            assert!(matches!(self.fixture.registry.refresh(stale).await, Err(Error::LeaseReplaced(_))));
        }
        let model = &mut self.model;
        let before = existing.as_ref().and_then(|existing| existing.owner);
        let owner = before.or(actor.ok().flatten().map(|actor| TOKENS[actor].0));
        let changed = existing.as_ref().is_none_or(|existing| {
            existing.expiry_recorded || existing.content != content || existing.owner != owner
        });
        model.revision += u64::from(changed);
        let number = existing.map_or(model.next_number, |existing| existing.number);
        model.next_number += 1;
        let expires = model.now + i64::from(content.ttl) * 1_000;
        model.entries.insert(id, Entry { content, number, expires, expiry_recorded: false, lease, owner });
    }

    async fn refresh_many(&mut self, ids: &[usize], caller: Caller) {
        let names: Vec<_> = ids.iter().map(|id| IDS[*id]).collect();
        if caller == Caller::InProcess {
            let answer = self.fixture.registry.refresh_many(names).await.unwrap();
            let existing = ids.iter().filter(|id| self.model.refresh(**id)).count();
            return assert_eq!(
                (answer.refreshed.len(), answer.not_registered.len()),
                (existing, ids.len() - existing)
            );
        }
        let (status, answer) =
            self.request(caller, Method::POST, "/v1/refresh", Some(json!({"ids": names}))).await;
        let actor = match self.model.authorize(caller, true) {
            Err(expected) => return assert_eq!(status, expected, "{answer}"),
            Ok(actor) => actor,
        };
        let (mut refreshed, mut unknown) = (Vec::new(), Vec::new());
        let (mut failing_pointers, mut forbidden) = (Vec::new(), false);
        for (index, id) in ids.iter().enumerate() {
            if !self.model.entries.contains_key(id) {
                unknown.push(IDS[*id]);
                failing_pointers.push(format!("/ids/{index}"));
            } else if self.model.may_change(*id, actor) {
                self.model.refresh(*id);
                refreshed.push(IDS[*id]);
            } else {
                forbidden = true;
                failing_pointers.push(format!("/ids/{index}"));
            }
        }
        if forbidden {
            let found =
                answer["errors"].as_array().unwrap().iter().map(|one| one["pointer"].as_str().unwrap());
            assert_eq!(
                (status, found.collect::<Vec<_>>()),
                (403, failing_pointers.iter().map(String::as_str).collect())
            );
        } else {
            let found = answer["refreshed"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap());
            assert_eq!((status, found.collect::<Vec<_>>()), (200, refreshed));
            assert_eq!(answer["not_registered"], json!(unknown));
        }
    }

    async fn apply_fault(&mut self, fault: Step) {
        match fault {
            Step::Reopen => self.fixture.reopen_after(Duration::from_secs(100)).await,
            Step::Kill => {
                self.fixture.kill_and_reopen_after(Duration::from_secs(100)).await;
                self.model.now += 250;
            }
            Step::Backup => {
                self.fixture.registry.close().await;
                self.backup = Some((std::fs::read(self.fixture.path()).unwrap(), self.model.clone()));
                self.reopen().await;
            }
            Step::Restore => {
                let Some((backup, model)) = self.backup.clone() else { return };
                self.fixture.registry.close().await;
                std::fs::write(self.fixture.path(), backup).unwrap();
                self.model = model;
                for (token, secret) in &self.model.tokens {
                    self.secrets[*token].clone_from(secret);
                }
                self.reopen().await;
            }
            Step::DeleteWithSql(id) => {
                let sql = format!("DELETE FROM servers WHERE id = '{}'", IDS[id]);
                edit(&self.fixture.path(), &sql).await;
                self.fixture.registry.check_writable().await.unwrap();
                self.model.entries.remove(&id);
                return;
            }
            other => panic!("{other:?} is not a fault"),
        }
        self.model.grace_period = if self.model.entries.is_empty() { 0 } else { 5_000 };
    }

    async fn reopen(&mut self) {
        self.fixture.registry = open(&self.fixture.clock, self.fixture.retention, self.fixture.path()).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_response_matches_the_reference_model(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(History::run(steps));
    }
}
