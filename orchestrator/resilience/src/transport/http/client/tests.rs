//! When connections are kept, when not, and what is sent again.

use super::*;
use crate::outbound::OutboundAddresses;
use hyper::StatusCode;
use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const LIVES: ConnectionTimeouts = ConnectionTimeouts {
    connect: Duration::from_secs(2),
    idle: Duration::from_secs(60),
    age: Duration::from_secs(600),
};
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a server does with the requests of one connection, in order; at their end it closes it.
type ConnectionScript = Vec<ScriptedReply>;

#[derive(Clone, Copy, Debug)]
enum ScriptedReply {
    Answer(&'static str),
    /// Reads the request and closes without a word.
    Close,
    /// Reads the request, writes the beginning of an answer, and closes.
    Break(&'static str),
}

/// A server of connections with these scripts; the last one goes on.
struct ScriptedServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl ScriptedServer {
    async fn start(scripts: Vec<ConnectionScript>) -> ScriptedServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let server = ScriptedServer {
            address: listener.local_addr().expect("bound"),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, requests) = (Arc::clone(&server.connections), Arc::clone(&server.requests));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let script = scripts[number.min(scripts.len() - 1)].clone();
                tokio::spawn(serve(stream, script, Arc::clone(&requests)));
            }
        });
        server
    }

    fn url(&self) -> Url {
        Url::parse(&format!("http://{}/charges?x=1", self.address)).expect("a URL")
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic under it").clone()
    }
}

async fn serve(mut stream: TcpStream, script: ConnectionScript, requests: Arc<Mutex<Vec<String>>>) {
    for turn in script {
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap_or(0);
        if length == 0 {
            return;
        }
        request.truncate(length);
        requests.lock().expect("no panic under it").push(String::from_utf8_lossy(&request).into_owned());
        match turn {
            ScriptedReply::Answer(answer) => stream.write_all(answer.as_bytes()).await.expect("an open connection"),
            ScriptedReply::Close => return,
            ScriptedReply::Break(beginning) => {
                return stream.write_all(beginning.as_bytes()).await.expect("an open connection");
            }
        }
    }
    // The other side closes.
    let _ = stream.read(&mut [0; 16]).await;
}

fn client(lives: ConnectionTimeouts) -> HttpClient {
    HttpClient::new(lives, ClientEncryption::None, OutboundAddresses::default().of_participant("payments"))
        .expect("a client without TLS")
}

