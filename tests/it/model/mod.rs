//! Random histories against a plain model in memory: every answer is compared after every step. In them servers come and
//! go, on behalf of tokens that come and go as well; time passes; and things go wrong: the process is killed, a backup is put
//! back, somebody deletes a row by hand.

mod compare;
mod plain;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use axum::response::Response;
use paulina::{Error, Role};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Fixture, edit, open};
use plain::{Content, Entry, IDS, Model, NAMES, RETENTION, TAGS, TOKENS, TOOLS, Who};

#[derive(Debug, Clone)]
enum Step {
    Register(usize, Content, bool, Who),
    Refresh(usize, bool, Who),
    RefreshMany(Vec<usize>, Who),
    Deregister(usize, bool, Who),
    CreateToken(usize),
    RevokeToken(usize),
    Pass(u64),
    Prune,
    Reopen,
    Kill,
    Backup,
    Restore,
    DeleteByHand(usize),
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

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![2 => Just(Who::Process), 1 => Just(Who::Nobody), 4 => (0..TOKENS.len()).prop_map(Who::Holder)]
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..IDS.len();
    let token = || 0..TOKENS.len();
    prop_oneof![
        8 => (id(), content(), any::<bool>(), who())
            .prop_map(|(id, content, again, who)| Step::Register(id, content, again, who)),
        6 => (id(), any::<bool>(), who()).prop_map(|(id, named, who)| Step::Refresh(id, named, who)),
        2 => (prop::collection::vec(id(), 0..4), who()).prop_map(|(ids, who)| Step::RefreshMany(ids, who)),
        2 => (id(), any::<bool>(), who()).prop_map(|(id, named, who)| Step::Deregister(id, named, who)),
        3 => token().prop_map(Step::CreateToken),
        1 => token().prop_map(Step::RevokeToken),
        8 => (1..40u64).prop_map(|quarters| Step::Pass(quarters * 250)),
        4 => Just(Step::Prune),
        1 => Just(Step::Reopen),
        2 => Just(Step::Kill),
        1 => Just(Step::Backup),
        1 => Just(Step::Restore),
        1 => id().prop_map(Step::DeleteByHand),
    ]
}

