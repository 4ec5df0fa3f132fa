//! `paulina doctor`: each thing that can be wrong, said in words that help.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::binary::Binary;
use crate::support::edit;

/// Exit code and findings.
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

/// The findings of a kind.
fn wrong(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("WRONG")).collect()
}

fn has(text: &str, mark: &str, part: &str) -> bool {
    text.lines().any(|line| line.starts_with(mark) && line.contains(part))
}

#[tokio::test]
async fn a_sound_registry_is_found_sound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let socket = format!("unix:{}", folder.path().join("p.sock").display());
    for arguments in [&[][..], &["--listen", &socket]] {
        let binary = Binary::with(&path, arguments);
        let (code, text) = doctor(&path, &binary.url, None);
        assert_eq!((code, wrong(&text).len()), (0, 0), "{text}");
        for part in [
            "is whole",
            "a process serves it",
            "a registry answers",
            "it is ready",
            "everybody read",
            "SQLite 3.",
        ] {
            assert!(has(&text, "ok", part), "{part} in {text}");
        }
    }
}

#[tokio::test]
async fn what_is_missing_is_said_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let (code, text) = doctor(&path, "http://127.0.0.1:1", None);
    assert_eq!(code, 1);
    assert!(has(&text, "warning", "there is no database"), "{text}");
    assert!(has(&text, "WRONG", "start one with `paulina serve`"), "{text}");
    assert!(!path.exists());

    Binary::start(&path).kill();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (_, text) = doctor(&path, "nonsense", None);
    assert!(has(&text, "warning", "chmod 600"), "{text}");
    assert!(has(&text, "warning", "no process serves it"), "{text}");
    assert!(has(&text, "WRONG", "Write it like http://127.0.0.1:7285"), "{text}");
}

#[tokio::test]
async fn tokens_are_tried() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let binary = Binary::start(&path);
    let mut create = Command::new(env!("CARGO_BIN_EXE_paulina"));
    create.args(["token", "create", "--name", "one", "--role", "read", "--database"]).arg(&path);
    let secret = String::from_utf8(create.output().unwrap().stdout).unwrap().trim().to_owned();
    for (token, code, mark, part) in [
        (None, 0, "warning", "it asks for a token"),
        (Some(secret.as_str()), 0, "ok", "it lets the token read"),
        (Some("paulina_wrong"), 1, "WRONG", "it does not know the token"),
    ] {
        let (found, text) = doctor(&path, &binary.url, token);
        assert_eq!(found, code, "{text}");
        assert!(has(&text, mark, part), "{text}");
    }
}

#[tokio::test]
async fn damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let other = folder.path().join("other.db");
    edit(&other, "CREATE TABLE notes (text TEXT)").await;
    let (code, text) = doctor(&other, "http://127.0.0.1:1", None);
    assert!(code == 1 && has(&text, "WRONG", "not Paulina's"), "{text}");

    Binary::start(&path).kill();
    let row = "INSERT INTO tags (server, tag) VALUES (99, 'x')";
    edit(&path, row).await;
    let (_, text) = doctor(&path, "http://127.0.0.1:1", None);
    assert!(has(&text, "WRONG", "1 rows belong to servers that are not there"), "{text}");

    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xAA);
    std::fs::write(&path, bytes).unwrap();
    let (code, text) = doctor(&path, "http://127.0.0.1:1", None);
    assert!(code == 1 && has(&text, "WRONG", "damaged"), "{text}");
}
