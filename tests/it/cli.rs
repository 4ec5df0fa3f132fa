//! The command line as a process, against a registry in another process.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::binary::Binary;
use crate::support::redact;

struct Cli {
    binary: Binary,
    folder: tempfile::TempDir,
}

impl Cli {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { binary: Binary::start(&folder.path().join("paulina.db")), folder }
    }

    fn output(&self, arguments: &[&str], input: &str) -> Output {
        run(&self.binary.url, arguments, input)
    }

    /// Runs a command that must succeed; returns its standard output.
    fn ok(&self, arguments: &[&str]) -> String {
        self.ok_with_input(arguments, "")
    }

    fn ok_with_input(&self, arguments: &[&str], input: &str) -> String {
        let output = self.output(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail; returns its exit code and its message.
    fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.output(arguments, "");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[arguments, &["--output", "json"]].concat())).unwrap()
    }
}

fn run(url: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paulina"));
    command.args(arguments).env("PAULINA_URL", url).env_remove("PAULINA_TOKEN");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

const FILES_SERVER: &[&str] = &[
    "register",
    "--name",
    "files",
    "--id",
    "files-1",
    "--version",
    "1.0.0",
    "--tool",
    "read_file",
    "--tool",
    "write_file",
    "--resource",
    "file:///{path}",
    "--prompt",
    "summarize",
    "--capability",
    "logging",
    "--tag",
    "local,work",
    "--metadata",
    "team=search",
    "--env",
    "API_KEY",
    "--ttl",
    "600",
    "--",
    "npx",
    "-y",
    "mcp files",
];

const NOTES_SERVER: &[&str] =
    &["register", "--name", "notes", "--id", "notes-1", "--url", "https://notes.example/mcp"];

#[tokio::test]
async fn servers_are_registered_listed_found_shown_and_deregistered() {
    let cli = Cli::new();
    let output = cli.ok(FILES_SERVER);
    let (first, second) = output.split_once('\n').unwrap();
    assert_eq!(first, "registered files-1, healthy for 600 s; refresh it with");
    let lease = second.trim().strip_prefix("paulina refresh files-1 --lease ").unwrap();
    assert_eq!(cli.ok(&["refresh", "files-1", "--lease", lease]), "files-1: healthy for 600 s from now\n");
    cli.ok(NOTES_SERVER);
    let table = "\
NAME   VERSION  TRANSPORT  HEALTH   TOOLS  RESOURCES  PROMPTS  TAGS        ID
files  1.0.0    stdio      healthy  2      1          1        local,work  files-1
notes           http       healthy                                         notes-1
";
    assert_eq!(cli.ok(&["ls"]), table);
    for (arguments, ids) in [
        (&["--tool", "read_file"][..], "files-1\n"),
        (&["--resource", "file:///etc/hosts"], "files-1\n"),
        (&["--prompt", "summarize", "--capability", "logging"], "files-1\n"),
        (&["--tag", "work", "--metadata", "team=search", "--version", "1.0.0"], "files-1\n"),
        (&["--transport", "http"], "notes-1\n"),
        (&["write", "--all-words"], "files-1\n"),
        (&["write something", "--limit", "1"], "files-1\n"),
        (&["--name", "files", "--name", "notes"], ""),
        (&["--healthy", "false"], ""),
    ] {
        assert_eq!(cli.ok(&[&["find", "--output", "ids"], arguments].concat()), ids, "{arguments:?}");
    }
    assert_eq!(cli.ok(&["find", "--tool", "none"]), "no servers\n");
    assert_eq!(cli.ok(&["tools", "--output", "ids"]), "read_file\nwrite_file\n");
    assert!(cli.ok(&["tools", "write"]).contains("write_file  files"));
    let shown = cli.ok(&["show", "files-1"]);
    for line in
        ["command      npx -y 'mcp files'", "needs        API_KEY (required)", "tools (2)", "  read_file"]
    {
        assert!(shown.lines().any(|found| found == line), "{line} in {shown}");
    }
    assert_eq!(cli.json(&["show", "files-1"])["capabilities"]["tools"][1]["name"], "write_file");
    assert!(cli.ok(&["health", "files-1"]).starts_with("files-1: healthy, "));
    assert_eq!(cli.json(&["health", "files-1"])["ttl"], 600);
    assert_eq!(cli.json(&["ls"]).as_array().unwrap().len(), 2);
    assert_eq!(cli.ok(&["deregister", "files-1", "notes-1"]), "deregistered files-1\nderegistered notes-1\n");
    assert_eq!(cli.ok(&["ls"]), "no servers\n");
}

#[tokio::test]
async fn servers_are_registered_from_json() {
    let cli = Cli::new();
    let body = json!({"name": "n", "id": "n-1", "transport": "sse", "url": "http://x/sse",
        "capabilities": {"tools": [{"name": "t", "inputSchema": {"z": 1, "a": 2}}]}});
    let answer = cli
        .ok_with_input(&["register", "--file", "-", "--tag", "more", "--output", "json"], &body.to_string());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&answer["tags"], &answer["transport"]), (&json!(["more"]), &json!("sse")));
    assert!(answer["lease"].is_string());
    let file = cli.folder.path().join("n.json");
    std::fs::write(&file, r#"{"name": "n", "transport": "sse", "ttl": 0, "color": "red"}"#).unwrap();
    let (code, text) = cli.fails(&["register", "--file", file.to_str().unwrap()]);
    assert_eq!(code, 1);
    for part in ["is not a valid registration", "/ttl ", "/url ", "/color "] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn an_export_can_be_imported_without_loss() {
    let cli = Cli::new();
    cli.ok(FILES_SERVER);
    cli.ok(NOTES_SERVER);
    let schema = r#"{"id": "s", "name": "s", "transport": "stdio", "command": ["x"], "ttl": 99,
        "capabilities": {"tools": [{"name": "t", "inputSchema": {"maximum": 1e400, "z": 0.10}, "x-note": "n"}], "roots": {"a": 1}}}"#;
    cli.ok_with_input(&["register", "--file", "-"], schema);
    let exported = cli.ok(&["export"]);
    let file = cli.folder.path().join("all.json");
    assert_eq!(
        cli.ok(&["export", "--file", file.to_str().unwrap()]),
        format!("wrote 3 servers to {}\n", file.display())
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), exported);
    let other = Cli::new();
    assert_eq!(other.ok_with_input(&["import", "-"], &exported), "3 registered\n");
    assert_eq!(other.ok(&["export"]), exported, "numbers keep every digit");
    assert!(exported.contains("1e400"));
    other.ok(&["deregister", "s"]);
    assert_eq!(other.ok(&["import", file.to_str().unwrap()]), "1 registered, 2 skipped\n");
    assert_eq!(other.ok(&["import", "--replace", "--ttl", "50", file.to_str().unwrap()]), "3 replaced\n");
    assert_eq!(other.json(&["health", "s"])["ttl"], 50);

    std::fs::write(
        &file,
        r#"{"servers": [{"name": "good", "transport": "stdio", "command": ["x"]}, {"name": "bad"}]}"#,
    )
    .unwrap();
    let (code, text) = other.fails(&["import", file.to_str().unwrap()]);
    assert!(
        code == 1 && text.contains("nothing was imported") && text.contains("/servers/1/transport"),
        "{text}"
    );
    assert_eq!(other.ok(&["find", "--name", "good"]), "no servers\n");
    std::fs::write(&file, "[]").unwrap();
    assert!(
        other
            .fails(&["import", file.to_str().unwrap()])
            .1
            .contains("is not a file that `paulina export` has written")
    );
}

