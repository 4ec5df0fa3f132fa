//! Domain types, independent of SQL, HTTP and the clock.
//!
//! A registration comes from a builder or from JSON and is validated once as a whole, collecting every violation: see
//! [`Registration::validate`]. Later code relies on it.

mod capabilities;
mod change;
mod cursor;
mod definition;
mod filter;
mod filter_check;
mod filter_options;
mod filter_params;
mod json;
mod json_node;
mod lease;
mod limits;
mod parse;
mod record;
mod registration;
mod resource;
mod revision;
mod search_text;
mod server;
mod stats;
mod timestamp;
#[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only the HTTP API authenticates"))]
mod token;
mod tokenizer;
mod transport;
mod validate;
mod violation;

pub use capabilities::{Capabilities, Flags};
pub use change::{Change, ChangeKind, Snapshot, WatchEvent};
pub use cursor::{Cursor, CursorError};
pub use definition::{Prompt, Tool};
pub use filter::Filter;
pub use filter_check::FilterError;
pub use filter_options::{HealthFilter, Match, View};
pub use json::{Json, JsonError};
pub use lease::{Health, LeaseId, LeaseRef, LeaseState, Refreshed, RefreshedMany};
pub use limits::*;
pub use record::Record;
pub use registration::{InvalidRegistration, Registered, Registration, ValidRegistration};
pub use resource::{Resource, ResourceAddress};
pub use revision::{Revision, RevisionError};
pub use server::{Page, Score, Server, ToolEntry, ToolPage, ToolServer};
pub use stats::{ServerStats, Stats};
pub use token::{Role, Secret, TokenError, TokenInfo, TokenName};
pub use transport::{Input, Transport, TransportKind};
pub(crate) use violation::join_violations;
pub use violation::{ParseError, Violation};

pub(crate) use cursor::Position;
#[cfg(feature = "server")]
pub(crate) use filter::FieldDefinition;
pub(crate) use filter::{FieldSource, FilterField};
#[cfg(feature = "client")]
pub(crate) use registration::new_id;
pub(crate) use resource::uri_prefixes;
pub(crate) use search_text::SearchText;
pub(crate) use server::ServerState;
pub(crate) use timestamp::push as push_time;
#[cfg(feature = "server")]
pub(crate) use token::Access;
#[cfg(feature = "server")]
pub(crate) use token::redact;
pub(crate) use token::{Actor, SecretHash, Tokens};
#[cfg(feature = "semantic")]
pub(crate) use tokenizer::words;
pub(crate) use tokenizer::{Word, each_term, is_stop_word, stem, with_stem};
