//! A small server of HTTP for tests: one answer per connection.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A request as the server got it.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedRequest {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Where the server listens, and how often it was asked.
pub(crate) struct TestServer {
    pub(crate) address: String,
    asked: Arc<AtomicUsize>,
}

impl TestServer {
    /// A server that answers every request by `answer`: status and body.
    pub(crate) async fn start<F>(answer: F) -> TestServer
    where
        F: Fn(ReceivedRequest) -> (u16, String) + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (asked, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(answer));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counter, answer) = (Arc::clone(&counter), Arc::clone(&answer));
                tokio::spawn(async move { serve(stream, &counter, &*answer).await });
            }
        });
        TestServer { address, asked }
    }

    /// How many requests it got.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: TcpStream,
    counter: &AtomicUsize,
    answer: &(dyn Fn(ReceivedRequest) -> (u16, String) + Sync),
) {
    let Some(request) = receive(&mut stream).await else { return };
    counter.fetch_add(1, Ordering::SeqCst);
    let (status, body) = answer(request);
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    // A client that does not wait for the answer is what some tests are about.
    drop(stream.write_all(format!("{head}{body}").as_bytes()).await);
}

async fn receive(stream: &mut TcpStream) -> Option<ReceivedRequest> {
    let mut bytes = Vec::new();
    loop {
        if let Some(request) = parse(&bytes) {
            return Some(request);
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// `None`: there is more to come.
fn parse(bytes: &[u8]) -> Option<ReceivedRequest> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).expect("our client writes ASCII");
    let header = |name: &str| {
        let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let length: usize = header("content-length").map_or(0, |length| length.parse().expect("a length"));
    let body = bytes.get(end + 4..end + 4 + length)?.to_vec();
    let mut first = head.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    Some(ReceivedRequest { method, path, authorization: header("authorization"), body })
}
