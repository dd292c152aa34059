//! participants.yaml changes while the engine runs: wholly or not at all, and nothing is lost by it.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, binary, http_client},
    eventually::eventually,
    oracle::{OracleExemption, judge},
    participant::{HttpParticipant, ParticipantScript, ScriptedBehaviour, TestParticipant},
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use tokio::process::Command;

const STEPS: &str = "
retry: {attempts: 2, delay: 50ms}
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    undo: POST payments/refunds
";

async fn world() -> Result<Option<TestWorld>> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(None);
    };
    world.define("order", STEPS)?;
    Ok(Some(world))
}

/// `saga guard reload`: what it says, if it succeeds.
async fn reload(engine: &Engine) -> Result<String> {
    let output = Command::new(binary()?).args(["guard", "reload", "--server", engine.api().base()]).output().await?;
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{told}");
    Ok(told)
}

async fn payments(engine: &Engine) -> Result<Value> {
    let (_, answer) = engine.api().get("/api/guards/payments").await?;
    Ok(answer["guard"].clone())
}

#[tokio::test]
async fn a_new_address_holds_for_what_waits_and_the_breaker_keeps_its_state() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let breaker = json!({"consecutiveFailures": 1, "openFor": "1h", "maxOpenFor": "1h"});
    let nobody = json!({"http": {"url": "http://127.0.0.1:9"}, "breaker": breaker});
    world.participants(&json!({}), &nobody)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    reaches(&engine, "4711", &["waiting"]).await?;
    assert_eq!(payments(&engine).await?["breaker"], "open");

    world.participants(&json!({}), &json!({"breaker": breaker}))?;
    let told = reload(&engine).await?;
    ensure!(told.contains("reloaded") || told.contains("unchanged"), "{told}");
    assert_eq!(payments(&engine).await?["breaker"], "open", "another address does not close it");

    let quick = json!({"consecutiveFailures": 1, "openFor": "100ms", "maxOpenFor": "1s"});
    world.participants(&json!({}), &json!({"breaker": quick}))?;
    reload(&engine).await?;
    reaches(&engine, "4711", &["completed"]).await?;
    let (_, audit) = engine.api().get("/api/audit?on=participants.yaml&action=reload").await?;
    let entries = audit["entries"].as_array().context("entries")?;
    assert!(entries.len() >= 2 && entries.iter().all(|it| it["action"] == "reload participants"), "{audit}");
    let (last, first) = (&entries[0]["on"]["participants"], &entries[1]["on"]["participants"]);
    assert!(last["before"] == first["now"] && last["before"] != last["now"], "{audit}");
    judge(&world, OracleExemption::default()).await
}

#[tokio::test]
async fn a_change_is_noticed_without_being_told() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let other = HttpParticipant::start(TestParticipant::new(ParticipantScript::default()))?;
    let engine = world.start().await?;
    world.order("before", &json!({})).await?;
    reaches(&engine, "before", &["completed"]).await?;
    assert_eq!(other.participant().ledger().calls().len(), 0);
    world.participants(&json!({}), &json!({"http": {"url": other.url()}, "bulkhead": 7}))?;
    eventually("the engine has the new file", WITHIN, || async {
        let limit = payments(&engine).await?["limit"].clone();
        ensure!(limit == 7, "the bulkhead has {limit} places");
        Ok(Some(()))
    })
    .await?;
    world.order("after", &json!({})).await?;
    reaches(&engine, "after", &["completed"]).await?;
    assert_eq!(other.participant().ledger().calls().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_bad_file_is_refused_whole_and_says_why() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    let before = payments(&engine).await?["limit"].clone();
    world.participants(&json!({"timeout": "soon"}), &json!({"bulkhead": 3}))?;
    let refused = reload(&engine).await.expect_err("`soon` is no duration").to_string();
    ensure!(refused.contains("timeout") && refused.contains("participants.yaml"), "{refused}");
    assert_eq!(payments(&engine).await?["limit"], before, "nothing of it holds");
    world.installation.participants(&json!({"payments": {"http": {"url": world.payments.url()}}}))?;
    let refused = reload(&engine).await.expect_err("a definition calls inventory").to_string();
    ensure!(refused.contains("inventory"), "{refused}");
    world.order("4711", &json!({})).await?;
    reaches(&engine, "4711", &["completed"]).await?;
    Ok(())
}

#[tokio::test]
async fn the_series_of_a_participant_that_is_removed_go_with_it() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let kept = json!({
        "inventory": {"kafka": {"commands": world.inventory.topic()}},
        "payments": {"http": {"url": world.payments.url()}},
    });
    let mut all = kept.clone();
    all["spare"] = json!({"http": {"url": "http://127.0.0.1:9"}});
    world.installation.participants(&all)?;
    let engine = world.start().await?;
    let series = async |of: &str| -> Result<usize> {
        let metrics = http_client()?.get(format!("{}/metrics", engine.api().base())).send().await?.text().await?;
        Ok(metrics.lines().filter(|line| line.contains(&format!("\"{of}\""))).count())
    };
    let (spare, payments) = (series("spare").await?, series("payments").await?);
    assert!((20..=40).contains(&spare), "an idle participant makes {spare} series");
    world.installation.participants(&kept)?;
    reload(&engine).await?;
    assert_eq!((series("spare").await?, series("payments").await?), (0, payments));
    Ok(())
}

#[tokio::test]
async fn retries_hold_for_sagas_that_start_afterwards() -> Result<()> {
    let busy = ParticipantScript::default().on("charge:do", |_| ScriptedBehaviour::status(429));
    let Some(world) = TestWorld::new(ParticipantScript::default(), busy).await? else { return Ok(()) };
    let trigger = format!("{{topic: {}, type: OrderPlaced, key: \"${{ event.orderId }}\"}}", world.orders);
    let steps = STEPS.replace("retry: {attempts: 2, delay: 50ms}\n", "");
    world.installation.definition("order", &format!("saga: order\ntrigger: {trigger}\n{steps}"))?;
    let tried = |attempts: u32| json!({"retry": {"attempts": attempts, "delay": "50ms", "maxDelay": "50ms"}});
    world.participants(&json!({}), &tried(2))?;
    let engine = world.start().await?;
    world.order("before", &json!({})).await?;
    let before = reaches(&engine, "before", &["compensated"]).await?;
    world.participants(&json!({}), &tried(4))?;
    reload(&engine).await?;
    world.order("after", &json!({})).await?;
    let after = reaches(&engine, "after", &["compensated"]).await?;
    let [_, ledger] = world.ledgers();
    let charges = |saga: &Value| -> Result<usize> {
        let id = saga["id"].as_str().context("a saga has an id")?;
        Ok(ledger.calls().iter().filter(|call| call.command == format!("{id}:charge:do")).count())
    };
    assert_eq!((charges(&before)?, charges(&after)?), (2, 4));
    Ok(())
}
