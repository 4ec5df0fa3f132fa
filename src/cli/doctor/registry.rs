//! A running registry: whether it answers, is ready, knows the token, and tells the same time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Client, Response, StatusCode};

use super::Report;
use crate::clock::{Clock, SystemClock};

const TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds that two clocks may differ.
const SKEW: i64 = 5;

pub(super) async fn check(report: &mut Report, url: &str, token: Option<&str>) {
    let (client, base) = match client(url) {
        Ok(client) => client,
        Err(reason) => return report.wrong(format!("cannot ask {url}: {reason}")),
    };
    let health = match client.get(format!("{base}/healthz")).send().await {
        Ok(response) => response,
        Err(error) => {
            let reason = root(&error);
            return report.wrong(format!(
                "no registry answers at {url} ({reason}): start one with `paulina serve`, or name it with --url"
            ));
        }
    };
    if health.status() != StatusCode::OK {
        let status = health.status();
        return report.wrong(format!("{url} answers /healthz with {status}: {}", detail(health).await));
    }
    report.fine(format!("a registry answers at {url}"));
    clock(report, &health);
    match client.get(format!("{base}/readyz")).send().await {
        Ok(response) if response.status() == StatusCode::OK => {
            report.fine("it is ready: its database takes writes");
        }
        Ok(response) => report.wrong(format!("it is not ready: {}", detail(response).await)),
        Err(error) => report.wrong(format!("it does not say whether it is ready: {}", root(&error))),
    }
    access(report, &client, &base, token).await;
}

/// A client, and what to ask it for: what stands behind `unix:` is a socket.
fn client(url: &str) -> Result<(Client, String), String> {
    // An error means that there is a provider already.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder().timeout(TIMEOUT).no_proxy();
    let mut base = url.trim_end_matches('/').to_owned();
    if let Some(path) = url.strip_prefix("unix:") {
        #[cfg(unix)]
        {
            builder = builder.unix_socket(path);
        }
        "http://localhost".clone_into(&mut base);
    } else {
        url::Url::parse(url).map_err(|error| format!("{error}; write it like http://127.0.0.1:7285"))?;
    }
    Ok((builder.build().map_err(|error| root(&error))?, base))
}

fn clock(report: &mut Report, response: &Response) {
    let date = response.headers().get("date").and_then(|date| date.to_str().ok());
    let Some(date) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) else { return };
    let apart = (SystemClock::new().wall() - date.with_timezone(&Utc)).num_seconds();
    if apart.abs() > SKEW {
        report.warn(format!(
            "its clock and this machine's are {} s apart: the times that it shows look wrong here",
            apart.abs()
        ));
    }
}

async fn access(report: &mut Report, client: &Client, base: &str, token: Option<&str>) {
    let mut request = client.get(format!("{base}/v1/stats"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return report.wrong(format!("it does not answer questions: {}", root(&error))),
    };
    match (response.status(), token) {
        (StatusCode::OK, Some(_)) => report.fine("it lets the token read"),
        (StatusCode::OK, None) => report.fine("it lets everybody read"),
        (StatusCode::UNAUTHORIZED, Some(_)) => {
            report.wrong("it does not know the token: it was revoked, or is another registry's; see `paulina token list`");
        }
        (StatusCode::UNAUTHORIZED, None) => {
            report.warn("it asks for a token: set PAULINA_TOKEN, or make one with `paulina token create`");
        }
        (status, _) => {
            report.wrong(format!("it answers questions with {status}: {}", detail(response).await));
        }
    }
}

/// What a problem says.
async fn detail(response: Response) -> String {
    let status = response.status();
    let problem = response.json::<serde_json::Value>().await.unwrap_or_default();
    problem.get("detail").and_then(|detail| detail.as_str()).map_or_else(|| status.to_string(), str::to_owned)
}

/// The innermost cause, which says most.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
