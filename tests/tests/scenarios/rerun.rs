//! Ended sagas are run again: by a new saga, once, with what stands taken over.

use super::definitions::ORDER;
use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::Engine,
    participant::{ParticipantScript, ScriptedBehaviour},
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

/// What `charge` answers, as the test sets it: an HTTP status, or 200.
#[derive(Clone)]
struct ChargeAnswer(Arc<AtomicU16>);

impl ChargeAnswer {
    fn new(status: u16) -> ChargeAnswer {
        ChargeAnswer(Arc::new(AtomicU16::new(status)))
    }

    fn set(&self, status: u16) {
        self.0.store(status, Ordering::SeqCst);
    }

    fn script(&self) -> ParticipantScript {
        let answer = self.0.clone();
        ParticipantScript::default().on("charge:do", move |_| match answer.load(Ordering::SeqCst) {
            200 => ScriptedBehaviour::succeed(json!({"receipt": "r1"})),
            status => ScriptedBehaviour::status(status),
        })
    }
}

async fn world(charge: &ChargeAnswer) -> Result<Option<TestWorld>> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), charge.script()).await? else { return Ok(None) };
    let orders = &world.orders;
    let ends =
        "onCompleted: {publish: ORDERS, type: OrderFulfilled}\nonCompensated: {publish: ORDERS, type: OrderRejected}\n";
    world.define("order", &format!("{ORDER}{}", ends.replace("ORDERS", orders)))?;
    Ok(Some(world))
}

async fn asks(engine: &Engine, saga: &str, act: &str, more: &Value) -> Result<(u16, Value)> {
    let mut body = json!({"id": act, "who": "ada", "reason": "the card works again", "waitMs": 10_000});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let (status, body) = engine.api().post(&format!("/api/sagas/{saga}/rerun"), &body).await?;
    Ok((status.as_u16(), body))
}

async fn begun(engine: &Engine, saga: &str, act: &str, more: &Value) -> Result<String> {
    let (status, body) = asks(engine, saga, act, more).await?;
    ensure!((status, &body["status"]) == (200, &json!("applied")), "{status}: {body}");
    body["rerun"].as_str().map(str::to_owned).with_context(|| body.to_string())
}

async fn refused(engine: &Engine, saga: &str, act: &str, more: &Value) -> Result<String> {
    let (status, body) = asks(engine, saga, act, more).await?;
    ensure!((status, &body["code"]) == (409, &json!("refused")), "{status}: {body}");
    Ok(body["detail"].as_str().unwrap_or_default().to_owned())
}

fn id(saga: &Value) -> Result<&str> {
    saga["id"].as_str().context("a saga has an id")
}

/// A saga whose `charge` is refused with 401 until an operator gives it up.
async fn abandoned(world: &TestWorld, engine: &Engine) -> Result<String> {
    world.order("4711", &json!({})).await?;
    let parked = reaches(engine, "4711", &["parked"]).await?;
    let act = json!({"who": "ada", "reason": "the token is gone"});
    let first = id(&parked)?.to_owned();
    engine.api().post(&format!("/api/sagas/{first}/abandon"), &act).await?;
    reaches(engine, &first, &["abandoned"]).await?;
    Ok(first)
}

#[tokio::test]
async fn a_compensated_saga_runs_again_once() -> Result<()> {
    let charge = ChargeAnswer::new(422);
    let Some(world) = world(&charge).await? else { return Ok(()) };
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let first = reaches(&engine, "4711", &["compensated"]).await?;
    let first = id(&first)?.to_owned();
    charge.set(200);

    let (status, dry) = asks(&engine, &first, "1", &json!({"dryRun": true})).await?;
    assert_eq!((status, &dry["status"]), (200, &json!("not applied: dry run")), "{dry}");
    assert_eq!((&dry["takesOver"], &dry["leadsTo"]["starts"]), (&json!([]), &json!(["reserve"])), "{dry}");
    let second = begun(&engine, &first, "1", &json!({})).await?;
    let completed = reaches(&engine, &second, &["completed"]).await?;
    assert_eq!(completed["forkedFrom"]["saga"], json!(first), "{completed}");
    assert_eq!(completed["forkedFrom"]["reason"], "the card works again");
    assert_eq!(world.effects(&second), ["reserve:do", "ship:do", "charge:do"]);

    let original = reaches(&engine, &first, &["compensated"]).await?;
    assert_eq!(original["rerunAs"], json!(second), "{original}");
    let (status, again) = asks(&engine, &first, "1", &json!({})).await?;
    assert_eq!((status, &again["rerun"], &again["repeated"]), (200, &json!(second), &json!(true)), "{again}");
    let message = refused(&engine, &first, "2", &json!({})).await?;
    assert!(message.contains(&second) && message.contains("run again once"), "{message}");
    let message = refused(&engine, &second, "3", &json!({})).await?;
    assert!(message.contains("`reserve` is applied"), "{message}");

    // The key names the newest; its trigger is still a duplicate of the first one's.
    let newest = reaches(&engine, "4711", &["completed"]).await?;
    assert_eq!((id(&newest)?, &newest["earlier"]), (second.as_str(), &json!([first])), "{newest}");
    let is_outcome = |record: &saga_tests::kafka::ReceivedRecord| record.header("ce_type") == Some("OrderFulfilled");
    let records = world.kafka.read_until(&world.orders, WITHIN, |all| all.iter().any(is_outcome)).await?;
    let outcome = records.iter().find(|record| is_outcome(record)).context("just found")?;
    assert_eq!(outcome.header("ce_id").map(str::to_owned), Some(format!("{second}:outcome")));
    world.order("4711", &json!({})).await?;
    world.order("4712", &json!({})).await?;
    reaches(&engine, "4712", &["completed"]).await?;
    let (_, listed) = engine.api().get("/api/sagas?key=4711").await?;
    assert_eq!(listed["sagas"].as_array().map(Vec::len), Some(2), "{listed}");
    Ok(())
}

