//! What holds on every database.

use crate::ground::{Bench, Ground, Script, a_do, an_undo, command};
use anyhow::Result;
use saga_participant::{
    BarrierOutcome, CommandBarrier, CommandDirection, CommandService, ParticipantAnswer, PriorOutcome,
    RefusalRetention, SagaCommand, answer::UNDONE, barrier::BarrierError, participant::TEMPORARY,
};
use serde_json::json;
use sqlx::Connection;
use std::sync::Arc;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

fn code(answer: &ParticipantAnswer) -> &str {
    match answer {
        ParticipantAnswer::Failed { code, .. } => code,
        ParticipantAnswer::Succeeded(_) | ParticipantAnswer::Ongoing => panic!("not failed: {answer:?}"),
    }
}

fn saying(what: &str) -> SagaCommand {
    command("s", CommandDirection::Do, json!(what))
}

pub(crate) async fn a_command_is_performed_once_and_answered_alike<DB: Bench>(ground: &Ground<DB>) -> Result<()> {
    let first = ground.participant().answer(a_do("s")).await?;
    assert!(matches!(first, ParticipantAnswer::Succeeded(_)), "{first:?}");
    for attempt in [Some(1), Some(7), None] {
        assert_eq!(ground.participant().answer(SagaCommand { attempt, ..a_do("s") }).await?, first);
    }
    assert_eq!(ground.sum().await?, 1);
    Ok(())
}

pub(crate) async fn a_refusal_is_kept<DB: Bench>(ground: &Ground<DB>) -> Result<()> {
    let first = ground.participant().answer(saying("refuse")).await?;
    assert_eq!(first, ParticipantAnswer::refused("no", "for good"));
    let again = ground.participant().answer(SagaCommand { attempt: Some(2), ..a_do("s") }).await?;
    assert_eq!(again, first, "whatever the handler would say now");
    Ok(())
}

pub(crate) async fn what_is_not_final_leaves_nothing_and_is_heard_again<DB: Bench>(ground: &Ground<DB>) -> Result<()> {
    let participant = ground.participant();
    assert_eq!(participant.answer(saying("not now")).await?, ParticipantAnswer::not_now("busy", "later"));
    assert_eq!(participant.answer(saying("ongoing")).await?, ParticipantAnswer::Ongoing);
    assert_eq!(ground.sum().await?, 0);
    assert!(matches!(participant.answer(a_do("s")).await?, ParticipantAnswer::Succeeded(_)));
    assert_eq!(ground.sum().await?, 1);
    Ok(())
}

pub(crate) async fn a_handler_that_errs_or_panics_leaves_nothing<DB: Bench>(ground: &Ground<DB>) -> Result<()> {
    let participant = ground.participant();
    for what in ["err", "panic"] {
        let answer = participant.answer(saying(what)).await?;
        assert_eq!((code(&answer), answer.is_final()), (TEMPORARY, false), "{what}");
        assert_eq!(ground.sum().await?, 0, "{what}");
    }
    assert!(matches!(participant.answer(a_do("s")).await?, ParticipantAnswer::Succeeded(_)));
    Ok(())
}

pub(crate) async fn an_undo_before_its_do_bars_it_for_ever<DB: Bench>(ground: &Ground<DB>) -> Result<()> {
    let participant = ground.participant();
    for _ in 0..2 {
        assert_eq!(participant.answer(an_undo("s")).await?, ParticipantAnswer::nothing_to_undo());
    }
    for attempt in 1..=2 {
        let late = participant.answer(SagaCommand { attempt: Some(attempt), ..a_do("s") }).await?;
        assert_eq!((code(&late), late.is_final()), (UNDONE, true));
    }
    assert_eq!(participant.answer(an_undo("s")).await?, ParticipantAnswer::nothing_to_undo());
    assert_eq!(ground.sum().await?, 0);
    Ok(())
}

pub(crate) async fn an_undo_learns_what_its_do_came_to<DB: Bench>(ground: &Ground<DB>) -> Result<()> {
    let ParticipantAnswer::Succeeded(result) = ground.participant().answer(a_do("s")).await? else { panic!("refused") };
    let undo = ground.participant().answer(an_undo("s")).await?;
    assert_eq!(ground.participant().answer(an_undo("s")).await?, undo);
    assert_eq!(ground.sum().await?, 0);
    let again = ground.participant().answer(a_do("s")).await?;
    assert_eq!(
        again,
        ParticipantAnswer::Succeeded(result.clone()),
        "a repeated do is answered as it was, and does nothing"
    );
    assert_eq!(ground.sum().await?, 0);
    let mut connection = ground.pool.acquire().await?;
    let mut tx = connection.begin().await?;
    let other = command("t", CommandDirection::Do, json!(null));
    ground.barrier.enter(&mut tx, &other).await?;
    ground.barrier.keep(&mut tx, &other, &ParticipantAnswer::Succeeded(result.clone())).await?;
    let entered = ground.barrier.enter(&mut tx, &an_undo("t")).await?;
    assert_eq!(entered, BarrierOutcome::Perform(PriorOutcome::Done(result)));
    Ok(())
}

