//! An orchestrator that embeds the registry: its own routes and the registry's API in one axum application.
//!
//! ```sh
//! cargo run --example orchestrator
//! curl http://127.0.0.1:7400/route/read_file
//! curl 'http://127.0.0.1:7400/registry/v1/servers?tool=read_file'
//! ```

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use paulina::{Filter, LeaseRef, Registration, Registry};

/// Returns a healthy server that offers a tool.
async fn route(State(registry): State<Registry>, Path(tool): Path<String>) -> (StatusCode, String) {
    match registry.find(Filter::new().tool(&tool).limit(1)).await {
        Ok(page) => match page.servers.first() {
            Some(server) => {
                (StatusCode::OK, format!("{tool} is offered by {} ({})\n", server.name, server.id))
            }
            None => (StatusCode::NOT_FOUND, format!("no healthy server offers {tool}\n")),
        },
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

/// Refreshes the lease of a server that the orchestrator runs itself, until that fails.
async fn keep_alive(registry: Registry, lease: LeaseRef) {
    loop {
        match registry.refresh(lease.clone()).await {
            Ok(refreshed) => tokio::time::sleep(Duration::from_millis(refreshed.refresh_after_ms)).await,
            Err(error) => {
                tracing::warn!(%error, "the lease cannot be refreshed");
                return;
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let registry = Registry::open("orchestrator.db").await?;
    let filesystem =
        Registration::stdio("filesystem", ["npx", "-y", "@modelcontextprotocol/server-filesystem", "/srv"])
            .id("filesystem-1")
            .tool("read_file")
            .tool("write_file")
            .tag("local");
    let registered = registry.register(filesystem).await?;
    tokio::spawn(keep_alive(registry.clone(), LeaseRef::from(&registered)));

    let app = Router::new()
        .route("/route/{tool}", get(route))
        .with_state(registry.clone())
        .nest("/registry", paulina::http::router(registry.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:7400").await?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    registry.deregister(&registered).await?;
    registry.close().await;
    Ok(())
}
