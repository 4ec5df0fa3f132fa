//! What is known without asking SQLite: the leases, the revision, and answers that still hold.
//!
//! The writer applies what a commit has changed under one lock, after the commit and before anybody is answered. A
//! question that is asked again takes the same lock to see whether its old answer holds, and to read lease times and the
//! revision: all of one moment.
//!
//! A new answer names the version that was there before SQLite was asked. What commits in between touches its keys and
//! makes the answer void before it is ever used.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;

use super::invalidation::{Slot, Touched};
use super::lease_table::{Lease, Mirror};
use super::responses::{Answer, Answers, Asked, Content, Found, Question, Tools};
use super::search_index::Search;
use super::subscriptions::{Subscription, Watchers};
use crate::model::{Filter, Health, LeaseState, Record, Revision, Stats, Tokens};
use crate::store::moment::Moment;
use crate::store::record::{Entry, Times};
use crate::sync::{AtomicI64, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What is to be known of a database without asking it.
pub(crate) enum Known {
    /// All is new, and answers may take so many bytes.
    Anew(u64),
    /// What was known of another copy of it, which this one takes the place of.
    Of(Arc<Live>),
}

/// See the [module](self).
pub(crate) struct Live {
    state: RwLock<State>,
    answers: Answers,
    /// The latest lease time that a question was asked at.
    asked_at: AtomicI64,
    /// The number of the revision, for who waits for it.
    reached: watch::Sender<u64>,
    watchers: Arc<Watchers>,
    search: Arc<Search>,
}

/// What the lock guards.
pub(in crate::store) struct State {
    pub(in crate::store) mirror: Mirror,
    pub(in crate::store) revision: Revision,
    pub(in crate::store) tokens: Arc<Tokens>,
    touched: Touched,
}

/// What a commit has changed.
#[derive(Debug, Default)]
pub(in crate::store) struct Effects {
    /// The leases that were refreshed.
    pub(in crate::store) refreshed: Vec<i64>,
    /// What else became of leases, in order.
    pub(in crate::store) leases: Vec<Effect>,
    /// The keys of all servers that came, went, or changed, or came back to life.
    pub(in crate::store) touched: Vec<Slot>,
    /// Whether there was one among them whose keys cannot be known.
    pub(in crate::store) everything: bool,
    /// The keys of servers that watchers were told of and that answers depend on no more than before.
    pub(in crate::store) told: Vec<Slot>,
    /// The tokens, if they have changed.
    pub(in crate::store) tokens: Option<Tokens>,
    /// The servers that are found by something else than before.
    pub(in crate::store) searched: Vec<i64>,
    /// How far the documents of servers that had none were made.
    pub(in crate::store) indexed: Option<Indexed>,
}

/// See [`Effects::indexed`].
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Indexed {
    UpTo(i64),
    All,
}

/// What became of one lease.
#[derive(Debug)]
pub(in crate::store) enum Effect {
    Put(Lease),
    Expired(i64),
    Gone(i64),
}

impl Live {
    pub(in crate::store) fn new(
        mirror: Mirror,
        revision: Revision,
        tokens: Tokens,
        answer_bytes: u64,
    ) -> Self {
        let reached = watch::Sender::new(revision.number);
        let state = State { mirror, revision, tokens: Arc::new(tokens), touched: Touched::default() };
        Self {
            state: RwLock::new(state),
            answers: Answers::new(answer_bytes),
            asked_at: AtomicI64::new(i64::MIN),
            reached,
            watchers: Arc::default(),
            search: Arc::default(),
        }
    }

    /// The index of what is registered.
    pub(crate) fn search(&self) -> &Arc<Search> {
        &self.search
    }

    /// Who watches.
    pub(crate) fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// Has a watcher told of what is committed from now on.
    pub(crate) fn subscribe(&self, filter: &Filter) -> Subscription {
        let slot = self.read().touched.of_filter(filter).first().copied().unwrap_or_default();
        self.watchers.subscribe(slot)
    }

    pub(in crate::store) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the catalogue has come.
    pub(crate) fn revision(&self) -> Revision {
        self.read().revision.clone()
    }

    /// A number that is another one once something has changed that answers depend on, but for time.
    #[cfg(feature = "server")]
    pub(crate) fn version(&self) -> u64 {
        self.read().touched.version()
    }

    /// How many servers there are.
    #[cfg(feature = "server")]
    pub(crate) fn servers_held(&self) -> usize {
        self.read().mirror.len()
    }

    /// Whether watchers were told that a server has expired.
    #[cfg(all(test, feature = "shuttle"))]
    pub(crate) fn is_told_expired(&self, id: &str) -> Option<bool> {
        Some(self.read().mirror.get(id)?.expired)
    }

    /// Who may do what.
    pub(crate) fn tokens(&self) -> Arc<Tokens> {
        Arc::clone(&self.read().tokens)
    }

    /// Takes over what was committed at a moment.
    pub(in crate::store) fn apply(&self, effects: Effects, revision: Option<i64>, now: Moment) {
        // Before anybody can know of the commit.
        self.search.note(&effects.searched);
        let mut state = self.write();
        let asked_at = self.asked_at.load(Ordering::SeqCst);
        let mut revived = false;
        // A question asked after the batch began may have taken a lease for run out that the batch did not: its
        // answer lacks a server that lives, and no key of it was touched.
        let mut renew =
            |times: Times| revived |= times.expires_at > now.lease && times.expires_at <= asked_at;
        for number in effects.refreshed {
            if let Some(lease) = state.mirror.number_mut(number) {
                renew(lease.times);
                lease.times = Times { expires_at: expiry(lease.ttl, now), refreshed_at: now.wall };
                lease.expired = false;
            }
        }
        for effect in effects.leases {
            match effect {
                Effect::Put(lease) => {
                    if let Some(before) = state.mirror.number(lease.number) {
                        renew(before.times);
                    }
                    state.mirror.put(lease);
                }
                Effect::Expired(number) => {
                    if let Some(lease) = state.mirror.number_mut(number) {
                        lease.expired = true;
                    }
                }
                Effect::Gone(number) => state.mirror.remove(number),
            }
        }
        if let Some(tokens) = effects.tokens {
            state.tokens = Arc::new(tokens);
        }
        if revived || effects.everything {
            state.touched.touch_all();
        } else if !effects.touched.is_empty() {
            state.touched.touch(&effects.touched);
        }
        if let Some(number) = revision.and_then(|number| u64::try_from(number).ok()) {
            state.revision.number = number;
            self.reached.send_replace(number);
        }
    }

    /// Takes over the epoch that begins. Whoever watches already knows another history.
    pub(in crate::store) fn begin_epoch(&self, epoch: String) {
        self.write().revision.epoch = epoch;
        self.watchers.outdate();
    }

    /// Takes over all that there is, since somebody else has written to the database.
    pub(in crate::store) fn replace(&self, mirror: Mirror, revision: Revision, tokens: Tokens) {
        self.take_over(mirror, revision, tokens);
        self.watchers.outdate();
    }

    /// Takes over what a newer copy of the database has. Watchers read what has changed in its table of changes; one of
    /// another history, or of an older state, says nothing of what they know.
    pub(in crate::store) fn move_on(&self, mirror: Mirror, revision: Revision, tokens: Tokens) {
        let before = self.revision();
        let continues = before.epoch == revision.epoch && before.number <= revision.number;
        let news = before != revision;
        self.take_over(mirror, revision, tokens);
        match (continues, news) {
            (false, _) => self.watchers.outdate(),
            (true, true) => self.watchers.send_to_the_table(),
            (true, false) => {}
        }
    }

    fn take_over(&self, mirror: Mirror, revision: Revision, tokens: Tokens) {
        self.search.note_all();
        let mut state = self.write();
        state.tokens = Arc::new(tokens);
        state.mirror = mirror;
        self.reached.send_replace(revision.number);
        state.revision = revision;
        state.touched.touch_all();
    }

    /// All keys of a server, to be touched.
    pub(in crate::store) fn keys(&self, record: &Record) -> Vec<Slot> {
        self.read().touched.of_record(record)
    }

    /// The health of one server; none if it is not registered.
    pub(crate) fn health(&self, id: &str, now: Moment) -> Option<LeaseState> {
        let state = self.read();
        let lease = state.mirror.get(id)?;
        let Times { expires_at, .. } = lease.times;
        Some(LeaseState {
            id: id.to_owned(),
            name: lease.name.to_string(),
            health: lease.times.health(now),
            ttl: lease.ttl,
            expires_at: now.wall_of(expires_at),
            expires_in_ms: u64::try_from(expires_at.saturating_sub(now.lease)).unwrap_or_default(),
        })
    }

    /// Called before SQLite is asked: the version that the answer will bear.
    pub(in crate::store) fn asking(&self, now: Moment) -> u64 {
        self.asked_at.fetch_max(now.lease, Ordering::SeqCst);
        self.read().touched.version()
    }

    /// Waits until what SQLite has answered is known here as well: whoever asks again is not to be told of an older
    /// revision. That is a moment after each commit.
    pub(in crate::store) async fn catch_up(&self, revision: &Revision) {
        let mut reached = self.reached.subscribe();
        // The sender lives as long as this does.
        let _ = reached.wait_for(|number| *number >= revision.number).await;
    }

    /// Whether answers are kept at all.
    pub(in crate::store) fn keeps(&self) -> bool {
        self.answers.are_kept()
    }

    /// Keeps an answer to a question that was asked at a version.
    pub(in crate::store) fn keep(&self, question: Question, version: u64, content: Content) {
        if !self.keeps() {
            return;
        }
        let keys = {
            let state = self.read();
            match &question {
                Question::Servers(filter) | Question::Tools(filter) => state.touched.of_filter(filter),
                Question::Server(id) => state.touched.of_id(id),
                Question::Stats => state.touched.of_anything(),
            }
        };
        self.answers.keep(question, Answer { version, keys, content });
    }

    /// An old answer, and the state in which it holds.
    fn holding(&self, asked: Asked<'_>) -> Option<(Arc<Answer>, RwLockReadGuard<'_, State>)> {
        let answer = self.answers.get(asked)?;
        let state = self.read();
        state.touched.holds(answer.version, &answer.keys).then_some((answer, state))
    }

    /// A page of servers that still holds.
    pub(crate) fn servers(&self, filter: &Filter, now: Moment) -> Option<Found> {
        let (answer, state) = self.holding(Asked::Servers(filter))?;
        let Content::Servers { servers, scores, next_cursor, beyond, healthy, .. } = &answer.content else {
            return None;
        };
        if let Some(number) = beyond.filter(|_| *healthy)
            && state.mirror.number(number)?.times.health(now) == Health::Unhealthy
        {
            return None;
        }
        let mut rows = Vec::with_capacity(servers.len());
        for server in servers {
            let times = state.mirror.number(server.number)?.times;
            if *healthy && times.health(now) == Health::Unhealthy {
                return None;
            }
            rows.push(Entry { rendered: Arc::clone(server), times });
        }
        let (scores, next_cursor) = (scores.clone(), next_cursor.clone());
        let revision = state.revision.clone();
        drop(state);
        Some(Found { rows, scores, next_cursor, revision, now, answer: Some(answer) })
    }

    /// A page of tools that still holds.
    pub(crate) fn tools(&self, filter: &Filter, now: Moment) -> Option<Arc<Tools>> {
        let (answer, state) = self.holding(Asked::Tools(filter))?;
        let Content::Tools { tools, health } = &answer.content else { return None };
        let same = |(number, health): &(i64, Health)| {
            state.mirror.number(*number).is_some_and(|lease| lease.times.health(now) == *health)
        };
        health.iter().all(same).then(|| Arc::clone(tools))
    }

    /// A record that still holds.
    pub(crate) fn server(&self, id: &str) -> Option<Entry> {
        let (answer, state) = self.holding(Asked::Server(id))?;
        let Content::Server(server) = &answer.content else { return None };
        let times = state.mirror.number(server.number)?.times;
        Some(Entry { rendered: Arc::clone(server), times })
    }

    /// Totals that still hold.
    pub(crate) fn stats(&self, now: Moment) -> Option<Stats> {
        let (answer, state) = self.holding(Asked::Stats)?;
        let Content::Stats(kept) = &answer.content else { return None };
        let mut totals = kept.clone();
        let healthy = state.mirror.iter().filter(|lease| lease.times.health(now) == Health::Healthy).count();
        let all = state.mirror.len();
        totals.servers.total = all as u64;
        let by_health = [(Health::Healthy, healthy), (Health::Unhealthy, all - healthy)];
        totals.servers.by_health =
            by_health.map(|(health, count)| (health.as_str().to_owned(), count as u64)).into();
        totals.revision = state.revision.clone();
        Some(totals)
    }

    /// The servers whose lease has run out: not yet recorded, or so long ago that they are to be deleted.
    pub(in crate::store) fn due(&self, retention: i64, now: Moment) -> Vec<i64> {
        let due = |lease: &&Lease| {
            let expires_at = lease.times.expires_at;
            expires_at <= now.lease && (!lease.expired || expires_at <= now.lease.saturating_sub(retention))
        };
        self.read().mirror.iter().filter(due).map(|lease| lease.number).collect()
    }
}

/// When a lease runs out that is refreshed now.
pub(in crate::store) fn expiry(ttl: u32, now: Moment) -> i64 {
    now.lease + i64::from(ttl) * 1_000
}
