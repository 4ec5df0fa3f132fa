//! The command line, as a process, against a registry that is one, too.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::binary::Binary;

struct Shell {
    binary: Binary,
    folder: tempfile::TempDir,
}

impl Shell {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { binary: Binary::start(&folder.path().join("paulina.db")), folder }
    }

    fn output(&self, arguments: &[&str], input: &str) -> Output {
        run(&self.binary.url, arguments, input)
    }

    /// Standard output of what has to succeed.
    fn ok(&self, arguments: &[&str]) -> String {
        self.given(arguments, "")
    }

    fn given(&self, arguments: &[&str], input: &str) -> String {
        let output = self.output(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Exit code and message of what has to fail.
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

const FILES: &[&str] = &[
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
    "summarise",
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

const NOTES: &[&str] =
    &["register", "--name", "notes", "--id", "notes-1", "--url", "https://notes.example/mcp"];

#[tokio::test]
async fn registered_listed_found_shown_and_taken_out() {
    let shell = Shell::new();
    let said = shell.ok(FILES);
    let (first, second) = said.split_once('\n').unwrap();
    assert_eq!(first, "registered files-1, healthy for 600 s; keep it so with");
    let lease = second.trim().strip_prefix("paulina refresh files-1 --lease ").unwrap();
    assert_eq!(shell.ok(&["refresh", "files-1", "--lease", lease]), "files-1: healthy for 600 s from now\n");
    shell.ok(NOTES);
    let table = "\
NAME   VERSION  TRANSPORT  HEALTH   TOOLS  RESOURCES  PROMPTS  TAGS        ID
files  1.0.0    stdio      healthy  2      1          1        local,work  files-1
notes           http       healthy                                         notes-1
";
    assert_eq!(shell.ok(&["ls"]), table);
    for (arguments, ids) in [
        (&["--tool", "read_file"][..], "files-1\n"),
        (&["--resource", "file:///etc/hosts"], "files-1\n"),
        (&["--prompt", "summarise", "--capability", "logging"], "files-1\n"),
        (&["--tag", "work", "--metadata", "team=search", "--version", "1.0.0"], "files-1\n"),
        (&["--transport", "http"], "notes-1\n"),
        (&["write", "--all-words"], "files-1\n"),
        (&["write something", "--limit", "1"], "files-1\n"),
        (&["--name", "files", "--name", "notes"], ""),
        (&["--healthy", "false"], ""),
    ] {
        assert_eq!(shell.ok(&[&["find", "--output", "ids"], arguments].concat()), ids, "{arguments:?}");
    }
    assert_eq!(shell.ok(&["find", "--tool", "none"]), "no servers\n");
    assert_eq!(shell.ok(&["tools", "--output", "ids"]), "read_file\nwrite_file\n");
    assert!(shell.ok(&["tools", "write"]).contains("write_file  files"));
    let shown = shell.ok(&["show", "files-1"]);
    for line in
        ["command      npx -y 'mcp files'", "needs        API_KEY (required)", "tools (2)", "  read_file"]
    {
        assert!(shown.lines().any(|found| found == line), "{line} in {shown}");
    }
    assert_eq!(shell.json(&["show", "files-1"])["capabilities"]["tools"][1]["name"], "write_file");
    assert!(shell.ok(&["health", "files-1"]).starts_with("files-1: healthy, "));
    assert_eq!(shell.json(&["health", "files-1"])["ttl"], 600);
    assert_eq!(shell.json(&["ls"]).as_array().unwrap().len(), 2);
    assert_eq!(
        shell.ok(&["deregister", "files-1", "notes-1"]),
        "deregistered files-1\nderegistered notes-1\n"
    );
    assert_eq!(shell.ok(&["ls"]), "no servers\n");
}

#[tokio::test]
async fn registered_as_json() {
    let shell = Shell::new();
    let body = json!({"name": "n", "id": "n-1", "transport": "sse", "url": "http://x/sse",
        "capabilities": {"tools": [{"name": "t", "inputSchema": {"z": 1, "a": 2}}]}});
    let answer =
        shell.given(&["register", "--file", "-", "--tag", "more", "--output", "json"], &body.to_string());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&answer["tags"], &answer["transport"]), (&json!(["more"]), &json!("sse")));
    assert!(answer["lease"].is_string());
    let file = shell.folder.path().join("n.json");
    std::fs::write(&file, r#"{"name": "n", "transport": "sse", "ttl": 0, "colour": "red"}"#).unwrap();
    let (code, text) = shell.fails(&["register", "--file", file.to_str().unwrap()]);
    assert_eq!(code, 1);
    for part in ["is not a valid registration", "/ttl ", "/url ", "/colour "] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn all_that_is_exported_can_be_imported() {
    let shell = Shell::new();
    shell.ok(FILES);
    shell.ok(NOTES);
    let schema = r#"{"id": "s", "name": "s", "transport": "stdio", "command": ["x"], "ttl": 99,
        "capabilities": {"tools": [{"name": "t", "inputSchema": {"maximum": 1e400, "z": 0.10}, "x-note": "n"}], "roots": {"a": 1}}}"#;
    shell.given(&["register", "--file", "-"], schema);
    let exported = shell.ok(&["export"]);
    let file = shell.folder.path().join("all.json");
    assert_eq!(
        shell.ok(&["export", "--file", file.to_str().unwrap()]),
        format!("wrote 3 servers to {}\n", file.display())
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), exported);
    let other = Shell::new();
    assert_eq!(other.given(&["import", "-"], &exported), "3 registered\n");
    assert_eq!(other.ok(&["export"]), exported, "to the last digit");
    assert!(exported.contains("1e400"));
    other.ok(&["deregister", "s"]);
    assert_eq!(other.ok(&["import", file.to_str().unwrap()]), "2 left as they are, 1 registered\n");
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
        other.fails(&["import", file.to_str().unwrap()]).1.contains("is not what `paulina export` writes")
    );
}

