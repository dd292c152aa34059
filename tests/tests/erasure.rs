//! An erased saga: what it was given, sent and was answered is nowhere, with encryption and without, and its course is
//! still there.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, binary, http_client},
    participant::{ParticipantScript, RecordedCall, ScriptedAnswer, ScriptedBehaviour},
    world::{TestWorld, reaches},
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::process::Output;
use tokio::process::Command;

/// In the trigger, in requests, in a result, and in the message of a failure.
const CANARY: &str = "Canary0123456789";
/// The code of the failure, which stays on record.
const CODE: &str = "http.422";
/// 32 bytes in base64.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const STEPS: &str = "
steps:
  - step: reserve
    do: inventory.ReserveStock
    with: {customer: \"${ event.customer }\", note: \"${ event.note }\"}
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    with: {customer: \"${ event.customer }\"}
    undo: POST payments/refunds
";
const OPEN: &str = "steps:\n  - {step: pause, wait: 1h}\n";

/// Whether the event store is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoreForm {
    Plain,
    Sealed,
}

async fn world(form: StoreForm) -> Result<Option<TestWorld>> {
    let is_of_the_canary =
        |call: &RecordedCall, command: &str| call.command.ends_with(command) && call.body["customer"] == CANARY;
    let inventory = ParticipantScript::default().when(move |call, _| {
        let said = || ScriptedBehaviour::succeed(json!({"said": CANARY, "long": CANARY.repeat(500)}));
        is_of_the_canary(call, ":reserve:do").then(said)
    });
    let refusal =
        || ScriptedAnswer::Failed { code: "card_refused".into(), message: format!("no, {CANARY}"), retryable: false };
    let payments = ParticipantScript::default()
        .when(move |call, _| {
            let refused = || ScriptedBehaviour { answer: refusal(), ..ScriptedBehaviour::fail("card_refused") };
            is_of_the_canary(call, ":charge:do").then(refused)
        })
        .on("charge:do", |_| ScriptedBehaviour::fail("card_refused"));
    let Some(mut world) = TestWorld::new(inventory, payments).await? else { return Ok(None) };
    let address = world.database.url().to_owned();
    let store = match form {
        StoreForm::Plain => json!(address),
        StoreForm::Sealed => json!({"address": address, "encryption": {"key": "env:STORE_KEY"}}),
    };
    std::fs::write(world.installation.folder().join("config.yaml"), json!({"store": store}).to_string())?;
    world.installation = world.installation.set("store", store).with_env("STORE_KEY", KEY);
    world.define("order", STEPS)?;
    let pausing = format!(
        "saga: pausing\ntrigger: {{topic: {}, type: OrderPlaced, key: \"${{ event.orderId }}\", when: \"event.customer == 'nobody'\"}}\n{OPEN}",
        world.orders
    );
    world.installation.definition("pausing", &pausing)?;
    Ok(Some(world))
}

async fn saga(world: &TestWorld, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.current_dir(world.installation.folder()).args(arguments);
    Ok(command.env_remove("SAGA_CONFIG").env("STORE_KEY", KEY).output().await?)
}

async fn lines(world: &TestWorld, arguments: &[&str]) -> Result<Vec<Value>> {
    let output = saga(world, &[arguments, &["--output", "json"]].concat()).await?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{arguments:?}: {told}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).context(told.clone())).collect()
}

