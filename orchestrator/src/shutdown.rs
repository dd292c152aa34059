//! The shutdown in order: not ready, intake stops, commits finish, offsets are committed, the consumers leave the
//! group. Correctness does not depend on it.

use crate::{readiness::EngineReadiness, running::RunningEngine};
use anyhow::bail;
use saga_engine::IntakeExit;
use saga_kafka::topics;
use std::{future::Future, time::Duration};
use tokio::{task::JoinError, time::Instant};
use tracing::{error, info, warn};

/// Maximum time for everything but the API: many supervisors kill a process after 30 s.
const TOTAL: Duration = Duration::from_secs(25);
/// Maximum time for intake: finish delivered records, commit offsets, leave the group.
const CONSUMERS: Duration = Duration::from_secs(12);
/// Maximum time for calls in flight; the next owner of the shard sends the commands of unfinished calls again.
const CALLS: Duration = Duration::from_secs(5);
/// Maximum time for records in flight to the broker.
const FLUSH: Duration = Duration::from_secs(5);
/// Maximum time to save what the event store has confirmed.
const MEMORY: Duration = Duration::from_secs(2);
/// Maximum time to send the last spans, and the same for the last metrics.
const COLLECTOR: Duration = Duration::from_secs(2);
/// Maximum time for requests to the API.
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
pub(crate) async fn when(mut running: RunningEngine, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    tokio::pin!(stop);
    let cause = tokio::select! {
        () = &mut stop => ShutdownCause::Asked,
        ended = &mut running.consumers.intake => ShutdownCause::Intake(ended),
        ended = &mut running.consumers.ownership => ShutdownCause::Intake(ended),
        wrong = &mut running.topics => ShutdownCause::Topics(wrong),
    };
    if let ShutdownCause::Topics(Ok(wrong)) = &cause {
        error!(error = %wrong, "the engine stops");
    }
    let consumers_run = !matches!(cause, ShutdownCause::Intake(_));
    end(running, consumers_run).await;
    match cause {
        ShutdownCause::Asked | ShutdownCause::Intake(Ok(IntakeExit::Stopped)) => Ok(()),
        ShutdownCause::Intake(Ok(IntakeExit::Failed(reason))) => bail!("intake cannot go on: {reason}"),
        ShutdownCause::Topics(Ok(wrong)) => bail!("the engine stopped: {wrong}"),
        ShutdownCause::Intake(Err(error)) | ShutdownCause::Topics(Err(error)) => {
            bail!("a task of the engine failed: {error}")
        }
    }
}

/// Ends the engine within [`TOTAL`], even if a server does not answer.
pub(crate) async fn end(running: RunningEngine, consumers_run: bool) {
    let RunningEngine { engine, memory, producer, consumers, topics, api, readiness, housekeeping, spans, metrics } =
        running;
    topics.abort();
    drop(housekeeping);
    engine.stop_health_checks();
    info!("stopping: intake stops, commits finish, offsets are committed, the consumers leave the group");
    let deadline = Instant::now() + TOTAL;
    let at_most = |limit: Duration| limit.min(deadline.saturating_duration_since(Instant::now()));
    readiness.send_replace(EngineReadiness::Stopping);
    let triggers = consumers.triggers.stop(at_most(CONSUMERS)).await;
    // The shards stop last: they finish the records that intake delivered.
    let shards = consumers.shards.stop(at_most(CONSUMERS)).await;
    if consumers_run {
        for (name, task) in [("intake", consumers.intake), ("ownership", consumers.ownership)] {
            if tokio::time::timeout(at_most(CONSUMERS), task).await.is_err() {
                warn!(name, "a task did not end in time; Kafka delivers the records of this task again");
            }
        }
    }
    engine.finish(at_most(CALLS)).await;
    if let Some(spans) = spans {
        spans.finish(at_most(COLLECTOR)).await;
    }
    if let Some(metrics) = metrics {
        metrics.finish(at_most(COLLECTOR)).await;
    }
    if let Some(memory) = memory {
        memory.finish(at_most(MEMORY)).await;
    }
    if !producer.flush(at_most(FLUSH)).await {
        warn!(
            "some records were not confirmed by the broker in time; the engine sends them again after the next start"
        );
    }
    api.stop(API).await;
    info!(?triggers, ?shards, "stopped");
}

/// Resolves at SIGTERM or SIGINT. A second one ends the process at once.
#[allow(
    clippy::disallowed_methods,
    reason = "an operator who sends the signal twice does not want to wait for commits"
)]
pub(crate) async fn signal() {
    wait_for_signal().await;
    tokio::spawn(async {
        wait_for_signal().await;
        warn!("second stop signal: the process ends at once");
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
