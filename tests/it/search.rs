//! Search: what is found, in which order, and how soon after a change.

use std::time::Duration;

use paulina::{Filter, Match, Prompt, Registration, Registry, Resource, Tool};
use serde_json::{Value, json};

use crate::support::{Api, Fixture, edit};

#[path = "../search/set.rs"]
#[expect(unreachable_pub, reason = "shared with a benchmark")]
mod set;

use set::{Quality, Sentence};

fn tool(definition: Value) -> Tool {
    Tool::from_json(definition).unwrap()
}

pub(crate) fn described(name: &str, description: &str) -> Tool {
    tool(json!({"name": name, "description": description}))
}

async fn tools(registry: &Registry, filter: Filter) -> Vec<String> {
    let page = registry.tools(filter).await.unwrap();
    page.tools.iter().map(|tool| tool.name.clone()).collect()
}

pub(crate) async fn found(registry: &Registry, words: &str) -> Vec<String> {
    tools(registry, Filter::new().search(words)).await
}

pub(crate) async fn first(registry: &Registry, words: &str) -> String {
    found(registry, words).await.first().cloned().unwrap_or_default()
}

/// Measures the ranking on the half of the evaluation set that is not used for tuning. A change that lowers a figure by more
/// than 0.02 must improve another, and update the baseline.
#[tokio::test]
async fn ranking_quality_on_the_test_queries_does_not_drop() {
    let registry = Registry::in_memory().await.unwrap();
    for server in set::servers() {
        let registration = Registration::from_json(server.to_string().as_bytes()).unwrap();
        registry.register_valid(registration).await.unwrap();
    }
    let sentences: Vec<Sentence> = set::test();
    assert!(sentences.len() + set::development().len() >= 150);
    assert!(registry.stats().await.unwrap().tools >= 150);
    let mut answers = Vec::new();
    for sentence in &sentences {
        answers.push(found(&registry, sentence.text).await);
    }
    let quality = Quality::of(&sentences, &answers);
    let baseline = Quality {
        recall_at_1: 0.684,
        recall_at_5: 0.905,
        recall_at_10: 0.968,
        mrr: 0.780,
        ndcg_at_10: 0.823,
        empty: 0,
    };
    for (current, before) in [
        (quality.recall_at_1, baseline.recall_at_1),
        (quality.recall_at_5, baseline.recall_at_5),
        (quality.recall_at_10, baseline.recall_at_10),
        (quality.mrr, baseline.mrr),
        (quality.ndcg_at_10, baseline.ndcg_at_10),
    ] {
        assert!(current >= before - 0.02, "{quality:?}; the baseline is {baseline:?}");
    }
    assert_eq!(quality.empty, 0, "every query has a result");
}

#[tokio::test]
async fn exact_names_and_rare_words_rank_first() {
    let registry = Registry::in_memory().await.unwrap();
    let long = format!(
        "Reads a file. {}",
        "Handles file names, file types, file sizes and every other file. ".repeat(8)
    );
    let server = Registration::stdio("files", ["x"])
        .tool(described("file", "Something else altogether"))
        .tool(described("read_file", "Returns text"))
        .tool(described("read_file_lines", "Reads a file line by line"))
        .tool(described("everything", &long))
        .tool(described("frobnicate", "Handles the zyzzyva"))
        .tool(described("other", "Frobnicates other things"))
        .tool(tool(json!({"name": "readFile2", "description": "Another one"})));
    registry.register(server).await.unwrap();
    for name in ["file", "read_file", "read_file_lines", "everything", "frobnicate", "other", "readFile2"] {
        assert_eq!(first(&registry, name).await, name);
        assert_eq!(first(&registry, &format!(" {name} ")).await, name);
    }
    assert_eq!(first(&registry, "readFile").await, "read_file", "the name consists of the same words");
    assert_eq!(first(&registry, "Read File").await, "read_file");
    assert_eq!(first(&registry, "zyzzyva").await, "frobnicate", "a rare word");
    let text =
        format!("{} quokka {}", "Long before anything else is said. ".repeat(20), "And after. ".repeat(20));
    registry.register(Registration::stdio("far", ["x"]).tool(described("deep", &text))).await.unwrap();
    let schema = json!({"properties": {"animal": {"type": "string", "description": "such as quokka"}}});
    let shallow = tool(json!({"name": "shallow", "description": "Feeds an animal", "inputSchema": schema}));
    registry.register(Registration::stdio("zoo", ["x"]).tool(shallow)).await.unwrap();
    assert_eq!(first(&registry, "quokka").await, "deep", "a rare word far down in a text");
    assert_eq!(found(&registry, "qqqzzzxx").await, Vec::<String>::new(), "an unknown word");
}

