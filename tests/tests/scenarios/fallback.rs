//! Participants that do not answer, and what answers in their place.

use anyhow::{Context, Result};
use saga_tests::engine::{Engine, http_client};
use saga_tests::{
    oracle::{OracleExemption, judge},
    participant::{ParticipantScript, ScriptedBehaviour},
    world::{TestWorld, find, reaches},
};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Looks a score up, then reserves by it. `more` goes into the looking step.
fn looking(more: &str) -> String {
    format!(
        r#"
steps:
  - step: score
    do: GET payments/scores
    with: {{customer: "${{ event.customer }}"}}
    readOnly: true
    retry: {{attempts: 1}}
{more}
  - step: reserve
    do: inventory.ReserveStock
    with: {{score: "${{ steps.score.score }}"}}
    undo: inventory.ReleaseStock
"#
    )
}

fn scored(score: u32) -> ScriptedBehaviour {
    ScriptedBehaviour::succeed(json!({"score": score}))
}

/// The score that the saga with this id reserved by.
fn reserved_by(world: &TestWorld, id: &str) -> Option<Value> {
    let command = format!("{id}:reserve:do");
    let ledger = world.inventory.participant().ledger();
    ledger.calls().iter().find(|call| call.command == command).map(|call| call.body["score"].clone())
}

fn id(saga: &Value) -> Result<String> {
    Ok(saga["id"].as_str().context("a saga has an id")?.to_owned())
}

async fn text(engine: &Engine, path: &str) -> Result<String> {
    Ok(http_client()?.get(format!("{}{path}", engine.api().base())).send().await?.text().await?)
}

#[tokio::test]
async fn a_fresh_answer_to_the_same_request_saves_a_call() -> Result<()> {
    let payments = ParticipantScript::default().on("score:do", |_| scored(7));
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    world.define("order", &looking("    cache: 10m"))?;
    let engine = world.start().await?;
    for order in ["first", "second"] {
        world.order(order, &json!({"customer": "ada"})).await?;
        let saga = reaches(&engine, order, &["completed"]).await?;
        assert_eq!(reserved_by(&world, &id(&saga)?), Some(json!(7)));
    }
    world.order("third", &json!({"customer": "bob"})).await?;
    reaches(&engine, "third", &["completed"]).await?;

    assert_eq!(world.payments.participant().ledger().calls().len(), 2, "one for ada, one for bob");
    let second = find(&engine, "second").await?.context("it is there")?;
    assert_eq!(second["steps"][0]["answeredBy"]["kind"], "cache", "{second}");
    assert_eq!((&second["steps"][0]["phase"], &second["steps"][0]["attempts"]), (&json!("succeeded"), &json!(0)));
    let metrics = text(&engine, "/metrics").await?;
    assert!(metrics.contains(r#"saga_answer_cache_total{outcome="hit"} 1"#), "{metrics}");
    assert!(metrics.contains(r#"saga_answer_cache_total{outcome="miss"} 2"#), "{metrics}");
    judge(&world, OracleExemption { lasting: &["score"], ..OracleExemption::default() }).await
}

#[tokio::test]
async fn the_last_known_answer_stands_in_and_the_next_item_where_there_is_none() -> Result<()> {
    let is_well = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&is_well);
    let answer = move |_| if asked.load(Ordering::SeqCst) { scored(7) } else { ScriptedBehaviour::status(503) };
    let payments = ParticipantScript::default().on("score:do", answer);
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    let fallback = "    fallback: [{lastKnown: true}, {expression: {score: \"${ event.guess }\"}}]";
    world.define("order", &looking(fallback))?;
    let engine = world.start().await?;
    let mut scores = Vec::new();
    for (order, customer) in [("first", "ada"), ("second", "ada"), ("third", "bob")] {
        world.order(order, &json!({"customer": customer, "guess": 50})).await?;
        let saga = reaches(&engine, order, &["completed"]).await?;
        is_well.store(false, Ordering::SeqCst);
        scores.push((reserved_by(&world, &id(&saga)?), saga["steps"][0]["answeredBy"]["kind"].clone()));
    }
    let expected =
        [(Some(json!(7)), Value::Null), (Some(json!(7)), json!("lastKnown")), (Some(json!(50)), json!("expression"))];
    assert_eq!(scores, expected);
    let (_, history) = engine.api().get("/api/sagas/second/history").await?;
    assert!(history.to_string().contains("score answered by fallback 1, with the last known answer"), "{history}");
    let second = find(&engine, "second").await?.context("it is there")?;
    let page = text(&engine, &format!("/sagas/{}", id(&second)?)).await?;
    assert!(page.contains("<br>answered by fallback 1, with the last known answer"), "{page}");
    let metrics = text(&engine, "/metrics").await?;
    assert!(metrics.contains("saga_fallbacks_total") && metrics.contains(r#"kind="lastKnown""#), "{metrics}");
    judge(&world, OracleExemption { lasting: &["score"], ..OracleExemption::default() }).await
}

#[tokio::test]
async fn what_may_have_happened_is_answered_for_and_undone_with_the_rest() -> Result<()> {
    let payments = ParticipantScript::default().on("hold:do", |_| ScriptedBehaviour::status(500).with_effect());
    let inventory = ParticipantScript::default().on("reserve:do", |_| ScriptedBehaviour::fail("out_of_stock"));
    let Some(world) = TestWorld::new(inventory, payments).await? else { return Ok(()) };
    world.define(
        "order",
        r#"
steps:
  - step: hold
    do: POST payments/holds
    undo: POST payments/releases
    fallback: [{value: {held: false}}]
  - step: reserve
    do: inventory.ReserveStock
    with: {held: "${ steps.hold.held }"}
    undo: inventory.ReleaseStock
"#,
    )?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["compensated"]).await?;
    let id = id(&saga)?;
    assert_eq!(world.effects(&id), ["hold:do", "hold:undo"]);
    assert_eq!(saga["steps"][0]["answeredBy"]["kind"], "value", "{saga}");
    assert_eq!(saga["steps"][0]["result"], json!({"held": false}), "{saga}");
    judge(&world, OracleExemption::default()).await
}

#[tokio::test]
async fn a_failure_takes_the_place_of_waiting_for_a_guard() -> Result<()> {
    let payments = ParticipantScript::default().on("score:do", |_| ScriptedBehaviour::status(503));
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    let breaker = json!({"breaker": {"minimumCalls": 1, "openFor": "10m"}});
    world.participants(&json!({}), &breaker)?;
    world.define("order", &looking("    fallback: [{fail: {code: NO_SCORE}, when: refused}]"))?;
    let engine = world.start().await?;
    for order in ["first", "second"] {
        world.order(order, &json!({"customer": "ada"})).await?;
        let saga = reaches(&engine, order, &["compensated"]).await?;
        assert_eq!(saga["reason"], "score: NO_SCORE", "{saga}");
    }
    let second = find(&engine, "second").await?.context("it is there")?;
    assert_eq!(
        (&second["steps"][0]["attempts"], &second["steps"][0]["failure"]["code"]),
        (&json!(0), &json!("refused"))
    );
    judge(&world, OracleExemption { lasting: &["score"], ..OracleExemption::default() }).await
}
