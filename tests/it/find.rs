//! Finding servers and tools: filters, views, `match=all`, resources and pagination.

use paulina::{Filter, Registration, View};
use serde_json::{Value, json};

use crate::support::{Api, Fixture, ids};

async fn catalog() -> Api {
    let api = Api::new().await;
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}});
    let servers = [
        json!({"id": "fs", "name": "filesystem", "version": "1.0.0", "transport": "stdio", "command": ["/fs"],
            "title": "Files", "description": "Reads and writes files in repositories",
            "capabilities": {"tools": [{"name": "read_file", "description": "Reads a file", "inputSchema": schema, "annotations": {"readOnlyHint": true}}, "writeFile"],
                "resources": ["file://*", {"uri": "file:///etc/hosts", "name": "hosts", "size": 7}], "sampling": true},
            "tags": ["local", "production"], "metadata": {"team": "search", "zone": "a:b"}}),
        json!({"id": "git", "name": "git", "version": "2.0.0", "transport": "http", "url": "http://127.0.0.1:8000/mcp",
            "description": "Talks to GitHub", "capabilities": {"tools": ["git_log", {"name": "read_file", "title": "Read", "description": "Reads a blob"}],
                "resources": [{"uriTemplate": "git://{repo}/[x]?{path}", "name": "Blob", "mimeType": "text/plain"}],
                "prompts": [{"name": "commit", "arguments": [{"name": "why"}]}], "sampling": false, "logging": {}},
            "tags": ["production"]}),
        json!({"id": "café", "name": "Resume", "transport": "sse", "url": "https://x/sse", "description": "Les résumés du café"}),
    ];
    for mut body in servers {
        if body["id"] == "café" {
            body["id"] = json!("cafe");
        }
        api.register(&body).await;
    }
    api
}

