//! A running registry: whether it answers, is ready, knows the token, and tells the same time.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};

use super::Report;
use crate::cli::registry_args::At;
use crate::client::{Answer, Client};
use crate::clock::{Clock, SystemClock};

/// Seconds that two clocks may differ.
const SKEW: i64 = 5;

pub(super) async fn check(report: &mut Report, at: &At) {
    let client = match at.client() {
        Ok(client) => client,
        Err(error) => return report.wrong(error.to_string()),
    };
    let url = client.addresses();
    let health = match client.fetch(&["healthz"]).await {
        Ok(answer) => answer,
        Err(reason) => {
            return report
                .wrong(format!("{reason}: start one with `paulina serve`, or name it with --registry"));
        }
    };
    if health.status() != StatusCode::OK {
        return report.wrong(format!("{url} answers /healthz with {}: {}", health.status(), detail(&health)));
    }
    report.fine(format!("a registry answers at {url}"));
    clock(report, &health);
    match client.fetch(&["readyz"]).await {
        Ok(answer) if answer.status() == StatusCode::OK => {
            let standby = answer.headers().get("paulina-role").is_some_and(|role| role == "standby");
            report.fine(if standby {
                "it is ready: a standby, which only answers"
            } else {
                "it is ready: its database takes writes"
            });
        }
        Ok(answer) => report.wrong(format!("it is not ready: {}", detail(&answer))),
        Err(reason) => report.wrong(format!("it does not say whether it is ready: {reason}")),
    }
    access(report, &client, at.has_token()).await;
}

fn clock(report: &mut Report, answer: &Answer) {
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    let Some(date) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) else { return };
    let apart = (SystemClock::new().wall() - date.with_timezone(&Utc)).num_seconds().abs();
    if apart > SKEW {
        report.warn(format!(
            "its clock and this machine's are {apart} s apart: the times that it shows look wrong here"
        ));
    }
}

async fn access(report: &mut Report, client: &Client, token: bool) {
    let answer = match client.fetch(&["v1", "stats"]).await {
        Ok(answer) => answer,
        Err(reason) => return report.wrong(format!("it does not answer questions: {reason}")),
    };
    match (answer.status(), token) {
        (StatusCode::OK, true) => report.fine("it lets the token read"),
        (StatusCode::OK, false) => report.fine("it lets everybody read"),
        (StatusCode::UNAUTHORIZED, true) => {
            let detail = "it does not know the token: it was revoked, or is another registry's; see `paulina token list`";
            report.wrong(detail);
        }
        (StatusCode::UNAUTHORIZED, false) => {
            report.warn("it asks for a token: set PAULINA_TOKEN, or make one with `paulina token create`");
        }
        (status, _) => report.wrong(format!("it answers questions with {status}: {}", detail(&answer))),
    }
}

/// What a problem says.
fn detail(answer: &Answer) -> String {
    let problem: serde_json::Value = serde_json::from_slice(answer.text()).unwrap_or_default();
    let detail = problem.get("detail").and_then(|detail| detail.as_str());
    detail.map_or_else(|| answer.status().to_string(), str::to_owned)
}