/// The status that an outcome in process has over HTTP.
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
    /// The secrets of all tokens that there ever were.
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

    /// Asks over HTTP; the status and the body.
    async fn ask(&self, who: Who, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Who::Holder(token) = who {
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

    fn held(&self, id: usize, named: bool) -> Option<paulina::LeaseId> {
        self.model.entries.get(&id).and_then(|entry| entry.lease).filter(|_| named)
    }

    fn reference(&self, id: usize, named: bool) -> paulina::LeaseRef {
        paulina::LeaseRef::new(IDS[id], self.held(id, named))
    }

    /// `?lease=…`, if it is to be named and was ever given.
    fn lease(&self, id: usize, named: bool) -> String {
        let lease = self.held(id, named);
        lease.map_or_else(String::new, |lease| format!("?lease={lease}"))
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Register(id, content, again, who) => self.register(id, content, again, who).await,
            Step::Refresh(id, named, who) => {
                let (status, answer) = if who == Who::Process {
                    (
                        status(self.fixture.registry.refresh(self.reference(id, named)).await.map(|_| 200)),
                        Value::Null,
                    )
                } else {
                    let path = format!("/v1/servers/{}/refresh{}", IDS[id], self.lease(id, named));
                    self.ask(who, Method::PUT, &path, None).await
                };
                let expected = match self.model.admit(who, true) {
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
            Step::RefreshMany(ids, who) => self.refresh_many(&ids, who).await,
            Step::Deregister(id, named, who) => {
                let (status, answer) = if who == Who::Process {
                    let ended = self.fixture.registry.deregister(self.reference(id, named)).await;
                    (status(ended.map(|()| 204)), Value::Null)
                } else {
                    let path = format!("/v1/servers/{}{}", IDS[id], self.lease(id, named));
                    self.ask(who, Method::DELETE, &path, None).await
                };
                let expected = match self.model.admit(who, true) {
                    Err(status) => status,
                    Ok(_) if !self.model.entries.contains_key(&id) => 404,
                    Ok(actor) if !self.model.may_change(id, actor) => 403,
                    Ok(_) => {
                        let gone = self.model.entries.remove(&id);
                        self.model.revision += u64::from(gone.is_some_and(|gone| !gone.told));
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
            Step::Pass(milliseconds) => {
                self.fixture.pass(Duration::from_millis(milliseconds)).await;
                self.model.pass(i64::try_from(milliseconds).unwrap());
            }
            Step::Prune => {
                self.fixture.registry.prune().await.unwrap();
                self.model.prune();
            }
            fault => self.go_wrong(fault).await,
        }
    }

    async fn register(&mut self, id: usize, content: Content, again: bool, who: Who) {
        let known = self.model.entries.get(&id).cloned();
        let content = known.as_ref().filter(|_| again).map_or(content, |known| known.content.clone());
        let actor = self.model.admit(who, true);
        let expected = match actor {
            Err(status) => status,
            Ok(actor) if !self.model.may_change(id, actor) => 403,
            Ok(_) if known.is_some() => 200,
            Ok(_) => 201,
        };
        let lease = if who == Who::Process {
            let registered = self.fixture.registry.register(content.registration(id)).await.unwrap();
            assert_eq!(registered.created, known.is_none());
            let found = self.fixture.registry.get(IDS[id]).await.unwrap();
            assert_eq!(found.as_ref(), Some(&registered.server));
            Some(registered.lease)
        } else {
            let (status, answer) = self.ask(who, Method::POST, "/v1/servers", Some(content.body(id))).await;
            assert_eq!(status, expected, "{answer}");
            answer["lease"].as_str().map(|lease| lease.parse().unwrap())
        };
        if expected >= 400 {
            return;
        }
        if let Some(old) = known.as_ref().and_then(|known| known.lease) {
            let stale = paulina::LeaseRef::new(IDS[id], Some(old));
            assert!(matches!(self.fixture.registry.refresh(stale).await, Err(Error::LeaseReplaced(_))));
        }
        let model = &mut self.model;
        let before = known.as_ref().and_then(|known| known.owner);
        let owner = before.or(actor.ok().flatten().map(|actor| TOKENS[actor].0));
        let changed =
            known.as_ref().is_none_or(|known| known.told || known.content != content || known.owner != owner);
        model.revision += u64::from(changed);
        let number = known.map_or(model.next, |known| known.number);
        model.next += 1;
        let expires = model.now + i64::from(content.ttl) * 1_000;
        model.entries.insert(id, Entry { content, number, expires, told: false, lease, owner });
    }

    async fn refresh_many(&mut self, ids: &[usize], who: Who) {
        let names: Vec<_> = ids.iter().map(|id| IDS[*id]).collect();
        if who == Who::Process {
            let answer = self.fixture.registry.refresh_many(names).await.unwrap();
            let known = ids.iter().filter(|id| self.model.refresh(**id)).count();
            return assert_eq!(
                (answer.refreshed.len(), answer.not_registered.len()),
                (known, ids.len() - known)
            );
        }
        let (status, answer) = self.ask(who, Method::POST, "/v1/refresh", Some(json!({"ids": names}))).await;
        let actor = match self.model.admit(who, true) {
            Err(expected) => return assert_eq!(status, expected, "{answer}"),
            Ok(actor) => actor,
        };
        let (mut refreshed, mut unknown) = (Vec::new(), Vec::new());
        let (mut refused, mut forbidden) = (Vec::new(), false);
        for (place, id) in ids.iter().enumerate() {
            if !self.model.entries.contains_key(id) {
                unknown.push(IDS[*id]);
                refused.push(format!("/ids/{place}"));
            } else if self.model.may_change(*id, actor) {
                self.model.refresh(*id);
                refreshed.push(IDS[*id]);
            } else {
                forbidden = true;
                refused.push(format!("/ids/{place}"));
            }
        }
        if forbidden {
            let found =
                answer["errors"].as_array().unwrap().iter().map(|one| one["pointer"].as_str().unwrap());
            assert_eq!(
                (status, found.collect::<Vec<_>>()),
                (403, refused.iter().map(String::as_str).collect())
            );
        } else {
            let found = answer["refreshed"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap());
            assert_eq!((status, found.collect::<Vec<_>>()), (200, refreshed));
            assert_eq!(answer["not_registered"], json!(unknown));
        }
    }

    async fn go_wrong(&mut self, fault: Step) {
        match fault {
            Step::Reopen => self.fixture.reopen_after(Duration::from_secs(100)).await,
            Step::Kill => {
                self.fixture.kill_and_reopen_after(Duration::from_secs(100)).await;
                self.model.now += 250;
            }
            Step::Backup => {
                self.fixture.registry.close().await;
                self.backup = Some((std::fs::read(self.fixture.path()).unwrap(), self.model.clone()));
                self.open_again().await;
            }
            Step::Restore => {
                let Some((backup, model)) = self.backup.clone() else { return };
                self.fixture.registry.close().await;
                std::fs::write(self.fixture.path(), backup).unwrap();
                self.model = model;
                for (token, secret) in &self.model.tokens {
                    self.secrets[*token].clone_from(secret);
                }
                self.open_again().await;
            }
            Step::DeleteByHand(id) => {
                let sql = format!("DELETE FROM servers WHERE id = '{}'", IDS[id]);
                edit(&self.fixture.path(), &sql).await;
                self.fixture.registry.check_writable().await.unwrap();
                self.model.entries.remove(&id);
                return;
            }
            other => panic!("{other:?} is no fault"),
        }
        self.model.standstill = if self.model.entries.is_empty() { 0 } else { 5_000 };
    }

    async fn open_again(&mut self) {
        self.fixture.registry = open(&self.fixture.clock, self.fixture.retention, self.fixture.path()).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_is_that_of_a_plain_model(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(History::run(steps));
    }
}
