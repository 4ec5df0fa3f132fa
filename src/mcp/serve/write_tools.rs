//! The tools that write.

use serde::Deserialize;
use serde_json::{Value, json};

use super::backend::{Backend, RequestError, RequestResult};
use super::tool_output::{ToolOutput, parse_arguments};
use crate::model::{Actor, Registration};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisterArguments {
    registration: Value,
}

pub(super) async fn register(backend: &Backend, arguments: Value, actor: Actor) -> RequestResult<ToolOutput> {
    let RegisterArguments { registration } = parse_arguments(arguments)?;
    let valid = Registration::from_json(registration.to_string().as_bytes())?;
    let registered = backend.register(valid, actor).await?;
    let server = &registered.server;
    let text = format!(
        "{} as {}; the registration expires after {} s unless it is registered again",
        if registered.created { "registered" } else { "replaced or renewed" },
        server.id,
        server.ttl
    );
    let structured = json!({"id": server.id, "created": registered.created, "expires_at": server.expires_at});
    Ok(ToolOutput { structured, text })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeregisterArguments {
    id: String,
}

pub(super) async fn deregister(
    backend: &Backend,
    arguments: Value,
    actor: Actor,
) -> RequestResult<ToolOutput> {
    let DeregisterArguments { id } = parse_arguments(arguments)?;
    if id.is_empty() {
        return Err(RequestError("the id is empty".to_owned()));
    }
    backend.deregister(&id, actor).await?;
    Ok(ToolOutput { text: format!("deregistered {id}"), structured: json!({ "id": id }) })
}
