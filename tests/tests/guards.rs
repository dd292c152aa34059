//! People steer guards with the command line: what waits is found, what was done is on record, and all of it survives
//! the engine.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, binary, http_client},
    eventually::eventually,
    participant::{ParticipantScript, ScriptedBehaviour},
    promtool,
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use std::process::{Output, Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

const STEPS: &str = "
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    undo: POST payments/refunds
";

/// What is known of every guard, called or not; a rate limit has two more.
const FAMILIES: [&str; 16] = [
    "resilience4j_circuitbreaker_state",
    "resilience4j_circuitbreaker_calls_seconds_count",
    "resilience4j_circuitbreaker_not_permitted_calls_total",
    "resilience4j_circuitbreaker_buffered_calls",
    "resilience4j_circuitbreaker_slow_calls",
    "resilience4j_circuitbreaker_failure_rate",
    "resilience4j_circuitbreaker_slow_call_rate",
    "resilience4j_retry_calls_total",
    "resilience4j_bulkhead_max_allowed_concurrent_calls",
    "resilience4j_bulkhead_available_concurrent_calls",
    "saga_guard_parked",
    "saga_guard_stale_results_total",
    "saga_guard_probes_expired_total",
    "saga_retry_budget_balance",
    "saga_guard_share",
    "saga_participant_lifecycle",
];

async fn world() -> Result<Option<TestWorld>> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(None);
    };
    world.define("order", STEPS)?;
    Ok(Some(world))
}

async fn saga(arguments: &[&str]) -> Result<Output> {
    // Who runs the tests need not have a name.
    Ok(Command::new(binary()?).args(arguments).env("USER", "ada").output().await?)
}

