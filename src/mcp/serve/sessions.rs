//! The sessions of clients of the `initialize` era, limited in number and idle time.
//!
//! Such clients do not reconnect when their session is lost, so idle sessions are kept for half a day. They need not close
//! sessions either, so the number is limited: a new session beyond the limit closes the least recently used one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::common::server_side_http::ServerSseMessage;
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, SessionConfig};
use rmcp::transport::streamable_http_server::session::{SessionId, SessionManager};

/// Maximum number of sessions. Each uses about 60 KiB.
const MAX_SESSIONS: usize = 1_000;
const IDLE_TIMEOUT: Duration = Duration::from_hours(12);

/// A session manager that closes the least recently used session at the limit.
#[derive(Debug)]
pub(crate) struct Sessions {
    local: LocalSessionManager,
    /// The ids of all sessions, least recently used first.
    usage_order: Mutex<VecDeque<SessionId>>,
}

type Local = LocalSessionManager;

impl Sessions {
    pub(super) fn new() -> Self {
        let mut local = LocalSessionManager::default();
        let mut config = SessionConfig::default();
        config.keep_alive = Some(IDLE_TIMEOUT);
        local.session_config = config;
        Self { local, usage_order: Mutex::default() }
    }

    fn mark_used(&self, id: &SessionId) {
        let mut usage_order = self.usage_order();
        if let Some(index) = usage_order.iter().position(|known| known == id)
            && let Some(id) = usage_order.remove(index)
        {
            usage_order.push_back(id);
        }
    }

    fn usage_order(&self) -> MutexGuard<'_, VecDeque<SessionId>> {
        self.usage_order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionManager for Sessions {
    type Error = <Local as SessionManager>::Error;
    type Transport = <Local as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let created = self.local.create_session().await?;
        let oldest = {
            let mut usage_order = self.usage_order();
            usage_order.push_back(created.0.clone());
            if usage_order.len() > MAX_SESSIONS { usage_order.pop_front() } else { None }
        };
        if let Some(oldest) = oldest {
            tracing::info!("more than {MAX_SESSIONS} MCP sessions; closing the least recently used one");
            // A failure does not concern the new session.
            let _ = self.local.close_session(&oldest).await;
        }
        Ok(created)
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.local.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.local.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.usage_order().retain(|known| known != id);
        self.local.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.mark_used(id);
        self.local.create_stream(id, message).await
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.mark_used(id);
        self.local.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.resume(id, last_event_id).await
    }
}