#[tokio::test]
async fn an_exact_word_form_ranks_before_other_forms_of_the_word() {
    let registry = Registry::in_memory().await.unwrap();
    let mut server = Registration::stdio("terms", ["x"]);
    for number in 0..5 {
        let name = format!("accept_{number}");
        server = server.tool(described(&name, "Accept terms, accept offers, accepts what is acceptable"));
    }
    registry.register(server).await.unwrap();
    let only = described(
        "sign_up",
        "Creates an account for somebody who has read the terms of use and is accepting them",
    );
    registry.register(Registration::stdio("accounts", ["x"]).tool(only).id("accounts")).await.unwrap();
    assert_eq!(first(&registry, "accepting").await, "sign_up");
    assert!(first(&registry, "accept").await.starts_with("accept_"), "many tools contain this form");
    let schema =
        json!({"properties": {"after": {"type": "string", "description": "Fails when accepting too late"}}});
    for number in 0..5 {
        let name = format!("limit_{number}");
        let tool = tool(json!({"name": name, "description": "Limits something", "inputSchema": schema}));
        registry.register(Registration::stdio(name, ["x"]).tool(tool)).await.unwrap();
    }
    assert_eq!(first(&registry, "accepting").await, "sign_up", "descriptions rank before parameters");
    assert!(first(&registry, "accepted").await.starts_with("accept_"), "no tool contains this form");
    registry.deregister("accounts").await.unwrap();
    assert!(
        first(&registry, "accepting").await.starts_with("accept_"),
        "the only tool with this form was removed"
    );
}

#[tokio::test]
async fn tools_with_every_word_rank_before_tools_with_some() {
    let registry = Registry::in_memory().await.unwrap();
    let server = Registration::stdio("letters", ["x"])
        .tool(described("alpha", "alpha alpha alpha"))
        .tool(described("beta", "beta beta beta"))
        .tool(described("mixture", "something about gamma, alpha, delta and beta"));
    registry.register(server).await.unwrap();
    assert_eq!(first(&registry, "alpha beta").await, "mixture");
    assert_eq!(first(&registry, "the alpha of a beta").await, "mixture", "stop words are ignored");
    let page = registry.tools(Filter::new().search("alpha beta")).await.unwrap();
    let scores: Vec<f64> = page.tools.iter().map(|tool| tool.score.unwrap().value()).collect();
    assert!(scores[0] >= 1.0 && scores[1] < 1.0, "{scores:?}");
    assert_eq!(tools(&registry, Filter::new().search("alpha beta").matching(Match::All)).await, ["mixture"]);
    let strict = Filter::new().search("alpha nothing").matching(Match::All);
    assert_eq!(tools(&registry, strict).await, Vec::<String>::new());
    assert_eq!(found(&registry, "alpha nothing").await[0], "alpha");
}