/// `saga guard …` against this engine.
async fn guard(engine: &Engine, arguments: &[&str]) -> Result<Output> {
    saga(&[&["guard"], arguments, &["--server", engine.api().base()]].concat()).await
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn lines(output: &Output) -> Result<Vec<Value>> {
    ensure!(output.status.success(), "{}", said(output));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

async fn does(engine: &Engine, arguments: &[&str]) -> Result<()> {
    let output = guard(engine, arguments).await?;
    ensure!(output.status.success() && said(&output).contains("applied"), "{}", said(&output));
    Ok(())
}

/// Keys of the sagas that wait, as the API answers with one query.
async fn waiting(engine: &Engine, query: &str) -> Result<Vec<(String, String)>> {
    let (_, answer) = engine.api().get(&format!("/api/guards/waiting?{query}")).await?;
    let sagas = answer["sagas"].as_array().with_context(|| answer.to_string())?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(sagas.iter().map(|saga| (text(&saga["key"]), text(&saga["waitsOn"][0]))).collect())
}

async fn metrics(engine: &Engine) -> Result<String> {
    Ok(http_client()?.get(format!("{}/metrics", engine.api().base())).send().await?.text().await?)
}

/// What is measured of one saga that waits for payments, and of what the engine depends on.
async fn monitoring_shows_the_guard_that_is_open(engine: &Engine, scrape: &str) -> Result<()> {
    for line in [
        r#"saga_started_total{saga="order"} 1"#,
        r#"saga_step_duration_seconds_count{saga="order",step="reserve",direction="do",outcome="succeeded"} 1"#,
        "saga_dead_letters_open 0",
    ] {
        ensure!(scrape.contains(line), "{line} is missing:\n{scrape}");
    }
    let (status, deep) = engine.api().get("/health/deep").await?;
    assert_eq!((status.as_u16(), &deep["status"]), (200, &json!("degraded")), "{deep}");
    let found = |name: &str| deep["checks"].as_array()?.iter().find(|check| check["name"] == name).cloned();
    let of = |name: &str| found(name).map(|check| (check["status"].clone(), check["latencyMs"].is_u64()));
    assert_eq!(of("event store"), Some((json!("up"), true)), "{deep}");
    assert_eq!(of("kafka"), Some((json!("up"), true)), "{deep}");
    assert_eq!(found("payments").map(|check| check["status"].clone()), Some(json!("down")), "{deep}");
    let (_, performance) = engine.api().get("/monitoring/performance").await?;
    let measured = performance["operations"].as_array().context("operations")?;
    let calls = measured.iter().find(|one| one["operation"] == "call" && one["on"] == "inventory");
    assert_eq!(calls.context("inventory was called")?["count"], 1, "{performance}");
    ensure!(measured.iter().any(|one| one["operation"] == "commit" && one["p99Ms"].is_f64()), "{performance}");
    let (_, start) = engine.api().get("/monitoring/startup").await?;
    let stages: Vec<_> = start["stages"].as_array().context("stages")?.iter().map(|it| it["stage"].clone()).collect();
    assert_eq!(stages.first().zip(stages.last()), Some((&json!("store"), &json!("publication"))), "{start}");
    let (_, again) = engine.api().get("/monitoring/idempotency").await?;
    assert_eq!((&again["started"], &again["recognised"]["start"]), (&json!(1), &json!(0)), "{again}");
    let (_, letters) = engine.api().get("/monitoring/dlq").await?;
    assert_eq!((&letters["open"], &letters["oldestOpenMs"]), (&json!(0), &Value::Null), "{letters}");
    let (_, breakers) = engine.api().get("/monitoring/circuit-breakers").await?;
    let breakers = breakers["circuitBreakers"].as_array().context("breakers")?;
    ensure!(breakers.iter().any(|it| it["name"] == "payments" && it["state"] == "forcedOpen"), "{breakers:?}");
    Ok(())
}

#[tokio::test]
async fn what_a_forced_guard_holds_is_found_and_goes_on_when_it_is_taken_back() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    does(&engine, &["open", "payments", "--who", "anna", "--reason", "they migrate"]).await?;
    world.order("4711", &json!({})).await?;
    reaches(&engine, "4711", &["waiting"]).await?;
    let expected = [("4711".to_owned(), "breaker:payments".to_owned())];
    assert_eq!(waiting(&engine, "participant=payments&guard=breaker").await?, expected);
    assert_eq!(waiting(&engine, "guard=breaker").await?, expected);
    assert_eq!(waiting(&engine, "participant=inventory").await?, []);
    let listed = async |on: &str| -> Result<usize> {
        let store = world.database.url();
        let output = saga(&["list", "--store", store, "--waiting-on", on, "--output", "json"]).await?;
        Ok(lines(&output)?.len())
    };
    assert_eq!((listed("payments").await?, listed("breaker:payments").await?, listed("health:").await?), (1, 1, 0));
    let text = metrics(&engine).await?;
    for name in FAMILIES {
        assert!(text.lines().any(|line| line.starts_with(&format!("{name}{{"))), "{name} is missing:\n{text}");
    }
    for line in [
        r#"resilience4j_circuitbreaker_state{name="payments",state="forced_open"} 1"#,
        r#"resilience4j_circuitbreaker_not_permitted_calls_total{name="payments",kind="not_permitted"}"#,
        r#"saga_participant_lifecycle{participant="payments",phase="failed"} 1"#,
        r#"saga_guard_parked{participant="payments",guard="breaker"} 1"#,
        r#"resilience4j_retry_calls_total{name="inventory",kind="successful_without_retry"} 1"#,
        r#"resilience4j_circuitbreaker_calls_seconds_count{name="inventory",kind="successful"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is missing:\n{text}");
    }
    assert_eq!(promtool::findings(&text).await?, Vec::<String>::new(), "{text}");
    monitoring_shows_the_guard_that_is_open(&engine, &text).await?;

    ensure!(engine.terminate().await?.success());
    let engine = world.start().await?;
    let shown = lines(&guard(&engine, &["list", "--output", "json"]).await?)?;
    let payments = shown.iter().find(|guard| guard["name"] == "payments").context("payments are configured")?;
    assert_eq!((&payments["breaker"], &payments["override"]["by"]["who"]), (&json!("forcedOpen"), &json!("anna")));
    reaches(&engine, "4711", &["waiting"]).await?;
    does(&engine, &["reset", "payments", "--who", "ben", "--reason", "they are done"]).await?;
    reaches(&engine, "4711", &["completed"]).await?;
    assert_eq!(waiting(&engine, "participant=payments").await?, []);
    let body = json!({"who": "cleo", "reason": "once more"});
    let (status, answer) = engine.api().post("/monitoring/circuit-breakers/payments/reset", &body).await?;
    assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("applied")), "{answer}");
    let text = metrics(&engine).await?;
    for line in [
        r#"saga_ended_total{saga="order",end="completed"} 1"#,
        r#"saga_duration_seconds_count{saga="order",end="completed"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is missing:\n{text}");
    }
    let waits = r#"saga_guard_wait_seconds_count{participant="payments",guard="breaker"} "#;
    let waits = text.lines().find_map(|line| line.strip_prefix(waits)).context("waits are counted")?;
    assert!(waits.parse::<u32>()? >= 1, "{waits}");
    let acts = lines(&guard(&engine, &["acts", "--participant", "payments", "--output", "json"]).await?)?;
    let told: Vec<[&Value; 3]> = acts.iter().map(|act| ["action", "who", "reason"].map(|key| &act[key])).collect();
    let expected =
        [["reset", "cleo", "once more"], ["reset", "ben", "they are done"], ["open", "anna", "they migrate"]];
    assert_eq!(json!(told), json!(expected));
    Ok(())
}

