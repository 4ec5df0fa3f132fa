//! Generates realistic servers: 1–32 tools, descriptions of 50–400 bytes, schemas of 0.2–6 KB per tool.
//!
//! Each query matches [`MATCHES`] servers, regardless of the size of the catalog: `tool_7`, `team_7`, `kind_7`, `name_7` and
//! `res://7/x` belong to the eighth group.

use std::sync::LazyLock;

use serde_json::{Value, json};

/// The number of servers that each query matches.
pub const MATCHES: usize = 5;

/// The words of generated descriptions.
const WORDS: &str = "\
    a absolute access account across add additional after all allowed an and any api append argument arguments array as \
    at attached author available base be before begins between body boolean branch branches browser by call can change \
    changed changes character check clicks client closes code column comment comments commit commits configuration \
    connects contains content contents context converts count create created creates current cursor data database date \
    default defaults deleted deletes depth describes description details diff directories directory document does each \
    edges edit element empty encoding ends entire entities entity environment error every exact executes existing \
    exists expression fails false fetches field fields file filename files filter finds first folder follows for format \
    found from full function given graph has headers how identifier if image in includes including index information \
    input inserts inside instead integer into is issue issues item items its key keys knowledge label language last \
    length limit line lines link list listed lists local locates logs make many match matched matching maximum media \
    memory merged message messages metadata method minimum mode modified moves multiple must name named names needed new \
    next node nodes not number object observations of offset on once one only open opens operation option optional \
    options or order original output overwrites owner page pages parameter parent parses path paths pattern patterns \
    permission project prompt provide pull queries query range reads record recursive reference relation relations \
    release remote removes rename replaced replaces repositories repository request required resolves resource response \
    result results returned returning returns review revision root row rows running runs same schema screenshots search \
    searches searching section select selected sends server session set shell should shows single size sorted source \
    stages start starting state status step string structure success such summary supported switches symbol system table \
    tag target task team text that the their them then these this thread time timestamp timezone title to token tools \
    tree true type types until update updated updates upload url use used user users uses using valid validates value \
    values version view visible waits was watch when where whether which will with within without working writes writing \
    year zone";

/// A deterministic generator of random numbers.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64, https://prng.di.unimi.it/splitmix64.c
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % bound
    }

    fn text(&mut self, bytes: u64) -> String {
        static LIST: LazyLock<Vec<&str>> = LazyLock::new(|| WORDS.split_whitespace().collect());
        let mut text = String::new();
        while (text.len() as u64) < bytes {
            text.push_str(LIST[usize::try_from(self.below(LIST.len() as u64)).unwrap()]);
            text.push(' ');
        }
        text.trim_end().to_owned()
    }

    fn tool(&mut self, name: &str) -> Value {
        let description = 50 + self.below(350);
        let mut properties = serde_json::Map::new();
        // Most schemas are small, a few are large.
        let schema = 200 + (self.below(5_800) * self.below(1_000)) / 1_000;
        let mut bytes = 0;
        while bytes < schema {
            let text = self.text(80);
            bytes += 130;
            properties.insert(
                format!("argument_{}", properties.len()),
                json!({"type": "string", "description": text}),
            );
        }
        json!({
            "name": name,
            "description": self.text(description),
            "inputSchema": {"type": "object", "properties": properties, "required": ["argument_0"]},
        })
    }
}

/// Returns the registration of server number `index` with this number of tools, or 1–32 (11 on average).
pub fn server(index: usize, tools: Option<u64>) -> Value {
    let mut random = Random(index as u64);
    let group = index / MATCHES;
    let count = tools.unwrap_or_else(|| 1 + random.below(32) * random.below(32) / 24).min(32);
    let mut list = vec![random.tool(&format!("tool_{group}"))];
    list.extend((1..count).map(|tool| random.tool(&format!("own_{index}_{tool}"))));
    json!({
        "id": id(index), "name": format!("name_{group}"), "version": "1.2.3", "description": random.text(120),
        "transport": "streamable-http", "url": format!("http://127.0.0.1:{}/mcp", 1_024 + index % 60_000),
        "capabilities": {
            "tools": list,
            "resources": [{"uri_template": format!("res://{group}/{{path}}"), "name": "files"}],
            format!("kind_{group}"): true, "logging": {},
        },
        "tags": ["production", format!("team_{group}")], "metadata": {"zone": format!("zone-{}", index % 7)},
        "ttl": 3600,
    })
}

pub fn id(index: usize) -> String {
    format!("server-{index}")
}
