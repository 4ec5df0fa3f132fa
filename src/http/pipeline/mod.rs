//! The request pipeline: what runs before and after every handler.

pub(super) mod admission;
pub(super) mod auth;
pub(super) mod body;
pub(super) mod compression;
mod cors;
pub(super) mod host_check;
pub(super) mod request_id;
pub(super) mod route;
pub(super) mod service;
