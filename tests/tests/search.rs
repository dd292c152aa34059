//! Sagas are found by when they started and ended, and by parts of texts: the same by the API, the command and the
//! page.

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use saga_tests::{
    engine::{Engine, binary, http_client},
    participant::{ParticipantScript, ScriptedBehaviour},
    world::{TestWorld, reaches},
};
use serde_json::{Value, json};
use tokio::process::Command;

const STEPS: &str = "
steps:
  - step: charge
    do: POST payments/charges
    with: {note: \"${ event.note }\"}
    undo: POST payments/refunds
";

fn keys(lines: &Value) -> Vec<String> {
    let keys = lines.as_array().into_iter().flatten().filter_map(|line| line["key"].as_str());
    keys.map(str::to_owned).collect()
}

/// The keys that all three find: the API, `saga list` and the page.
async fn found(engine: &Engine, config: &str, filter: &[(&str, &str)]) -> Result<Vec<String>> {
    let query: Vec<String> =
        filter.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "%20"))).collect();
    let (status, answer) = engine.api().get(&format!("/api/sagas?{}", query.join("&"))).await?;
    ensure!(status == StatusCode::OK, "{status}: {answer}");
    let by_api = keys(&answer["sagas"]);
    let mut command = Command::new(binary()?);
    command.args(["list", "--config", config, "--output", "json"]);
    for (name, value) in filter {
        let option: String = name
            .chars()
            .map(|it| if it.is_uppercase() { format!("-{}", it.to_ascii_lowercase()) } else { it.to_string() })
            .collect();
        command.args([&format!("--{option}"), *value]);
    }
    let listed = command.output().await?;
    ensure!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let lines: Vec<Value> =
        String::from_utf8(listed.stdout)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(keys(&json!(lines)) == by_api, "{filter:?}: {lines:?} and {answer}");
    let page = http_client()?.get(format!("{}/?{}", engine.api().base(), query.join("&"))).send().await?.text().await?;
    for key in ["fine-1", "refused-1", "fine-2"] {
        let is_there = page.contains(&format!(">{key}</a>"));
        ensure!(is_there == by_api.iter().any(|it| it == key), "{filter:?}: the page and {key}");
    }
    Ok(by_api)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_is_the_same_by_all_ways() -> Result<()> {
    let payments = ParticipantScript::default().when(|call, _| {
        (call.body["note"] == "refused" && call.command.ends_with(":do"))
            .then(|| ScriptedBehaviour::fail("card_refused"))
    });
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    world.define("order", STEPS)?;
    world.configure()?;
    let config = world.installation.folder().join("config.yaml").display().to_string();
    let engine = world.start().await?;
    for (key, note, end) in
        [("fine-1", "", "completed"), ("refused-1", "refused", "compensated"), ("fine-2", "", "completed")]
    {
        world.order(key, &json!({"note": note})).await?;
        reaches(&engine, key, &[end]).await?;
    }
    let (_, refused) = engine.api().get("/api/sagas/refused-1").await?;
    let started = refused["startedAt"].as_str().context("a time")?;
    let ended = refused["updatedAt"].as_str().context("a time")?;
    let expect = async |filter: &[(&str, &str)], keys: &[&str]| {
        let found = found(&engine, &config, filter).await?;
        ensure!(found == keys, "{filter:?}: {found:?}");
        Ok::<(), anyhow::Error>(())
    };
    expect(&[("startedAfter", started)], &["fine-2", "refused-1"]).await?;
    expect(&[("startedBefore", started)], &["fine-1"]).await?;
    expect(&[("endedAfter", ended)], &["fine-2", "refused-1"]).await?;
    expect(&[("endedBefore", ended)], &["fine-1"]).await?;
    expect(&[("startedAfter", started), ("endedBefore", "2999-01-01T00:00:00Z"), ("text", "refused")], &["refused-1"])
        .await?;
    expect(&[("reasonHas", "card_refused")], &["refused-1"]).await?;
    expect(&[("text", "fine-")], &["fine-2", "fine-1"]).await?;
    expect(&[("text", "CARD_REFUSED")], &[]).await?;
    for wrong in ["endedAfter=yesterday", "text=a", "startedBefore=2026-13-01"] {
        let (status, problem) = engine.api().get(&format!("/api/sagas?{wrong}")).await?;
        ensure!(
            status == StatusCode::BAD_REQUEST && problem["code"] == "bad_parameter",
            "{wrong}: {status}: {problem}"
        );
    }
    Ok(())
}
