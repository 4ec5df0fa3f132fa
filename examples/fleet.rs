//! Many servers that stay registered whatever becomes of the registry: each has a client that knows both addresses of a pair.
//!
//! ```sh
//! cargo run --example fleet -- 200 10 http://127.0.0.1:7285 http://127.0.0.1:7286
//! ```
//!
//! It says on its standard output when reading or writing stops and when it works again, and what becomes of each heartbeat;
//! `more 10` on its standard input brings ten servers more. It ends, and takes all of them out, with its standard input.

#![expect(clippy::print_stdout, reason = "what it says is what it is for")]

use std::error::Error;
use std::time::Duration;

use paulina::client::{Beat, Client, ClientError, ClientOptions, Heartbeat};
use paulina::{Filter, Registration};
use tokio::io::{AsyncBufReadExt, BufReader};

type Failure = Box<dyn Error + Send + Sync>;

/// How often it is tried whether the registry answers and takes writes.
const PROBE: Duration = Duration::from_millis(50);

fn client(addresses: &[String]) -> Result<Client, ClientError> {
    let options = ClientOptions::new().timeout(Duration::from_secs(1));
    addresses.iter().fold(options, ClientOptions::address).build()
}

/// Registers one server and says what becomes of it.
fn keep(number: usize, ttl: u32, addresses: &[String]) -> Result<Heartbeat, Failure> {
    let id = format!("fleet-{number}");
    let registration = Registration::stdio("fleet", ["true"]).id(&id).tool(format!("tool_{number}")).ttl(ttl);
    let heartbeat = client(addresses)?.keep_alive(registration)?;
    let mut beat = heartbeat.beat();
    tokio::spawn(async move {
        let mut last = "";
        while beat.changed().await.is_ok() {
            let now = match &*beat.borrow_and_update() {
                Beat::Alive(_) => "alive",
                Beat::Failing(_) => "failing",
                Beat::Replaced => "replaced",
                _ => "not alive",
            };
            if std::mem::replace(&mut last, now) != now {
                println!("{id} {now}");
            }
        }
    });
    Ok(heartbeat)
}

/// Says whenever something begins to work or to fail.
async fn probe<F: Future<Output = bool>>(what: &str, attempt: impl Fn() -> F) {
    let mut worked = None;
    loop {
        let works = attempt().await;
        if worked.replace(works) != Some(works) {
            println!("{what} {}", if works { "works" } else { "fails" });
        }
        tokio::time::sleep(PROBE).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().and_then(|text| text.parse().ok());
    let (Some(count), Some(ttl)) = (number(), number()) else {
        return Err("write: fleet COUNT TTL ADDRESS…".into());
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
