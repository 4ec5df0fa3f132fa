//! The sessions of clients of the era of `initialize`: as many as memory has room for, and each for as long as it may be used.
//!
//! Clients of that era do not begin anew when their session is gone, so one that is quiet is kept for half a day. Nobody has to
//! end one either, so there is a limit: one more ends the one that was not used
//! for longest.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::common::server_side_http::ServerSseMessage;
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, SessionConfig};
use rmcp::transport::streamable_http_server::session::{SessionId, SessionManager};

/// How many there may be: each takes some 60 KiB.
const MOST: usize = 1_000;
/// How long one may be quiet.
const QUIET: Duration = Duration::from_hours(12);

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Sessions {
    local: LocalSessionManager,
    /// All of them, the one that is not used for longest first.
    ages: Mutex<VecDeque<SessionId>>,
}

type Local = LocalSessionManager;

impl Sessions {
    pub(super) fn new() -> Self {
        let mut local = LocalSessionManager::default();
        let mut config = SessionConfig::default();
        config.keep_alive = Some(QUIET);
        local.session_config = config;
        Self { local, ages: Mutex::default() }
    }

    fn used(&self, id: &SessionId) {
        let mut ages = self.ages();
        if let Some(place) = ages.iter().position(|known| known == id)
            && let Some(id) = ages.remove(place)
        {
            ages.push_back(id);
        }
    }

    fn ages(&self) -> MutexGuard<'_, VecDeque<SessionId>> {
        self.ages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionManager for Sessions {
    type Error = <Local as SessionManager>::Error;
    type Transport = <Local as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let created = self.local.create_session().await?;
        let oldest = {
            let mut ages = self.ages();
            ages.push_back(created.0.clone());
            if ages.len() > MOST { ages.pop_front() } else { None }
        };
        if let Some(oldest) = oldest {
            tracing::info!("more than {MOST} sessions of MCP clients: the one not used for longest ends");
            // What becomes of it is nothing to the newcomer.
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
        self.ages().retain(|known| known != id);
        self.local.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.used(id);
        self.local.create_stream(id, message).await
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.used(id);
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
