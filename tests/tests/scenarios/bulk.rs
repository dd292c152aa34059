//! One command acts on many sagas: it says before what it would do, after what came of each, and does nothing twice.

use super::definitions::ORDER;
use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, binary, http_client},
    eventually::eventually,
    participant::{ParticipantScript, ScriptedBehaviour},
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use std::{
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::process::Command;

async fn saga(engine: &Engine, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.args(arguments).arg("--server").arg(engine.api().base()).env("USER", "ada").env_remove("SAGA_CONFIG");
    Ok(command.output().await?)
}

/// A list reads the store itself.
async fn listed(world: &TestWorld, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.args(arguments).arg("--store").arg(world.database.url()).env_remove("SAGA_CONFIG");
    Ok(command.current_dir(world.installation.folder()).output().await?)
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    format!("{}{}", out(output), String::from_utf8_lossy(&output.stderr))
}

/// Payments whose token has expired until it is renewed.
struct Shop {
    world: TestWorld,
    engine: Engine,
    renewed: Arc<AtomicBool>,
}

async fn shop() -> Result<Option<Shop>> {
    let renewed = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&renewed);
    let payments = ParticipantScript::default().on("charge:do", move |_| {
        if asked.load(Ordering::SeqCst) {
            ScriptedBehaviour::succeed(json!({}))
        } else {
            ScriptedBehaviour::status(401)
        }
    });
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(None) };
    world.define("order", &format!("retry: {{attempts: 1}}{ORDER}"))?;
    let engine = world.start().await?;
    for key in ["a", "b", "c"] {
        world.order(key, &json!({})).await?;
        reaches(&engine, key, &["parked"]).await?;
    }
    Ok(Some(Shop { world, engine, renewed }))
}

const CHOSEN: [&str; 7] = ["retry", "--status", "parked", "--code", "http.401", "--reason", "renewed"];

#[tokio::test]
async fn sagas_with_one_cause_are_counted_tried_dry_and_moved_on_together() -> Result<()> {
    let Some(Shop { world, engine, renewed }) = shop().await? else { return Ok(()) };
    let counted = listed(&world, &["list", "--count", "--by", "status,step,code", "-o", "json"]).await?;
    let group: Value = serde_json::from_str(out(&counted).trim()).with_context(|| said(&counted))?;
    assert_eq!(
        (&group["count"], &group["status"], &group["step"], &group["code"]),
        (&json!(3), &json!("parked"), &json!("charge"), &json!("http.401"))
    );

    let dry = dry_from_the_page(&engine, "retry").await?;
    assert_eq!((&dry["counts"]["applied"], &dry["lookedAt"]), (&json!(3), &json!(3)), "{dry}");
    let dry = saga(&engine, &[CHOSEN.as_slice(), &["--dry-run"]].concat()).await?;
    ensure!(dry.status.success() && out(&dry).matches("starts charge").count() == 3, "{}", said(&dry));
    assert_eq!(
        reaches(&engine, "a", &["parked"]).await?["version"],
        reaches(&engine, "b", &["parked"]).await?["version"]
    );

    let in_vain = saga(&engine, &CHOSEN).await?;
    ensure!(in_vain.status.code() == Some(1), "{}", said(&in_vain));
    ensure!(out(&in_vain).matches("parked again at once, at charge").count() == 3, "{}", said(&in_vain));

    renewed.store(true, Ordering::SeqCst);
    let moved = saga(&engine, &CHOSEN).await?;
    ensure!(moved.status.success() && said(&moved).contains("retry of 3 sagas: 3 applied"), "{}", said(&moved));
    for key in ["a", "b", "c"] {
        reaches(&engine, key, &["completed"]).await?;
    }
    let none = saga(&engine, &CHOSEN).await?;
    ensure!(none.status.success() && said(&none).contains("no saga was found"), "{}", said(&none));
    let (_, jobs) = engine.api().get("/api/jobs").await?;
    let who = jobs["record"].as_array().context("the record")?.iter().filter(|line| line["job"]["who"] == "ada");
    assert_eq!(who.count(), 6, "three jobs began and ended: {jobs}");
    let told = saga(&engine, &["jobs", "list"]).await?;
    ensure!(out(&told).matches("status=parked code=http.401").count() >= 3, "{}", said(&told));
    let id = jobs["jobs"][0]["id"].as_str().context("an id")?;
    let shown = saga(&engine, &["jobs", "show", id]).await?;
    ensure!(said(&shown).contains(&format!("job {id} done")), "{}", said(&shown));
    let stopped = saga(&engine, &["jobs", "stop", "7"]).await?;
    ensure!(!stopped.status.success() && said(&stopped).contains("this engine has no job `7`"), "{}", said(&stopped));
    Ok(())
}

