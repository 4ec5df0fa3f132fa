//! A conversation with a server.

use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, ClientConfig, ClientRequest, DiscoverRequest, DiscoverRequestParams, Implementation,
    PingRequest, ProtocolVersion, RequestMetaObject, ServerPeerInfo, SubscriptionFilter,
};
use rmcp::service::{
    ClientCacheConfig, ClientInitializeError, ClientLifecycleMode, ClientServiceExt, NotificationContext,
    Peer, RunningService, ServiceError,
};
use rmcp::transport::IntoTransport;
use rmcp::{ClientHandler, RoleClient};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::child::Child;
use super::error::Cause;
use super::http::{Endpoint, Speaks};
use super::{McpError, describe};
use crate::model::{Registration, Transport};

/// How a server is reached.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// It is started.
    Stdio(Vec<String>),
    /// It runs.
    Http(Endpoint),
}

/// A conversation with a server.
pub(crate) struct Session {
    service: RunningService<RoleClient, Ears>,
    child: Option<Child>,
    transport: Transport,
    patience: Duration,
    era: Era,
    /// Counts how often the server has said that a list of its has changed.
    changed: watch::Receiver<u64>,
    listening: Option<AbortHandle>,
}

/// How a server is greeted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Era {
    /// By `server/discover`, or else by `initialize`.
    #[default]
    Either,
    /// By `initialize`.
    Older,
}

/// What a client of ours hears.
#[derive(Debug, Clone)]
struct Ears(watch::Sender<u64>);

impl ClientHandler for Ears {
    fn get_info(&self) -> ClientConfig {
        let implementation = Implementation::new("paulina", env!("CARGO_PKG_VERSION"));
        let config = ClientConfig::new(ClientCapabilities::default(), implementation);
        config.with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard();
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard();
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard();
    }
}

impl Ears {
    fn heard(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// How long rmcp waits for an answer to `server/discover` before it sends `initialize`, and a little more.
const UNANSWERED: Duration = Duration::from_secs(15);
/// How soon it is asked again to be told of changes; each further time it takes twice as long.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
const LISTEN_RARELY: Duration = Duration::from_mins(1);
const GREETING: &str = "the greeting (server/discover, initialize)";

impl Session {
    /// Greets a server. Each of its answers may take as long as this.
    pub(crate) async fn open(target: &Target, patience: Duration, era: Era) -> Result<Self, McpError> {
        match target {
            Target::Http(endpoint) => Self::over_http(endpoint, patience, era).await,
            Target::Stdio(command) => {
                let first = Self::over_stdio(command, patience, era).await;
                // There are servers that end, or fall silent, at a word that they do not know.
                let perhaps = match &first {
                    Err(McpError::Ended { .. }) => true,
                    Err(McpError::Silent { .. }) => patience < UNANSWERED,
                    _ => false,
                };
                if era == Era::Older || !perhaps {
                    return first;
                }
                Self::over_stdio(command, patience, Era::Older).await
            }
        }
    }

    async fn over_stdio(command: &[String], patience: Duration, era: Era) -> Result<Self, McpError> {
        let (sender, changed) = watch::channel(0);
        let (mut child, pipes) = Child::start(command)?;
        match greeted(Ears(sender), pipes, patience, era).await {
            Ok(service) => {
                let transport = Transport::Stdio { command: command.to_vec(), environment: Vec::new() };
                let era = era_of(&service);
                Ok(Self { service, child: Some(child), transport, patience, era, changed, listening: None })
            }
            Err(cause) => Err(of_child(&mut child, GREETING, patience, cause).await),
        }
    }

    async fn over_http(endpoint: &Endpoint, patience: Duration, era: Era) -> Result<Self, McpError> {
        let (sender, changed) = watch::channel(0);
        let (service, sse) = greeted_over_http(Ears(sender), endpoint, patience, era).await?;
        let (url, headers) = (endpoint.url.to_string(), Vec::new());
        let transport =
            if sse { Transport::Sse { url, headers } } else { Transport::StreamableHttp { url, headers } };
        let era = era_of(&service);
        let mut session = Self { service, child: None, transport, patience, era, changed, listening: None };
        session.listen();
        Ok(session)
    }

    /// How it was greeted, to greet it in the same way the next time.
    pub(crate) fn era(&self) -> Era {
        self.era
    }

    /// What the server is and can do.
    pub(crate) async fn read(&mut self) -> Result<Registration, McpError> {
        let reading = describe::describe(self.service.peer(), self.transport.clone(), self.patience).await;
        match reading {
            Ok(registration) => Ok(registration),
            Err(describe::Failed::Endless(step, most)) => Err(McpError::Endless { step, most }),
            Err(describe::Failed::At(step, cause)) => Err(self.failed(step, cause).await),
        }
    }

    /// Whether the server still answers, within this time.
    pub(crate) async fn check(&mut self, limit: Duration) -> Result<(), McpError> {
        let peer = self.service.peer();
        let request = match modern(peer) {
            None => ClientRequest::PingRequest(PingRequest::default()),
            Some(version) => {
                let info = self.service.service().get_info();
                let mut discover = DiscoverRequest::new(DiscoverRequestParams {});
                let context =
                    RequestMetaObject::with_client_context(version, info.client_info, info.capabilities);
                discover.extensions.insert(context);
                ClientRequest::DiscoverRequest(discover)
            }
        };
        let answer = tokio::time::timeout(limit, peer.send_request(request)).await;
        match answer {
            // An error is an answer as well.
            Ok(Ok(_) | Err(ServiceError::McpError(_) | ServiceError::UnexpectedResponse)) => Ok(()),
            Ok(Err(error)) => Err(self.failed("a ping", Some(error.into())).await),
            Err(_) => Err(self.failed("a ping", None).await),
        }
    }

    /// Waits until the server says that a list of its has changed; an error says that it never will.
    pub(crate) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.changed.changed().await
    }

    /// Ends the conversation, and a server that was started for it.
    pub(crate) async fn close(mut self) {
        self.stop_listening();
        let _ = self.service.close().await;
        if let Some(child) = self.child.take() {
            child.close().await;
        }
    }

    fn stop_listening(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
        }
    }