/// The body of the answer to a POST, and its connection is kept.
async fn post(client: &HttpClient, url: Url) -> Result<Vec<u8>, HttpExchangeError> {
    let request = OutboundRequest { body: Bytes::from_static(b"{}"), ..OutboundRequest::new(Method::POST, url) };
    let mut response = client.send(&request, ReadWriteTimeouts::default()).await?;
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = Vec::new();
    while let Some(piece) = response.piece().await? {
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_request_names_its_host() {
    let server = ScriptedServer::start(vec![vec![ScriptedReply::Answer(OK); 3]]).await;
    let client = client(LIVES);
    for _ in 0..3 {
        assert_eq!(post(&client, server.url()).await.expect("an answer"), b"ok");
    }
    assert_eq!(server.connections(), 1);
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /charges?x=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: {}\r\n", server.address)), "{request}");
    assert!(request.contains("content-length: 2\r\n") && request.ends_with("\r\n\r\n{}"), "{request}");
}

#[tokio::test]
async fn what_meets_a_connection_that_the_server_closes_is_sent_once_more_over_a_new_one() {
    let first = vec![ScriptedReply::Answer(OK), ScriptedReply::Close];
    let server = ScriptedServer::start(vec![first, vec![ScriptedReply::Answer(OK)]]).await;
    let client = client(LIVES);
    for _ in 0..2 {
        assert_eq!(post(&client, server.url()).await.expect("an answer"), b"ok");
    }
    let requests = server.requests();
    assert_eq!((server.connections(), requests.len()), (2, 3));
    assert_eq!(requests[1], requests[2], "the same bytes");
}

#[tokio::test]
async fn it_is_not_sent_a_third_time() {
    let server =
        ScriptedServer::start(vec![vec![ScriptedReply::Answer(OK), ScriptedReply::Close], vec![ScriptedReply::Close]])
            .await;
    let client = client(LIVES);
    post(&client, server.url()).await.expect("an answer");
    assert!(matches!(post(&client, server.url()).await, Err(HttpExchangeError::Broken(_))));
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn over_a_new_connection_it_is_sent_once() {
    let server = ScriptedServer::start(vec![vec![ScriptedReply::Close]]).await;
    assert!(matches!(post(&client(LIVES), server.url()).await, Err(HttpExchangeError::Broken(_))));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn once_a_byte_of_an_answer_was_read_nothing_is_sent_again() {
    for beginning in ["H", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\no"] {
        let server =
            ScriptedServer::start(vec![vec![ScriptedReply::Answer(OK), ScriptedReply::Break(beginning)]]).await;
        let client = client(LIVES);
        post(&client, server.url()).await.expect("an answer");
        let missed = post(&client, server.url()).await.expect_err("no answer");
        assert!(matches!(missed, HttpExchangeError::Broken(_) | HttpExchangeError::NotHttp(_)), "{missed:?}");
        assert_eq!(server.requests().len(), 2, "{beginning}");
    }
}

#[tokio::test]
async fn without_a_new_connection_the_request_may_have_left_all_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = Url::parse(&format!("http://{}/", listener.local_addr().expect("bound"))).expect("a URL");
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        // The server accepts no other connection.
        drop(listener);
        serve(stream, vec![ScriptedReply::Answer(OK), ScriptedReply::Close], Arc::default()).await;
    });
    let client = client(LIVES);
    post(&client, url.clone()).await.expect("an answer");
    let missed = post(&client, url.clone()).await.expect_err("no answer");
    assert!(matches!(missed, HttpExchangeError::NotConnected { may_have_left: true, .. }), "{missed:?}");
    served.await.expect("it ends");
    let missed = post(&client, url).await.expect_err("no answer");
    assert!(matches!(missed, HttpExchangeError::NotConnected { may_have_left: false, .. }), "{missed:?}");
}

/// Connections that two requests take, one after the other.
async fn of_two(lives: ConnectionTimeouts, answer: &'static str) -> usize {
    let server = ScriptedServer::start(vec![vec![ScriptedReply::Answer(answer); 2]]).await;
    let client = client(lives);
    for _ in 0..2 {
        post(&client, server.url()).await.expect("an answer");
    }
    server.connections()
}

#[tokio::test]
async fn an_old_an_idle_or_a_closing_connection_is_not_used_again() {
    assert_eq!(of_two(LIVES, OK).await, 1);
    assert_eq!(of_two(ConnectionTimeouts { age: Duration::ZERO, ..LIVES }, OK).await, 2);
    assert_eq!(of_two(ConnectionTimeouts { idle: Duration::ZERO, ..LIVES }, OK).await, 2);
    let kept = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok";
    assert_eq!(of_two(LIVES, kept).await, 1);
    let not_kept = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nok";
    assert_eq!(of_two(LIVES, not_kept).await, 2);
    let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    assert_eq!(of_two(LIVES, closing).await, 2);
}

#[tokio::test]
async fn idle_connections_are_closed_at_their_time_without_a_further_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = Url::parse(&format!("http://{}/", listener.local_addr().expect("bound"))).expect("a URL");
    // It ends when the client closes.
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        serve(stream, vec![ScriptedReply::Answer(OK)], Arc::default()).await;
    });
    let client = client(ConnectionTimeouts { idle: Duration::from_millis(20), ..LIVES });
    post(&client, url).await.expect("an answer");
    served.await.expect("closed");
}