#[tokio::test]
async fn words_are_found_despite_case_compounds_typos_and_scripts() {
    let registry = Registry::in_memory().await.unwrap();
    let schema = json!({"type": "object", "properties": {
        "wavelength": {"type": "string", "description": "nanometers", "enum": ["ultraviolet", "infrared"]},
        "inner": {"type": "object", "properties": {"azimuthAngle": {"type": "number"}}},
    }});
    let server = Registration::stdio("HTTPServer2", ["x"])
        .title("Laboratory")
        .tag("spectroscopy")
        .tool(tool(json!({"name": "measure", "title": "Photometer", "inputSchema": schema})))
        .tool(described("takeScreenshot", "Résumé of the page"))
        .tool(described("文件搜索", "在文件中查找文本"))
        .tool(described("ファイル", "ファイルを読む"))
        .tool(described("파일", "파일을 읽습니다"))
        .tool(described("ไฟล์", "อ่านไฟล์จากดิสก์"))
        .tool(described("who_am_i", "Tells the account"));
    registry.register(server).await.unwrap();
    for (words, name) in [
        ("wavelength", "measure"),
        ("nanometers", "measure"),
        ("infrared", "measure"),
        ("azimuth", "measure"),
        ("azimuthangle", "measure"),
        ("photometer", "measure"),
        ("screenshot", "takeScreenshot"),
        ("screen shot", "takeScreenshot"),
        ("screnshot", "takeScreenshot"),
        ("screeenshot", "takeScreenshot"),
        ("scerenshot", "takeScreenshot"),
        ("screensh", "takeScreenshot"),
        ("resume", "takeScreenshot"),
        ("RÉSUMÉ", "takeScreenshot"),
        ("搜索", "文件搜索"),
        ("查找", "文件搜索"),
        ("件", "文件搜索"),
        ("ファイル", "ファイル"),
        ("読む", "ファイル"),
        ("파일", "파일"),
        ("일", "파일"),
        ("ดิสก์", "ไฟล์"),
        ("who am i", "who_am_i"),
    ] {
        assert_eq!(first(&registry, words).await, name, "{words}");
    }
    for words in ["spectroscopy", "laboratory", "http server", "HTTPServer2", "server 2"] {
        assert_eq!(found(&registry, words).await.len(), 7, "{words}: every tool of the server");
    }
}

#[tokio::test]
async fn servers_are_found_by_their_tools_prompts_resources_and_texts() {
    let registry = Registry::in_memory().await.unwrap();
    let forecast = json!({"name": "plan", "description": "Plans a picnic by the forecast"});
    let resource = json!({"uri": "tide://today", "name": "tides", "description": "High and low water"});
    for server in [
        Registration::stdio("sky", ["x"]).id("tool").tool(described("get_weather", "Rain, wind and sun")),
        Registration::stdio("plans", ["x"]).id("prompt").prompt(Prompt::from_json(forecast).unwrap()),
        Registration::stdio("sea", ["x"]).id("resource").resource(Resource::from_json(resource).unwrap()),
        Registration::stdio("ledger", ["x"]).id("text").description("Keeps the accounts").tag("bookkeeping"),
    ] {
        registry.register(server).await.unwrap();
    }
    for (words, id) in [
        ("is it going to rain", "tool"),
        ("get_weather", "tool"),
        ("picnic", "prompt"),
        ("low water", "resource"),
        ("bookkeeping", "text"),
        ("accounts", "text"),
        ("ledger", "text"),
    ] {
        let page = registry.find(Filter::new().search(words)).await.unwrap();
        assert_eq!(page.servers[0].id, id, "{words}");
        assert!(page.servers[0].score.is_some());
    }
}

#[tokio::test]
async fn unusual_search_texts_are_accepted_or_rejected_with_a_reason() {
    let api = Api::new().await;
    let tools = json!([{"name": "read_file", "description": "Reads the file"}, {"name": "the", "description": "it is"}]);
    let body = json!({"id": "a", "name": "a", "transport": "stdio", "command": ["x"], "capabilities": {"tools": tools}});
    api.register(&body).await;
    let long = "word ".repeat(500);
    let texts = [
        "the",
        "what is it",
        "a",
        "\u{1}file\u{2}",
        "\"file\" OR (NEAR",
        "file* AND NOT",
        "file:read",
        "-file",
        "^file",
        "{name}: file",
        "\u{202e}file",
        "🦀 file",
        &"Get".repeat(600),
        &"文件".repeat(900),
        "e\u{301}\u{301}",
        &"x".repeat(2_000),
        &long[..2_000],
        &"é".repeat(2_000),
        &"файл ".repeat(300),
        "1",
        "0x00",
        "''; DROP TABLE tools; --",
    ];
    for text in texts {
        let query: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        for path in [format!("/v1/tools?q={query}"), format!("/v1/servers?q={query}")] {
            let answer = api.get(&path).await;
            assert_eq!(answer.status, 200, "{text:?}: {answer:?}");
        }
    }
    for text in ["", " ", "---", "🦀", "\u{1}"] {
        let query: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let answer = api.get(&format!("/v1/tools?q={query}")).await;
        assert!(
            answer.json()["detail"].as_str().unwrap().contains("contains no word to search for"),
            "{text:?}"
        );
    }
    let answer = api.get(&format!("/v1/tools?q={}", "x".repeat(2_001))).await;
    assert!(
        answer.json()["detail"].as_str().unwrap().contains("2001 characters; at most 2000"),
        "{answer:?}"
    );
    let answer = api.get(&format!("/v1/tools?match=all&q={}", "word+".repeat(33))).await;
    assert!(answer.json()["detail"].as_str().unwrap().contains("at most 32 are allowed"), "{answer:?}");
}