#[tokio::test]
async fn a_file_for_each_client() {
    let shell = Shell::new();
    shell.ok(FILES);
    shell.ok(&[NOTES, &["--sse"]].concat());
    let twin: Vec<&str> =
        FILES.iter().map(|word| if *word == "files-1" { "files-2" } else { word }).collect();
    shell.ok(&twin);
    let file =
        |client: &str| -> Value { serde_json::from_str(&shell.ok(&["config", "--for", client])).unwrap() };
    let claude = file("claude");
    assert_eq!(
        claude["mcpServers"]["files"],
        json!({"type": "stdio", "command": "npx", "args": ["-y", "mcp files"], "env": {"API_KEY": "${API_KEY}"}})
    );
    assert_eq!(claude["mcpServers"]["notes"], json!({"type": "sse", "url": "https://notes.example/mcp"}));
    assert!(claude["mcpServers"]["files-2"].is_object(), "a name that is taken gives way to the id");
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
        shell.given(&["register", "--file", "-"], &body.to_string());
    }
    let (claude, cursor, vscode) = (file("claude"), file("cursor"), file("vscode"));
    assert_eq!(
        claude["mcpServers"]["one"]["headers"],
        json!({"Authorization": "${one_Authorization}", "X-Team": "${one_X_Team:-}"}),
        "one server's credentials are not another's"
    );
    assert_eq!(cursor["mcpServers"]["two"]["headers"]["Authorization"], "${env:two_Authorization}");
    assert_eq!(vscode["servers"]["two"]["headers"]["Authorization"], "${input:two-Authorization}");
    let some: Value =
        serde_json::from_str(&shell.ok(&["config", "--for", "claude", "--name", "notes"])).unwrap();
    assert_eq!(some["mcpServers"].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn what_goes_wrong_has_a_code_and_a_way_out() {
    let shell = Shell::new();
    for (arguments, code, part) in [
        (&["show", "nope"][..], 3, "nope is not registered"),
        (&["health", "nope"], 3, "nope is not registered"),
        (&["refresh", "nope"], 3, "nope is not registered"),
        (&["deregister", "nope"], 3, "nope is not registered"),
        (&["find", "--healthy", "x"], 2, "--healthy must be true, false or any"),
        (&["find", "--metadata", "x"], 2, "--metadata must have the form"),
        (&["find", "!"], 2, "the text to search for holds no word"),
        (
            &["refresh", "a", "b", "--lease", "0f9f3d2e-6f3c-4c86-9a5e-3b8a54b1f1aa"],
            1,
            "--lease goes with one id",
        ),
        (&["show", ""], 2, "a value is required"),
        (&["inspect", "--url", "http://user:secret@x/mcp"], 1, "--url holds a user or password"),
        (&["register", "--name", "x", "--id", "..", "--", "x"], 1, "/id"),
        (&["register", "--name", "x"], 1, "a command behind --, --url, or --file"),
        (&["register", "--", "x"], 1, "say what it is called, with --name"),
        (&["register", "--name", "a\tb", "--", "x"], 1, "/name"),
        (&["ls", "--registry", "nonsense"], 1, "Write it like http://127.0.0.1:7285"),
        (&["nonsense"], 2, "unrecognized subcommand"),
    ] {
        let (found, text) = shell.fails(arguments);
        assert!(found == code && text.contains(part), "{arguments:?}: {found}, {text}");
    }
    let output = run("http://127.0.0.1:1", &["ls"], "");
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("paulina: no registry at http://127.0.0.1:1 ("), "{text}");
    assert!(
        text.trim_end().ends_with("start one with `paulina serve`, or name another with --registry"),
        "{text}"
    );

    let secret = token(&shell.folder.path().join("paulina.db"));
    let (code, text) = shell.fails(&["ls"]);
    assert!(code == 5 && text.contains("give it with --token or PAULINA_TOKEN"), "{text}");
    assert_eq!(shell.ok(&["ls", "--token", &secret]), "no servers\n");
    let (code, text) = shell.fails(&[NOTES, &["--token", &secret]].concat());
    assert!(code == 5 && text.contains("this takes register"), "{text}");
}

fn token(database: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paulina"));
    let output =
        command.args(["token", "create", "--name", "one", "--role", "read", "--database"]).arg(database);
    String::from_utf8(output.output().unwrap().stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn every_command_and_shell_is_completed() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script =
            String::from_utf8(run("http://127.0.0.1:1", &["completions", shell], "").stdout).unwrap();
        for command in ["announce", "deregister", "completions"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

/// What a server says of itself does not move the cursor of who looks at it.
#[tokio::test]
async fn a_terminal_is_not_written_to_by_others() {
    let shell = Shell::new();
    let body = json!({"name": "n", "id": "n-1", "transport": "stdio", "command": ["x"],
        "capabilities": {"tools": [{"name": "t", "description": "a\u{1b}[31mred\r\nb\u{202e}c"}]}});
    shell.given(&["register", "--file", "-"], &body.to_string());
    for arguments in [&["tools"][..], &["show", "n-1"]] {
        let text = shell.ok(arguments);
        assert!(text.contains("a [31mred b c"), "{text}");
        assert!(!text.contains(['\u{1b}', '\r', '\u{202e}']), "{text:?}");
    }
}
