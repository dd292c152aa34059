//! Steps that name a capability instead of a participant.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::Engine,
    eventually::eventually,
    oracle::{OracleExemption, judge},
    participant::{ParticipantScript, ScriptedBehaviour},
    world::{TestWorld, WITHIN, find, reaches},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const READING: &str = r"
steps:
  - step: read
    do: POST capability:text-analysis/texts
    undo: POST capability:text-analysis/forgotten
  - step: ship
    do: inventory.ShipParcel
    undo: inventory.RecallParcel
";

/// Orders that are enough for both to be chosen: that one of two equals is never chosen of 16 is one in 32,768.
const ORDERS: usize = 16;

/// Two participants with one capability; what each is asked shows by the path below which it is served.
fn readers(world: &TestWorld, one: &Value, two: &Value) -> Result<()> {
    let reader = |http: &Value| {
        json!({
            "http": http, "timeout": "1s", "capabilities": ["text-analysis"],
            "breaker": {"consecutiveFailures": 1, "openFor": "1h"},
        })
    };
    let inventory = json!({"kafka": {"commands": world.inventory.topic()}, "timeout": "1s"});
    world.installation.participants(&json!({"inventory": inventory, "one": reader(one), "two": reader(two)}))
}

fn at(world: &TestWorld, name: &str) -> Value {
    json!({"url": format!("{}/{name}", world.payments.url())})
}

/// The participants that were asked for the step `read` of the saga `id`, in order.
fn asked(world: &TestWorld, id: &str) -> Vec<String> {
    let [_, readers] = world.ledgers();
    let calls = readers.calls().iter().filter(|call| call.command.starts_with(id));
    calls.filter_map(|call| Some(call.target.strip_prefix("POST ")?.split_once('/')?.0.to_owned())).collect()
}

/// Waits until the saga with this key is completed, or waits for a breaker.
async fn completed_or_held_back(engine: &Engine, key: &str) -> Result<Value> {
    eventually("the saga is completed, or held back by a breaker", WITHIN, || async {
        let saga = find(engine, key).await?.context("no such saga")?;
        let held_back = saga["reason"].as_str().is_some_and(|reason| reason.contains("breaker"));
        ensure!(saga["status"] == "completed" || held_back, "it is {saga}");
        Ok(Some(saga))
    })
    .await
}

#[tokio::test]
async fn the_undo_goes_to_the_participant_that_was_chosen_for_the_do() -> Result<()> {
    let inventory = ParticipantScript::default().on("ship:do", |_| ScriptedBehaviour::fail("no_carrier"));
    let Some(world) = TestWorld::new(inventory, ParticipantScript::default()).await? else { return Ok(()) };
    readers(&world, &at(&world, "one"), &at(&world, "two"))?;
    world.define("reading", READING)?;
    let engine = world.start().await?;
    let mut chosen = BTreeSet::new();
    for order in 0..ORDERS {
        let key = order.to_string();
        world.order(&key, &json!({})).await?;
        let saga = reaches(&engine, &key, &["compensated"]).await?;
        let asked = asked(&world, saga["id"].as_str().context("a saga has an id")?);
        assert_eq!(asked.len(), 2, "a do and an undo: {asked:?}");
        assert_eq!(asked[0], asked[1], "they went to one participant");
        chosen.extend(asked);
    }
    assert_eq!(chosen, BTreeSet::from(["one".to_owned(), "two".to_owned()]));
    judge(&world, OracleExemption::default()).await
}

#[tokio::test]
async fn while_one_is_away_the_other_does_the_work_and_who_had_chosen_it_waits_for_it() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    // Nobody can listen on port 1 but the superuser, and nobody does.
    readers(&world, &json!({"url": "http://127.0.0.1:1/one"}), &at(&world, "two"))?;
    world.define("reading", READING)?;
    let engine = world.start().await?;
    let mut waiting = Vec::new();
    for order in 0..ORDERS {
        let key = order.to_string();
        world.order(&key, &json!({})).await?;
        let saga = completed_or_held_back(&engine, &key).await?;
        if saga["status"] == "waiting" {
            waiting.push(saga);
        } else {
            assert_eq!(asked(&world, saga["id"].as_str().context("a saga has an id")?), ["two"]);
        }
    }
    assert_eq!(waiting.len(), 1, "the first that chose it opened its breaker: {waiting:?}");
    let id = waiting[0]["id"].as_str().context("a saga has an id")?;
    let act = json!({"who": "ada", "reason": "it takes too long"});
    let (status, body) = engine.api().post(&format!("/api/sagas/{id}/cancel"), &act).await?;
    assert_eq!(status.as_u16(), 200, "{body}");
    reaches(&engine, waiting[0]["key"].as_str().context("a saga has a key")?, &["compensated"]).await?;
    assert!(asked(&world, id).is_empty(), "nothing was sent, so nothing is undone");
    judge(&world, OracleExemption::default()).await
}
