//! How a standby is promoted.
//!
//! The API does not know where the last copy comes from: the program that serves a standby provides the promotion.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// What a promotion comes to.
pub(super) type Promoting = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// How a standby is promoted: with force, or not if there is another primary. Says why it was not.
#[derive(Clone)]
pub(super) struct Promoter(Arc<dyn Fn(bool) -> Promoting + Send + Sync>);

impl Promoter {
    pub(super) fn new<F>(promote: impl Fn(bool) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self(Arc::new(move |force| Box::pin(promote(force))))
    }

    pub(super) fn promote(&self, force: bool) -> Promoting {
        (self.0)(force)
    }
}

impl fmt::Debug for Promoter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Promoter")
    }
}
