//! What slow clients cost the other callers of the API: the time of requests on new connections, alone and beside 2,000
//! sockets that send part of a header and nothing else, and are opened again when the engine closes them. It is run by
//! `tests/run with cargo bench -p saga-tests --bench slow_clients`; `SAGA_TEST_BINARY` names the binary to be measured.

use anyhow::{Context, Result, ensure};
use saga_tests::{engine::Engine, participant::ParticipantScript, world::TestWorld};
use std::{
    collections::VecDeque,
    io::Write as _,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::interval,
};

const SLOW: usize = 2_000;
/// One slow socket is opened again each time.
const AGAIN: Duration = Duration::from_millis(5);
const REQUESTS: usize = 5_000;
/// Rounds without and with slow clients, in turn. The first one warms up and is not counted.
const ROUNDS: [bool; 7] = [false, true, false, false, true, true, false];
const STEPS: &str = "\nsteps:\n  - {step: charge, do: POST payments/charges, undo: POST payments/refunds}\n";

/// Times of requests, each on a new connection, sorted.
async fn round(address: &str) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let start = Instant::now();
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times)
}

async fn slow_client(address: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    // Who waits longest is closed while the others come.
    let _closed = stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nx-slow:").await;
    Ok(stream)
}

/// Keeps so many slow clients until it is dropped.
async fn slow_clients(address: String) -> Result<()> {
    let mut all = VecDeque::new();
    let mut again = interval(AGAIN);
    loop {
        if all.len() == SLOW {
            again.tick().await;
            all.pop_front();
        }
        all.push_back(slow_client(&address).await?);
    }
}

async fn measured(engine: &Engine) -> Result<[Vec<Duration>; 2]> {
    let address = engine.api().base().trim_start_matches("http://").to_owned();
    let mut all = [Vec::new(), Vec::new()];
    for (number, is_slow) in ROUNDS.into_iter().enumerate() {
        let slow = is_slow.then(|| tokio::spawn(slow_clients(address.clone())));
        let times = round(&address).await?;
        if let Some(slow) = slow {
            ensure!(!slow.is_finished(), "the slow clients failed: {:?}", slow.await);
            slow.abort();
        }
        if number > 0 {
            all[usize::from(is_slow)].extend(times);
        }
    }
    all.iter_mut().for_each(|times| times.sort());
    Ok(all)
}

#[tokio::main]
async fn main() -> Result<()> {
    let world = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await?;
    let world = world.context("servers are missing: use tests/run")?;
    world.define("order", STEPS)?;
    let engine = world.start().await?;
    let mut out = std::io::stdout().lock();
    for (name, times) in ["alone", "beside slow clients"].into_iter().zip(measured(&engine).await?) {
        let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
        writeln!(out, "{name}: p50 {:?}, p99 {:?}, longest {:?}", at(50), at(99), at(100))?;
    }
    Ok(())
}
