//! Two engines under a steady load while everything around them breaks, one fault after the other: engines, database,
//! broker and the ways between them, topics, strangers in the engines' groups, releases, operators. Then every saga
//! must have ended as its kind says, and its end must have been told.
//!
//! Without `SAGA_TEST_SOAK_MINUTES` some faults strike once and briefly. With it, faults of every kind are drawn until
//! that time is over; `SAGA_TEST_SOAK_SEED` repeats a run's faults in their order, `SAGA_TEST_SOAK_ONLY` draws those of
//! some names, `KillEngine,PauseBroker`. The figures are on the terminal, whether it passes or not.

#[path = "soak/faults.rs"]
mod faults;
#[path = "soak/figures.rs"]
mod figures;
#[path = "soak/operators.rs"]
mod operators;
#[path = "soak/rollout.rs"]
mod rollout;
#[path = "soak/strikes.rs"]
mod strikes;
#[path = "soak/topics.rs"]
mod topics;
#[path = "soak/trial.rs"]
mod trial;
#[path = "soak/verdict.rs"]
mod verdict;

use anyhow::Result;
use faults::{Draw, Fault};
use std::{env, str::FromStr, time::Duration};
use tokio::time::Instant;
use trial::Trial;

/// Faults between two times at which nothing is placed any more, all is awaited, and judged.
const FAULTS_A_CHAPTER: usize = 9;

/// Longer than every timeout of the participants, and in a long run than the session of the groups.
const BROKEN: Duration = Duration::from_secs(13);
/// The same in a short run.
const BROKEN_BRIEFLY: Duration = Duration::from_secs(5);
/// What strikes in a short run. Its kin have tests of their own.
const BRIEFLY: [Fault; 6] = [
    Fault::KillEngine,
    Fault::SilentAnswers,
    Fault::OutcomesDeleted,
    Fault::ForgetConnections,
    Fault::PauseBroker,
    Fault::KillDatabase,
];

fn setting<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok().and_then(|value| value.parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_nothing_is_lost_doubled_or_undone_without_need() -> Result<()> {
    let minutes: Option<u64> = setting("SAGA_TEST_SOAK_MINUTES");
    let broken = if minutes.is_some() { BROKEN } else { BROKEN_BRIEFLY };
    let Some(mut trial) = Trial::begin(broken).await? else { return Ok(()) };
    let mut draw = Draw::seeded(setting("SAGA_TEST_SOAK_SEED"), env::var("SAGA_TEST_SOAK_ONLY").ok().as_deref());
    let result = match minutes {
        None => trial.chapter(&BRIEFLY).await,
        Some(minutes) => drawn(&mut trial, &mut draw, Duration::from_secs(60 * minutes)).await,
    };
    trial.report(&format!("seed {}", draw.seed()));
    result
}

async fn drawn(trial: &mut Trial, draw: &mut Draw, length: Duration) -> Result<()> {
    let end = Instant::now() + length;
    while Instant::now() < end {
        let faults: Vec<Fault> = (0..FAULTS_A_CHAPTER.min(draw.kinds())).map(|_| draw.fault()).collect();
        trial.chapter(&faults).await?;
    }
    Ok(())
}
