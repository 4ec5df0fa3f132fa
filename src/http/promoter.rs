//! The handler that promotes a standby.
//!
//! The API does not know where the standby's copy comes from, so the program that serves the standby provides the promotion.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// A running promotion.
pub(super) type Promotion = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Promotes a standby. The argument forces promotion although the peer is primary; the error says why it failed.
#[derive(Clone)]
pub(super) struct Promoter(Arc<dyn Fn(bool) -> Promotion + Send + Sync>);

impl Promoter {
    pub(super) fn new<F>(promote: impl Fn(bool) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self(Arc::new(move |force| Box::pin(promote(force))))
    }

    pub(super) fn promote(&self, force: bool) -> Promotion {
        (self.0)(force)
    }
}

impl fmt::Debug for Promoter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Promoter")
    }
}
