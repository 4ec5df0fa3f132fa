//! Every filter finds the same servers in SQL as in memory, where watchers are filtered.

use crate::model::{Filter, FilterField, Input, Record, Registration, Server, Transport};
use crate::registry::Registry;

/// Servers whose optional texts are all set, and one without any.
fn registrations() -> Vec<Registration> {
    let url = || "http://127.0.0.1:8000/mcp";
    let mut full = [
        Registration::stdio("files", ["mcp-files", "/srv"]).input(Input::new("API_KEY")),
        Registration::streamable_http("remote", url()),
        Registration::new("remote", Transport::Sse { url: url().to_owned(), headers: Vec::new() }),
    ];
    for (number, registration) in full.iter_mut().enumerate() {
        for member in &Record::TEXTS {
            *(member.get_mut)(&mut registration.record) = Some(format!("{} {number}", member.name));
        }
    }
    let mut all: Vec<Registration> = full
        .into_iter()
        .map(|registration| {
            registration
                .tool("read_file")
                .resource("file:///{path}")
                .resource("db://main")
                .prompt("summarize")
                .capability("sampling")
                .tag("local")
        })
        .collect();
    all.push(Registration::stdio("bare", ["x"]).capability_options("logging", serde_json::json!(false)));
    all.into_iter().zip(["a", "b", "c", "d"]).map(|(registration, id)| registration.id(id)).collect()
}

#[tokio::test]
async fn sql_and_memory_agree_on_every_field() {
    let registry = Registry::in_memory().await.unwrap();
    let mut servers: Vec<Server> = Vec::new();
    for registration in registrations() {
        servers.push(registry.register(registration).await.unwrap().server);
    }
    for field in FilterField::ALL {
        let registered = servers.iter().flat_map(|server| field.values(server.record()));
        let mut values: Vec<String> = registered.map(str::to_owned).collect();
        values.extend(["nothing", "logging", "file:///etc/hosts"].map(str::to_owned));
        let mut found = 0;
        for value in values {
            let filter = Filter::new().field(field, value.clone());
            let matching = servers.iter().filter(|server| filter.matches(server.record()));
            let expected: Vec<&str> = matching.map(|server| server.id.as_str()).collect();
            let page = registry.find(filter.clone()).await.unwrap();
            let ids: Vec<&str> = page.servers.iter().map(|server| server.id.as_str()).collect();
            assert_eq!(ids, expected, "{} = {value:?}", field.name());
            found += ids.len();
        }
        let is_set_by_the_registry = field == FilterField::Owner;
        assert!(found > 0 || is_set_by_the_registry, "{} finds nothing", field.name());
    }
    registry.close().await;
}
