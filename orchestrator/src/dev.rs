//! `saga dev`: an engine on a broker, a store and participants of its own, in one process with nothing installed.
//!
//! The broker keeps nothing when the process ends; the event store and the memory of the participants stay in the
//! folder. A later run reads the open sagas from the journal and sends every unanswered command again under the same
//! command id, to new topics; a participant that did the command before repeats its answer. An order whose saga has not
//! begun is lost with the broker, so the end of a run waits for it.

mod banner;
mod definitions;
mod environment;
mod files;
mod narrator;
mod orders;
mod participants;
mod port_choice;
mod port_forwarder;
mod schema_registry;
mod tally;
mod terminal;
#[cfg(test)]
mod tests;
mod traffic;
mod watcher;

pub(crate) use terminal::TerminalWriter;

use crate::{running::RunningEngine, shutdown};
use environment::DevEnvironment;
use saga_kafka::KafkaProducer;
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

/// The arguments of `saga dev`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DevOptions {
    /// Folder for the files of the run.
    pub data: PathBuf,
    /// Address of the API and the web UI.
    pub listen: SocketAddr,
    /// Number of orders to place; `None`: one now and then, without end.
    pub orders: Option<u32>,
    /// Whether to end when the sagas of all orders have ended or are parked.
    pub exit: bool,
    /// Folder of definitions; `None`: `./sagas` if it has any, else the built-in ones.
    pub sagas: Option<PathBuf>,
    /// Port at which clients find Kafka; `None`: the port of the last run if it is free, else any.
    pub kafka_port: Option<u16>,
    /// Port at which clients find the schema registry; `None`: as with `kafka_port`.
    pub registry_port: Option<u16>,
}

/// Runs until `stop`, or with `exit` until every saga, also of earlier runs, has ended or is parked. False: `exit` was
/// set, and a saga has neither ended nor is parked.
///
/// # Errors
/// When a port, a file or a thread that the run needs is not available.
pub(crate) async fn run(
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
    stage.folder.write_configs(&stage.config, &stage.addresses(running.api.address), &stage.definitions)?;
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

/// Places orders until the run is over, then ends the engine and prints how the sagas ended.
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
            () = stop => terminal.say("\nEnding: no more orders; the journal keeps the sagas in progress."),
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

/// Returns only if the run ends by itself.
async fn place(traffic: &OrderPublisher, options: &DevOptions, terminal: &TerminalWriter) -> anyhow::Result<()> {
    let first_order = Instant::now();
    let Some(orders) = options.orders else { return traffic.place(TrafficMode::Trickle).await };
    traffic.place(TrafficMode::Batch(orders)).await?;
    if !options.exit {
        let summary = traffic.board.borrow().summary();
        terminal.say(&banner::summary(&summary, first_order));
        terminal.say("All orders have ended or are parked. The pages stay open; Ctrl-C ends the run.");
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
