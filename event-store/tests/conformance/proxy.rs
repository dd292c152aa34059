//! A way to a server on which answers can be lost.

use anyhow::Result;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// Bytes of one read: more than any request of a test, so that a request is in one read.
const READ: usize = 64 * 1024;

/// Listens for as long as it lives.
pub(crate) struct Proxy {
    port: u16,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A way to the server at `target`. A request that has `unanswered` in it reaches the server; its answer does not arrive, and the
    /// connection ends instead.
    pub(crate) async fn to(target: (String, u16), unanswered: &'static [u8]) -> Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(serve(listener, target, unanswered));
        Ok(Proxy { port, task })
    }

    /// Where it listens on this machine.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: (String, u16), unanswered: &'static [u8]) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect((target.0.as_str(), target.1)).await else { continue };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let lose = Arc::new(AtomicBool::new(false));
        tokio::spawn(ask(from_client, to_server, unanswered, Arc::clone(&lose)));
        tokio::spawn(answer(from_server, to_client, lose));
    }
}

async fn ask(
    mut from_client: OwnedReadHalf,
    mut to_server: OwnedWriteHalf,
    unanswered: &'static [u8],
    lose: Arc<AtomicBool>,
) {
    let mut bytes = vec![0; READ];
    while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
        let request = &bytes[..length];
        if request.windows(unanswered.len()).any(|part| part == unanswered) {
            lose.store(true, Ordering::SeqCst);
        }
        if to_server.write_all(request).await.is_err() {
            break;
        }
    }
}

async fn answer(mut from_server: OwnedReadHalf, mut to_client: OwnedWriteHalf, lose: Arc<AtomicBool>) {
    let mut bytes = vec![0; READ];
    while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
        if lose.load(Ordering::SeqCst) || to_client.write_all(&bytes[..length]).await.is_err() {
            break;
        }
    }
}