pub(crate) async fn the_undo_of_a_refused_do_has_nothing_to_undo_and_bars_it<DB: Bench>(
    ground: &Ground<DB>,
) -> Result<()> {
    let barrier = ground.barrier.refusals(RefusalRetention::UntilInsisted);
    let participant = saga_participant::SagaParticipant::new(ground.pool.clone(), barrier, Script::default());
    participant.answer(saying("refuse")).await?;
    assert_eq!(participant.answer(an_undo("s")).await?, ParticipantAnswer::nothing_to_undo());
    let insisted = participant.answer(SagaCommand { attempt: Some(2), ..a_do("s") }).await?;
    assert_eq!(code(&insisted), UNDONE);
    Ok(())
}

pub(crate) async fn who_insists_on_a_refused_command_is_heard_again<DB: Bench>(ground: &Ground<DB>) -> Result<()> {
    let barrier = ground.barrier.refusals(RefusalRetention::UntilInsisted);
    let participant = saga_participant::SagaParticipant::new(ground.pool.clone(), barrier, Script::default());
    for direction in [CommandDirection::Do, CommandDirection::Undo] {
        let asked = |attempt, what| SagaCommand { attempt, ..command("s", direction, json!(what)) };
        assert_eq!(code(&participant.answer(asked(Some(2), "refuse")).await?), "no");
        for attempt in [Some(1), Some(2), None] {
            assert_eq!(code(&participant.answer(asked(attempt, "do it")).await?), "no", "{attempt:?}");
        }
        assert!(matches!(participant.answer(asked(Some(3), "do it")).await?, ParticipantAnswer::Succeeded(_)));
    }
    Ok(())
}

pub(crate) async fn a_transaction_that_is_dropped_before_its_commit_never_was<DB: Bench>(
    ground: &Ground<DB>,
) -> Result<()> {
    let mut connection = ground.pool.acquire().await?;
    for first in [a_do("s"), an_undo("s")] {
        let mut tx = connection.begin().await?;
        let entered = ground.barrier.enter(&mut tx, &first).await?;
        if entered == BarrierOutcome::Perform(PriorOutcome::Nothing) {
            DB::work(&mut tx, "s", 1).await?;
            ground.barrier.keep(&mut tx, &first, &ParticipantAnswer::Succeeded(json!(1))).await?;
        }
        drop(tx);
    }
    connection.ping().await?;
    drop(connection);
    assert_eq!(ground.sum().await?, 0);
    assert!(matches!(ground.participant().answer(a_do("s")).await?, ParticipantAnswer::Succeeded(_)));
    Ok(())
}

pub(crate) async fn only_what_was_entered_can_be_kept<DB: Bench>(ground: &Ground<DB>) -> Result<()> {
    let mut connection = ground.pool.acquire().await?;
    let mut tx = connection.begin().await?;
    let success = ParticipantAnswer::Succeeded(json!(1));
    let kept = ground.barrier.keep(&mut tx, &a_do("s"), &success).await;
    assert!(matches!(kept, Err(BarrierError::NotEntered(_))), "{kept:?}");
    ground.barrier.enter(&mut tx, &a_do("s")).await?;
    for answer in [ParticipantAnswer::Ongoing, ParticipantAnswer::not_now("busy", "")] {
        let kept = ground.barrier.keep(&mut tx, &a_do("s"), &answer).await;
        assert!(matches!(kept, Err(BarrierError::NotFinal(_))), "{kept:?}");
    }
    ground.barrier.keep(&mut tx, &a_do("s"), &success).await?;
    let twice = ground.barrier.keep(&mut tx, &a_do("s"), &success).await;
    assert!(matches!(twice, Err(BarrierError::NotEntered(_))), "{twice:?}");
    Ok(())
}

pub(crate) async fn steps_and_sagas_do_not_know_of_each_other<DB: Bench>(ground: &Ground<DB>) -> Result<()> {
    let participant = ground.participant();
    participant.answer(an_undo("other")).await?;
    let mut other_step = an_undo("s");
    other_step.id.step = "charge".into();
    participant.answer(other_step).await?;
    assert!(matches!(participant.answer(a_do("s")).await?, ParticipantAnswer::Succeeded(_)));
    Ok(())
}

pub(crate) async fn many_first_starts_make_one_table<DB: Bench>(ground: &Ground<DB>) -> Result<()> {
    ground.drop_table().await?;
    let mut starts = JoinSet::new();
    for _ in 0..4 {
        let pool = ground.pool.clone();
        starts.spawn(async move { CommandBarrier::<DB>::create(&pool).await });
    }
    while let Some(started) = starts.join_next().await {
        started??;
    }
    assert!(matches!(ground.participant().answer(a_do("s")).await?, ParticipantAnswer::Succeeded(_)));
    Ok(())
}

pub(crate) async fn a_caller_that_goes_away_leaves_no_transaction<DB: Bench>(ground: &Ground<DB>) -> Result<()> {
    let (begun, mut has_begun) = mpsc::channel(1);
    let go_on = Arc::new(Semaphore::new(0));
    let script = Script { begun: Some(begun), go_on: Some(Arc::clone(&go_on)), ..Script::default() };
    let participant = ground.scripted(script);
    tokio::select! {
        answer = participant.answer(a_do("s")) => panic!("it cannot go on yet: {answer:?}"),
        _ = has_begun.recv() => {}
    }
    go_on.add_permits(1);
    let answer = ground.participant().answer(a_do("s")).await?;
    assert!(matches!(answer, ParticipantAnswer::Succeeded(_)), "{answer:?}");
    assert_eq!(ground.sum().await?, 1, "the first one was committed, or waited for");
    Ok(())
}
