//! One participant fails, hangs and is dead for a minute while sagas that do not need it go on beside: a run of two
//! minutes under a steady load, with its figures on the terminal whether it passes or not.
//!
//! The others' speed is told against the calm phases of the same run, before and after. It is judged only where
//! `SAGA_TEST_JUDGE_SPEED` is set: it compares on a slow machine as well, but not on one that is busy with something
//! else in some phases and not in others.

#[path = "outage/figures.rs"]
mod figures;
#[path = "outage/shop.rs"]
mod shop;
#[path = "outage/table.rs"]
mod table;
#[path = "outage/verdict.rs"]
mod verdict;

use anyhow::Result;
use figures::{Figures, Observer};
use saga_tests::{eventually::eventually, traffic::SETTLED};
use shop::{Mood, Shop};
use std::{io::Write as _, time::Duration};

/// What is the matter with the bad participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Nothing, and connections and caches are cold.
    WarmUp,
    Calm,
    Failing,
    Hanging,
    Dying,
    /// It has been dead for a while.
    Dead,
    Recovering,
    CalmAgain,
}

impl Phase {
    /// With [`Phase::Dying`] a whole minute.
    const DEAD: Duration = Duration::from_secs(45);
    const DYING: Duration = Duration::from_secs(15);
    /// Some hundred sagas of each kind: their median is steady.
    const OTHERS: Duration = Duration::from_secs(12);
    /// The bad participant is not well in these.
    const BAD: [Phase; 4] = [Phase::Failing, Phase::Hanging, Phase::Dying, Phase::Dead];

    fn length(self) -> Duration {
        match self {
            Phase::Dying => Phase::DYING,
            Phase::Dead => Phase::DEAD,
            Phase::WarmUp | Phase::Calm | Phase::Failing | Phase::Hanging | Phase::Recovering | Phase::CalmAgain => {
                Phase::OTHERS
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Phase::WarmUp => "warm up",
            Phase::Calm => "calm",
            Phase::Failing => "30 % fail",
            Phase::Hanging => "hangs",
            Phase::Dying => "dead, 0-15 s",
            Phase::Dead => "dead, 15-60 s",
            Phase::Recovering => "back again",
            Phase::CalmAgain => "calm again",
        }
    }
}

/// What of the orders that had to wait is offered to the participant when it is back, is offered beside new ones;
/// nobody waits longer.
const CAUGHT_UP: Duration = Duration::from_secs(60);

async fn run() -> Result<Option<Figures>> {
    let Some(mut shop) = Shop::new().await? else { return Ok(None) };
    let engine = shop.world.start().await?;
    let mut observer = Observer::new(&shop, &engine).await?;
    let phases = [
        (Phase::WarmUp, Mood::Well),
        (Phase::Calm, Mood::Well),
        (Phase::Failing, Mood::FailsSometimes),
        (Phase::Hanging, Mood::Hangs),
        (Phase::Dying, Mood::Dead),
        (Phase::Dead, Mood::Dead),
        (Phase::Recovering, Mood::Well),
    ];
    for (phase, mood) in phases {
        shop.is(mood).await?;
        shop.offer(phase, phase.length()).await?;
        observer.ends(phase).await?;
    }
    observer.nobody_waits(CAUGHT_UP).await?;
    shop.offer(Phase::CalmAgain, Phase::CalmAgain.length()).await?;
    observer.ends(Phase::CalmAgain).await?;
    let ended = eventually("all sagas have ended", SETTLED, || observer.all_ended(shop.placed().len())).await;
    let figures = observer.figures(&shop).await?;
    // Written to the stream itself: what `println!` prints is kept from view while a test passes.
    std::io::stdout().write_all(figures.to_string().as_bytes())?;
    ended.map_err(|error| anyhow::anyhow!("{error:#}\n--- the end of the engine's log\n{}", engine.log_tail()))?;
    saga_tests::oracle::judge(&shop.world, saga_tests::oracle::OracleExemption::default()).await?;
    Ok(Some(figures))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_a_dead_participant_waits_and_what_does_not_stays_fast() -> Result<()> {
    let Some(figures) = run().await? else { return Ok(()) };
    let faults = verdict::faults(&figures);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}
