//! The end, in order: not ready, intake stops, commits finish, offsets are committed, the group is left. Correctness
//! never depends on it.

use crate::{readiness::EngineReadiness, running::RunningEngine};
use anyhow::bail;
use saga_engine::intake::IntakeExit;
use saga_kafka::topics;
use std::{future::Future, time::Duration};
use tokio::{task::JoinError, time::Instant};
use tracing::{error, info, warn};

/// For everything but the API: a supervisor that waits for 30 s, as many do, finds the process gone.
const TOTAL: Duration = Duration::from_secs(25);
/// For intake: what was delivered is worked on, offsets are committed, the group is left.
const CONSUMERS: Duration = Duration::from_secs(12);
/// For calls that are out; whatever is open after that is sent again by the next owner.
const CALLS: Duration = Duration::from_secs(5);
/// For records that are on their way to the broker.
const FLUSH: Duration = Duration::from_secs(5);
/// For the last word on what the event store is known to have.
const MEMORY: Duration = Duration::from_secs(2);
/// For requests to the API.
const API: Duration = Duration::from_secs(2);

/// Why an engine ends.
enum ShutdownCause {
    Asked,
    Intake(Result<IntakeExit, JoinError>),
    Topics(Result<topics::TopicError, JoinError>),
}

/// Waits for `stop`, or for intake to fail, then ends the engine.
///
/// # Errors
/// When intake could not go on.
pub async fn when(mut running: RunningEngine, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    tokio::pin!(stop);
    let cause = tokio::select! {
        () = &mut stop => ShutdownCause::Asked,
        ended = &mut running.consumers.intake => ShutdownCause::Intake(ended),
        ended = &mut running.consumers.ownership => ShutdownCause::Intake(ended),
        wrong = &mut running.topics => ShutdownCause::Topics(wrong),
    };
    if let ShutdownCause::Topics(Ok(wrong)) = &cause {
        error!(error = %wrong, "work stops");
    }
    let consumers_run = !matches!(cause, ShutdownCause::Intake(_));
    end(running, consumers_run).await;
    match cause {
        ShutdownCause::Asked | ShutdownCause::Intake(Ok(IntakeExit::Stopped)) => Ok(()),
        ShutdownCause::Intake(Ok(IntakeExit::Failed(reason))) => bail!("intake cannot go on: {reason}"),
        ShutdownCause::Topics(Ok(wrong)) => bail!("work stopped: {wrong}"),
        ShutdownCause::Intake(Err(error)) | ShutdownCause::Topics(Err(error)) => bail!("a task broke off: {error}"),
    }
}

/// Ends the engine, within [`TOTAL`] whatever does not answer.
pub async fn end(running: RunningEngine, consumers_run: bool) {
    let RunningEngine { engine, memory, producer, consumers, topics, api, readiness, housekeeping } = running;
    topics.abort();
    drop(housekeeping);
    engine.parts.guarded.health_checks().stop();
    info!("stopping: intake stops, commits finish, offsets are committed, the group is left");
    let deadline = Instant::now() + TOTAL;
    let at_most = |patience: Duration| patience.min(deadline.saturating_duration_since(Instant::now()));
    readiness.send_replace(EngineReadiness::Stopping);
    let triggers = consumers.triggers.stop(at_most(CONSUMERS)).await;
    // The shards go last: what intake had delivered is worked on by them.
    let shards = consumers.shards.stop(at_most(CONSUMERS)).await;
    if consumers_run {
        for (name, task) in [("intake", consumers.intake), ("ownership", consumers.ownership)] {
            if tokio::time::timeout(at_most(CONSUMERS), task).await.is_err() {
                warn!(name, "did not end in time; what it held is delivered again");
            }
        }
    }
    engine.finish(at_most(CALLS)).await;
    if let Some(memory) = memory {
        memory.finish(at_most(MEMORY)).await;
    }
    if !producer.flush(at_most(FLUSH)).await {
        warn!("records were still on their way to the broker; what they said is sent again at the next start");
    }
    api.stop(API).await;
    info!(?triggers, ?shards, "stopped");
}

/// Resolves at SIGTERM or SIGINT. A second one ends the process at once.
#[allow(clippy::disallowed_methods, reason = "who asks twice does not want to wait for what is still to be committed")]
pub async fn signal() {
    wait_for_signal().await;
    tokio::spawn(async {
        wait_for_signal().await;
        warn!("told to stop twice: ending at once");
        std::process::exit(1);
    });
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("a signal handler can be set once the runtime runs");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
