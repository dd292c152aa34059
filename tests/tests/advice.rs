//! `saga advise` on recorded pasts of a real engine: what it advises makes the next run better, and what it forecasts
//! is held against what came.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, binary},
    eventually::eventually,
    participant::{ParticipantScript, RecordedCall, ScriptedBehaviour},
    world::TestWorld,
};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Output, time::Duration};
use tokio::process::Command;

/// Orders of one run: twice what a rule needs at least.
const ORDERS: u64 = 400;

/// Orders that are under way together.
const AT_A_TIME: u64 = 20;

/// All orders of a run end within this, on a loaded machine too.
const RUN: Duration = Duration::from_secs(240);

const STEPS: &str = "
steps:
  - step: reserve
    do: inventory.ReserveStock
    with: {n: \"${ event.n }\"}
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    with: {n: \"${ event.n }\"}
    undo: POST payments/refunds
";

async fn saga(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.current_dir(folder).args(arguments).env_remove("SAGA_CONFIG");
    Ok(command.output().await?)
}

async fn text_of(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = saga(folder, arguments).await?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{arguments:?}: {told}");
    Ok(String::from_utf8(output.stdout)?)
}

async fn advice(folder: &Path, more: &[&str]) -> Result<Value> {
    let text = text_of(folder, &[&["advise", "--output", "json"], more].concat()).await?;
    serde_json::from_str(&text).context(text)
}

/// Number of the order that a call is about.
fn order_of(call: &RecordedCall) -> Option<u64> {
    call.command.ends_with(":do").then(|| call.body["n"].as_u64())?
}

/// A number below 100 that is the same for the same attempt, and else as good as random (SplitMix64).
fn drawn(order: u64, nth: u32) -> u64 {
    let mixed = (order * 1_000 + u64::from(nth)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 32) % 100
}

/// Three in ten charges are refused with 503, each attempt anew.
fn payments() -> ParticipantScript {
    ParticipantScript::default()
        .when(|call, nth| (drawn(order_of(call)?, nth) < 30).then(|| ScriptedBehaviour::status(503)))
}

async fn world(inventory: ParticipantScript, payments: ParticipantScript) -> Result<Option<TestWorld>> {
    let Some(world) = TestWorld::new(inventory, payments).await? else { return Ok(None) };
    let orders = &world.orders;
    let trigger = format!("trigger: {{topic: {orders}, type: OrderPlaced, key: \"${{ event.orderId }}\"}}\n");
    world.installation.definition("order", &format!("saga: order\n{trigger}{STEPS}"))?;
    world.configure()?;
    Ok(Some(world))
}

/// Participants with too few attempts at payments. Nothing depends on how quick the machine is.
fn settings(world: &TestWorld) -> String {
    format!(
        "participants:
  inventory:
    kafka: {{commands: {}}}
    timeout: 30s
  payments:
    http: {{url: {}}}
    timeout: 30s
    retry: {{attempts: 2, delay: 100ms, maxDelay: 200ms}}
    breaker: {{failureRate: 0.9}}
",
        world.inventory.topic(),
        world.payments.url()
    )
}

/// Writes what is to be pasted into a participants.yaml: each key of a participant in place of the one that is there.
fn paste(text: &str, yaml: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut participant = String::new();
    for line in yaml.lines().skip(1) {
        if !line.starts_with("    ") {
            participant = line.to_owned();
            continue;
        }
        let key = line.split(':').next().unwrap_or_default().to_owned() + ":";
        let from = lines.iter().position(|it| *it == participant).map_or(0, |at| at + 1);
        let to = (from..lines.len()).find(|at| !lines[*at].starts_with("    ")).unwrap_or(lines.len());
        match (from..to).find(|at| lines[*at].starts_with(&key)) {
            Some(at) => lines[at] = line.to_owned(),
            None => lines.insert(from, line.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

/// Places `orders` orders, some at a time, and waits until the sagas of all have ended. With few at a time calls do not
/// wait for each other, however slow the machine is.
async fn run(world: &TestWorld, name: &str, orders: u64) -> Result<Engine> {
    let engine = world.start().await?;
    let pool = world.database.pool().await?;
    let open = "SELECT count(*) FILTER (WHERE status IN ('completed', 'compensated')) FROM streams WHERE key LIKE $1";
    for n in 0..orders {
        world.order(&format!("{name}-{n}"), &json!({"n": n})).await?;
        let placed = n + 1;
        if placed % AT_A_TIME != 0 && placed != orders {
            continue;
        }
        eventually("all sagas that were begun have ended", RUN, || async {
            let ended: i64 = sqlx::query_scalar(open).bind(format!("{name}-%")).fetch_one(&pool).await?;
            ensure!(ended.unsigned_abs() == placed, "{ended} of {placed} have ended");
            Ok(Some(()))
        })
        .await
        .with_context(|| format!("--- the end of the engine's log\n{}\n---", engine.log_tail()))?;
    }
    Ok(engine)
}

async fn compensated(world: &TestWorld, name: &str) -> Result<i64> {
    let count = "SELECT count(*) FROM streams WHERE key LIKE $1 AND status = 'compensated'";
    let pool = world.database.pool().await?;
    Ok(sqlx::query_scalar(count).bind(format!("{name}-%")).fetch_one(&pool).await?)
}

/// A number of one participant's do, from the report.
fn observed(report: &Value, participant: &str, what: &str) -> u64 {
    let lines = report["observed"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = lines.iter().find(|line| line["participant"] == participant && line["direction"] == "do");
    line.and_then(|line| line.pointer(what)).and_then(Value::as_u64).unwrap_or_default()
}

fn settings_of(report: &Value, participant: &str) -> Vec<String> {
    let advice = report["advice"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_it = advice.iter().filter(|it| it["scope"]["participant"] == participant);
    of_it.filter_map(|it| it["setting"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn what_is_advised_makes_the_next_run_better() -> Result<()> {
    let Some(world) = world(ParticipantScript::default(), payments()).await? else { return Ok(()) };
    let (folder, file) = (world.installation.folder(), world.installation.sagas().join("participants.yaml"));
    fs::write(&file, settings(&world))?;
    run(&world, "before", ORDERS).await?.terminate().await?;
    let before = advice(folder, &[]).await?;
    let told = text_of(folder, &["advise"]).await?;
    ensure!(settings_of(&before, "payments").contains(&"retry".to_owned()), "{told}");
    let place = format!("{}:8", file.display());
    ensure!(told.contains(&place), "the present value is named as {place}: {told}");
    let failing = saga(folder, &["advise", "--fail-on", "advice"]).await?;
    ensure!(failing.status.code() == Some(1), "{failing:?}");

    let pasted = paste(&fs::read_to_string(&file)?, before["paste"][0]["yaml"].as_str().context("YAML")?);
    fs::write(&file, &pasted)?;
    text_of(folder, &["check", &world.installation.sagas().display().to_string()]).await.context(pasted.clone())?;
    let sometime = text_of(folder, &["list", "--limit", "1", "--output", "json"]).await?;
    let newest: Value = serde_json::from_str(&sometime)?;
    let since = newest["updatedAt"].as_str().context("a time")?;
    run(&world, "after", ORDERS).await?.terminate().await?;
    let after = advice(folder, &["--since", since]).await?;
    let undone = (compensated(&world, "before").await?, compensated(&world, "after").await?);
    let gave_up = [&before, &after].map(|report| observed(report, "payments", "/exhausted"));
    let said = format!("compensated {undone:?}; charges that gave up {gave_up:?}\n{told}\n{pasted}");
    ensure!(undone.1 * 2 < undone.0 && gave_up[1] < gave_up[0], "{said}");
    Ok(())
}

/// Orders of five minutes in the recorded past.
const ORDERS_OF_BUCKET: u64 = 20;

/// The part of charges that fail, in twentieths, in each five minutes: errors grow three times until most fail, and
/// once there is a failure out of nothing. At the end they grow again.
fn past() -> Vec<u64> {
    let growing = [0, 1, 2, 4, 5, 7, 9, 14, 16];
    let mut past = [growing.as_slice(), &[0; 9]].concat().repeat(3);
    past.extend([18, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 6]);
    past
}

/// Gives the sagas of the run the times of a longer past that ends now: the rows of an order move together.
async fn spread(world: &TestWorld, buckets: usize) -> Result<()> {
    let pool = world.database.pool().await?;
    let moved = "UPDATE journal SET recorded_at = (extract(epoch FROM now()) * 1000)::bigint / 300000 * 300000 \
                 - 300000 * ($1 - split_part(s.key, '-', 2)::int / $2) + 10000 * (split_part(s.key, '-', 2)::int % $2) \
                 + (journal.recorded_at - s.started_at) FROM streams s WHERE s.stream = journal.stream";
    sqlx::query(moved).bind(i32::try_from(buckets)?).bind(i32::try_from(ORDERS_OF_BUCKET)?).execute(&pool).await?;
    Ok(())
}

#[tokio::test]
async fn a_participant_whose_errors_grow_is_forecast_to_fail_and_the_past_says_how_often_that_came_true() -> Result<()>
{
    let failing = ParticipantScript::default().when(|call, _| {
        let n = order_of(call)?;
        let share = past()[usize::try_from(n / ORDERS_OF_BUCKET).ok()?];
        (n * 7 % ORDERS_OF_BUCKET < share).then(|| ScriptedBehaviour::status(503))
    });
    let Some(world) = world(ParticipantScript::default(), failing).await? else { return Ok(()) };
    // In the run, which is short, no breaker must open; in the past, half of the calls is a failure. What is refused
    // has no effect, so no refund is a success beside it.
    let payments =
        json!({"timeout": "30s", "retry": {"attempts": 1}, "failOn": "5xx", "breaker": {"minimumCalls": 10_000}});
    world.participants(&json!({}), &payments)?;
    let orders = past().len() as u64 * ORDERS_OF_BUCKET;
    run(&world, "past", orders).await?.terminate().await?;
    spread(&world, past().len()).await?;
    let folder = world.installation.folder();
    let report = advice(folder, &["--participant", "payments"]).await?;
    let told = text_of(folder, &["advise", "--participant", "payments"]).await?;
    let [forecast] = report["forecasts"].as_array().context("forecasts")?.as_slice() else {
        anyhow::bail!("one participant: {told}")
    };
    ensure!((&forecast["outlook"], &forecast["measure"]) == (&json!("likelyToFail"), &json!("errors")), "{told}");
    let trouble = &report["participants"][0];
    ensure!(trouble["outages"].as_u64() >= Some(1) && trouble["openings"] == 0, "{trouble}");
    let (record, trend) = (&forecast["past"], &forecast["past"]["trend"]);
    ensure!((&record["failures"], &record["isEnough"]) == (&json!(4), &json!(true)), "{told}");
    ensure!((&trend["cameTrue"], &trend["missed"]) == (&json!(3), &json!(1)), "{told}");
    let lead = |by: &str| record[by]["medianLeadMinutes"].as_f64();
    ensure!(lead("trend") >= lead("lastValue") && lead("trend").is_some(), "{told}");
    let failing = saga(folder, &["advise", "--fail-on", "forecast"]).await?;
    ensure!(failing.status.code() == Some(1), "{failing:?}");
    eprintln!("{told}");
    Ok(())
}

#[tokio::test]
async fn a_past_without_trouble_has_no_advice_and_a_damaged_journal_is_named() -> Result<()> {
    let Some(world) = world(ParticipantScript::default(), ParticipantScript::default()).await? else { return Ok(()) };
    let generous = json!({"timeout": "30s"});
    world.participants(&generous, &generous)?;
    let folder = world.installation.folder();
    let engine = world.start().await?;
    let empty = advice(folder, &["--fail-on", "advice,forecast,unreadable"]).await?;
    ensure!((&empty["read"]["sagas"], &empty["advice"]) == (&json!(0), &json!([])), "{empty}");
    engine.terminate().await?;
    run(&world, "calm", ORDERS).await?.terminate().await?;
    let calm = advice(folder, &["--fail-on", "advice,forecast,unreadable"]).await?;
    ensure!(calm["read"]["sagas"] == ORDERS && calm["advice"] == json!([]) && calm["paste"] == json!([]), "{calm}");
    let stays = calm["unchanged"].as_array().context("what stays")?;
    ensure!(!stays.is_empty() && stays.iter().all(|it| it["reason"] == "fits"), "{calm}");
    let forecasts = calm["forecasts"].as_array().context("forecasts")?;
    ensure!(forecasts.iter().all(|it| it["outlook"] != "likelyToFail" && it["past"]["failures"] == 0), "{calm}");

    let pool = world.database.pool().await?;
    let cut = "UPDATE journal SET payload = substr(payload, 1, 9) \
               WHERE version = 2 AND stream = (SELECT stream FROM streams WHERE key = 'calm-7') RETURNING stream::text";
    let saga_id: String = sqlx::query_scalar(cut).fetch_one(&pool).await?;
    let told = text_of(folder, &["advise"]).await?;
    ensure!(told.contains(&format!("{saga_id}: ")) && told.contains("row 2"), "{told}");
    ensure!(told.contains("No setting should change."), "{told}");
    let failing = saga(folder, &["advise", "--fail-on", "unreadable"]).await?;
    ensure!(failing.status.code() == Some(1), "{failing:?}");
    let wrong = saga(folder, &["advise", "--participant", "paiments"]).await?;
    ensure!(String::from_utf8_lossy(&wrong.stderr).contains("did you mean `payments`"), "{wrong:?}");
    Ok(())
}
