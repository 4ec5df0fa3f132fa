//! Watching a registry over HTTP: the stream goes on by itself, with no gap and no repeat, whatever breaks in between.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::transport::Call;
use super::{Client, ClientError, heartbeat::shortened};
use crate::model::{Change, Filter, Revision, Snapshot, Watched};
use crate::net::sse::{Event, Events};

/// The registry says that it is there every 15 s.
const SILENCE: Duration = Duration::from_secs(40);
/// The first pause before it is asked again; each further one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// A watcher of a registry, see [`Client::watch`].
#[derive(Debug)]
pub struct ClientWatch {
    client: Client,
    query: Vec<(String, String)>,
    since: Option<Revision>,
    stream: Option<Stream>,
    failures: u32,
}

#[derive(Debug)]
struct Stream {
    body: Incoming,
    events: Events,
    address: String,
}

impl Client {
    /// Tells of the servers that match a filter: all of them first, and then every change of them, in its order. A stream that
    /// breaks off goes on by itself where it was, with no gap and no repeat, or with a snapshot, which replaces all that was
    /// known.
    ///
    /// # Errors
    /// [`ClientError::InvalidFilter`] for what cannot be watched.
    #[expect(clippy::needless_pass_by_value, reason = "every question takes its filter")]
    pub fn watch(&self, filter: Filter) -> Result<ClientWatch, ClientError> {
        self.watch_from(&filter, None)
    }

    /// As [`watch`](Self::watch), going on right after a revision that was told before.
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    #[expect(clippy::needless_pass_by_value, reason = "every question takes its filter")]
    pub fn watch_since(&self, filter: Filter, since: Revision) -> Result<ClientWatch, ClientError> {
        self.watch_from(&filter, Some(since))
    }

    pub(crate) fn watch_from(
        &self,
        filter: &Filter,
        since: Option<Revision>,
    ) -> Result<ClientWatch, ClientError> {
        filter.check_watch()?;
        let query = filter.pairs().into_iter().filter(|(key, _)| key != "limit").collect();
        Ok(ClientWatch { client: self.clone(), query, since, stream: None, failures: 0 })
    }
}

impl ClientWatch {
    /// Waits for the next thing to tell. While the registry does not answer, it is asked again; nothing is lost when this is
    /// dropped before it is done.
    ///
    /// # Errors
    /// What patience does not mend: no right to read, an address at which there is no registry.
    pub async fn next(&mut self) -> Result<Watched, ClientError> {
        loop {
            let told = match &mut self.stream {
                Some(stream) => stream.next().await,
                None => match self.open().await {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                },
            };
            match told {
                Ok(watched) => {
                    self.since = Some(watched.revision().clone());
                    self.failures = 0;
                    return Ok(watched);
                }
                // What has never told anything may be no registry; once it was one, a proxy answers in its place.
                Err(error @ (ClientError::NotARegistry { .. } | ClientError::Tls { .. }))
                    if self.since.is_none() =>
                {
                    return Err(error);
                }
                Err(error) if error.is_temporary() => {
                    self.stream = None;
                    tracing::debug!(%error, "the stream broke off; it is asked for again");
                    self.wait().await;
                }
                Err(error) => {
                    self.stream = None;
                    return Err(error);
                }
            }
        }
    }

    async fn open(&mut self) -> Result<(), ClientError> {
        let mut call = Call::new(Method::GET, ["v1", "watch"]);
        call.query.clone_from(&self.query);
        call.query.extend(self.since.as_ref().map(|since| ("since".to_owned(), since.to_string())));
        let (body, address) = self.client.exchange.open(&call, self.client.timeout).await?;
        self.stream = Some(Stream { body, events: Events::default(), address });
        Ok(())
    }

    async fn wait(&mut self) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LAST_PAUSE);
        self.failures += 1;
        let clock = &self.client.clock;
        clock.sleep_until(clock.monotonic() + shortened(pause, 50)).await;
    }
}

impl Stream {
    async fn next(&mut self) -> Result<Watched, ClientError> {
        loop {
            if let Some(event) = self.events.next() {
                return watched(&event).map_err(|error| self.broken(&error.to_string()));
            }
            let frame = tokio::time::timeout(SILENCE, self.body.frame()).await;
            let frame = frame.map_err(|_| self.broken("nothing came for 40 s"))?;
            let frame = frame.ok_or_else(|| self.broken("the stream ended"))?;
            let frame = frame.map_err(|error| self.broken(&error.to_string()))?;
            if let Ok(bytes) = frame.into_data() {
                self.events.feed(&bytes);
            }
        }
    }

    fn broken(&self, reason: &str) -> ClientError {
        ClientError::Unreachable { addresses: self.address.clone(), reason: reason.to_owned() }
    }
}

fn watched(event: &Event) -> serde_json::Result<Watched> {
    match event.kind.as_str() {
        "snapshot" => serde_json::from_str::<Snapshot>(&event.data).map(Watched::Snapshot),
        _ => serde_json::from_str::<Change>(&event.data).map(Watched::Change),
    }
}
