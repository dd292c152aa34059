//! A way to a server on which answers can be lost, and which can go silent.

use anyhow::Result;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// How the way is, for old connections and for new ones. Nothing is refused and nothing is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// What is sent arrives.
    Open,
    /// Nothing arrives in either direction.
    Silent,
    /// What is asked arrives, what is answered does not.
    NoAnswers,
    /// What is asked does not arrive.
    NoRequests,
    /// As silent for connections that are there; new ones have another way, which is open.
    OldOnesSilent,
}

/// Bytes of one read: more than any request of a test, so that a request is in one read.
const READ: usize = 64 * 1024;

/// Listens for as long as it lives.
pub(crate) struct Proxy {
    port: u16,
    passage: watch::Sender<Passage>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A way to the server at `target`. A request that has `unanswered` in it reaches the server; its answer does not
    /// arrive, and the connection ends instead.
    pub(crate) async fn to(target: (String, u16), unanswered: &'static [u8]) -> Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let (passage, state) = watch::channel(Passage::Open);
        let task = tokio::spawn(serve(listener, target, unanswered, state));
        Ok(Proxy { port, passage, task })
    }

    /// Makes the way so, at once.
    pub(crate) fn set(&self, passage: Passage) {
        self.passage.send_replace(passage);
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

async fn serve(
    listener: TcpListener,
    target: (String, u16),
    unanswered: &'static [u8],
    passage: watch::Receiver<Passage>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let is_new = *passage.borrow() == Passage::OldOnesSilent;
        tokio::spawn(carry(client, target.clone(), unanswered, Way { passage: passage.clone(), is_new }));
    }
}

/// What one connection sees of the way.
#[derive(Clone)]
struct Way {
    passage: watch::Receiver<Passage>,
    /// Made while old ones were silent.
    is_new: bool,
}

impl Way {
    async fn lets_pass(&mut self, also: &[Passage]) {
        let is_new = self.is_new;
        let open =
            |it: &Passage| *it == Passage::Open || also.contains(it) || (is_new && *it == Passage::OldOnesSilent);
        drop(self.passage.wait_for(open).await);
    }

    async fn for_requests(&mut self) {
        self.lets_pass(&[Passage::NoAnswers]).await;
    }

    async fn for_answers(&mut self) {
        self.lets_pass(&[Passage::NoRequests]).await;
    }
}

async fn carry(client: TcpStream, target: (String, u16), unanswered: &'static [u8], mut way: Way) {
    way.for_requests().await;
    let Ok(server) = connect(&target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let lose = Arc::new(AtomicBool::new(false));
    tokio::spawn(ask(from_client, to_server, unanswered, Arc::clone(&lose), way.clone()));
    tokio::spawn(answer(from_server, to_client, lose, way));
}

/// With small buffers: a server whose answer is not taken soon waits.
async fn connect((host, port): &(String, u16)) -> std::io::Result<TcpStream> {
    let mut last = std::io::ErrorKind::AddrNotAvailable.into();
    for address in tokio::net::lookup_host((host.as_str(), *port)).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_recv_buffer_size(64 * 1024)?;
        match socket.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn ask(
    mut from_client: OwnedReadHalf,
    mut to_server: OwnedWriteHalf,
    unanswered: &'static [u8],
    lose: Arc<AtomicBool>,
    mut way: Way,
) {
    let mut bytes = vec![0; READ];
    while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
        let request = &bytes[..length];
        if request.windows(unanswered.len()).any(|part| part == unanswered) {
            lose.store(true, Ordering::SeqCst);
        }
        way.for_requests().await;
        if to_server.write_all(request).await.is_err() {
            break;
        }
    }
    // That a client went away is not heard either.
    way.for_requests().await;
}

async fn answer(mut from_server: OwnedReadHalf, mut to_client: OwnedWriteHalf, lose: Arc<AtomicBool>, mut way: Way) {
    let mut bytes = vec![0; READ];
    while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
        way.for_answers().await;
        if lose.load(Ordering::SeqCst) || to_client.write_all(&bytes[..length]).await.is_err() {
            break;
        }
    }
}
