//! Watches a registry over HTTP, and reconnects without gaps or duplicates.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::transport::Request;
use super::{Client, ClientError, heartbeat::shortened};
use crate::model::{Change, Filter, Revision, Snapshot, WatchEvent};
use crate::net::backoff;
use crate::net::sse::{Events, SseEvent};

/// How long a stream may be silent: the registry sends a comment every 15 s.
const STREAM_TIMEOUT: Duration = Duration::from_secs(40);
/// The wait after the first failure; it doubles with each further failure, up to the limit.
const INITIAL_RECONNECT_WAIT: Duration = Duration::from_millis(100);
const RECONNECT_WAIT_LIMIT: Duration = Duration::from_secs(5);

/// A stream of events, returned by [`Client::watch`].
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
    /// Watches the servers that match a filter: first a snapshot of all of them, then one event for each change, in order. A
    /// lost connection is reopened after the last event, without gaps or duplicates, or with a new snapshot, which replaces
    /// everything received before.
    ///
    /// # Errors
    /// [`ClientError::InvalidFilter`] if the filter contains a parameter that cannot be watched.
    #[expect(clippy::needless_pass_by_value, reason = "like all methods with a filter")]
    pub fn watch(&self, filter: Filter) -> Result<ClientWatch, ClientError> {
        self.watch_from(&filter, None)
    }

    /// Like [`watch`](Self::watch), but resumes after a revision that an earlier watch received.
    ///
    /// # Errors
    /// Like [`watch`](Self::watch).
    #[expect(clippy::needless_pass_by_value, reason = "like all methods with a filter")]
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
    /// Waits for the next event. While the registry does not answer, this reconnects. If the future is dropped, no event is
    /// lost.
    ///
    /// # Errors
    /// If waiting does not fix it: the token may not read, the server at the address is not a registry.
    pub async fn next(&mut self) -> Result<WatchEvent, ClientError> {
        loop {
            let result = match &mut self.stream {
                Some(stream) => stream.next().await,
                None => match self.open().await {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                },
            };
            match result {
                Ok(event) => {
                    self.since = Some(event.revision().clone());
                    self.failures = 0;
                    return Ok(event);
                }
                // After the first event, a proxy may answer for a registry that is down; before it, the address is wrong.
                Err(error @ (ClientError::NotARegistry { .. } | ClientError::Tls { .. }))
                    if self.since.is_none() =>
                {
                    return Err(error);
                }
                Err(error) if error.is_temporary() => {
                    self.stream = None;
                    tracing::debug!(%error, "the stream was lost; reconnecting");
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
        let mut request = Request::new(Method::GET, ["v1", "watch"]);
        request.query.clone_from(&self.query);
        request.query.extend(self.since.as_ref().map(|since| ("since".to_owned(), since.to_string())));
        let (body, address) = self.client.failover.open(&request, self.client.timeout).await?;
        self.stream = Some(Stream { body, events: Events::default(), address });
        Ok(())
    }

    async fn wait(&mut self) {
        let wait = shortened(reconnect_wait(self.failures), 50);
        self.failures = self.failures.saturating_add(1);
        let clock = &self.client.clock;
        clock.sleep_until(clock.monotonic() + wait).await;
    }
}

impl Stream {
    async fn next(&mut self) -> Result<WatchEvent, ClientError> {
        loop {
            if let Some(event) = self.events.next() {
                return watch_event(&event).map_err(|error| self.lost(&error.to_string()));
            }
            let frame = tokio::time::timeout(STREAM_TIMEOUT, self.body.frame()).await;
            let frame = frame.map_err(|_| self.lost("no data for 40 s"))?;
            let frame = frame.ok_or_else(|| self.lost("the stream ended"))?;
            let frame = frame.map_err(|error| self.lost(&error.to_string()))?;
            if let Ok(bytes) = frame.into_data() {
                self.events.feed(&bytes);
            }
        }
    }

    fn lost(&self, reason: &str) -> ClientError {
        ClientError::Unreachable { addresses: self.address.clone(), reason: reason.to_owned() }
    }
}

/// Returns how long to wait after so many earlier failures in a row.
fn reconnect_wait(failures: u32) -> Duration {
    backoff::delay(INITIAL_RECONNECT_WAIT, failures, RECONNECT_WAIT_LIMIT)
}

fn watch_event(event: &SseEvent) -> serde_json::Result<WatchEvent> {
    match event.kind.as_str() {
        "snapshot" => serde_json::from_str::<Snapshot>(&event.data).map(WatchEvent::Snapshot),
        _ => serde_json::from_str::<Change>(&event.data).map(WatchEvent::Change),
    }
}

/// The test vectors that the Rust, Python and TypeScript clients share.
#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::reconnect_wait;

    #[derive(Deserialize)]
    struct Vectors {
        reconnect_wait: Vec<Reconnect>,
    }

    #[derive(Deserialize)]
    struct Reconnect {
        failures: u32,
        wait: u128,
    }

    #[test]
    fn the_wait_before_a_reconnect_doubles_up_to_its_limit() {
        let vectors: Vectors = serde_json::from_str(include_str!("../../tests/vectors/sse.json")).unwrap();
        for Reconnect { failures, wait } in vectors.reconnect_wait {
            assert_eq!(reconnect_wait(failures).as_millis(), wait, "{failures} failures");
        }
    }
}