/// Tables and views that have the canary, as text or as bytes.
async fn tables_with_the_canary(url: &str) -> Result<Vec<String>> {
    let mut store = PgConnection::connect(url).await?;
    let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
                  WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut store).await?;
    ensure!(tables.len() > 3, "{tables:?}");
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut found = Vec::new();
    for table in tables {
        let rows = sqlx::AssertSqlSafe(format!("SELECT row_to_json(t)::text FROM {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(&mut store).await?;
        if rows.iter().any(|row| row.contains(CANARY) || row.contains(&hex)) {
            found.push(table);
        }
    }
    Ok(found)
}

/// All that the API and the command line say of a saga.
async fn all_that_is_told(world: &TestWorld, engine: &Engine, id: &str) -> Result<String> {
    let mut told = all_that_lists_tell(world, engine, id).await?;
    told += &said(world, &["diff", id, "1", "3"]).await?;
    Ok(told)
}

/// The same without the difference of two states: a saga that was erased while it could not be read has none.
async fn all_that_lists_tell(world: &TestWorld, engine: &Engine, id: &str) -> Result<String> {
    let mut told = String::new();
    for path in [format!("/api/sagas/{id}"), format!("/api/sagas/{id}/history"), format!("/sagas/{id}"), "/".into()] {
        told += &http_client()?.get(format!("{}{path}", engine.api().base())).send().await?.text().await?;
    }
    for arguments in [&["show", id, "--full"][..], &["history", id, "--full"], &["list"]] {
        told += &said(world, arguments).await?;
    }
    Ok(told)
}

async fn said(world: &TestWorld, arguments: &[&str]) -> Result<String> {
    let output = saga(world, arguments).await?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

async fn an_erased_saga_keeps_its_course_alone(form: StoreForm) -> Result<()> {
    let Some(world) = world(form).await? else { return Ok(()) };
    let engine = world.start().await?;
    let order = json!({"customer": CANARY, "note": CANARY.repeat(400)});
    world.order("4711", &order).await?;
    let before = reaches(&engine, "4711?saga=order", &["compensated"]).await?;
    let id = before["id"].as_str().context("an id")?.to_owned();
    ensure!(all_that_is_told(&world, &engine, &id).await?.contains(CANARY));
    let found = tables_with_the_canary(world.database.url()).await?;
    assert_eq!(found.iter().any(|table| table.contains("journal")), form == StoreForm::Plain, "{found:?}");

    world.order("4710", &json!({"customer": "nobody", "note": ""})).await?;
    reaches(&engine, "4710?saga=pausing", &["waiting"]).await?;
    let server = engine.api().base().to_owned();
    let erase = async |name: &str, more: &[&str]| {
        let given = ["erase", name, "--who", "anna", "--reason", "the customer asked for it", "--server", &server];
        saga(&world, &[&given[..], more].concat()).await
    };
    let open = erase("4710", &["--saga", "pausing"]).await?;
    let refused = String::from_utf8_lossy(&open.stderr).into_owned();
    ensure!(!open.status.success() && refused.contains("cancel or abandon it first"), "{refused}");
    let dry = erase(&id, &["--dry-run"]).await?;
    ensure!(dry.status.success(), "{dry:?}");
    ensure!(all_that_is_told(&world, &engine, &id).await?.contains(CANARY), "a dry run has changed something");
    for _ in 0..2 {
        let erased = erase(&id, &["--id", "request-17"]).await?;
        ensure!(erased.status.success(), "{erased:?}");
    }
    let again = erase(&id, &["--id", "request-18"]).await?;
    let done = String::from_utf8_lossy(&again.stdout).into_owned();
    ensure!(again.status.success() && done.contains("done already by another act"), "{done}");

    assert_eq!(tables_with_the_canary(world.database.url()).await?, Vec::<String>::new());
    let told = all_that_is_told(&world, &engine, &id).await?;
    let at = told.find(CANARY).unwrap_or_default();
    ensure!(!told.contains(CANARY), "…{}…", &told[at.saturating_sub(200)..]);
    ensure!(told.contains("the customer asked for it") && told.contains(CODE), "{told}");
    its_course_is_there(&world, &id, &before).await?;

    // The same order never starts again, and a late answer changes nothing.
    world.order("4711", &order).await?;
    world.order("4712", &json!({"customer": "none", "note": ""})).await?;
    reaches(&engine, "4712?saga=order", &["compensated"]).await?;
    assert_eq!(tables_with_the_canary(world.database.url()).await?, Vec::<String>::new());
    let log = engine.log()?;
    ensure!(!log.contains(CANARY) && !log.contains(KEY), "{log}");
    engine.terminate().await?;
    Ok(())
}

async fn its_course_is_there(world: &TestWorld, id: &str, before: &Value) -> Result<()> {
    let shown = &lines(world, &["show", id]).await?[0];
    assert_eq!((&shown["status"], &shown["key"]), (&json!("compensated"), &json!("4711")), "{shown}");
    assert_eq!(shown["erased"]["who"], "anna", "{shown}");
    let phases = |saga: &Value| -> Vec<Value> {
        saga["steps"].as_array().into_iter().flatten().map(|step| step["phase"].clone()).collect()
    };
    assert_eq!(phases(shown), phases(before));
    let listed = lines(world, &["list", "--saga", "order"]).await?;
    let line = listed.iter().find(|line| line["id"] == id).context("its line")?;
    ensure!(line["erasedAt"].is_string() && line["status"] == "compensated", "{line}");
    let audited = lines(world, &["audit", "--on", id]).await?;
    assert_eq!((audited.len(), &audited[0]["action"], &audited[0]["who"]), (1, &json!("erase"), &json!("anna")));
    let report = lines(world, &["replay", "verify"]).await?.pop().context("a report")?;
    assert_eq!((&report["report"]["divergences"], &report["report"]["erased"]), (&json!(0), &json!(1)), "{report}");
    let definition = world.installation.sagas().join("order.saga.yaml");
    let definition = definition.to_str().context("a path")?;
    let tried = lines(world, &["replay", "what-if", "--definition", definition]).await?.pop().context("a report")?;
    assert_eq!(tried["report"]["verdicts"]["erased"], json!(1), "{tried}");
    Ok(())
}

#[tokio::test]
async fn a_saga_is_erased_from_a_plain_store() -> Result<()> {
    an_erased_saga_keeps_its_course_alone(StoreForm::Plain).await
}

#[tokio::test]
async fn a_saga_is_erased_from_an_encrypted_store() -> Result<()> {
    an_erased_saga_keeps_its_course_alone(StoreForm::Sealed).await
}

/// A row in the middle becomes one that no build has written; it has the canary, too.
async fn damage(world: &TestWorld, id: &str) -> Result<()> {
    let mut store = PgConnection::connect(world.database.url()).await?;
    let row = json!({"v": 1, "events": [{"stepTeleported": {"to": CANARY}}]}).to_string().into_bytes();
    let damage = "UPDATE journal SET payload = $1, outline = NULL WHERE stream = $2::uuid AND version = 3";
    let damaged = sqlx::query(damage).bind(row).bind(id).execute(&mut store).await?;
    ensure!(damaged.rows_affected() == 1, "{damaged:?}");
    Ok(())
}

/// Lists, the command line and the API say that the ended saga cannot be read, and why.
async fn it_is_told_as_unreadable(world: &TestWorld, engine: &Engine, id: &str) -> Result<()> {
    let why = "row 3 has an event of the kind `stepTeleported`";
    let (_, shown) = engine.api().get(&format!("/api/sagas/{id}")).await?;
    let unreadable = shown["unreadable"].as_str().context("the API says it")?;
    ensure!(unreadable.contains(why) && !unreadable.contains("abandon"), "{shown}");
    assert_eq!(shown["status"], "compensated", "{shown}");
    let (_, list) = engine.api().get("/api/sagas?key=4711&saga=order").await?;
    for line in [&list["sagas"][0], &lines(world, &["list", "--saga", "order"]).await?[0]] {
        assert_eq!((&line["status"], &line["code"]), (&json!("compensated"), &json!("unreadable")), "{line}");
        ensure!(line["reason"].as_str().is_some_and(|reason| reason.contains(why)), "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn an_ended_saga_that_cannot_be_read_is_erased() -> Result<()> {
    let Some(world) = world(StoreForm::Plain).await? else { return Ok(()) };
    let engine = world.start().await?;
    world.order("4711", &json!({"customer": CANARY, "note": CANARY})).await?;
    let id = reaches(&engine, "4711?saga=order", &["compensated"]).await?["id"].as_str().context("an id")?.to_owned();
    engine.terminate().await?;
    damage(&world, &id).await?;
    let engine = world.start().await?;
    it_is_told_as_unreadable(&world, &engine, &id).await?;

    let server = engine.api().base().to_owned();
    let act = async |act: &str, more: &[&str]| {
        let given = [act, &id, "--who", "anna", "--reason", "asked for", "--server", &server];
        let output = saga(&world, &[&given[..], more].concat()).await?;
        let told = [output.stdout.clone(), output.stderr.clone()].concat();
        anyhow::Ok((output.status.success(), String::from_utf8_lossy(&told).into_owned()))
    };
    let (done, told) = act("retry", &[]).await?;
    ensure!(!done && told.contains("has ended") && !told.contains("saga abandon"), "{told}");
    let (done, told) = act("erase", &["--dry-run"]).await?;
    ensure!(done && told.contains("Nothing was done"), "{told}");
    for _ in 0..2 {
        let (done, told) = act("erase", &["--id", "request-17"]).await?;
        ensure!(done, "{told}");
    }
    let (done, told) = act("erase", &["--id", "request-18"]).await?;
    ensure!(done && told.contains("done already by another act"), "{told}");

    assert_eq!(tables_with_the_canary(world.database.url()).await?, Vec::<String>::new());
    let told = all_that_lists_tell(&world, &engine, &id).await?;
    ensure!(!told.contains(CANARY) && told.contains("asked for"), "{told}");
    let diff = saga(&world, &["diff", &id, "1", "3"]).await?;
    ensure!(String::from_utf8_lossy(&diff.stderr).contains("nothing is left to be done"), "{diff:?}");
    let shown = &lines(&world, &["show", &id]).await?[0];
    assert_eq!((&shown["status"], &shown["erased"]["who"]), (&json!("compensated"), &json!("anna")), "{shown}");
    let audited = lines(&world, &["audit", "--on", &id]).await?;
    assert_eq!((audited.len(), &audited[0]["id"]), (1, &json!("request-17")), "{audited:?}");
    let report = lines(&world, &["replay", "verify"]).await?.pop().context("a report")?;
    assert_eq!((&report["report"]["divergences"], &report["report"]["erased"]), (&json!(0), &json!(1)), "{report}");
    ensure!(!engine.log()?.contains(CANARY), "the log has content");
    engine.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn sagas_that_run_an_erased_one_again_are_named_and_erased_with_it() -> Result<()> {
    let Some(world) = world(StoreForm::Plain).await? else { return Ok(()) };
    let engine = world.start().await?;
    world.order("4711", &json!({"customer": CANARY, "note": ""})).await?;
    let first = reaches(&engine, "4711?saga=order", &["compensated"]).await?;
    let first = first["id"].as_str().context("an id")?;
    let server = engine.api().base().to_owned();
    let act_on = async |act: &str, name: &str, more: &[&str]| {
        let given = [act, name, "--who", "anna", "--reason", "asked for", "--server", &server];
        let output = saga(&world, &[&given[..], more].concat()).await?;
        let told = [output.stdout.clone(), output.stderr.clone()].concat();
        let told = String::from_utf8_lossy(&told).into_owned();
        ensure!(output.status.success(), "{act}: {told}");
        anyhow::Ok(told)
    };
    let act = async |act: &str, more: &[&str]| act_on(act, first, more).await;
    act_on("rerun", "4711", &["--id", "rerun-1"]).await?;
    let rerun = lines(&world, &["show", first]).await?[0]["rerunAs"].as_str().context("a rerun")?.to_owned();
    reaches(&engine, &rerun, &["compensated"]).await?;
    // The key means the rerun now.
    let repeated = act_on("rerun", "4711", &["--id", "rerun-1"]).await?;
    ensure!(repeated.contains(&rerun), "{repeated}");
    ensure!(lines(&world, &["show", &rerun]).await?[0]["rerunAs"].is_null(), "a repeat begins no other saga");
    let told = act("erase", &["--dry-run"]).await?;
    ensure!(told.contains(&rerun) && told.contains("--with-reruns"), "{told}");
    let told = act_on("erase", "4711", &[]).await?;
    ensure!(told.contains(first) && told.contains("--with-reruns"), "the saga that was run again is named: {told}");
    act_on("erase", "4711", &["--with-reruns", "--id", "request-17"]).await?;
    assert_eq!(tables_with_the_canary(world.database.url()).await?, Vec::<String>::new());
    for erased in [first, &rerun] {
        let audited = lines(&world, &["audit", "--on", erased]).await?;
        ensure!(audited.iter().any(|act| act["action"] == "erase"), "{audited:?}");
    }
    let told = act("erase", &["--id", "request-18"]).await?;
    ensure!(told.contains("done already") && !told.contains(&rerun), "what is erased has no copy: {told}");
    engine.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn an_engine_without_the_key_of_its_store_does_not_start() -> Result<()> {
    let Some(world) = world(StoreForm::Sealed).await? else { return Ok(()) };
    let engine = world.start().await?;
    engine.terminate().await?;
    let plain = world.installation.folder().join("plain.yaml");
    std::fs::write(&plain, json!({"store": world.database.url()}).to_string())?;
    let plain = plain.to_str().context("a path")?;
    let listed = saga(&world, &["list", "--config", plain]).await?;
    let told = String::from_utf8_lossy(&listed.stderr).into_owned();
    ensure!(!listed.status.success() && told.contains("set `store.encryption.key`"), "{told}");
    ensure!(!told.contains(KEY), "{told}");
    Ok(())
}