#[tokio::test]
async fn what_was_taken_over_is_undone_where_it_was_done() -> Result<()> {
    let charge = ChargeAnswer::new(401);
    let Some(world) = world(&charge).await? else { return Ok(()) };
    let engine = world.start().await?;
    let first = abandoned(&world, &engine).await?;
    let message = refused(&engine, &first, "0", &json!({})).await?;
    assert!(message.contains("`reserve` is applied and not undone"), "{message}");
    charge.set(422);

    let second = begun(&engine, &first, "1", &json!({"from": "charge"})).await?;
    let compensated = reaches(&engine, &second, &["compensated"]).await?;
    let reserve = &compensated["steps"][0];
    assert_eq!((&reserve["phase"], &reserve["doneIn"]), (&json!("undone"), &json!(first)), "{compensated}");
    // The participant knows the reservation by the command id of the first saga, and its barrier finds it by that.
    assert_eq!(world.effects(&first), ["reserve:do", "reserve:undo"]);
    assert_eq!(world.effects(&second), Vec::<String>::new());
    let [inventory, payments] = world.ledgers();
    assert_eq!(inventory.count(&format!("{second}:reserve:do")), 0, "taken over, not performed again");
    assert_eq!(payments.count(&format!("{second}:charge:do")), 1);

    // Now nothing stands any more, so the third one begins anew.
    charge.set(200);
    let message = refused(&engine, &second, "2", &json!({"from": "charge"})).await?;
    assert!(message.contains("`reserve` is undone"), "{message}");
    let third = begun(&engine, &second, "3", &json!({})).await?;
    reaches(&engine, &third, &["completed"]).await?;
    let verified = engine.api().get(&format!("/api/sagas/{second}/history")).await?.1;
    let told = verified["events"][1]["text"].as_str().unwrap_or_default();
    assert_eq!(told, format!("reserve taken over from {first}: succeeded"));
    Ok(())
}

#[tokio::test]
async fn of_two_reruns_at_once_one_begins() -> Result<()> {
    let charge = ChargeAnswer::new(422);
    let Some(world) = world(&charge).await? else { return Ok(()) };
    let (one, other) = (world.start().await?, world.start().await?);
    for key in ["a", "b", "c", "d"] {
        world.order(key, &json!({})).await?;
        let first = reaches(&one, key, &["compensated"]).await?;
        let first = id(&first)?.to_owned();
        let nothing = json!({});
        let (left, right) = tokio::join!(asks(&one, &first, "1", &nothing), asks(&other, &first, "2", &nothing));
        let (left, right) = (left?, right?);
        let statuses = [left.0, right.0];
        assert!(statuses.contains(&409) && statuses.contains(&200), "{left:?} {right:?}");
        // The same act at both engines is one rerun.
        let again = |engine| asks(engine, &first, if left.0 == 200 { "1" } else { "2" }, &nothing);
        let (left, right) = tokio::join!(again(&one), again(&other));
        let (left, right) = (left?.1, right?.1);
        assert!(left["rerun"].is_string() && left["rerun"] == right["rerun"], "{left} {right}");
        let (_, listed) = one.api().get(&format!("/api/sagas?key={key}")).await?;
        assert_eq!(listed["sagas"].as_array().map(Vec::len), Some(2), "{listed}");
    }
    Ok(())
}

#[tokio::test]
async fn an_engine_that_dies_in_between_begins_one_rerun() -> Result<()> {
    let charge = ChargeAnswer::new(422);
    let Some(world) = world(&charge).await? else { return Ok(()) };
    let mut engine = world.start().await?;
    for key in ["a", "b", "c"] {
        world.order(key, &json!({})).await?;
        let first = reaches(&engine, key, &["compensated"]).await?;
        let first = id(&first)?.to_owned();
        let body = json!({"id": key, "who": "ada", "reason": "again"});
        let path = format!("/api/sagas/{first}/rerun");
        // The answer may be lost with the engine; the act may be recorded or not.
        let asked = engine.api().post(&path, &body);
        drop(tokio::time::timeout(std::time::Duration::from_millis(15), asked).await);
        engine.kill().await?;
        engine = world.start().await?;
        let second = begun(&engine, &first, key, &json!({})).await?;
        let again = begun(&engine, &first, key, &json!({})).await?;
        assert_eq!(second, again);
        reaches(&engine, &second, &["compensated"]).await?;
        let (_, listed) = engine.api().get(&format!("/api/sagas?key={key}")).await?;
        assert_eq!(listed["sagas"].as_array().map(Vec::len), Some(2), "{listed}");
    }
    Ok(())
}
