//! The tools that write, for whoever may do so over HTTP.

use serde::Deserialize;
use serde_json::{Value, json};

use super::backend::{Answer, Catalogue, Failure};
use super::tool_output::{ToolOutput, arguments};
use crate::model::{Actor, Registration};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    registration: Value,
}

pub(super) async fn register(catalogue: &Catalogue, given: Value, actor: Actor) -> Answer<ToolOutput> {
    let Register { registration } = arguments(given)?;
    let valid = Registration::from_json(registration.to_string().as_bytes())?;
    let registered = catalogue.register(valid, actor).await?;
    let server = &registered.server;
    let text = format!(
        "{} as {}; it stays for {} s, and has to be registered again until then",
        if registered.created { "registered" } else { "replaced, or renewed," },
        server.id,
        server.ttl
    );
    let structured = json!({"id": server.id, "created": registered.created, "expires_at": server.expires_at});
    Ok(ToolOutput { structured, text })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deregister {
    id: String,
}

pub(super) async fn deregister(catalogue: &Catalogue, given: Value, actor: Actor) -> Answer<ToolOutput> {
    let Deregister { id } = arguments(given)?;
    if id.is_empty() {
        return Err(Failure("the id is empty".to_owned()));
    }
    catalogue.deregister(&id, actor).await?;
    Ok(ToolOutput { text: format!("{id} is taken out"), structured: json!({ "id": id }) })
}
