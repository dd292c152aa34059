//! What is let in keeps its digits, and can be read back and undone; what cannot be read does not keep its saga from
//! being ended.

use super::definitions::ORDER;
use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, binary},
    eventually::eventually,
    kafka::TopicRecord,
    participant::{ParticipantScript, ScriptedBehaviour},
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use std::process::Output;
use tokio::process::Command;

const PAID: &str = r#"
steps:
  - step: charge
    do: POST payments/charges/${ event.orderId }
    with: {id: "${ event.orderId }", amount: "${ event.amount }", more: 25000000000000000002}
    undo: POST payments/refunds
  - step: ship
    do: inventory.ShipParcel
    with: {charge: "${ steps.charge }"}
    undo: inventory.RecallParcel
"#;

fn placed(value: &str) -> TopicRecord {
    let headers = vec![("ce_type".into(), Some(b"OrderPlaced".to_vec()))];
    TopicRecord { partition: Some(0), key: None, value: Some(value.as_bytes().to_vec()), headers }
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

async fn saga(engine: &Engine, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.args(arguments).arg("--server").arg(engine.api().base()).env("USER", "ada");
    Ok(command.output().await?)
}

#[tokio::test]
async fn digits_arrive_as_they_were_sent_and_what_is_too_deep_has_a_code() -> Result<()> {
    let answer: Value = serde_json::from_str(r#"{"id":98765432109876543210,"fee":0.12345678901234567891}"#)?;
    let paid = answer.clone();
    let payments = ParticipantScript::default().on("charge:do", move |_| ScriptedBehaviour::succeed(paid.clone()));
    let inventory = ParticipantScript::default().on("ship:do", |_| ScriptedBehaviour::fail("sold_out"));
    let Some(world) = TestWorld::new(inventory, payments).await? else { return Ok(()) };
    world.define("order", PAID)?;
    let engine = world.start().await?;
    let deep = format!(r#"{{"orderId":"deep","amount":{}}}"#, nested(121));
    world.send(&world.orders, &placed(&deep)).await?;
    world.send(&world.orders, &placed(r#"{"orderId":25000000000000000001,"amount":12345678901234567.89}"#)).await?;

    reaches(&engine, "25000000000000000001", &["compensated"]).await?;
    let [inventory, payments] = world.ledgers();
    let bodies: Vec<String> = payments.calls().iter().map(|call| call.body.to_string()).collect();
    let input = r#"{"amount":12345678901234567.89,"id":25000000000000000001,"more":25000000000000000002}"#;
    assert_eq!(bodies, [input.to_owned(), format!(r#"{{"input":{input},"result":{answer}}}"#)]);
    assert!(payments.calls()[0].target.ends_with("charges/25000000000000000001"), "{}", payments.calls()[0].target);
    assert_eq!(inventory.calls()[0].body, json!({"charge": answer}));

    let letters = world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == 1).await?;
    assert_eq!(letters[0].header("saga_dlq_code"), Some("depth"));
    assert!(letters[0].header("saga_dlq_message").is_some_and(|text| text.contains("nested 122 levels deep")));
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_too_deep_is_unknown_and_undone() -> Result<()> {
    let payments = ParticipantScript::default().on("charge:do", |_| ScriptedBehaviour::succeed(nested(120)));
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["compensated"]).await?;
    assert!(saga.to_string().contains("answer.depth"), "{saga}");
    let id = saga["id"].as_str().context("a saga has an id")?;
    assert_eq!(world.effects(id), ["reserve:do", "reserve:undo", "charge:do", "charge:undo"]);
    Ok(())
}

/// An act that nobody has taken in time is accepted first, as in the moments after a start.
async fn retry_says_that_it_cannot_be_read(engine: &Engine) -> Result<()> {
    eventually("retry is refused", WITHIN, || async {
        let retry = saga(engine, &["retry", "4711", "--reason", "again"]).await?;
        let said = String::from_utf8_lossy(&retry.stderr).into_owned();
        ensure!(retry.status.code() == Some(1) && said.contains("cannot be read"), "{retry:?}");
        Ok(Some(()))
    })
    .await
    .with_context(|| engine.log_tail())
}

#[tokio::test]
async fn a_saga_that_cannot_be_read_is_shown_as_parked_and_can_be_abandoned() -> Result<()> {
    let payments = ParticipantScript::default().on("charge:do", |_| ScriptedBehaviour::status(401));
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga_id = reaches(&engine, "4711", &["parked"]).await?["id"].as_str().context("an id")?.to_owned();
    engine.terminate().await?;
    let pool = world.database.pool().await?;
    let damaged = sqlx::query("UPDATE journal SET payload = $1 WHERE version = 2").bind(&b"{\"v\":1,\"ev"[..]);
    assert_eq!(damaged.execute(&pool).await?.rows_affected(), 1);

    let engine = world.start().await?;
    let shown = reaches(&engine, "4711", &["parked"]).await?;
    assert!(shown["reason"].as_str().is_some_and(|reason| reason.contains("cannot be read")), "{shown}");
    let (status, history) = engine.api().get(&format!("/api/sagas/{saga_id}/history")).await?;
    assert_eq!(status.as_u16(), 200);
    assert!(history["events"][0]["text"] == "sagaStarted" && history.to_string().contains("2.0"), "{history}");
    let (_, list) = engine.api().get("/api/sagas?key=4711").await?;
    assert!(list["sagas"][0]["status"] == "parked" && list.to_string().contains("cannot be read"), "{list}");
    retry_says_that_it_cannot_be_read(&engine).await?;
    for _ in 0..2 {
        let abandon = saga(&engine, &["abandon", "4711", "--reason", "settled by hand"]).await?;
        assert!(abandon.status.success(), "{}", String::from_utf8_lossy(&abandon.stderr));
    }
    reaches(&engine, "4711", &["abandoned"]).await?;
    let open: i64 = sqlx::query_scalar("SELECT count(*) FROM streams WHERE open").fetch_one(&pool).await?;
    let versions: Vec<i32> =
        sqlx::query_scalar("SELECT version FROM journal ORDER BY version").fetch_all(&pool).await?;
    assert_eq!((open, versions.iter().zip(1..).all(|(version, expected)| *version == expected)), (0, true));
    Ok(())
}
