//! Keeps many servers registered across failovers: each has its own client with both addresses of a pair of registries.
//!
//! ```sh
//! cargo run --example fleet -- 200 10 http://127.0.0.1:7285 http://127.0.0.1:7286
//! ```
//!
//! It prints when reads or writes start to fail and when they work again, and the status of each heartbeat. `more 10` on
//! standard input adds ten servers. At the end of standard input it deregisters all servers and exits.

#![expect(clippy::print_stdout, reason = "the output is its purpose")]

use std::error::Error;
use std::time::Duration;

use paulina::client::{Client, ClientError, ClientOptions, Heartbeat, HeartbeatStatus};
use paulina::{Filter, Registration};
use tokio::io::{AsyncBufReadExt, BufReader};

type BoxError = Box<dyn Error + Send + Sync>;

/// How often reads and writes are tried.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);

fn client(addresses: &[String]) -> Result<Client, ClientError> {
    let options = ClientOptions::new().timeout(Duration::from_secs(1));
    addresses.iter().fold(options, ClientOptions::address).build()
}

/// Keeps one server registered and prints the status of its heartbeat.
fn keep(number: usize, ttl: u32, addresses: &[String]) -> Result<Heartbeat, BoxError> {
    let id = format!("fleet-{number}");
    let registration = Registration::stdio("fleet", ["true"]).id(&id).tool(format!("tool_{number}")).ttl(ttl);
    let heartbeat = client(addresses)?.keep_alive(registration)?;
    let mut status = heartbeat.status();
    tokio::spawn(async move {
        let mut last = "";
        while status.changed().await.is_ok() {
            let now = match &*status.borrow_and_update() {
                HeartbeatStatus::Alive(_) => "alive",
                HeartbeatStatus::Failing(_) => "failing",
                HeartbeatStatus::Replaced => "replaced",
                _ => "not alive",
            };
            if std::mem::replace(&mut last, now) != now {
                println!("{id} {now}");
            }
        }
    });
    Ok(heartbeat)
}

/// Prints when something starts to work or to fail.
async fn probe<F: Future<Output = bool>>(what: &str, attempt: impl Fn() -> F) {
    let mut worked = None;
    loop {
        let works = attempt().await;
        if worked.replace(works) != Some(works) {
            println!("{what} {}", if works { "works" } else { "fails" });
        }
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().and_then(|text| text.parse().ok());
    let (Some(count), Some(ttl)) = (number(), number()) else {
        return Err("usage: fleet COUNT TTL ADDRESS…".into());
    };
    let addresses: Vec<String> = arguments.collect();
    let (reader, writer) = (client(&addresses)?, client(&addresses)?);
    tokio::spawn(async move {
        let find = || async { reader.find(Filter::new().tool("tool_0")).await.is_ok() };
        probe("reading", find).await;
    });
    tokio::spawn(async move {
        let probe_server = || Registration::stdio("probe", ["true"]).id("probe");
        let register = || async { writer.register(probe_server()).await.is_ok() };
        probe("writing", register).await;
    });
    let mut fleet = Vec::new();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut more: usize = count;
    loop {
        for _ in 0..more {
            fleet.push(keep(fleet.len(), u32::try_from(ttl)?, &addresses)?);
        }
        let Some(line) = lines.next_line().await? else { break };
        more = line.strip_prefix("more ").and_then(|count| count.parse().ok()).unwrap_or_default();
    }
    for heartbeat in fleet {
        heartbeat.stop().await;
    }
    Ok(())
}
