//! Search by words and by meaning, without SQL.
//!
//! A registration becomes documents of words and vectors, which the store keeps. An [`Index`] of all documents
//! is held in memory, and a [`Ranking`] holds a [`Query`] against it.

mod document;
#[cfg(feature = "semantic")]
mod embedding;
mod encoding;
mod index;
mod matching;
mod meaning;
mod postings;
mod query;
mod ranking;
mod results;
mod tally;

pub(crate) use document::{Digest, digest, documents_of, version};
pub(crate) use encoding::encode;
pub(crate) use index::Index;
pub(crate) use query::Query;
#[cfg(feature = "bench")]
pub(crate) use ranking::By;
pub(crate) use ranking::Ranking;
pub(crate) use results::{Part, Ranked};
