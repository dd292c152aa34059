//! Jobs whose engine is killed: they go on, each letter is brought once, and its result is known.

use super::{counts, ended, get, letters, mended, post, world};
use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use saga_tests::{
    engine::Engine,
    eventually::eventually,
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The job has each of the letters once, with a saga that began or had begun already when its engine was killed.
fn has_all(done: &Value, letters: usize) -> Result<()> {
    let items = done["items"].as_array().context("items")?;
    let places: BTreeSet<&str> = items.iter().filter_map(|item| item["place"].as_str()).collect();
    assert_eq!((items.len(), places.len(), &done["job"]["lookedAt"]), (letters, letters, &json!(letters)), "{done}");
    let is_known = |item: &Value| matches!(item["result"].as_str(), Some("started" | "duplicate" | "accepted"));
    assert!(items.iter().all(|item| is_known(item) && item["saga"].is_string()), "{done}");
    let counted: u64 = counts(done).as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum();
    assert_eq!(counted, letters as u64, "{done}");
    Ok(())
}

/// The engine that runs after one was killed whose job had paused behind its canary, and the job.
async fn killed_after_canary(world: &TestWorld, order: Value) -> Result<(Engine, String)> {
    let engine = world.start().await?;
    let (_, body) = post(&engine, "/api/dead-letters/jobs", order).await?;
    let job = body["job"]["id"].as_str().context("an id")?.to_owned();
    assert_eq!(ended(&engine, &job).await?["job"]["status"], "paused");
    engine.kill().await?;
    Ok((world.start().await?, job))
}

#[tokio::test]
async fn letters_that_a_job_names_keep_their_results_over_a_crash() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    mended(&world, 3).await?;

    let order = json!({"letters": ["0/0", "0/1", "0/2"], "canary": 2});
    let (engine, job) = killed_after_canary(&world, order).await?;
    let resume = format!("/api/dead-letters/jobs/{job}/resume");
    let (status, body) = engine.api().post(&resume, &json!({})).await?;
    ensure!(status == StatusCode::OK, "{status}: {body}");
    let done = ended(&engine, &job).await?;
    assert_eq!((&done["job"]["status"], counts(&done)), (&json!("done"), &json!({"started": 3})), "{done}");
    has_all(&done, 3)
}

#[tokio::test]
async fn a_job_goes_on_after_its_engine_was_killed_and_starts_each_saga_once() -> Result<()> {
    const LETTERS: usize = 60;
    let Some(world) = world().await? else { return Ok(()) };
    mended(&world, LETTERS).await?;

    let engine = world.start().await?;
    let order = json!({"filter": {"code": "key"}, "pace": 500});
    let (_, body) = post(&engine, "/api/dead-letters/jobs", order).await?;
    let job = body["job"]["id"].as_str().context("an id")?.to_owned();
    eventually("some letters are redriven", WITHIN, || async {
        let body = get(&engine, &format!("/api/dead-letters/jobs/{job}")).await?;
        Ok((body["job"]["lookedAt"].as_u64() >= Some(5)).then_some(()))
    })
    .await?;
    engine.kill().await?;

    let engine = world.start().await?;
    let crashed = get(&engine, &format!("/api/dead-letters/jobs/{job}")).await?;
    let known = crashed["items"].as_array().context("items")?;
    assert_eq!((&crashed["job"]["status"], &crashed["next"]), (&json!("noEnd"), &json!(known.len())), "{crashed}");
    assert!((5..=LETTERS).contains(&known.len()), "what it brought before the crash is known: {crashed}");
    let listed = get(&engine, "/api/dead-letters/jobs").await?;
    assert_eq!(counts(&json!({"job": listed["jobs"][0]})), counts(&crashed), "{listed}");
    let (status, body) = engine.api().post(&format!("/api/dead-letters/jobs/{job}/resume"), &json!({})).await?;
    ensure!(status == StatusCode::OK, "{status}: {body}");
    let done = ended(&engine, &job).await?;
    assert_eq!(done["job"]["status"], "done", "{done}");
    has_all(&done, LETTERS)?;
    letters(&engine, "status=redriven", LETTERS).await?;
    for number in 0..LETTERS {
        reaches(&engine, &format!("n{number}"), &["completed"]).await?;
    }
    let sagas = get(&engine, "/api/sagas?limit=1000&saga=order").await?;
    assert_eq!(sagas["sagas"].as_array().map(Vec::len), Some(LETTERS), "each order has one saga");
    let pool = world.database.pool().await?;
    let acts: i64 = sqlx::query_scalar("SELECT count(*) FROM letter_acts").fetch_one(&pool).await?;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM dead_letters").fetch_one(&pool).await?;
    assert_eq!((usize::try_from(acts)?, usize::try_from(rows)?), (LETTERS, LETTERS), "each letter has one act");
    Ok(())
}

#[tokio::test]
async fn a_job_with_a_limit_comes_to_the_same_letters_after_a_crash() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    mended(&world, 5).await?;

    let order = json!({"filter": {"code": "key"}, "limit": 3, "canary": 1});
    let (engine, job) = killed_after_canary(&world, order).await?;
    let resume = format!("/api/dead-letters/jobs/{job}/resume");
    let (status, body) = engine.api().post(&resume, &json!({})).await?;
    ensure!(status == StatusCode::OK, "{status}: {body}");
    let done = ended(&engine, &job).await?;
    assert_eq!((&done["job"]["status"], counts(&done)), (&json!("done"), &json!({"started": 3})), "{done}");
    letters(&engine, "status=redriven", 3).await?;
    letters(&engine, "status=new", 2).await?;
    let (_, again) = engine.api().post(&resume, &json!({"keepGoing": true})).await?;
    assert_eq!((&again["job"]["status"], counts(&again)), (&json!("done"), &json!({"started": 3})), "{again}");
    let (status, body) = engine.api().post(&resume, &json!({"keepgoing": true})).await?;
    ensure!(status == StatusCode::BAD_REQUEST || status == StatusCode::UNPROCESSABLE_ENTITY, "{status}: {body}");
    Ok(())
}
