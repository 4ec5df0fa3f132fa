//! One integration binary over real files and sockets.
#![allow(missing_docs, reason = "tests")]

mod smoke;