#[tokio::test]
async fn config_writes_a_file_for_each_client() {
    let cli = Cli::new();
    cli.ok(FILES_SERVER);
    cli.ok(&[NOTES_SERVER, &["--sse"]].concat());
    let second: Vec<&str> =
        FILES_SERVER.iter().map(|word| if *word == "files-1" { "files-2" } else { word }).collect();
    cli.ok(&second);
    let file =
        |client: &str| -> Value { serde_json::from_str(&cli.ok(&["config", "--for", client])).unwrap() };
    let claude = file("claude");
    assert_eq!(
        claude["mcpServers"]["files"],
        json!({"type": "stdio", "command": "npx", "args": ["-y", "mcp files"], "env": {"API_KEY": "${API_KEY}"}})
    );
    assert_eq!(claude["mcpServers"]["notes"], json!({"type": "sse", "url": "https://notes.example/mcp"}));
    assert!(claude["mcpServers"]["files-2"].is_object(), "the id replaces a name that is already used");
    assert_eq!(
        file("cursor")["mcpServers"]["files"],
        json!({"command": "npx", "args": ["-y", "mcp files"], "env": {"API_KEY": "${env:API_KEY}"}})
    );
    let vscode = file("vscode");
    assert_eq!(vscode["servers"]["files"]["env"], json!({"API_KEY": "${input:files-API_KEY}"}));
    assert_eq!(
        vscode["inputs"],
        json!([
            {"type": "promptString", "id": "files-API_KEY", "description": "files: API_KEY", "password": true},
            {"type": "promptString", "id": "files-2-API_KEY", "description": "files-2: API_KEY", "password": true},
        ])
    );
    for (name, id) in [("one", "one-1"), ("two", "two-1")] {
        let body = json!({"name": name, "id": id, "transport": "http", "url": format!("http://{name}.example/mcp"),
            "headers": [{"name": "Authorization", "required": true}, {"name": "X-Team"}]});
        cli.ok_with_input(&["register", "--file", "-"], &body.to_string());
    }
    let (claude, cursor, vscode) = (file("claude"), file("cursor"), file("vscode"));
    assert_eq!(
        claude["mcpServers"]["one"]["headers"],
        json!({"Authorization": "${one_Authorization}", "X-Team": "${one_X_Team:-}"}),
        "each server has its own variable"
    );
    assert_eq!(cursor["mcpServers"]["two"]["headers"]["Authorization"], "${env:two_Authorization}");
    assert_eq!(vscode["servers"]["two"]["headers"]["Authorization"], "${input:two-Authorization}");
    let some: Value =
        serde_json::from_str(&cli.ok(&["config", "--for", "claude", "--name", "notes"])).unwrap();
    assert_eq!(some["mcpServers"].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn errors_have_an_exit_code_and_a_way_out() {
    let cli = Cli::new();
    for (arguments, code, part) in [
        (&["show", "nope"][..], 3, "nope is not registered"),
        (&["health", "nope"], 3, "nope is not registered"),
        (&["refresh", "nope"], 3, "nope is not registered"),
        (&["deregister", "nope"], 3, "nope is not registered"),
        (&["find", "--healthy", "x"], 2, "--healthy must be true, false or any"),
        (&["find", "--metadata", "x"], 2, "--metadata must have the form"),
        (&["find", "!"], 2, "the text to search for contains no word"),
        (
            &["refresh", "a", "b", "--lease", "0f9f3d2e-6f3c-4c86-9a5e-3b8a54b1f1aa"],
            1,
            "--lease requires exactly one id",
        ),
        (&["show", ""], 2, "a value is required"),
        (&["inspect", "--url", "http://user:secret@x/mcp"], 1, "--url contains a user name or password"),
        (&["register", "--name", "x", "--id", "..", "--", "x"], 1, "/id"),
        (&["register", "--name", "x"], 1, "a command after --, --url, or --file"),
        (&["register", "--", "x"], 1, "a name is required: set --name"),
        (&["register", "--name", "a\tb", "--", "x"], 1, "/name"),
        (&["ls", "--registry", "nonsense"], 1, "Write it like http://127.0.0.1:7285"),
        (&["nonsense"], 2, "unrecognized subcommand"),
    ] {
        let (found, text) = cli.fails(arguments);
        assert!(found == code && text.contains(part), "{arguments:?}: {found}, {text}");
    }
    let output = run("http://127.0.0.1:1", &["ls"], "");
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("paulina: cannot reach a registry at http://127.0.0.1:1 ("), "{text}");
    assert!(
        text.trim_end().ends_with("start one with `paulina serve`, or name another with --registry"),
        "{text}"
    );

    let secret = token(&cli.folder.path().join("paulina.db"));
    let (code, text) = cli.fails(&["ls"]);
    assert!(code == 5 && text.contains("give it with --token or PAULINA_TOKEN"), "{text}");
    assert_eq!(cli.ok(&["ls", "--token", &secret]), "no servers\n");
    let (code, text) = cli.fails(&[NOTES_SERVER, &["--token", &secret]].concat());
    assert!(code == 5 && text.contains("this request requires register"), "{text}");
}

fn token(database: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paulina"));
    let output =
        command.args(["token", "create", "--name", "one", "--role", "read", "--database"]).arg(database);
    String::from_utf8(output.output().unwrap().stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn completions_cover_every_shell_and_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script =
            String::from_utf8(run("http://127.0.0.1:1", &["completions", shell], "").stdout).unwrap();
        for command in ["announce", "deregister", "completions"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[tokio::test]
async fn control_characters_of_registrations_do_not_reach_the_terminal() {
    let cli = Cli::new();
    let body = json!({"name": "n", "id": "n-1", "transport": "stdio", "command": ["x"],
        "capabilities": {"tools": [{"name": "t", "description": "a\u{1b}[31mred\r\nb\u{202e}c"}]}});
    cli.ok_with_input(&["register", "--file", "-"], &body.to_string());
    for arguments in [&["tools"][..], &["show", "n-1"]] {
        let text = cli.ok(arguments);
        assert!(text.contains("a [31mred b c"), "{text}");
        assert!(!text.contains(['\u{1b}', '\r', '\u{202e}']), "{text:?}");
    }
}

#[tokio::test]
async fn servers_and_tools_are_printed_as_tables() {
    let cli = Cli::new();
    cli.ok(FILES_SERVER);
    cli.ok(NOTES_SERVER);
    let weather = json!({"name": "weather", "id": "weather-1", "transport": "stdio", "command": ["weather"],
        "capabilities": {"tools": [{"name": "forecast", "description": "Forecasts the weather"}]}});
    cli.ok_with_input(&["register", "--file", "-"], &weather.to_string());
    insta::assert_snapshot!(cli.ok(&["ls"]), @"
    NAME     VERSION  TRANSPORT  HEALTH   TOOLS  RESOURCES  PROMPTS  TAGS        ID
    files    1.0.0    stdio      healthy  2      1          1        local,work  files-1
    notes             http       healthy                                         notes-1
    weather           stdio      healthy  1                                      weather-1
    ");
    insta::assert_snapshot!(cli.ok(&["find", "--transport", "stdio", "--limit", "1"]), @"
    NAME   VERSION  TRANSPORT  HEALTH   TOOLS  RESOURCES  PROMPTS  TAGS        ID
    files  1.0.0    stdio      healthy  2      1          1        local,work  files-1
    more results exist: raise --limit to see them
    ");
    insta::assert_snapshot!(cli.ok(&["tools"]), @"
    TOOL        SERVERS  DESCRIPTION
    forecast    weather  Forecasts the weather
    read_file   files
    write_file  files
    ");
}

#[tokio::test]
async fn one_server_is_printed_with_its_lease_and_definitions() {
    let cli = Cli::new();
    let registered = redact(&cli.ok(FILES_SERVER), "00000000-0000-0000-0000-000000000000", "[lease]");
    insta::assert_snapshot!(registered, @"
    registered files-1, healthy for 600 s; refresh it with
      paulina refresh files-1 --lease [lease]
    ");
    let shown = redact(&cli.ok(&["show", "files-1"]), "0000-00-00 00:00:00", "[time]");
    insta::assert_snapshot!(shown, @"
    id           files-1
    name         files
    version      1.0.0
    transport    stdio
    command      npx -y 'mcp files'
    needs        API_KEY (required)
    health       healthy
    ttl          600 s
    registered   [time] UTC
    refreshed    [time] UTC
    expires      [time] UTC
    tags         local, work
    metadata     team = search
    capabilities logging

    tools (2)
      read_file
      write_file

    resources (1)
      file:///{path}

    prompts (1)
      summarize
    ");
    let health = redact(&cli.ok(&["health", "files-1"]), ", 000 s of", ", [remaining] s of");
    insta::assert_snapshot!(health, @"files-1: healthy, [remaining] s of 600 s left");
    insta::assert_snapshot!(cli.ok(&["health"]), @"ready: primary");
}

#[tokio::test]
async fn errors_are_printed_with_every_violation() {
    let cli = Cli::new();
    let errors = [
        cli.fails(&["show", "nope"]).1,
        cli.fails(&["find", "--healthy", "x"]).1,
        cli.fails(&["register", "--name", "a\tb", "--ttl", "0", "--", "x"]).1,
    ];
    insta::assert_snapshot!(errors.concat(), @"
    paulina: nope is not registered; see `paulina ls`
    paulina: --healthy must be true, false or any
    paulina: the registration has 2 errors; see errors:
      /name must be 1–200 characters of [A-Za-z0-9._/@ -]
      /ttl must be between 1 and 86400 (seconds)
    ");
    let body = r#"{"name": "n", "transport": "sse", "ttl": 0, "color": "red"}"#;
    let output = cli.output(&["register", "--file", "-"], body);
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"
    paulina: - is not a valid registration:
      /color is not a member of a registration
      /url is required by this transport
      /ttl must be between 1 and 86400 (seconds)
    ");
}
