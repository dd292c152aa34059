//! `saga dev`: an engine on a broker, a store and participants of its own, in one process with nothing installed.
//!
//! The broker forgets everything when the process ends; the store and the participants' memory stay in the folder. A
//! later run takes the open sagas from the journal: whatever had no answer leaves again under the same command id, to
//! new topics, and a participant that did it before answers as before. An order that left and had not begun is lost
//! with the broker, so the end waits for it to begin.

mod banner;
mod definitions;
mod door;
mod files;
mod narrator;
mod orders;
mod participants;
mod stage;

mod tally;
mod terminal;
#[cfg(test)]
mod tests;
mod traffic;
mod watcher;

pub use terminal::{ColourMode, TerminalWriter};

use crate::{running::RunningEngine, shutdown};
use saga_kafka::KafkaProducer;
use stage::DevEnvironment;
use std::{
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use tally::SagaTally;
use tokio::sync::watch;
use traffic::{OrderPublisher, TrafficMode};
use watcher::{DevObserver, TallySender};

/// What `saga dev` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevOptions {
    /// Where the run keeps its files.
    pub data: PathBuf,
    /// Where the API and the web UI listen.
    pub listen: SocketAddr,
    /// Place this many orders and no more; `None`: a trickle without end.
    pub orders: Option<u32>,
    /// End when all orders are accounted for.
    pub exit: bool,
    /// Folder of definitions; `None`: `./sagas` if it holds any, else those that ship.
    pub sagas: Option<PathBuf>,
    /// Where clients find Kafka; `None`: at the port of an earlier run, else at any.
    pub kafka_port: Option<u16>,
}

/// Runs until `stop`, or with `exit` until every saga, of earlier runs too, has ended or is parked. False if one is
/// neither although the run was to end by itself.
///
/// # Errors
/// When something that it needs cannot be had.
pub async fn run(
    options: DevOptions,
    terminal: TerminalWriter,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<bool> {
    let ended = run_on(&options, &terminal, stop).await;
    terminal.end().await;
    ended
}

async fn run_on(
    options: &DevOptions,
    terminal: &TerminalWriter,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<bool> {
    let stage = DevEnvironment::set(options).await?;
    let left_open = stage.left_open().await;
    let earlier = left_open.len();
    let board: TallySender = Arc::new(watch::Sender::new(SagaTally::of_earlier_runs(left_open)));
    let watcher = watcher(options, terminal, &board);
    tokio::pin!(stop);
    let running = tokio::select! {
        running = stage.start(watcher) => running?,
        () = &mut stop => return Ok(!options.exit),
    };
    stage.folder.write_configs(&stage.config, stage.door.address(), running.api.address)?;
    terminal.say(&banner::welcome(&stage.places(running.api.address, earlier)));
    let run = orders::run_name(now_ms());
    let traffic =
        OrderPublisher { producer: KafkaProducer::start(&stage.kafka)?, run, board, starts: stage.starts.clone() };
    serve(running, &traffic, options, terminal, stop).await
}

fn watcher(options: &DevOptions, terminal: &TerminalWriter, board: &TallySender) -> DevObserver {
    let server = match options.listen.port() {
        8080 => String::new(),
        _ => format!(" --server http://{}", options.listen),
    };
    let advice = (!options.exit).then(|| format!("saga retry{server}"));
    DevObserver { board: Arc::clone(board), terminal: terminal.clone(), begun: Instant::now(), advice }
}

/// Places orders until it is over, then ends the engine and says how its sagas ended.
async fn serve(
    running: RunningEngine,
    traffic: &OrderPublisher,
    options: &DevOptions,
    terminal: &TerminalWriter,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<bool> {
    let first_order = Instant::now();
    let mut placed = Ok(());
    let over = async {
        tokio::select! {
            ended = place(traffic, options, terminal) => placed = ended,
            () = stop => terminal.say("\nEnding: no more orders; what is under way is written down."),
        }
        traffic.until_begun().await;
    };
    shutdown::when(running, over).await?;
    placed?;
    let summary = traffic.board.borrow().summary();
    if options.exit {
        terminal.say(&banner::summary(&summary, first_order));
        return Ok(summary.is_whole() && summary.settled() >= options.orders.unwrap_or(0));
    }
    terminal.say(&banner::farewell(&summary));
    Ok(true)
}

/// Ends only where the run is to end by itself.
async fn place(traffic: &OrderPublisher, options: &DevOptions, terminal: &TerminalWriter) -> anyhow::Result<()> {
    let first_order = Instant::now();
    let Some(orders) = options.orders else { return traffic.place(TrafficMode::Trickle).await };
    traffic.place(TrafficMode::Batch(orders)).await?;
    if !options.exit {
        let summary = traffic.board.borrow().summary();
        terminal.say(&banner::summary(&summary, first_order));
        terminal.say("All orders are accounted for. The pages stay; Ctrl-C ends.");
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
