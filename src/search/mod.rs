//! Hybrid lexical and semantic search, without SQL.
//!
//! A registration is turned into documents of terms and vectors, which the store persists. An [`Index`] of all documents
//! is kept in memory, and a [`Ranking`] ranks them by a [`Query`].

mod document;
#[cfg(feature = "semantic")]
mod embedding;
mod encoding;
mod index;
mod lexical_score;
mod matching;
mod postings;
mod query;
mod query_embedding;
mod ranking;
mod results;

pub(crate) use document::{Digest, digest, documents_of, version};
pub(crate) use encoding::encode;
pub(crate) use index::Index;
pub(crate) use query::Query;
pub(crate) use ranking::Ranking;
#[cfg(feature = "bench")]
pub(crate) use ranking::SearchSignal;
pub(crate) use results::{PageBounds, Ranked};
