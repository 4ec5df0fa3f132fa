//! The OpenAPI document: schemas, examples, and the list of routes it is made from.

pub(super) mod document;
pub(super) mod examples;
pub(super) mod schemas;
