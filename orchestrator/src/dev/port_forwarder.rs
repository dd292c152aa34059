//! A fixed port for the broker: the mock broker listens on a new port at every start, so this module forwards
//! connections from a fixed port. Clients ask there for the brokers and connect then to the mock itself.

use super::port_choice::PortChoice;
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};
use tracing::debug;

/// Connections at once: a client keeps one for its first request, and a developer machine runs few clients.
const CONNECTIONS: usize = 256;

/// Forwards connections until it is dropped.
#[derive(Debug)]
pub(super) struct PortForwarder {
    address: SocketAddr,
    /// The port of an earlier run, which another process uses now.
    pub(super) instead_of: Option<u16>,
    serving: JoinHandle<()>,
}

impl PortForwarder {
    /// Forwards connections to `broker` (`host:port`).
    ///
    /// # Errors
    /// The named port is in use, or no port is free.
    pub(super) async fn open(wanted: PortChoice, broker: &str) -> anyhow::Result<PortForwarder> {
        let (listener, instead_of) = wanted.listen("Kafka", "--kafka-port").await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(serve(listener, Arc::from(broker)));
        Ok(PortForwarder { address, instead_of, serving })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for PortForwarder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, broker: Arc<str>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let broker = Arc::clone(&broker);
                tokio::spawn(async move {
                    hand_on(client, &broker).await;
                    drop(place);
                });
            }
            Err(error) => {
                debug!(%error, "a connection to the broker was not accepted");
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Ends when one side ends.
async fn hand_on(mut client: TcpStream, broker: &str) {
    let through = async {
        let mut server = TcpStream::connect(broker).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        copy_bidirectional(&mut client, &mut server).await
    };
    if let Err(error) = through.await {
        debug!(%error, "a connection to the broker ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_port_of_an_earlier_run_is_taken_again_and_another_one_where_it_is_not_free() {
        let first = PortForwarder::open(PortChoice::Free, "127.0.0.1:1").await.expect("a free port");
        let port = first.address().port();
        let beside = PortForwarder::open(PortChoice::Again(port), "127.0.0.1:1").await.expect("another port");
        assert_eq!(beside.instead_of, Some(port));
        assert_ne!(beside.address().port(), port);
        let error = PortForwarder::open(PortChoice::Exactly(port), "127.0.0.1:1").await.expect_err("it is taken");
        assert!(error.to_string().contains("--kafka-port"), "{error}");
    }

    #[tokio::test]
    async fn what_is_written_to_it_comes_to_the_broker_and_back() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let broker = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let door = PortForwarder::open(PortChoice::Free, &broker.local_addr().expect("an address").to_string())
            .await
            .expect("a door");
        let mut client = TcpStream::connect(door.address()).await.expect("connected");
        client.write_all(b"who").await.expect("written");
        let (mut server, _) = broker.accept().await.expect("handed on");
        let mut asked = [0; 3];
        server.read_exact(&mut asked).await.expect("read");
        server.write_all(b"me!").await.expect("answered");
        let mut told = [0; 3];
        client.read_exact(&mut told).await.expect("read");
        assert_eq!((&asked, &told), (b"who", b"me!"));
    }
}