#[tokio::test]
async fn filters_match_exactly_and_are_combined_with_and() {
    let api = catalog().await;
    let cases: [(&str, &[&str]); 34] = [
        ("", &["fs", "git", "cafe"]),
        ("name=git", &["git"]),
        ("name=gi", &[]),
        ("name=git&name=filesystem", &[]),
        ("tool=read_file", &["fs", "git"]),
        ("tool=read_file&tool=git_log", &["git"]),
        ("tool=READ_FILE", &[]),
        ("prompt=commit", &["git"]),
        ("capability=sampling", &["fs"]),
        ("capability=logging", &["git"]),
        ("capability=tools", &["fs", "git"]),
        ("capability=resources", &["fs", "git"]),
        ("capability=prompts", &["git"]),
        ("tag=production", &["fs", "git"]),
        ("tags=production,local", &["fs"]),
        ("tag=production&tag=local", &["fs"]),
        ("transport=stdio", &["fs"]),
        ("transport=http", &["git"]),
        ("transport=streamable-http", &["git"]),
        ("version=2.0.0", &["git"]),
        ("owner=another", &[]),
        ("metadata=team:search", &["fs"]),
        ("metadata=zone:a:b", &["fs"]),
        ("metadata=team:other", &[]),
        ("healthy=any", &["fs", "git", "cafe"]),
        ("healthy=false", &[]),
        ("tool=read_file&tag=local&version=1.0.0&capability=tools&metadata=team:search&q=file", &["fs"]),
        ("tool=read_file&tag=local&version=2.0.0", &[]),
        ("resource=file:///etc/hosts", &["fs"]),
        ("resource=file:///tmp/x", &["fs"]),
        ("resource=file:", &[]),
        ("resource=git://a/%5Bx%5D%3Fb", &["git"]),
        ("resource=git://a/x%3Fb", &[]),
        ("limit=1", &["fs"]),
    ];
    for (query, expected) in cases {
        assert_eq!(api.ids(query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn match_all_finds_prefixes_of_words_in_every_field() {
    let api = catalog().await;
    let cases: [(&str, &[&str]); 22] = [
        ("read", &["fs", "git"]),
        ("rea", &["fs", "git"]),
        ("read_file", &["fs", "git"]),
        ("readFile", &["fs", "git"]),
        ("write_file", &["fs"]),
        ("WRITE", &["fs"]),
        ("github", &["git"]),
        ("GitHub", &["git"]),
        ("hub", &["git"]),
        ("git log", &["git"]),
        ("files repository", &["fs"]),
        ("repositor", &["fs"]),
        ("production", &["fs", "git"]),
        ("hosts", &["fs"]),
        ("blob", &["git"]),
        ("resume", &["cafe"]),
        ("résumé", &["cafe"]),
        ("cafe", &["cafe"]),
        ("fs", &[]),
        ("ead", &[]),
        ("read nothing", &[]),
        ("\"read\" OR (file* NEAR", &[]),
    ];
    for (query, expected) in cases {
        let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let mut found = api.ids(&format!("q={query}&match=all")).await;
        found.sort_by_key(|id| ["fs", "git", "cafe"].iter().position(|known| known == id));
        assert_eq!(found, expected, "{query}");
    }
    // Every prefix of a word matches, also one that is shorter than its stem.
    for end in 1..="repositories".len() {
        let found = api.ids(&format!("match=all&q={}", &"repositories"[..end])).await;
        assert!(found.contains(&"fs".to_owned()), "{end}");
    }
    assert_eq!(api.ids("q=git").await[0], "git", "a name weighs more than a description");
}

#[tokio::test]
async fn summary_view_omits_definitions_and_full_view_returns_them() {
    let api = catalog().await;
    let summary = &api.get("/v1/servers?name=filesystem").await.json()["servers"][0]["capabilities"];
    assert_eq!(
        summary["tools"],
        json!([{"name": "read_file", "description": "Reads a file"}, {"name": "writeFile"}])
    );
    assert_eq!(
        summary["resources"],
        json!([{"uri_template": "file://*"}, {"uri": "file:///etc/hosts", "name": "hosts"}])
    );
    let git = &api.get("/v1/servers?name=git").await.json()["servers"][0]["capabilities"];
    assert_eq!(
        git["resources"],
        json!([{"uri_template": "git://{repo}/[x]?{path}", "name": "Blob", "mimeType": "text/plain"}])
    );
    assert_eq!((&git["sampling"], &git["logging"]), (&json!(false), &json!({})));

    let full = api.get("/v1/servers?name=filesystem&view=full").await.json();
    let record = api.get("/v1/servers/fs").await.json();
    assert_eq!(full["servers"][0], record);
    assert_eq!(record["capabilities"]["tools"][0]["annotations"], json!({"readOnlyHint": true}));
    assert_eq!(record["capabilities"]["resources"][1]["size"], 7);
}

#[tokio::test]
async fn each_tool_is_listed_once_with_its_servers() {
    let api = catalog().await;
    let page = api.get("/v1/tools").await.json();
    let names: Vec<&str> =
        page["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["git_log", "read_file", "writeFile"]);
    let read = &page["tools"][1];
    assert_eq!(
        (&read["title"], &read["description"]),
        (&Value::Null, &json!("Reads a file")),
        "of the server that was registered first"
    );
    assert_eq!(read["definitions"], 2);
    assert_eq!(
        read["servers"][1],
        json!({"id": "git", "name": "git", "transport": "streamable-http", "health": "healthy"})
    );
    let names = |page: Value| -> Vec<String> {
        page["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(api.get("/v1/tools?tag=local").await.json()), ["read_file", "writeFile"]);
    assert_eq!(names(api.get("/v1/tools?tool=read_file").await.json()), ["read_file"]);
    assert_eq!(names(api.get("/v1/tools?q=blob&match=all").await.json()), ["read_file"]);
    assert_eq!(names(api.get("/v1/tools?q=write&match=all").await.json()), ["writeFile"]);
    assert_eq!(names(api.get("/v1/tools?healthy=false").await.json()), Vec::<String>::new());
    let local = api.get("/v1/tools?tool=read_file&tag=local").await.json();
    assert_eq!(local["tools"][0]["servers"].as_array().unwrap().len(), 1, "the other filters select servers");

    let mut seen = Vec::new();
    let mut path = "/v1/tools?limit=1".to_owned();
    loop {
        let page = api.get(&path).await.json();
        seen.extend(names(page.clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/tools?cursor={cursor}");
    }
    assert_eq!(seen, ["git_log", "read_file", "writeFile"]);
}

#[tokio::test]
async fn pagination_is_stable_while_servers_are_added_and_removed() {
    let api = Api::new().await;
    let register = |number: usize| {
        let body = json!({"id": format!("s{number}"), "name": "s", "transport": "stdio", "command": ["x"], "tags": ["t"]});
        let api = &api;
        async move { api.register(&body).await }
    };
    for number in 0..10 {
        register(number).await;
    }
    let mut page = api.get("/v1/servers?tag=t&limit=3").await.json();
    let mut seen = ids(&page);
    let mut next = 10;
    while let Some(cursor) = page["next_cursor"].as_str().map(str::to_owned) {
        // One server from an earlier page is removed, one from a later page is removed, and one is added.
        api.delete(&format!("/v1/servers/{}", seen[0])).await;
        api.delete("/v1/servers/s7").await;
        register(next).await;
        next += 1;
        page = api.get(&format!("/v1/servers?cursor={cursor}")).await.json();
        seen.extend(ids(&page));
        assert!(seen.len() < 100);
    }
    let expected: Vec<String> =
        (0..next).filter(|number| *number != 7).map(|number| format!("s{number}")).collect();
    assert_eq!(seen, expected, "no server is skipped or returned twice");
}

#[tokio::test]
async fn ranked_pages_contain_every_match_once() {
    let api = Api::new().await;
    for number in 0..25 {
        let text = "word ".repeat(number % 5 + 1);
        let body = json!({"id": format!("s{number}"), "name": "s", "transport": "stdio", "command": ["x"], "description": text,
            "capabilities": {"tools": [{"name": format!("t{number}"), "description": text}]}});
        api.register(&body).await;
    }
    for (base, key) in [("/v1/servers", "servers"), ("/v1/tools", "tools")] {
        let mut seen = Vec::new();
        let mut path = format!("{base}?q=word&limit=4");
        loop {
            let page = api.get(&path).await.json();
            let names = page[key].as_array().unwrap().iter();
            seen.extend(
                names.map(|item| {
                    item[if key == "tools" { "name" } else { "id" }].as_str().unwrap().to_owned()
                }),
            );
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("{base}?cursor={cursor}");
        }
        assert_eq!(seen.len(), 25, "{base}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 25, "{base}");
    }
}

#[tokio::test]
async fn a_cursor_is_valid_only_for_its_query() {
    let api = catalog().await;
    let page = api.get("/v1/servers?limit=1").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    for path in [
        format!("/v1/servers?cursor={cursor}&limit=2"),
        format!("/v1/servers?cursor={cursor}&tag=x"),
        format!("/v1/servers?cursor={cursor}&cursor={cursor}"),
        format!("/v1/tools?cursor={cursor}"),
        "/v1/servers?cursor=nonsense".to_owned(),
    ] {
        assert_eq!(api.get(&path).await.code(), "invalid_query", "{path}");
    }
    assert_eq!(api.ids(&format!("cursor={cursor}&limit=1&view=summary")).await, ["git"]);
}

/// Definitions of several megabytes: a page ends before it becomes too large, and the next one continues.
#[tokio::test]
async fn a_page_with_large_definitions_ends_early() {
    const SERVERS: usize = 14;
    let fixture = Fixture::new().await;
    for number in 0..SERVERS {
        let description = "x".repeat(3_000_000);
        let tool = format!("{{\"name\":\"t\",\"description\":\"{description}\"}}");
        let tool = paulina::Tool::from_json(paulina::Json::parse(&tool).unwrap()).unwrap();
        let registration = Registration::stdio("heavy", ["x"]).id(format!("s{number}")).tool(tool);
        fixture.registry.register(registration).await.unwrap();
    }
    for view in [View::Summary, View::Full] {
        for filter in [Filter::new().tool("t"), Filter::new().search("heavy")] {
            let mut filter = filter.view(view).limit(1_000);
            let (mut pages, mut found) = (0, Vec::new());
            loop {
                let page = fixture.registry.find(filter.clone()).await.unwrap();
                let bytes: usize = page
                    .servers
                    .iter()
                    .map(|server| server.capabilities.tools[0].description().unwrap().len())
                    .sum();
                assert!(bytes < 20_000_000, "{bytes}");
                found.extend(page.servers.iter().map(|server| server.id.clone()));
                pages += 1;
                let Some(cursor) = page.next_cursor else { break };
                filter = filter.after(&cursor);
            }
            assert_eq!(pages, 3, "{view:?}");
            found.sort();
            found.dedup();
            assert_eq!(found.len(), SERVERS, "{view:?}");
        }
    }
    let page = fixture.registry.find(Filter::new().name("unknown").view(View::Full)).await.unwrap();
    assert_eq!((page.servers.len(), page.next_cursor), (0, None));
    fixture.registry.close().await;
}