    /// In the newer era a server tells only who asks that its lists have changed. When the stream breaks off something may have
    /// been missed.
    fn listen(&mut self) {
        if modern(self.service.peer()).is_none() {
            return;
        }
        let (peer, ears) = (self.service.peer().clone(), self.service.service().clone());
        let listening = tokio::spawn(async move {
            let (mut pause, mut again) = (LISTEN_AGAIN, false);
            loop {
                let filter = SubscriptionFilter::builder();
                let filter =
                    filter.tools_list_changed().prompts_list_changed().resources_list_changed().build();
                match peer.listen(filter).await {
                    Ok(mut subscription) => {
                        if std::mem::replace(&mut again, true) {
                            ears.heard();
                        }
                        while let Ok(Some(_)) = subscription.next().await {
                            pause = LISTEN_AGAIN;
                            ears.heard();
                        }
                    }
                    // It does not know of this, and never will.
                    Err(ServiceError::McpError(_)) => return,
                    Err(_) => {}
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LISTEN_RARELY);
            }
        });
        self.listening = Some(listening.abort_handle());
    }

    async fn failed(&mut self, step: &'static str, cause: Option<Cause>) -> McpError {
        match (&mut self.child, &self.transport) {
            (Some(child), _) => of_child(child, step, self.patience, cause).await,
            (None, transport) => of_endpoint(transport.url().unwrap_or_default(), step, self.patience, cause),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop_listening();
    }
}

fn era_of(service: &RunningService<RoleClient, Ears>) -> Era {
    if modern(service.peer()).is_some() { Era::Either } else { Era::Older }
}

/// The version, if it is one without a handshake.
fn modern(peer: &Peer<RoleClient>) -> Option<ProtocolVersion> {
    let info: std::sync::Arc<ServerPeerInfo> = peer.peer_info()?;
    (!info.protocol_version.has_initialize()).then(|| info.protocol_version.clone())
}

/// None: it took too long.
async fn greeted<T, E, A>(
    ears: Ears,
    transport: T,
    patience: Duration,
    era: Era,
) -> Result<RunningService<RoleClient, Ears>, Option<Cause>>
where
    T: IntoTransport<RoleClient, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    let lifecycle = match era {
        Era::Older => ClientLifecycleMode::Initialize,
        Era::Either => ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
        },
    };
    let greeting = ears.serve_with_lifecycle(transport, lifecycle);
    let service = tokio::time::timeout(patience, greeting).await;
    let service = service.map_err(|_| None)?.map_err(|error: ClientInitializeError| Some(error.into()))?;
    // A description is to be what the server says now.
    service.peer().set_response_cache_config(ClientCacheConfig::disabled()).await;
    Ok(service)
}

/// Greets over what the endpoint speaks; says whether that is the older way.
async fn greeted_over_http(
    ears: Ears,
    endpoint: &Endpoint,
    patience: Duration,
    era: Era,
) -> Result<(RunningService<RoleClient, Ears>, bool), McpError> {
    let failed = |cause| of_endpoint(endpoint.url.as_str(), GREETING, patience, cause);
    let first = if endpoint.speaks == Speaks::Sse {
        None
    } else {
        match greeted(ears.clone(), endpoint.streamable()?, patience, era).await {
            Ok(service) => return Ok((service, false)),
            Err(cause) => {
                let perhaps = matches!(cause, Some(Cause::NotMcp(_) | Cause::Refused(_) | Cause::Closed));
                if endpoint.speaks == Speaks::StreamableHttp || !perhaps {
                    return Err(failed(cause));
                }
                Some(cause)
            }
        }
    };
    let opened = tokio::time::timeout(patience, endpoint.sse()).await;
    let second = match opened {
        Ok(transport) => match transport? {
            Ok(transport) => match greeted(ears, transport, patience, Era::Older).await {
                Ok(service) => return Ok((service, true)),
                Err(cause) => return Err(failed(cause)),
            },
            Err(error) => Some(Cause::of_transport(&error)),
        },
        Err(_) => None,
    };
    // What it said to the newer way says more of what it is.
    Err(failed(first.unwrap_or(second)))
}