#[tokio::test]
async fn filters_apply_to_search_results_and_pages_contain_each_once() {
    let registry = Registry::in_memory().await.unwrap();
    for number in 0..40 {
        let server = Registration::stdio(if number % 2 == 0 { "even" } else { "odd" }, ["x"])
            .id(format!("s{number:02}"))
            .tag(if number % 4 == 0 { "fourth" } else { "other" })
            .metadata("half", if number < 20 { "one" } else { "two" })
            .tool(described(&format!("write_{number:02}"), "Writes the report"))
            .tool("common");
        registry.register(server).await.unwrap();
    }
    let filter = Filter::new().search("write a report").tag("fourth").metadata("half", "one").limit(2);
    let (mut seen, mut next) = (Vec::new(), filter.clone());
    loop {
        let page = registry.find(next.clone()).await.unwrap();
        seen.extend(page.servers.iter().map(|server| server.id.clone()));
        let Some(cursor) = page.next_cursor else { break };
        next = filter.clone().after(&cursor);
    }
    seen.sort();
    assert_eq!(seen, ["s00", "s04", "s08", "s12", "s16"]);
    let filter = Filter::new().search("writes reports").name("odd").limit(7);
    let (mut seen, mut next) = (Vec::new(), filter.clone());
    loop {
        let page = registry.tools(next.clone()).await.unwrap();
        assert!(page.tools.iter().all(|tool| tool.servers.iter().all(|server| server.name == "odd")));
        seen.extend(page.tools.iter().map(|tool| tool.name.clone()).filter(|name| name != "common"));
        let Some(cursor) = page.next_cursor.clone() else { break };
        next = filter.clone().after(&cursor);
    }
    seen.sort();
    let odd: Vec<String> =
        (0..40).filter(|number| number % 2 == 1).map(|number| format!("write_{number:02}")).collect();
    assert_eq!(seen, odd);
    let named = Filter::new().search("write").tool("write_07");
    assert_eq!(tools(&registry, named.clone()).await, ["write_07"]);
    assert_eq!(tools(&registry, named.tool("write_08")).await, Vec::<String>::new(), "no tool has two names");
}

#[tokio::test]
async fn the_index_follows_every_change_at_once() {
    let mut fixture = Fixture::new().await;
    let server = |words: &str| Registration::stdio("a", ["x"]).id("a").tool(described("first", words));
    let registered = fixture.registry.register(server("paints walls")).await.unwrap();
    assert_eq!(found(&fixture.registry, "walls").await, ["first"]);
    fixture.registry.register(server("tunes pianos")).await.unwrap();
    let strict = |words: &str| Filter::new().search(words).matching(Match::All);
    assert_eq!(tools(&fixture.registry, strict("walls")).await, Vec::<String>::new());
    assert_eq!(tools(&fixture.registry, strict("pianos")).await, ["first"]);
    edit(&fixture.path(), "UPDATE tools SET description = 'mows lawns'").await;
    fixture.registry.check_writable().await.unwrap();
    assert_eq!(tools(&fixture.registry, strict("pianos")).await, Vec::<String>::new());
    assert_eq!(tools(&fixture.registry, strict("lawns")).await, ["first"], "after an edit of the database");
    fixture.reopen_after(Duration::ZERO).await;
    assert_eq!(tools(&fixture.registry, strict("lawns")).await, ["first"], "after a restart");
    assert_eq!(registered.server.id, "a");
    fixture.registry.deregister("a").await.unwrap();
    assert_eq!(found(&fixture.registry, "lawns").await, Vec::<String>::new());
    fixture.registry.close().await;
}
