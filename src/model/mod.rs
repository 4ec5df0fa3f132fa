//! The words of the registry as plain types: no SQL, no HTTP, no time but what is passed in.
//!
//! Each type is built from what a caller says (a builder in Rust, or JSON) and is checked once, whole, with every
//! violation listed: [`Registration::validate`]. What lies behind that check need not ask again.

mod capabilities;
mod change;
mod cursor;
mod definition;
mod document;
mod filter;
mod json;
mod lease;
mod limits;
mod parse;
mod query;
mod record;
mod registration;
mod resource;
mod server;
mod stats;
mod timestamp;
#[cfg_attr(not(feature = "server"), expect(dead_code, reason = "the HTTP API alone asks for tokens"))]
mod token;
mod transport;
mod validate;
mod violation;
mod words;

pub use capabilities::{Capabilities, Flags};
pub use change::{Change, ChangeKind, Revision, RevisionError, Snapshot, Watched};
pub use cursor::{Cursor, CursorError};
pub use definition::{Prompt, Tool};
pub use filter::{Filter, FilterError, HealthFilter, Match, View};
pub use json::{Json, JsonError};
pub use lease::{Health, LeaseId, LeaseRef, LeaseState, Refreshed, RefreshedMany};
pub use limits::*;
pub use record::Record;
pub use registration::{Invalid, Registered, Registration, ValidRegistration};
pub use resource::{Resource, ResourceAddress};
pub use server::{Page, Score, Server, ToolEntry, ToolPage, ToolServer};
pub use stats::{ServerStats, Stats};
pub use token::{Role, Secret, TokenError, TokenInfo, TokenName};
pub use transport::{Input, Transport, TransportKind};
pub use violation::{ParseError, Violation};

pub(crate) use cursor::Position;
pub(crate) use filter::Term;
pub(crate) use record::Rest;
#[cfg(feature = "client")]
pub(crate) use registration::new_id;
pub(crate) use resource::uri_prefixes;
pub(crate) use timestamp::push as push_time;
#[cfg(feature = "server")]
pub(crate) use token::Access;
#[cfg(feature = "server")]
pub(crate) use token::redact;
pub(crate) use token::{Actor, SecretHash, Tokens};
pub(crate) use words::{Word, each_term, is_stop_word, stem, with_stem, words};
