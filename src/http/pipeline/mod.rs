//! What every request passes on its way to a handler, and every response on its way back.

pub(super) mod admission;
pub(super) mod auth;
pub(super) mod body;
pub(super) mod host_check;
pub(super) mod request_id;
pub(super) mod route;
pub(super) mod service;
