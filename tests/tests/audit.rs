//! The audit on real engines: each kind of act has a row that says who, from where, why, and what changed; an effect
//! and its row are there together or not at all; the database refuses to change a row; an export shows what was done
//! to it.

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use reqwest::{Client, Method};
use saga_tests::{
    engine::{Engine, binary, http_client},
    eventually::eventually,
    kafka::TopicRecord,
    participant::ParticipantScript,
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use std::process::Output;
use tokio::process::Command;

/// A saga that waits, so that people can act on it.
const WAITING: &str = "steps:\n  - {step: pause, wait: 1h}\n";
/// Sagas that are abandoned while the engine is killed.
const HERD: usize = 60;

/// An engine with a login.
struct GuardedWorld {
    world: TestWorld,
    engine: Engine,
    key: String,
    client: Client,
}

impl GuardedWorld {
    async fn new() -> Result<Option<GuardedWorld>> {
        let Some(mut world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
            return Ok(None);
        };
        world.define("order", WAITING)?;
        let keys = world.installation.folder().join("keys.yaml");
        let file = keys.to_string_lossy().into_owned();
        let make = ["keys", "create", "--file", &file, "--id", "root", "--role", "admin", "--payloads"];
        let made = Command::new(binary()?).args(make).output().await?;
        ensure!(made.status.success(), "{made:?}");
        let key = String::from_utf8(made.stdout)?.trim().to_owned();
        world.installation = world.installation.with("api", "auth", json!({"keys": keys}));
        let engine = world.start().await?;
        drop(http_client()?);
        let client = Client::builder().no_proxy().build()?;
        Ok(Some(GuardedWorld { world, engine, key, client }))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let request = self.client.request(method, format!("{}{path}", self.engine.api().base()));
        let request = request.bearer_auth(&self.key).header("x-request-id", "ticket-4711");
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        let (status, text) = {
            let answer = request.send().await?;
            (answer.status(), answer.text().await?)
        };
        ensure!(status.is_success(), "{path}: {status}: {text}");
        Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// The only act with this text.
    async fn audited(&self, action: &str) -> Result<Value> {
        let path = format!("/api/audit?action={}", action.replace(' ', "%20"));
        let found = self.ask(Method::GET, &path, None).await?;
        let entries = found["entries"].as_array().context("entries")?;
        ensure!(entries.len() == 1, "{action}: {found}");
        Ok(entries[0].clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_act_has_a_row_that_says_who_from_where_why_and_what_changed() -> Result<()> {
    let Some(here) = GuardedWorld::new().await? else { return Ok(()) };
    here.world.order("o-1", &json!({})).await?;
    let waits = eventually("the saga waits", WITHIN, || async {
        let found = here.ask(Method::GET, "/api/sagas?key=o-1", None).await?;
        Ok((found["sagas"][0]["status"] == "waiting").then_some(()))
    });
    waits.await?;
    let headers = vec![("ce_type".to_owned(), Some(b"OrderPlaced".to_vec()))];
    let poison = TopicRecord { partition: Some(0), key: None, value: Some(b"{}".to_vec()), headers };
    here.world.send(&here.world.orders, &poison).await?;
    let place = eventually("the letter is in the table", WITHIN, || async {
        let found = here.ask(Method::GET, "/api/dead-letters", None).await?;
        Ok(found["letters"][0]["place"].as_str().map(str::to_owned))
    });
    let place = place.await?;
    here.ask(Method::GET, "/api/sagas/o-1?payloads=full", None).await?;
    here.ask(Method::GET, "/api/sagas/o-1?payloads=full", None).await?;
    let why = json!({"reason": "the customer called"});
    here.post("/api/sagas/o-1/abandon", why.clone()).await?;
    here.post("/api/guards/payments/open", why.clone()).await?;
    here.post(&format!("/api/dead-letters/{place}/discard"), why.clone()).await?;
    here.post("/api/projections/outcomes/rebuild", why.clone()).await?;
    here.post("/api/projections/sagas/rebuild", why.clone()).await?;
    here.post("/api/participants/reload", why).await?;

    let rows = [
        ("abandon", json!({"status": "waiting", "step": "pause"}), json!({"status": "abandoned"})),
        ("guard open", json!({"mode": "automatic"}), json!({"mode": "forcedOpen"})),
        ("discard dead letter", json!("new"), json!("discarded")),
        ("rebuild projection", Value::Null, Value::Null),
        ("rebuild list of sagas", Value::Null, Value::Null),
        ("ask for reload of participants", Value::Null, Value::Null),
    ];
    for (action, before, after) in rows {
        let row = here.audited(action).await?;
        ensure!(row["who"] == "key:root" && row["reason"] == "the customer called", "{row}");
        came_from_here(&row)?;
        ensure!(has(&row["before"], &before) && has(&row["after"], &after), "{action}: {row}");
    }
    let seen = here.audited("see content").await?;
    came_from_here(&seen)?;
    let told = json!({"rows": here.ask(Method::GET, "/api/audit", None).await?}).to_string();
    ensure!(!told.contains(&here.key), "the key is in the audit");
    Ok(())
}

fn came_from_here(row: &Value) -> Result<()> {
    let origin = &row["origin"];
    ensure!(origin["subject"] == "key:root" && origin["token"] == "key:root", "{row}");
    ensure!(origin["request"] == "ticket-4711", "{row}");
    ensure!(origin["address"].as_str().is_some_and(|address| address.starts_with("127.0.0.1:")), "{row}");
    Ok(())
}

/// Whether the fields that are said are there.
fn has(found: &Value, said: &Value) -> bool {
    match said {
        Value::Object(fields) => fields.iter().all(|(name, value)| found[name] == *value),
        other => found == other,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_effect_and_its_row_are_there_together_or_not_at_all() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define("order", WAITING)?;
    let engine = world.start().await?;
    for number in 0..HERD {
        world.order(&format!("o-{number}"), &json!({})).await?;
    }
    for number in 0..HERD {
        reaches(&engine, &format!("o-{number}"), &["waiting"]).await?;
    }
    let base = engine.api().base().to_owned();
    let client = http_client()?;
    let acts: Vec<_> = (0..HERD)
        .map(|number| {
            let act = client.post(format!("{base}/api/sagas/o-{number}/abandon"));
            let act = act.header("content-type", "application/json");
            tokio::spawn(act.body(r#"{"who": "ada", "reason": "the shop closes"}"#).send())
        })
        .collect();
    let pool = world.database.pool().await?;
    // At least one act is committed, and others are on their way.
    let begun = eventually("an act is on record", WITHIN, || async {
        let acts: i64 = sqlx::query_scalar("SELECT count(*) FROM acts").fetch_one(&pool).await?;
        Ok((acts > 0).then_some(()))
    });
    begun.await?;
    engine.kill().await?;
    // What became of a request whose engine was killed is not known, and not asked here.
    join_all(acts).await;
    let torn = "SELECT count(*) FROM streams s \
                WHERE (s.status = 'abandoned') <> EXISTS (SELECT 1 FROM acts a WHERE a.stream = s.stream)";
    let (torn, acts): (i64, i64) = (
        sqlx::query_scalar(torn).fetch_one(&pool).await?,
        sqlx::query_scalar("SELECT count(*) FROM acts WHERE after LIKE '%abandoned%'").fetch_one(&pool).await?,
    );
    ensure!(torn == 0 && acts > 0, "{torn} sagas have an effect without its row, or a row without its effect");
    let engine = world.start().await?;
    for number in 0..HERD {
        let again = json!({"who": "ada", "reason": "the shop closes", "id": format!("again-{number}")});
        engine.api().post(&format!("/api/sagas/o-{number}/abandon"), &again).await?;
        reaches(&engine, &format!("o-{number}"), &["abandoned"]).await?;
    }
    let acts: i64 = sqlx::query_scalar("SELECT count(DISTINCT stream) FROM acts").fetch_one(&pool).await?;
    ensure!(acts == i64::try_from(HERD)?, "{acts} sagas have acts");
    Ok(())
}

async fn saga(world: &TestWorld, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    Ok(command.args(arguments).env("SAGA_CONFIG", world.installation.config()?).output().await?)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_changed_in_the_database_and_an_export_shows_what_was_changed_in_it() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define("order", WAITING)?;
    let engine = world.start().await?;
    world.order("o-1", &json!({})).await?;
    reaches(&engine, "o-1", &["waiting"]).await?;
    let why = json!({"who": "ada", "reason": "they migrate"});
    engine.api().post("/api/sagas/o-1/cancel", &why).await?;
    engine.api().post("/api/guards/payments/open", &why).await?;
    engine.api().post("/api/guards/payments/reset", &why).await?;
    let pool = world.database.pool().await?;
    for statement in ["UPDATE acts SET who = 'nobody'", "DELETE FROM notes", "TRUNCATE letter_acts"] {
        let refused = sqlx::query(statement).execute(&pool).await.err().context("it is refused")?.to_string();
        ensure!(refused.contains("the audit is append-only"), "{statement}: {refused}");
    }
    let file = world.installation.folder().join("audit.jsonl");
    let name = file.to_string_lossy().into_owned();
    let exported = saga(&world, &["audit", "--export", &name]).await?;
    ensure!(exported.status.success(), "{}", said(&exported));
    let whole = saga(&world, &["audit", "--verify", &name]).await?;
    ensure!(whole.status.success() && whole.stdout == exported.stdout, "{}", said(&whole));
    let text = std::fs::read_to_string(&file)?;
    ensure!(
        text.contains("\"cancel\"") && text.contains("\"guard open\"") && text.contains("\"guard reset\""),
        "{text}"
    );
    std::fs::write(&file, text.replacen("they migrate", "they asked", 1))?;
    let changed = saga(&world, &["audit", "--verify", &name]).await?;
    ensure!(changed.status.code() == Some(1) && said(&changed).contains("is not as it was written"), "{changed:?}");
    let guards = saga(&world, &["audit", "--action", "guard", "--output", "json"]).await?;
    ensure!(String::from_utf8_lossy(&guards.stdout).lines().count() == 2, "{}", said(&guards));
    Ok(())
}