/// What the page of causes would do to the only group there is, tried dry as its script does.
async fn dry_from_the_page(engine: &Engine, action: &str) -> Result<Value> {
    let url = format!("{}/causes", engine.api().base());
    let page = http_client()?.get(url).header("accept", "text/html").send().await?.text().await?;
    let mut bodies = page.split("data-body=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let named = |body: &&str| body.contains(&format!("&#34;{action}&#34;"));
    let body = bodies.find(named).with_context(|| page.clone())?.replace("&#34;", "\"");
    let mut order: Value = serde_json::from_str(&body).context(body)?;
    order["who"] = json!("page");
    order["reason"] = json!("dry run");
    order["dryRun"] = json!(true);
    let (status, begun) = engine.api().post("/api/jobs", &order).await?;
    ensure!(status.as_u16() == 202, "{status} {begun}");
    let path = format!("/api/jobs/{}", begun["job"]["id"].as_str().context("an id")?);
    eventually("the job ends", WITHIN, || async {
        let (_, told) = engine.api().get(&path).await?;
        Ok((told["job"]["status"] == "done").then(|| told["job"].clone()))
    })
    .await
}

#[tokio::test]
async fn a_job_given_again_under_its_id_does_nothing_twice() -> Result<()> {
    let Some(Shop { world: _world, engine, renewed: _ }) = shop().await? else { return Ok(()) };
    let id = "0b5f6c1e-53b0-4c0e-9d36-0a2f6f4d6f10";
    let cancel = ["cancel", "a", "b", "nobody", "--reason", "withdrawn", "--id", id];
    let first = saga(&engine, &cancel).await?;
    ensure!(first.status.code() == Some(1) && said(&first).contains("2 applied, 1 failed"), "{}", said(&first));
    reaches(&engine, "b", &["compensated"]).await?;
    let again = saga(&engine, &cancel).await?;
    ensure!(said(&again).contains("2 applied before, 1 failed"), "{}", said(&again));
    reaches(&engine, "c", &["parked"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_slip_in_a_filter_is_an_error_with_a_guess() -> Result<()> {
    let Some(Shop { world, engine, renewed: _ }) = shop().await? else { return Ok(()) };
    for (arguments, guess) in [
        (["--step", "chrage"], "did you mean `charge`?"),
        (["--waiting-on", "payment"], "did you mean `payments`?"),
        (["--saga", "oder"], "did you mean `order`?"),
        (["--status", "complete"], "did you mean `completed`?"),
    ] {
        let output = listed(&world, &[["list"].as_slice(), &arguments].concat()).await?;
        ensure!(!output.status.success() && said(&output).contains(guess), "{arguments:?}: {}", said(&output));
    }
    let output = saga(&engine, &["retry", "--step", "chrage", "--reason", "r"]).await?;
    ensure!(output.status.code() == Some(1) && said(&output).contains("did you mean `charge`?"), "{}", said(&output));
    for filter in [json!({}), json!({"status": ""}), json!({"limit": 5})] {
        let order = json!({"action": "abandon", "who": "ada", "reason": "r", "filter": filter});
        let (status, body) = engine.api().post("/api/jobs", &order).await?;
        assert_eq!((status.as_u16(), &body["code"]), (400, &json!("bad_body")), "{filter}: {body}");
    }
    let ended = saga(&engine, &["retry", "--status", "completed", "--reason", "r"]).await?;
    ensure!(ended.status.code() == Some(1) && said(&ended).contains("take no act"), "{}", said(&ended));
    let (status, body) = engine.api().get("/api/sagas?saga=oder").await?;
    assert_eq!((status.as_u16(), &body["code"]), (400, &json!("bad_parameter")), "{body}");
    Ok(())
}

#[tokio::test]
async fn a_list_without_a_cap_goes_on_page_by_page() -> Result<()> {
    let Some(Shop { world, engine, renewed: _ }) = shop().await? else { return Ok(()) };
    let keys = |output: &Output| -> Result<Vec<Value>> {
        let lines = out(output).lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
        Ok(lines.into_iter().map(|line| line["key"].clone()).collect())
    };
    let all = listed(&world, &["list", "--all", "-o", "json"]).await?;
    assert_eq!(keys(&all)?, ["c", "b", "a"]);
    let newest = reaches(&engine, "c", &["parked"]).await?;
    let before = newest["id"].as_str().context("an id")?;
    let others = listed(&world, &["list", "--before", before, "--limit", "1", "-o", "json"]).await?;
    assert_eq!(keys(&others)?, ["b"]);
    ensure!(said(&others).contains("--before"), "{}", said(&others));
    Ok(())
}
