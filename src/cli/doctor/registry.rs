//! Checks of a running registry: whether it responds, is ready, accepts the token, and has the same time.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};

use super::Report;
use crate::cli::registry_args::RegistryArgs;
use crate::client::{Answer, Client};
use crate::clock::{Clock, SystemClock};

/// The tolerated difference between two clocks, in seconds.
const MAX_CLOCK_SKEW: i64 = 5;

pub(super) async fn check(report: &mut Report, registry_args: &RegistryArgs) {
    let client = match registry_args.client() {
        Ok(client) => client,
        Err(error) => return report.error(error.to_string()),
    };
    let url = client.addresses();
    let health = match client.fetch(&["healthz"]).await {
        Ok(response) => response,
        Err(reason) => {
            return report
                .error(format!("{reason}: start one with `paulina serve`, or name it with --registry"));
        }
    };
    if health.status() != StatusCode::OK {
        return report.error(format!(
            "{url} responds to /healthz with {}: {}",
            health.status(),
            detail(&health)
        ));
    }
    report.ok(format!("a registry responds at {url}"));
    clock(report, &health);
    match client.fetch(&["readyz"]).await {
        Ok(response) if response.status() == StatusCode::OK => {
            let standby = response.headers().get("paulina-role").is_some_and(|role| role == "standby");
            report.ok(if standby {
                "the registry is ready, as a standby, which serves only reads"
            } else {
                "the registry is ready, and its database accepts writes"
            });
        }
        Ok(response) => report.error(format!("the registry is not ready: {}", detail(&response))),
        Err(reason) => report.error(format!("the registry does not respond to /readyz: {reason}")),
    }
    access(report, &client, registry_args.has_token()).await;
}

fn clock(report: &mut Report, response: &Answer) {
    let date = response.headers().get("date").and_then(|date| date.to_str().ok());
    let Some(date) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) else { return };
    let apart = (SystemClock::new().wall() - date.with_timezone(&Utc)).num_seconds().abs();
    if apart > MAX_CLOCK_SKEW {
        report.warn(format!(
            "the clocks of the registry and of this machine differ by {apart} s: displayed times may look wrong"
        ));
    }
}

async fn access(report: &mut Report, client: &Client, token: bool) {
    let response = match client.fetch(&["v1", "stats"]).await {
        Ok(response) => response,
        Err(reason) => return report.error(format!("the registry does not respond to /v1/stats: {reason}")),
    };
    match (response.status(), token) {
        (StatusCode::OK, true) => report.ok("the token is accepted for reading"),
        (StatusCode::OK, false) => report.ok("reading requires no token"),
        (StatusCode::UNAUTHORIZED, true) => {
            let detail = "the token is unknown: it was revoked, or belongs to another registry; see `paulina token list`";
            report.error(detail);
        }
        (StatusCode::UNAUTHORIZED, false) => {
            report.warn(
                "the registry requires a token: set PAULINA_TOKEN, or create one with `paulina token create`",
            );
        }
        (status, _) => {
            report.error(format!("the registry responds to /v1/stats with {status}: {}", detail(&response)));
        }
    }
}

/// Returns the detail of a problem, or else the status.
fn detail(response: &Answer) -> String {
    let problem: serde_json::Value = serde_json::from_slice(response.text()).unwrap_or_default();
    let detail = problem.get("detail").and_then(|detail| detail.as_str());
    detail.map_or_else(|| response.status().to_string(), str::to_owned)
}
