//! A network between a client and a registry that can be slow, lossy or wrong, for one kind of request at a time.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

/// What becomes of requests; those that begin like this, where it says how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Passing,
    /// They wait until the mood changes.
    Holding(&'static str),
    /// They are carried out, and their answers are lost.
    Losing(&'static str),
    /// They are answered by something that is no registry.
    Strange(&'static str),
}

impl Mood {
    fn is_about(self, request: &[u8]) -> bool {
        match self {
            Self::Passing => false,
            Self::Holding(beginning) | Self::Losing(beginning) | Self::Strange(beginning) => {
                request.starts_with(beginning.as_bytes())
            }
        }
    }
}

/// See the [module](self).
pub(crate) struct Between {
    pub(crate) address: SocketAddr,
    pub(crate) mood: watch::Sender<Mood>,
    held: Arc<Notify>,
}

impl Between {
    pub(crate) async fn before(registry: SocketAddr, mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, mood) = watch::channel(mood);
        let held = Arc::<Notify>::default();
        let holds = Arc::clone(&held);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(passed_on(client, registry, mood.clone(), Arc::clone(&holds)));
            }
        });
        Self { address, mood: sender, held }
    }

    /// Waits until a request is held.
    pub(crate) async fn held(&self) {
        self.held.notified().await;
    }
}

const STRANGE: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 3\r\nconnection: close\r\n\r\nBad";

async fn passed_on(
    mut client: TcpStream,
    registry: SocketAddr,
    mut mood: watch::Receiver<Mood>,
    held: Arc<Notify>,
) {
    let mut registry = TcpStream::connect(registry).await.unwrap();
    let (mut request, mut answer) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut lost = false;
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let Ok(count @ 1..) = read else { return };
                let now = *mood.borrow();
                if now.is_about(&request[..count]) {
                    match now {
                        Mood::Passing => {}
                        Mood::Holding(_) => {
                            held.notify_one();
                            drop(mood.wait_for(|mood| *mood != now).await.unwrap());
                        }
                        Mood::Losing(_) => lost = true,
                        Mood::Strange(_) => return client.write_all(STRANGE).await.unwrap(),
                    }
                }
                registry.write_all(&request[..count]).await.unwrap();
            }
            read = registry.read(&mut answer) => {
                let Ok(count @ 1..) = read else { return };
                if lost {
                    return;
                }
                client.write_all(&answer[..count]).await.unwrap();
            }
        }
    }
}
