//! `paulina token` with and without a running registry; sockets, TLS, file permissions and secrets in the log.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use paulina::client::{ClientError, ClientOptions};
use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::binary::{self, Binary};
use crate::support::older::downgrade;
use crate::support::{edit, redact};

fn token(database: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paulina"));
    command.arg("token").args(arguments).arg("--database").arg(database).output().unwrap()
}

fn create(database: &Path, name: &str, role: &str) -> String {
    let output = token(database, &["create", "--name", name, "--role", role]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().last().unwrap().to_owned()
}

async fn status(url: &str, secret: Option<&str>) -> StatusCode {
    let client = crate::support::http_client();
    let mut request = client.get(format!("{url}/v1/servers"));
    if let Some(secret) = secret {
        request = request.bearer_auth(secret);
    }
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn a_running_registry_accepts_a_token_as_soon_as_it_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let binary = Binary::start(&path);
    assert_eq!(status(&binary.url, None).await, 200);
    let first = create(&path, "one", "read");
    assert_eq!(status(&binary.url, None).await, 401);
    assert_eq!(status(&binary.url, Some(&first)).await, 200);
    let second = create(&path, "two", "admin");
    assert_eq!(status(&binary.url, Some(&second)).await, 200);

    let list = String::from_utf8(token(&path, &["list"]).stdout).unwrap();
    assert!(list.contains("one   read") && list.contains("two   admin"), "{list}");
    assert!(!list.contains(&first) && !list.contains(&second));

    assert!(token(&path, &["revoke", "--name", "one"]).status.success());
    assert_eq!(status(&binary.url, Some(&first)).await, 401);
    let revoked = String::from_utf8(token(&path, &["revoke", "--name", "two"]).stdout).unwrap();
    assert!(revoked.contains("no tokens left"), "{revoked}");
    assert_eq!(status(&binary.url, None).await, 200);
    binary.signal("-TERM");
    let (_, log) = binary.wait();
    assert!(!log.contains(&first) && !log.contains(&second));
}

#[tokio::test]
async fn the_database_and_its_backups_contain_only_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let secret = create(&path, "one", "admin");
    edit(&path, &format!("VACUUM INTO '{}'", folder.path().join("backup.db").display())).await;
    let secret_bytes = secret.strip_prefix("paulina_").unwrap().as_bytes();
    let mut files = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret_bytes.len()).any(|window| window == secret_bytes));
        files += 1;
    }
    assert!(files >= 2);
}

#[tokio::test]
async fn token_commands_report_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    for (name, is_new) in [("one", true), ("another", false)] {
        let created = token(&path, &["create", "--name", name, "--role", "read"]);
        let text = String::from_utf8(created.stderr).unwrap();
        assert_eq!(text.contains("created the database"), is_new, "{text}");
    }
    for (arguments, message, code) in [
        (&["create", "--name", "one", "--role", "read"][..], "token one already exists", 1),
        (
            &["create", "--name", "x", "--role", "root"],
            "invalid role \"root\"; use read, register or admin",
            2,
        ),
        (&["create", "--name", "a b", "--role", "read"], "invalid token name", 2),
        (&["revoke", "--name", "two"], "token two does not exist", 1),
    ] {
        let output = token(&path, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(message), "{text}");
        assert!(output.stdout.is_empty());
    }
    for version in [4, 3] {
        downgrade(&path, version).await;
        let listed = String::from_utf8(token(&path, &["list"]).stdout).unwrap();
        assert!(listed.contains("one"), "schema {version}: {listed}");
    }
    downgrade(&path, 2).await;
    let before = std::fs::read(&path).unwrap();
    let listed = token(&path, &["list"]);
    assert!(
        String::from_utf8(listed.stdout).unwrap().contains("no tokens"),
        "a database without a table of tokens"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before, "the database is only read");
    let nowhere = token(&folder.path().join("none.db"), &["list"]);
    assert!(String::from_utf8(nowhere.stderr).unwrap().contains("does not exist; name it with --database"));
    assert!(!folder.path().join("none.db").exists());
}

