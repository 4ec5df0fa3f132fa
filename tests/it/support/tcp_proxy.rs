//! A TCP proxy in front of a registry. It delays requests, drops responses or answers itself, for one kind of request at a
//! time.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

/// What the proxy does with requests; a fault applies to requests that start with its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Delays them until the fault changes.
    Delay(&'static str),
    /// Forwards them, and closes the connection instead of returning the response.
    DropResponse(&'static str),
    /// Responds with 502, like a proxy in front of a registry that is down.
    BadGateway(&'static str),
}

impl Fault {
    fn applies_to(self, request: &[u8]) -> bool {
        match self {
            Self::None => false,
            Self::Delay(prefix) | Self::DropResponse(prefix) | Self::BadGateway(prefix) => {
                request.starts_with(prefix.as_bytes())
            }
        }
    }
}

/// A running proxy.
pub(crate) struct TcpProxy {
    pub(crate) address: SocketAddr,
    pub(crate) fault: watch::Sender<Fault>,
    delayed: Arc<Notify>,
}

impl TcpProxy {
    pub(crate) async fn start(registry: SocketAddr, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, fault) = watch::channel(fault);
        let delayed = Arc::<Notify>::default();
        let delayed_in_task = Arc::clone(&delayed);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, registry, fault.clone(), Arc::clone(&delayed_in_task)));
            }
        });
        Self { address, fault: sender, delayed }
    }

    /// Waits until a request is delayed.
    pub(crate) async fn request_delayed(&self) {
        self.delayed.notified().await;
    }
}

const BAD_GATEWAY: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 3\r\nconnection: close\r\n\r\nBad";

async fn forward(
    mut client: TcpStream,
    registry: SocketAddr,
    mut fault: watch::Receiver<Fault>,
    delayed: Arc<Notify>,
) {
    let mut registry = TcpStream::connect(registry).await.unwrap();
    let (mut request, mut response) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut drop_response = false;
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let Ok(count @ 1..) = read else { return };
                let now = *fault.borrow();
                if now.applies_to(&request[..count]) {
                    match now {
                        Fault::None => {}
                        Fault::Delay(_) => {
                            delayed.notify_one();
                            drop(fault.wait_for(|fault| *fault != now).await.unwrap());
                        }
                        Fault::DropResponse(_) => drop_response = true,
                        Fault::BadGateway(_) => return client.write_all(BAD_GATEWAY).await.unwrap(),
                    }
                }
                registry.write_all(&request[..count]).await.unwrap();
            }
            read = registry.read(&mut response) => {
                let Ok(count @ 1..) = read else { return };
                if drop_response {
                    return;
                }
                client.write_all(&response[..count]).await.unwrap();
            }
        }
    }
}