async fn of_child(
    child: &mut Child,
    step: &'static str,
    patience: Duration,
    cause: Option<Cause>,
) -> McpError {
    if let Some(line) = child.rubbish() {
        return McpError::Rubbish { line: line.to_owned() };
    }
    match cause {
        None => McpError::Silent { step, seconds: patience.as_secs(), said: child.last_words().await },
        Some(Cause::Refused(detail) | Cause::NotMcp(detail)) => McpError::Refused { step, detail },
        Some(Cause::Credentials(how)) => McpError::Credentials { how },
        Some(Cause::Closed | Cause::Unreachable(_)) => {
            let status = match child.ended().await {
                Some(status) => status.to_string(),
                None => "it closed its standard output".to_owned(),
            };
            McpError::Ended { step, status, said: child.last_words().await }
        }
    }
}

fn of_endpoint(url: &str, step: &'static str, patience: Duration, cause: Option<Cause>) -> McpError {
    let url = url.to_owned();
    match cause {
        None => McpError::Silent { step, seconds: patience.as_secs(), said: String::new() },
        Some(Cause::Unreachable(reason)) => McpError::Unreachable { url, reason },
        Some(Cause::Credentials(how)) => McpError::Credentials { how },
        Some(Cause::Refused(detail)) => McpError::Refused { step, detail },
        Some(Cause::NotMcp(detail)) => McpError::NotMcp { url, detail },
        Some(Cause::Closed) => McpError::NotMcp { url, detail: "it closes the connection".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A server of the older era that says what it is told to, and an error to all else.
    async fn serve(stream: DuplexStream, answers: Value) {
        let (read, mut write) = tokio::io::split(stream);
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let request: Value = serde_json::from_str(&line).unwrap();
            let Some(id) = request.get("id") else { continue };
            let method = request["method"].as_str().unwrap();
            let cursor = request["params"]["cursor"].as_str().unwrap_or_default();
            let answer = match answers.get(format!("{method}{cursor}")) {
                Some(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
                None => {
                    json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no such method"}})
                }
            };
            write.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
        }
    }

    async fn described(answers: Value) -> Result<Registration, describe::Failed> {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(serve(theirs, answers));
        let (sender, _) = watch::channel(0);
        let service =
            greeted(Ears(sender), tokio::io::split(ours), PATIENCE, Era::Either).await.ok().unwrap();
        let transport =
            Transport::Stdio { command: vec!["/opt/a-server.py".into()], environment: Vec::new() };
        describe::describe(service.peer(), transport, PATIENCE).await
    }

    fn greeting(capabilities: &Value, name: &str) -> Value {
        json!({"protocolVersion": "2025-06-18", "capabilities": capabilities, "instructions": "Ask.",
            "serverInfo": {"name": name, "title": "T", "version": "1.2"}})
    }

    #[tokio::test]
    async fn every_page_is_read_of_what_a_server_says_that_it_has() {
        let tool = |name: &str| json!({"name": name, "description": "d", "inputSchema": {"type": "object", "b": 1, "a": 2}});
        let registration = described(json!({
            "initialize": greeting(&json!({"tools": {}, "resources": {}, "logging": {}, "completions": {"x": 1}}), "a server!"),
            "tools/list": {"tools": [tool("one"), tool("one")], "nextCursor": "next"},
            "tools/listnext": {"tools": [tool("two")]},
            "resources/list": {"resources": [{"uri": "a://b", "name": "B", "mimeType": "text/plain"}]},
            "prompts/list": {"prompts": [{"name": "unsaid"}]},
        }))
        .await
        .ok()
        .unwrap();
        assert_eq!(
            serde_json::to_value(registration).unwrap(),
            json!({"name": "a server-", "title": "T", "version": "1.2", "description": "Ask.", "transport": "stdio",
                "command": ["/opt/a-server.py"], "ttl": 30, "capabilities": {
                    "tools": [tool("one"), tool("two")], "prompts": [],
                    "resources": [{"uri": "a://b", "name": "B", "mimeType": "text/plain"}],
                    "completions": {"x": 1}, "logging": {}}})
        );
        let nameless = described(json!({"initialize": greeting(&json!({}), "")})).await.ok().unwrap();
        assert_eq!(nameless.name, "a-server");
    }

    #[tokio::test]
    async fn a_list_without_end_and_one_that_is_refused() {
        let tools = json!({"tools": {}});
        let endless = json!({"initialize": greeting(&tools, "s"),
            "tools/list": {"tools": [], "nextCursor": "x"}, "tools/listx": {"tools": [], "nextCursor": "x"}});
        assert!(matches!(described(endless).await, Err(describe::Failed::Endless("tools/list", _))));
        let refused = json!({"initialize": greeting(&tools, "s")});
        let failed = described(refused).await;
        assert!(
            matches!(failed, Err(describe::Failed::At("tools/list", Some(Cause::Refused(text)))) if text == "no such method")
        );
    }
}
