//! `paulina doctor`: each problem is reported with the way out.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::binary::Binary;
use crate::support::edit;

/// Runs `paulina doctor`; returns its exit code and its findings.
fn doctor(database: &Path, url: &str, token: Option<&str>) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paulina"));
    command.arg("doctor").arg("--database").arg(database).args(["--registry", url]);
    if let Some(token) = token {
        command.env("PAULINA_TOKEN", token);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(token.is_none_or(|token| !text.contains(token)));
    (output.status.code().unwrap(), text)
}

/// Returns the findings that are failures.
fn failures(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("ERROR")).collect()
}

fn has_line(text: &str, mark: &str, part: &str) -> bool {
    text.lines().any(|line| line.starts_with(mark) && line.contains(part))
}

#[tokio::test]
async fn a_healthy_registry_passes_every_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let socket = format!("unix:{}", folder.path().join("p.sock").display());
    for arguments in [&[][..], &["--listen", &socket]] {
        let binary = Binary::with(&path, arguments);
        let (code, text) = doctor(&path, &binary.url, None);
        assert_eq!((code, failures(&text).len()), (0, 0), "{text}");
        for part in [
            "is intact",
            "a process serves the database",
            "a registry responds",
            "the registry is ready",
            "reading requires no token",
            "SQLite 3.",
        ] {
            assert!(has_line(&text, "ok", part), "{part} in {text}");
        }
    }
}

#[tokio::test]
async fn missing_parts_are_reported_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let (code, text) = doctor(&path, "http://127.0.0.1:1", None);
    assert_eq!(code, 1);
    assert!(has_line(&text, "warning", "does not exist"), "{text}");
    assert!(has_line(&text, "ERROR", "start one with `paulina serve`"), "{text}");
    assert!(!path.exists());

    Binary::start(&path).kill();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (_, text) = doctor(&path, "nonsense", None);
    assert!(has_line(&text, "warning", "chmod 600"), "{text}");
    assert!(has_line(&text, "warning", "no process serves the database"), "{text}");
    assert!(has_line(&text, "ERROR", "Write it like http://127.0.0.1:7285"), "{text}");
}

#[tokio::test]
async fn the_token_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let binary = Binary::start(&path);
    let mut create = Command::new(env!("CARGO_BIN_EXE_paulina"));
    create.args(["token", "create", "--name", "one", "--role", "read", "--database"]).arg(&path);
    let secret = String::from_utf8(create.output().unwrap().stdout).unwrap().trim().to_owned();
    for (token, code, mark, part) in [
        (None, 0, "warning", "the registry requires a token"),
        (Some(secret.as_str()), 0, "ok", "the token is accepted for reading"),
        (Some("paulina_wrong"), 1, "ERROR", "the token is unknown"),
    ] {
        let (found, text) = doctor(&path, &binary.url, token);
        assert_eq!(found, code, "{text}");
        assert!(has_line(&text, mark, part), "{text}");
    }
}

#[tokio::test]
async fn damage_is_detected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let other = folder.path().join("other.db");
    edit(&other, "CREATE TABLE notes (text TEXT)").await;
    let (code, text) = doctor(&other, "http://127.0.0.1:1", None);
    assert!(code == 1 && has_line(&text, "ERROR", "not Paulina's"), "{text}");

    Binary::start(&path).kill();
    let row = "INSERT INTO tags (server, tag) VALUES (99, 'x')";
    edit(&path, row).await;
    let (_, text) = doctor(&path, "http://127.0.0.1:1", None);
    assert!(has_line(&text, "ERROR", "1 rows refer to servers that do not exist"), "{text}");

    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xAA);
    std::fs::write(&path, bytes).unwrap();
    let (code, text) = doctor(&path, "http://127.0.0.1:1", None);
    assert!(code == 1 && has_line(&text, "ERROR", "damaged"), "{text}");
}