/// Whoever looks at a saga that was never called is told why, by the engine and by the command line.
#[tokio::test]
async fn what_opened_a_breaker_is_told_wherever_a_saga_waits_for_it() -> Result<()> {
    let payments = ParticipantScript::default().on("charge:do", |_| ScriptedBehaviour::status(500));
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    let breaker = json!({"minimumCalls": 2, "failureRate": 0.5, "window": "60s", "openFor": "10m"});
    world.participants(&json!({}), &json!({"breaker": breaker}))?;
    world.define("order", STEPS)?;
    let engine = world.start().await?;
    world.order("first", &json!({})).await?;
    reaches(&engine, "first", &["waiting"]).await?;
    world.order("second", &json!({})).await?;
    // Both wait for their next attempts first, until enough calls have failed.
    eventually("both wait for the breaker", WITHIN, || async {
        let held = waiting(&engine, "guard=breaker").await?;
        Ok((held.len() == 2).then_some(()))
    })
    .await?;
    let second = reaches(&engine, "second", &["waiting"]).await?;
    let text = second["heldBy"][0]["text"].as_str().unwrap_or_default().to_owned();
    ensure!(text.contains("calls failed; last failure http.500"), "{second}");
    ensure!(second["next"][0]["what"] == "charge is sent when calls to payments are let through", "{second}");
    let store = world.database.url();
    let shown = saga(&["show", "second", "--store", store, "--server", engine.api().base()]).await?;
    ensure!(said(&shown).contains("last failure http.500"), "{}", said(&shown));
    let listed = said(&guard(&engine, &["list"]).await?);
    ensure!(listed.contains("http.500") && listed.contains("next probe in"), "{listed}");
    let guard = said(&guard(&engine, &["show", "payments"]).await?);
    ensure!(guard.contains("what opened the breaker") && guard.contains("http.500"), "{guard}");
    ensure!(engine.log_tail().contains("http.500"), "{}", engine.log_tail());
    let text = metrics(&engine).await?;
    ensure!(text.contains(r#"saga_open{saga="order",status="waiting"} 2"#), "{text}");
    Ok(())
}

#[tokio::test]
async fn an_act_that_cannot_be_meant_is_refused_with_what_to_write() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    let refused = async |arguments: &[&str], code: i32, hint: &str| -> Result<()> {
        let output = guard(&engine, arguments).await?;
        ensure!(output.status.code() == Some(code) && said(&output).contains(hint), "{arguments:?}: {}", said(&output));
        Ok(())
    };
    refused(&["open", "payments"], 2, "--reason").await?;
    refused(&["set", "payments", "--reason", "why not"], 2, "--share").await?;
    refused(&["set", "payments", "--rate", "fast", "--reason", "why not"], 2, "100/s").await?;
    refused(&["set", "payments", "--share", "2", "--reason", "why not"], 2, "above 0 and at most 1").await?;
    refused(&["set", "payments", "--bulkhead", "0", "--reason", "why not"], 2, "1 or more").await?;
    refused(&["set", "payments", "--rate", "600/m", "--reason", ""], 1, "nothing has changed").await?;
    refused(&["watch", "--participant", "payment"], 1, "did you mean `payments`?").await?;
    refused(&["open", "payment", "--reason", "why not"], 1, "did you mean `payments`?").await?;
    refused(&["show", "nobody"], 1, "saga guard list").await?;
    does(&engine, &["set", "payments", "--share", "0.25", "--rate", "600/m", "--reason", "gently"]).await?;
    refused(&["show", "payments"], 0, "share=0.25 rate=600/m").await?;
    let url = format!("{}/api/guards/payments/open", engine.api().base());
    let act = json!({"who": "mallory", "reason": "because I can"}).to_string();
    let answer = http_client()?.post(url).header("content-type", "text/plain").body(act).send().await?;
    assert_eq!(answer.status().as_u16(), 400, "a page elsewhere could send that");
    assert_eq!(lines(&guard(&engine, &["acts", "--output", "json"]).await?)?.len(), 1);
    Ok(())
}

/// `saga guard watch`, once it follows.
async fn watch(engine: &Engine) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
    let mut command = Command::new(binary()?);
    command.args(["guard", "watch", "--output", "json", "--server", engine.api().base()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut told = BufReader::new(child.stderr.take().context("piped")?).lines();
    let following = told.next_line().await?.context("it says that it follows")?;
    ensure!(following.starts_with("following"), "{following}");
    let lines = BufReader::new(child.stdout.take().context("piped")?).lines();
    Ok((child, lines))
}

#[tokio::test]
async fn whoever_watches_sees_what_happens_to_guards() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    let (mut child, mut changes) = watch(&engine).await?;
    does(&engine, &["metrics-only", "payments", "--who", "anna", "--reason", "trying out"]).await?;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let line = tokio::time::timeout(WITHIN, changes.next_line()).await??.context("the stream goes on")?;
        seen.push(serde_json::from_str::<Value>(&line)?);
    }
    assert_eq!((&seen[0]["change"], &seen[0]["mode"]), (&json!("modeChanged"), &json!("metricsOnly")));
    let act = ["change", "participant", "action", "who", "reason"].map(|key| seen[1][key].clone());
    assert_eq!(json!(act), json!(["actApplied", "payments", "metricsOnly", "anna", "trying out"]));
    ensure!(engine.terminate().await?.success());
    let ended = eventually("the watch ends with the engine", WITHIN, || {
        let ended = child.try_wait();
        async move { Ok(ended?) }
    });
    assert!(ended.await?.success());
    Ok(())
}
