//! The way from an engine to a server, which a test can break: closed, or silent as when a router forgets or a machine
//! loses its power.

use anyhow::{Context, Result};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// One read of what goes along the way.
const CHUNK_BYTES: usize = 16 * 1024;

/// How the way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathPassage {
    /// What is sent arrives.
    Open,
    /// Nothing arrives in either direction, nothing is refused and nothing is closed, for old connections and for new
    /// ones.
    Silent,
    /// What the engine sends arrives, what the server answers does not.
    SilentBack,
    /// Connections break, and new ones are closed at once.
    Closed,
}

/// The way now: connections of earlier generations are forgotten.
#[derive(Clone, Copy, Debug)]
struct PathState {
    passage: PathPassage,
    generation: u64,
}

/// A port of its own that leads to a server. Ends with all its connections when it is dropped.
#[derive(Debug)]
pub struct NetworkPath {
    address: SocketAddr,
    state: watch::Sender<PathState>,
    listening: JoinHandle<()>,
}

impl NetworkPath {
    /// An open way to `server`, `host:port`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn to(server: &str) -> Result<NetworkPath> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the way")?;
        let address = listener.local_addr()?;
        let (sender, state) = watch::channel(PathState { passage: PathPassage::Open, generation: 0 });
        let listening = tokio::spawn(listen(listener, server.to_owned(), state));
        Ok(NetworkPath { address, state: sender, listening })
    }

    /// Where it begins, `host:port`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes it so, at once, for all connections.
    pub fn set(&self, passage: PathPassage) {
        self.state.send_modify(|state| state.passage = passage);
    }

    /// Forgets the connections that there are, as a router does that was restarted: they stay open and nothing of
    /// theirs arrives any more, however the way is later. New ones are as the way is.
    pub fn forget(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }
}

impl Drop for NetworkPath {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, server: String, state: watch::Receiver<PathState>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let generation = state.borrow().generation;
        connections.spawn(connect(client, server.clone(), PathConnections { state: state.clone(), generation }));
        while connections.try_join_next().is_some() {}
    }
}

/// The way, as one connection meets it.
#[derive(Clone)]
struct PathConnections {
    state: watch::Receiver<PathState>,
    /// When the connection was made.
    generation: u64,
}

impl PathConnections {
    /// Returns when the way lets through what `direction` says; never, once the connection is forgotten.
    async fn lets_through(&mut self, direction: fn(PathPassage) -> bool) -> Result<()> {
        let generation = self.generation;
        self.state.wait_for(|it| it.generation == generation && direction(it.passage)).await?;
        Ok(())
    }
}

fn forth(passage: PathPassage) -> bool {
    matches!(passage, PathPassage::Open | PathPassage::SilentBack)
}

fn back(passage: PathPassage) -> bool {
    passage == PathPassage::Open
}

/// Until either end closes, or the way does.
async fn connect(client: TcpStream, server: String, mut known: PathConnections) {
    let mut closed = known.state.clone();
    tokio::select! {
        result = carry(client, &server, &mut known) => drop(result),
        _ = closed.wait_for(|it| it.passage == PathPassage::Closed) => {}
    }
}

async fn carry(client: TcpStream, server: &str, known: &mut PathConnections) -> Result<()> {
    known.lets_through(forth).await?;
    let server = TcpStream::connect(server).await?;
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    tokio::try_join!(
        pump(client_read, server_write, known.clone(), forth),
        pump(server_read, client_write, known.clone(), back)
    )?;
    Ok(())
}

/// Carries what is read while the way lets it through. What was read before it went silent waits, as in the buffers of
/// a network.
async fn pump(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    mut known: PathConnections,
    direction: fn(PathPassage) -> bool,
) -> Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await?;
        known.lets_through(direction).await?;
        if read == 0 {
            to.shutdown().await?;
            return Ok(());
        }
        to.write_all(&chunk[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    /// What arrives is sent back.
    async fn echo() -> Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    drop(tokio::io::copy(&mut read, &mut write).await);
                });
            }
        });
        Ok(address)
    }

    async fn says(stream: &mut TcpStream, word: &[u8]) -> Result<Vec<u8>> {
        stream.write_all(word).await?;
        let mut answer = vec![0; word.len()];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn what_was_sent_into_silence_arrives_when_it_ends() -> Result<()> {
        let path = NetworkPath::to(&echo().await?).await?;
        let mut stream = TcpStream::connect(path.address()).await?;
        assert_eq!(says(&mut stream, b"one").await?, b"one");
        for silence in [PathPassage::Silent, PathPassage::SilentBack] {
            path.set(silence);
            let silent = timeout(Duration::from_millis(50), says(&mut stream, b"two")).await;
            assert!(silent.is_err(), "nothing is answered, and nothing is closed");
            path.set(PathPassage::Open);
            let mut answer = [0; 3];
            stream.read_exact(&mut answer).await?;
            assert_eq!(&answer, b"two");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_forgotten_connection_stays_silent_and_a_new_one_does_not() -> Result<()> {
        let path = NetworkPath::to(&echo().await?).await?;
        let mut old = TcpStream::connect(path.address()).await?;
        assert_eq!(says(&mut old, b"one").await?, b"one");
        path.forget();
        let mut new = TcpStream::connect(path.address()).await?;
        assert_eq!(says(&mut new, b"two").await?, b"two");
        assert!(timeout(Duration::from_millis(50), says(&mut old, b"two")).await.is_err());
        Ok(())
    }

    #[tokio::test]
    async fn a_closed_way_breaks_its_connections() -> Result<()> {
        let path = NetworkPath::to(&echo().await?).await?;
        let mut stream = TcpStream::connect(path.address()).await?;
        assert_eq!(says(&mut stream, b"one").await?, b"one");
        path.set(PathPassage::Closed);
        assert_eq!(stream.read(&mut [0; 3]).await.unwrap_or_default(), 0, "it is over");
        path.set(PathPassage::Open);
        let mut stream = TcpStream::connect(path.address()).await?;
        assert_eq!(says(&mut stream, b"one").await?, b"one");
        Ok(())
    }
}
