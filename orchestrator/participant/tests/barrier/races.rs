//! Commands at the same time, on connections of their own.

use crate::ground::{Bench, Ground, a_do, an_undo};
use anyhow::{Result, bail};
use saga_participant::{BarrierOutcome, CommandService, ParticipantAnswer, PriorOutcome, SagaCommand, answer::UNDONE};
use serde_json::json;
use sqlx::{Connection, PgConnection, Postgres, pool::PoolConnection};
use tokio::task::{JoinHandle, JoinSet};

/// Deliveries of one command at once.
const DELIVERIES: usize = 8;
/// How often a do and its undo race: either wins now and then.
const ROUNDS: usize = 20;

pub(crate) async fn of_many_deliveries_at_once_one_performs<DB: Bench>(ground: &Ground<DB>) -> Result<()> {
    let participant = ground.participant();
    let mut deliveries = JoinSet::new();
    for _ in 0..DELIVERIES {
        let participant = participant.clone();
        deliveries.spawn(async move { participant.answer(a_do("s")).await });
    }
    let mut answers = Vec::new();
    while let Some(answer) = deliveries.join_next().await {
        answers.push(answer??);
    }
    assert!(matches!(answers[0], ParticipantAnswer::Succeeded(_)), "{answers:?}");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(ground.sum().await?, 1);
    Ok(())
}

pub(crate) async fn a_do_and_its_undo_at_once_leave_nothing_behind<DB: Bench>(ground: &Ground<DB>) -> Result<()> {
    let participant = ground.participant();
    for round in 0..ROUNDS {
        let saga = format!("s{round}");
        let (one, other) = (participant.clone(), participant.clone());
        let (a_do, an_undo) = (a_do(&saga), an_undo(&saga));
        let doing = tokio::spawn(async move { one.answer(a_do).await });
        let undoing = tokio::spawn(async move { other.answer(an_undo).await });
        let (done, undone) = (doing.await??, undoing.await??);
        match done {
            ParticipantAnswer::Succeeded(_) => assert_ne!(undone, ParticipantAnswer::nothing_to_undo()),
            ParticipantAnswer::Failed { code, .. } => {
                assert_eq!((code.as_str(), undone), (UNDONE, ParticipantAnswer::nothing_to_undo()));
            }
            ParticipantAnswer::Ongoing => bail!("nobody said so"),
        }
        assert_eq!(ground.sum().await?, 0, "{saga}");
    }
    Ok(())
}

/// What a second transaction enters while a first one is open.
struct Second {
    entering: JoinHandle<Result<BarrierOutcome>>,
}

impl Second {
    async fn begins(ground: &Ground<Postgres>, command: SagaCommand) -> Result<Second> {
        let barrier = ground.barrier;
        let mut connection: PoolConnection<Postgres> = ground.pool.acquire().await?;
        let entering = tokio::spawn(async move {
            let mut tx = connection.begin().await?;
            let entered = barrier.enter(&mut tx, &command).await?;
            tx.commit().await?;
            Ok(entered)
        });
        ground.until_one_waits().await?;
        Ok(Second { entering })
    }

    async fn entered(self) -> Result<BarrierOutcome> {
        self.entering.await?
    }
}

fn success() -> ParticipantAnswer {
    ParticipantAnswer::Succeeded(json!({"number": 1}))
}

async fn perform(ground: &Ground<Postgres>, tx: &mut PgConnection, command: &SagaCommand) -> Result<()> {
    assert!(matches!(ground.barrier.enter(tx, command).await?, BarrierOutcome::Perform(_)));
    Ok(ground.barrier.keep(tx, command, &success()).await?)
}

pub(crate) async fn a_repeated_command_waits_for_the_first_and_gets_its_answer(
    ground: &Ground<Postgres>,
) -> Result<()> {
    let mut connection = ground.pool.acquire().await?;
    let mut first = connection.begin().await?;
    perform(ground, &mut first, &a_do("s")).await?;
    let second = Second::begins(ground, a_do("s")).await?;
    first.commit().await?;
    assert_eq!(second.entered().await?, BarrierOutcome::Again(success()));
    Ok(())
}

pub(crate) async fn a_repeated_command_performs_when_the_first_was_rolled_back(
    ground: &Ground<Postgres>,
) -> Result<()> {
    let mut connection = ground.pool.acquire().await?;
    let mut first = connection.begin().await?;
    perform(ground, &mut first, &a_do("s")).await?;
    let second = Second::begins(ground, a_do("s")).await?;
    first.rollback().await?;
    assert_eq!(second.entered().await?, BarrierOutcome::Perform(PriorOutcome::Nothing));
    Ok(())
}

pub(crate) async fn an_undo_waits_for_its_do_and_undoes_it(ground: &Ground<Postgres>) -> Result<()> {
    let mut connection = ground.pool.acquire().await?;
    let mut first = connection.begin().await?;
    perform(ground, &mut first, &a_do("s")).await?;
    let second = Second::begins(ground, an_undo("s")).await?;
    first.commit().await?;
    assert_eq!(second.entered().await?, BarrierOutcome::Perform(PriorOutcome::Done(json!({"number": 1}))));
    Ok(())
}

pub(crate) async fn an_undo_of_a_do_that_was_rolled_back_has_nothing_to_undo(ground: &Ground<Postgres>) -> Result<()> {
    let mut connection = ground.pool.acquire().await?;
    let mut first = connection.begin().await?;
    perform(ground, &mut first, &a_do("s")).await?;
    let second = Second::begins(ground, an_undo("s")).await?;
    first.rollback().await?;
    assert_eq!(second.entered().await?, BarrierOutcome::NothingToUndo);
    Ok(())
}

pub(crate) async fn a_do_waits_for_its_undo_and_does_nothing(ground: &Ground<Postgres>) -> Result<()> {
    let mut connection = ground.pool.acquire().await?;
    let mut first = connection.begin().await?;
    assert_eq!(ground.barrier.enter(&mut first, &an_undo("s")).await?, BarrierOutcome::NothingToUndo);
    let second = Second::begins(ground, a_do("s")).await?;
    first.commit().await?;
    assert_eq!(second.entered().await?, BarrierOutcome::UndoneBefore);
    Ok(())
}