#[tokio::test]
async fn a_public_address_requires_a_token_or_allow_unauthenticated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let serve = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paulina"));
        command
            .args(["serve", "--listen", "0.0.0.0:0", "--database"])
            .arg(&path)
            .args(arguments)
            .output()
            .unwrap()
    };
    for exists in [false, true] {
        let output = serve(&[]);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("not a loopback address") && text.contains("paulina token create"), "{text}");
        assert_eq!(path.exists(), exists, "a refused start creates no file");
        if !exists {
            Binary::start(&path).kill();
        }
    }
    let secret = create(&path, "one", "admin");
    let binary = Binary::with(&path, &["--listen", "0.0.0.0:0"]);
    let url = binary.url.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(status(&url, None).await, 401);
    assert_eq!(status(&url, Some(&secret)).await, 200);
    assert!(token(&path, &["revoke", "--name", "one"]).status.success());
    assert_eq!(status(&url, None).await, 401, "without a token every request is rejected");
}

#[tokio::test]
async fn files_and_sockets_are_accessible_only_by_their_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let socket = folder.path().join("paulina.sock");
    let listen = format!("unix:{}", socket.display());
    let binary = Binary::with(&path, &["--listen", &listen]);
    assert_eq!(binary.url, listen);
    for file in ["paulina.db", "paulina.db-wal", "paulina.db-shm", "paulina.db-lease", "paulina.sock"] {
        let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let ask = |host: &str| {
        use std::io::{Read, Write};
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        write!(stream, "GET /v1/servers HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    for host in ["localhost", "anything.example"] {
        assert!(ask(host).starts_with("HTTP/1.1 200"), "{}", ask(host));
    }
    let second = binary::command(&folder.path().join("other.db"), &["--listen", &listen]).output().unwrap();
    assert!(String::from_utf8(second.stderr).unwrap().contains("another process listens there"));
    binary.kill();
    assert!(socket.exists(), "a killed process leaves its socket");
    let again = Binary::with(&path, &["--listen", &listen]);
    assert!(ask("localhost").starts_with("HTTP/1.1 200"));
    again.signal("-TERM");
    assert!(again.wait().0.success());
    assert!(!socket.exists());
    let first = Binary::with(&path, &["--listen", &listen]);
    std::fs::remove_file(&socket).unwrap();
    let successor = Binary::with(&folder.path().join("other.db"), &["--listen", &listen]);
    first.signal("-TERM");
    assert!(first.wait().0.success());
    assert!(ask("localhost").starts_with("HTTP/1.1 200"), "the socket of another process is kept");
    successor.signal("-TERM");
    successor.wait();
    std::fs::write(&socket, "precious").unwrap();
    let refused = binary::command(&path, &["--listen", &listen]).output().unwrap();
    assert!(String::from_utf8(refused.stderr).unwrap().contains("a file that is not a socket"));
    assert_eq!(std::fs::read(&socket).unwrap(), b"precious");
}

/// Lists servers over TLS, trusting only these certificates.
async fn over_tls(address: &str, trusted: &[CertificateDer<'static>]) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().cloned());
    let provider = std::sync::Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(address).await?;
    let name = "localhost".try_into().unwrap();
    let mut stream = TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream).await?;
    stream.write_all(b"GET /v1/servers HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Returns a self-signed certificate for localhost, and the flags to serve with it.
fn certificate(folder: &Path) -> (CertificateDer<'static>, [String; 4]) {
    let generated = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name));
    std::fs::write(&certificate, generated.cert.pem()).unwrap();
    std::fs::write(&key, generated.signing_key.serialize_pem()).unwrap();
    let [certificate, key] = [certificate, key].map(|path| path.to_str().unwrap().to_owned());
    (generated.cert.der().clone(), ["--tls-cert".to_owned(), certificate, "--tls-key".to_owned(), key])
}

#[tokio::test]
async fn tls_is_served_with_a_certificate_and_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let (certificate, flags) = certificate(folder.path());
    let flags = flags.each_ref().map(String::as_str);
    let binary = Binary::with(&path, &flags);
    let address = binary.url.strip_prefix("https://").unwrap();
    assert!(over_tls(address, &[certificate]).await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(over_tls(address, &[]).await.is_err(), "the certificate is not trusted");
    let http_client = crate::support::http_client();
    assert!(
        http_client.get(format!("http://{address}/healthz")).send().await.is_err(),
        "plain HTTP is not served"
    );
    drop(binary);

    for (flags, message) in [
        (["--tls-cert", flags[3], "--tls-key", flags[3]], "for TLS"),
        (["--tls-cert", "/nothing.pem", "--tls-key", flags[3]], "cannot use /nothing.pem for TLS"),
    ] {
        let output = binary::command(&path, &flags).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(message), "{text}");
    }
}

