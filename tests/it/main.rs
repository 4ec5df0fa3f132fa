//! The integration tests: one binary, with one module per area, on real files and real sockets.
//!
//! Time comes from a `ManualClock` wherever it matters. No test sleeps to let time pass, and none asserts how long
//! something took.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod auth;
mod bad_registrations;
mod bad_requests;
mod cli;
mod client;
mod crash;
mod doctor;
mod find;
mod heartbeat;
mod http;
mod lease_time;
mod limits;
mod load;
mod mcp;
mod mcp_notifications;
mod model;
mod observability;
mod official_registry;
mod openapi;
mod operator_commands;
mod registry;
mod response_cache;
mod search;
mod search_texts;
mod standby;
mod standby_http;
mod startup;
mod summaries;
mod support;
mod tokens;
mod watch;
