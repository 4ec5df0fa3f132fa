//! The OpenAPI document: schemas, examples, and the list of routes that it is generated from.

pub(super) mod document;
pub(super) mod examples;
pub(super) mod schemas;
