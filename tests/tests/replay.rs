//! The event store as a product: sagas as they were, journals verified and run by another definition, acts found again.

use anyhow::{Context, Result};
use saga_tests::{
    engine::binary,
    participant::{ParticipantScript, ScriptedBehaviour},
    world::{TestWorld, reaches},
};
use serde_json::{Value, json};
use std::{path::Path, process::Output};
use tokio::process::Command;

const STEPS: &str = "
steps:
  - step: reserve
    do: inventory.ReserveStock
    with: {refuse: \"${ event.refuse }\", amount: \"${ event.amount }\"}
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    with: {amount: \"${ event.amount }\"}
    undo: POST payments/refunds
";

async fn saga(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.current_dir(folder).args(arguments).env_remove("SAGA_CONFIG");
    Ok(command.output().await?)
}

/// The lines of a command that succeeds.
async fn lines(folder: &Path, arguments: &[&str]) -> Result<Vec<Value>> {
    let output = saga(folder, &[arguments, &["--output", "json"]].concat()).await?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "{arguments:?}: {told}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).context(told.clone()))
        .collect()
}

/// A world in which orders 1 and 2 completed, and order 3 was refused.
async fn with_three_orders() -> Result<Option<TestWorld>> {
    let refusing = ParticipantScript::default().when(|call, _| {
        (call.body["refuse"] == true && call.command.ends_with(":do")).then(|| ScriptedBehaviour::fail("out_of_stock"))
    });
    let Some(world) = TestWorld::new(refusing, ParticipantScript::default()).await? else { return Ok(None) };
    world.define("order", STEPS)?;
    let engine = world.start().await?;
    for (key, refuse, status) in [("1", false, "completed"), ("2", false, "completed"), ("3", true, "compensated")] {
        world.order(key, &json!({"refuse": refuse, "amount": 4200})).await?;
        reaches(&engine, key, &[status]).await?;
    }
    let folder = world.installation.folder();
    std::fs::write(folder.join("config.yaml"), json!({"store": world.database.url()}).to_string())?;
    Ok(Some(world))
}

#[tokio::test]
async fn a_saga_is_shown_as_it_was() -> Result<()> {
    let Some(world) = with_three_orders().await? else { return Ok(()) };
    let folder = world.installation.folder();
    let now = &lines(folder, &["show", "1"]).await?[0];
    let last = now["version"].as_u64().context("a version")?;
    let then = &lines(folder, &["show", "1", "--at", "1"]).await?[0];
    assert_eq!((&then["version"], &then["status"]), (&json!(1), &json!("running")), "{then}");
    assert_eq!(then["steps"][1]["phase"], "pending", "{then}");
    let at = then["updatedAt"].as_str().context("a time")?;
    assert_eq!(&lines(folder, &["show", "1", "--at", at]).await?[0], then);
    let difference = &lines(folder, &["diff", "1", "1", &last.to_string()]).await?[0];
    let changes = difference["changes"].as_array().context("changes")?;
    let of = |path: &str| changes.iter().find(|change| change["path"] == path).cloned().unwrap_or_default();
    assert_eq!(of("status")["after"], "completed", "{difference}");
    assert_eq!(
        (&of("steps.charge.phase")["before"], &of("steps.charge.phase")["after"]),
        (&json!("pending"), &json!("succeeded"))
    );
    let events = lines(folder, &["history", "1"]).await?;
    assert_eq!(events[0]["cause"].as_str().map(|cause| cause.starts_with("record ")), Some(true), "{events:?}");
    let succeeded = events.iter().find(|event| event["text"] == "charge succeeded").context("charge succeeded")?;
    assert_eq!(succeeded["cause"], "answer of payments");
    assert!(succeeded["tookMs"].is_u64() && succeeded["attempt"] == 1, "{succeeded}");
    for (point, words) in [("99", "its last version is"), ("2001-01-01T00:00:00Z", "the saga began later")] {
        let refused = saga(folder, &["show", "1", "--at", point]).await?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && said.contains(words), "{said}");
    }
    let engine = world.start().await?;
    let (status, shown) = engine.api().get("/api/sagas/1?at=1").await?;
    assert_eq!((status.as_u16(), &shown["version"]), (200, &json!(1)));
    let (status, difference) = engine.api().get(&format!("/api/sagas/1/diff?from=1&to={last}")).await?;
    assert_eq!((status.as_u16(), &difference["to"]["version"]), (200, &json!(last)));
    let (status, refused) = engine.api().get("/api/sagas/1?at=99").await?;
    assert_eq!((status.as_u16(), &refused["code"]), (400, &json!("bad_parameter")), "{refused}");
    Ok(())
}

#[tokio::test]
async fn all_journals_are_verified_and_acts_are_found() -> Result<()> {
    let Some(world) = with_three_orders().await? else { return Ok(()) };
    let folder = world.installation.folder();
    let report = &lines(folder, &["replay", "verify"]).await?[0]["report"];
    assert_eq!((&report["sagas"], &report["divergences"]), (&json!(3), &json!(0)), "{report}");
    let misnamed = saga(folder, &["replay", "verify", "--saga", "ordr"]).await?;
    assert!(String::from_utf8_lossy(&misnamed.stderr).contains("order"), "{misnamed:?}");
    assert_eq!(misnamed.status.code(), Some(1));
    let used = lines(folder, &["definitions", "used"]).await?;
    assert_eq!((used.len(), &used[0]["openSagas"], &used[0]["sagas"]), (1, &json!(0), &json!(3)), "{used:?}");
    let hash = used[0]["definition"].as_str().context("a hash")?;
    let shown = &lines(folder, &["definitions", "show", &hash[..8]]).await?[0];
    assert!(shown["text"].as_str().is_some_and(|text| text.contains("ReserveStock")), "{shown}");
    let same = saga(folder, &["definitions", "diff", "order", hash]).await?;
    assert!(String::from_utf8_lossy(&same.stdout).contains("the same"), "{same:?}");
    let audit = lines(folder, &["audit"]).await?;
    assert_eq!((audit.len(), &audit[0]["action"]), (1, &json!("publish definition")), "{audit:?}");
    Ok(())
}

#[tokio::test]
async fn a_changed_definition_is_tried_on_recorded_sagas() -> Result<()> {
    let Some(world) = with_three_orders().await? else { return Ok(()) };
    let folder = world.installation.folder();
    let sagas = world.installation.sagas();
    let text = std::fs::read_to_string(sagas.join("order.saga.yaml"))?;
    let tried = async |text: &str, more: &[&str]| -> Result<Output> {
        let changed = sagas.join("changed.yaml");
        std::fs::write(&changed, text)?;
        let file = changed.to_string_lossy().into_owned();
        saga(folder, &[&["replay", "what-if", "--definition", &file, "--output", "json"], more].concat()).await
    };
    let report = |output: &Output| -> Result<Value> {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last: Value = serde_json::from_str(text.lines().last().context(told)?)?;
        Ok(last["report"].clone())
    };
    let same = tried(&text, &["--fail-on", "difference,undecided"]).await?;
    assert_eq!((same.status.code(), &report(&same)?["verdicts"]), (Some(0), &json!({"same": 3})), "{same:?}");
    let optional =
        text.replace("    undo: inventory.ReleaseStock", "    optional: true\n    undo: inventory.ReleaseStock");
    let other = tried(&optional, &["--fail-on", "undecided"]).await?;
    // Order 3 goes on to charge, which it never did.
    assert_eq!(report(&other)?["verdicts"], json!({"same": 2, "undecided": 1}), "{other:?}");
    assert_eq!(report(&other)?["addedCalls"], json!({"charge": 1}));
    assert_eq!(other.status.code(), Some(1));
    let assumed = tried(&optional, &["--assume", "charge={}", "--fail-on", "difference"]).await?;
    assert_eq!(report(&assumed)?["verdicts"], json!({"same": 2, "otherEnd": 1}), "{assumed:?}");
    assert_eq!(assumed.status.code(), Some(1));
    Ok(())
}

/// Damage that no engine does, while one runs.
async fn damage(world: &TestWorld) -> Result<()> {
    let pool = world.database.pool().await?;
    for statement in [
        "UPDATE streams SET status = 'waiting', open = true, waits_on = ARRAY['breaker:payments'] WHERE key = '1'",
        "DELETE FROM streams WHERE key = '2'",
    ] {
        sqlx::raw_sql(statement).execute(&pool).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_damaged_list_of_sagas_is_found_and_mended_while_an_engine_runs() -> Result<()> {
    let Some(world) = with_three_orders().await? else { return Ok(()) };
    let folder = world.installation.folder();
    let engine = world.start().await?;
    let before = lines(folder, &["list"]).await?;
    damage(&world).await?;
    let found = saga(folder, &["replay", "verify"]).await?;
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.status.code() == Some(1) && said.contains("saga replay rebuild sagas"), "{said}");
    let told = lines(folder, &["replay", "rebuild", "sagas", "--dry-run"]).await?;
    let repaired = |lines: &[Value]| lines.iter().filter(|line| !line["repair"].is_null()).count();
    assert_eq!((repaired(&told), &told[2]["report"]["dryRun"]), (2, &json!(true)), "{told:?}");
    assert_eq!(saga(folder, &["replay", "verify"]).await?.status.code(), Some(1), "a dry run writes nothing");
    let mended = lines(folder, &["replay", "rebuild", "sagas"]).await?;
    assert_eq!((repaired(&mended), &mended[2]["report"]["sagas"]), (2, &json!(3)), "{mended:?}");
    let waits = mended.iter().flat_map(|line| line["repair"]["changes"].as_array().cloned().unwrap_or_default());
    assert!(waits.into_iter().any(|it| it["field"] == "waitsOn" && it["was"] == json!(["breaker:payments"])));
    assert_eq!(lines(folder, &["list"]).await?, before);
    let again = lines(folder, &["replay", "rebuild", "sagas"]).await?;
    assert_eq!((again.len(), &again[0]["report"]["repaired"]), (1, &json!(0)), "{again:?}");
    world.order("4", &json!({"refuse": false, "amount": 4200})).await?;
    reaches(&engine, "4", &["completed"]).await?;
    let report = &lines(folder, &["replay", "verify"]).await?[0]["report"];
    assert_eq!((&report["sagas"], &report["divergences"]), (&json!(4), &json!(0)), "{report}");
    let projections = lines(folder, &["projections"]).await?;
    assert!(projections[0]["projection"] == "sagas" && projections[0]["current"] == true, "{projections:?}");
    Ok(())
}
