//! One integration binary, one module an area, over real files and real sockets.
//!
//! Time is a `ManualClock` wherever it matters; nothing here sleeps to let time pass, and nothing asserts how long
//! something took.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod access;
mod answers;
mod bad_input;
mod bad_requests;
mod cli;
mod client;
mod crash;
mod day;
mod doctor;
mod document;
mod find;
mod heartbeat;
mod http;
mod lease_time;
mod limits;
mod mcp;
mod mcp_news;
mod model;
mod observe;
mod official;
mod operations;
mod registry;
mod search;
mod search_texts;
mod standby;
mod standby_http;
mod start;
mod summaries;
mod support;
mod tokens;
mod watch;