/// The registry runs: a client reports the TLS error, and a second registry does not take its place.
#[tokio::test]
async fn a_registry_with_a_tls_mismatch_is_not_considered_down() {
    let folder = tempfile::tempdir().unwrap();
    let (_, flags) = certificate(folder.path());
    let tls_registry = Binary::with(&folder.path().join("secret.db"), &flags.each_ref().map(String::as_str));
    let plain_registry = Binary::start(&folder.path().join("plain.db"));
    let plaintext_url = tls_registry.url.replace("https:", "http:");
    let stats_error =
        async |url: &str| ClientOptions::new().address(url).build().unwrap().stats().await.unwrap_err();
    let error = stats_error(&tls_registry.url).await;
    assert!(matches!(error, ClientError::Tls { .. }), "its certificate is not trusted: {error}");
    let error = stats_error(&plain_registry.url.replace("http:", "https:")).await;
    assert!(matches!(error, ClientError::Tls { .. }), "it does not serve TLS: {error}");
    let error = stats_error(&plaintext_url).await;
    assert!(matches!(error, ClientError::NotARegistry { .. }), "it serves TLS: {error}");
    let second = folder.path().join("second.db");
    create(&second, "one", "admin");
    for peer in [&tls_registry.url, &plaintext_url] {
        let second = binary::command(&second, &["--peer", peer]).output().unwrap();
        let text = String::from_utf8(second.stderr).unwrap();
        assert_eq!(second.status.code(), Some(1), "{text}");
        assert!(text.contains("responds and may be a primary"), "{text}");
    }
    assert!(!folder.path().join("second.db-superseded").exists(), "the peer was not seen as a primary");
}

/// Logs at level trace, while a client tries to inject lines.
#[tokio::test]
async fn log_lines_cannot_be_forged_and_contain_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let secret = create(&path, "one", "admin");
    let mut command = Command::new(env!("CARGO_BIN_EXE_paulina"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "trace", "--database"])
        .arg(&path)
        .stderr(std::fs::File::create(folder.path().join("log")).unwrap());
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap();
    let mut child = command.spawn().unwrap();
    let address = loop {
        let line = log();
        if let Some((_, rest)) = line.split_once("address=http://") {
            break rest.split_whitespace().next().unwrap().to_owned();
        }
        assert!(child.try_wait().unwrap().is_none(), "{line}");
        tokio::task::yield_now().await;
    };
    let client = crate::support::http_client();
    for path in
        ["/v1/servers/%1B%5B31m%0AFORGED", "/v1/servers?%0AFORGED=%1B", &format!("/v1/servers/{secret}")]
    {
        let request = client.get(format!("http://{address}{path}")).bearer_auth(&secret);
        let answer = request.header("x-request-id", "mine").send().await.unwrap().text().await.unwrap();
        assert!(
            !answer.contains(&secret) && !answer.contains('\x1b') && !answer.contains("\nFORGED"),
            "{answer}"
        );
    }
    let body = serde_json::json!({"id": "a", "name": "n", "transport": "stdio", "command": ["x"], "tags": ["\u{1b}[31m"]});
    let refused = client.post(format!("http://{address}/v1/servers")).bearer_auth(&secret).json(&body);
    assert_eq!(refused.send().await.unwrap().status(), 422, "control characters are rejected");
    child.kill().unwrap();
    child.wait().unwrap();
    let log = log();
    assert!(log.lines().count() >= 5 && log.contains("paulina_…"), "{log}");
    assert!(!log.contains(&secret) && !log.contains('\x1b') && !log.contains("\nFORGED"), "{log}");
}

#[tokio::test]
async fn tokens_are_printed_as_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let output = token(&path, &["create", "--name", "ci", "--role", "register"]);
    let stderr = String::from_utf8(output.stderr).unwrap().replace(&path.display().to_string(), "[database]");
    insta::assert_snapshot!(stderr, @"
    created the database [database]; a registry that serves another database does not know this token
    created token ci (role: register). It will not be shown again:
    ");
    create(&path, "root", "admin");
    let list = String::from_utf8(token(&path, &["list"]).stdout).unwrap();
    insta::assert_snapshot!(redact(&list, "0000-00-00 00:00:00", "[time]"), @"
    NAME  ROLE      CREATED
    ci    register  [time]
    root  admin     [time]
    ");
    assert!(token(&path, &["revoke", "--name", "ci"]).status.success());
    let revoked = String::from_utf8(token(&path, &["revoke", "--name", "root"]).stdout).unwrap();
    insta::assert_snapshot!(revoked, @"
    revoked root
    no tokens left: a registry on loopback now accepts unauthenticated requests again
    ");
}
