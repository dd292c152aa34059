//! As much of a broker as a client needs to learn of it: it answers which versions it speaks, and what brokers and
//! topics there are.

use std::{
    io::{self, Read, Write},
    iter,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// The first of the topics.
pub(crate) const TOPIC: &str = "orders";

/// So many that the client is still busy with them when the connections that it gives up have ended: then it does not
/// find back by itself.
const TOPICS: usize = 10_000;

const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const NODE: i32 = 1;
const NO_ERROR: i16 = 0;
const LEADER_NOT_AVAILABLE: i16 = 5;

/// Serves until the process ends.
pub(crate) struct Broker {
    address: SocketAddr,
    lists_itself: Arc<AtomicBool>,
}

impl Broker {
    pub(crate) fn start() -> io::Result<Broker> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let lists_itself = Arc::new(AtomicBool::new(true));
        let listed = Arc::clone(&lists_itself);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let listed = Arc::clone(&listed);
                // It ends when the client closes the connection.
                thread::spawn(move || serve(connection, address, &listed));
            }
        });
        Ok(Broker { address, lists_itself })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn list_itself(&self) {
        self.lists_itself.store(true, Ordering::SeqCst);
    }

    pub(crate) fn list_nobody(&self) {
        self.lists_itself.store(false, Ordering::SeqCst);
    }
}

fn serve(mut connection: TcpStream, address: SocketAddr, lists_itself: &AtomicBool) -> io::Result<()> {
    loop {
        let mut size = [0; 4];
        connection.read_exact(&mut size)?;
        let mut request = vec![0; usize::try_from(i32::from_be_bytes(size)).map_err(io::Error::other)?];
        connection.read_exact(&mut request)?;
        // Which question, in which version, and the number that the answer repeats.
        let (question, correlation) = (i16::from_be_bytes([request[0], request[1]]), &request[4..8]);
        let body = match question {
            API_VERSIONS => versions(),
            METADATA => metadata(address, lists_itself.load(Ordering::SeqCst)),
            other => return Err(io::Error::other(format!("question {other} was not announced"))),
        };
        let length = i32::try_from(correlation.len() + body.len()).map_err(io::Error::other)?;
        connection.write_all(&[&length.to_be_bytes(), correlation, &body].concat())?;
    }
}

/// Version 3: with compact arrays and tags.
fn versions() -> Vec<u8> {
    let api = |key: i16, least: i16, most: i16| [key, least, most].map(i16::to_be_bytes).concat();
    let (versions, metadata) = (api(API_VERSIONS, 0, 3), api(METADATA, 1, 1));
    [&NO_ERROR.to_be_bytes()[..], &[3], &versions, &[0], &metadata, &[0], &0_i32.to_be_bytes(), &[0]].concat()
}

/// Version 1.
fn metadata(address: SocketAddr, lists_itself: bool) -> Vec<u8> {
    let (mut brokers, mut controller, mut error) = (array(&[]), -1_i32, LEADER_NOT_AVAILABLE);
    if lists_itself {
        let no_rack = (-1_i16).to_be_bytes();
        let port = i32::from(address.port()).to_be_bytes();
        brokers = array(&[[&NODE.to_be_bytes()[..], &text(&address.ip().to_string()), &port, &no_rack].concat()]);
        (controller, error) = (NODE, NO_ERROR);
    }
    let internal = [0];
    let topic = |name: &str| [&error.to_be_bytes()[..], &text(name), &internal, &array(&[])].concat();
    // The client makes room for an answer by its length, and topics with short names and no partitions need more.
    let others = (1..TOPICS).map(|number| topic(&format!("{number:0>200}")));
    let topics: Vec<Vec<u8>> = iter::once(topic(TOPIC)).chain(others).collect();
    [&brokers[..], &controller.to_be_bytes(), &array(&topics)].concat()
}

fn array(elements: &[Vec<u8>]) -> Vec<u8> {
    let count = i32::try_from(elements.len()).expect("a short list");
    [&count.to_be_bytes()[..], &elements.concat()].concat()
}

fn text(value: &str) -> Vec<u8> {
    let length = i16::try_from(value.len()).expect("a short text");
    [&length.to_be_bytes()[..], value.as_bytes()].concat()
}
