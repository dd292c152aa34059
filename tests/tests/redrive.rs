//! Dead letters that are mended: the table that follows the topic, decisions of people, edits, and bringing records
//! back, with real Kafka and Postgres.

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use saga_tests::{
    engine::{Engine, binary},
    eventually::eventually,
    kafka::TopicRecord,
    participant::ParticipantScript,
    world::{TestWorld, WITHIN, find, reaches},
};
use serde_json::{Value, json};
use std::{path::Path, process::Output};
use tokio::process::Command;

const WAIT: &str = "steps:\n  - step: rest\n    wait: 1s\n";

async fn world() -> Result<Option<TestWorld>> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(None);
    };
    world.define("order", WAIT)?;
    Ok(Some(world))
}

fn record(key: &str, value: &Value) -> TopicRecord {
    let headers = vec![("ce_type".into(), Some(b"OrderPlaced".to_vec()))];
    let value = Some(value.to_string().into_bytes());
    TopicRecord { partition: Some(0), key: Some(key.as_bytes().to_vec()), value, headers }
}

/// Orders whose key the first definition cannot find.
async fn keyless(world: &TestWorld, numbers: std::ops::Range<usize>) -> Result<()> {
    for number in numbers {
        world.send(&world.orders, &record(&format!("k{number}"), &json!({"number": format!("n{number}")}))).await?;
    }
    Ok(())
}

/// Another text of the definition, which finds the key of [`keyless`] orders.
fn mend(world: &TestWorld) -> Result<()> {
    let trigger = format!("trigger: {{topic: {}, type: OrderPlaced, key: \"${{ event.number }}\"}}", world.orders);
    world.installation.definition("order", &format!("saga: order\n{trigger}\n{WAIT}"))
}

async fn get(engine: &Engine, path: &str) -> Result<Value> {
    let (status, body) = engine.api().get(path).await?;
    ensure!(status == StatusCode::OK, "{path}: {status}: {body}");
    Ok(body)
}

async fn post(engine: &Engine, path: &str, more: Value) -> Result<(StatusCode, Value)> {
    let mut body = json!({"who": "ada", "reason": "the producer is mended"});
    for (name, value) in more.as_object().context("an object")? {
        body[name] = value.clone();
    }
    engine.api().post(path, &body).await
}

/// The letters of the table, once it has so many that fit.
async fn letters(engine: &Engine, query: &str, count: usize) -> Result<Vec<Value>> {
    eventually(&format!("{count} letters are in the table"), WITHIN, || async {
        let body = get(engine, &format!("/api/dead-letters?limit=1000&{query}")).await?;
        let found = body["letters"].as_array().cloned().unwrap_or_default();
        Ok((found.len() == count).then_some(found))
    })
    .await
}

async fn ended(engine: &Engine, job: &str) -> Result<Value> {
    eventually("the job ends or pauses", WITHIN, || async {
        let body = get(engine, &format!("/api/dead-letters/jobs/{job}")).await?;
        Ok((body["job"]["status"] != "running").then_some(body))
    })
    .await
}

fn counts(job: &Value) -> &Value {
    &job["job"]["counts"]
}

#[tokio::test]
async fn a_letter_is_reviewed_discarded_and_told_in_the_audit() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    // One after the other: records of one partition that are judged at once have their letters in any order.
    keyless(&world, 0..1).await?;
    letters(&engine, "status=new", 1).await?;
    keyless(&world, 1..2).await?;
    let found = letters(&engine, "status=new", 2).await?;
    assert_eq!(
        (&found[0]["code"], &found[0]["saga"], &found[0]["key"]),
        (&json!("key"), &json!("order"), &json!("k1"))
    );
    assert_eq!(found[0]["fingerprint"], found[1]["fingerprint"], "one cause");

    let (status, body) = post(&engine, "/api/dead-letters/0/0/review", json!({})).await?;
    assert_eq!((status, &body["letter"]["status"]), (StatusCode::OK, &json!("reviewing")), "{body}");
    let id = "3b6f2c1e-0000-4000-8000-000000000001";
    for _ in 0..2 {
        let (status, body) = post(&engine, "/api/dead-letters/0/0/discard", json!({"id": id})).await?;
        assert_eq!((status, &body["letter"]["status"]), (StatusCode::OK, &json!("discarded")), "{body}");
    }
    let (status, body) = post(&engine, "/api/dead-letters/0/0/review", json!({})).await?;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::CONFLICT, &json!("refused")), "{body}");
    let (status, body) = post(&engine, "/api/dead-letters/0/9/review", json!({})).await?;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!("no_letter")), "{body}");
    letters(&engine, "status=discarded", 1).await?;
    letters(&engine, "status=open", 1).await?;

    let detail = get(&engine, "/api/dead-letters/0/0").await?;
    assert_eq!(detail["original"]["value"]["text"], json!({"number": "n0"}).to_string());
    assert_eq!(detail["acts"].as_array().map(Vec::len), Some(2), "the second discard is the first one: {detail}");
    let audit = get(&engine, "/api/audit").await?;
    let told: Vec<&str> = audit["acts"]
        .as_array()
        .or(audit["entries"].as_array())
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["action"].as_str())
        .filter(|action| action.contains("dead letter"))
        .collect();
    assert_eq!(told, ["discard dead letter", "review dead letter"], "{audit}");
    world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == 2).await?;
    Ok(())
}

#[tokio::test]
async fn mended_letters_start_their_sagas_once_and_say_so() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    keyless(&world, 0..3).await?;
    letters(&engine, "status=new", 3).await?;

    // As long as nothing is mended, the first one that fails stops the job, and nothing else is touched.
    let (status, body) =
        post(&engine, "/api/dead-letters/jobs", json!({"filter": {"code": "key"}, "dryRun": true})).await?;
    ensure!(status == StatusCode::ACCEPTED, "{status}: {body}");
    let dry = ended(&engine, body["job"]["id"].as_str().context("an id")?).await?;
    assert_eq!(counts(&dry), &json!({"poison again": 3}), "{dry}");
    letters(&engine, "status=new", 3).await?;

    engine.terminate().await?;
    mend(&world)?;
    let engine = world.start().await?;
    let order = json!({"filter": {"status": "open"}, "canary": 1});
    let (_, body) = post(&engine, "/api/dead-letters/jobs", order).await?;
    let job = body["job"]["id"].as_str().context("an id")?.to_owned();
    let paused = ended(&engine, &job).await?;
    assert_eq!((&paused["job"]["status"], counts(&paused)), (&json!("paused"), &json!({"started": 1})), "{paused}");
    let (status, _) = engine.api().post(&format!("/api/dead-letters/jobs/{job}/resume"), &json!({})).await?;
    assert_eq!(status, StatusCode::OK);
    let done = eventually("the job is done", WITHIN, || async {
        let body = get(&engine, &format!("/api/dead-letters/jobs/{job}")).await?;
        Ok((body["job"]["status"] == "done").then_some(body))
    })
    .await?;
    assert_eq!(counts(&done), &json!({"started": 3}), "{done}");
    for number in 0..3 {
        reaches(&engine, &format!("n{number}"), &["completed"]).await?;
    }
    let redriven = letters(&engine, "status=redriven", 3).await?;
    assert!(
        redriven.iter().all(|it| it["result"].as_str().is_some_and(|text| text.starts_with("started"))),
        "{redriven:?}"
    );

    let (_, body) = post(&engine, "/api/dead-letters/0/0/redrive", json!({})).await?;
    assert_eq!(body["status"], "refused", "{body}");
    let again = json!({"letters": ["0/0"], "again": true});
    let (_, body) = post(&engine, "/api/dead-letters/jobs", again).await?;
    let again = ended(&engine, body["job"]["id"].as_str().context("an id")?).await?;
    assert_eq!(counts(&again), &json!({"duplicate": 1}), "{again}");
    Ok(())
}

#[tokio::test]
async fn a_job_goes_on_after_its_engine_was_killed_and_starts_each_saga_once() -> Result<()> {
    const LETTERS: usize = 60;
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    keyless(&world, 0..LETTERS).await?;
    letters(&engine, "status=new", LETTERS).await?;
    engine.terminate().await?;
    mend(&world)?;

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
    let (status, body) = engine.api().post(&format!("/api/dead-letters/jobs/{job}/resume"), &json!({})).await?;
    ensure!(status == StatusCode::OK, "{status}: {body}");
    let done = ended(&engine, &job).await?;
    assert_eq!(done["job"]["status"], "done", "{done}");
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
    let engine = world.start().await?;
    keyless(&world, 0..5).await?;
    letters(&engine, "status=new", 5).await?;
    engine.terminate().await?;
    mend(&world)?;

    let engine = world.start().await?;
    let order = json!({"filter": {"code": "key"}, "limit": 3, "canary": 1});
    let (_, body) = post(&engine, "/api/dead-letters/jobs", order).await?;
    let job = body["job"]["id"].as_str().context("an id")?.to_owned();
    assert_eq!(ended(&engine, &job).await?["job"]["status"], "paused");
    engine.kill().await?;

    let engine = world.start().await?;
    let resume = format!("/api/dead-letters/jobs/{job}/resume");
    let (status, body) = engine.api().post(&resume, &json!({})).await?;
    ensure!(status == StatusCode::OK, "{status}: {body}");
    let done = ended(&engine, &job).await?;
    assert_eq!((&done["job"]["status"], counts(&done)), (&json!("done"), &json!({"started": 2})), "{done}");
    letters(&engine, "status=redriven", 3).await?;
    letters(&engine, "status=new", 2).await?;
    let (_, again) = engine.api().post(&resume, &json!({"keepGoing": true})).await?;
    assert_eq!((&again["job"]["status"], counts(&again)), (&json!("done"), &json!({"started": 2})), "{again}");
    let (status, body) = engine.api().post(&resume, &json!({"keepgoing": true})).await?;
    ensure!(status == StatusCode::BAD_REQUEST || status == StatusCode::UNPROCESSABLE_ENTITY, "{status}: {body}");
    Ok(())
}

#[tokio::test]
async fn a_record_that_fails_again_has_a_new_letter_that_counts() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    keyless(&world, 0..1).await?;
    letters(&engine, "status=new", 1).await?;
    let (_, body) = post(&engine, "/api/dead-letters/0/0/redrive", json!({})).await?;
    assert_eq!(body["status"], "poison again", "{body}");
    let found = letters(&engine, "", 2).await?;
    let told: Vec<_> =
        found.iter().map(|it| (it["place"].as_str(), it["status"].as_str(), it["redrives"].as_u64())).collect();
    assert_eq!(told, [(Some("0/1"), Some("new"), Some(1)), (Some("0/0"), Some("redriven"), Some(1))]);
    let records = world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == 2).await?;
    assert_eq!(records[1].header("saga_dlq_redrives"), Some("1"));
    assert_eq!(records[1].record.value, records[0].record.value);
    Ok(())
}

#[tokio::test]
async fn an_edit_is_checked_kept_beside_the_original_and_redriven() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    keyless(&world, 0..1).await?;
    letters(&engine, "status=new", 1).await?;
    configure(&world)?;
    let folder = world.installation.folder();
    let server = engine.api().base().to_owned();
    let act = ["--reason", "the producer is mended", "--who", "ada", "--server", &server];

    let refused = dlq(folder, &[&["edit", "0/0", "--patch", "{\"total\": 7}"][..], &act].concat()).await?;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("poison again: key"), "{said}");
    let kept = dlq(folder, &[&["edit", "0/0", "--patch", "{\"orderId\": \"4711\"}"][..], &act].concat()).await?;
    assert!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
    let said = String::from_utf8_lossy(&kept.stdout);
    assert!(said.contains("starts order with the key 4711"), "{said}");

    let detail = get(&engine, "/api/dead-letters/0/0").await?;
    let original = detail["original"]["value"]["text"].as_str().context("a text")?;
    let edit: Value = serde_json::from_str(detail["edit"]["value"]["text"].as_str().context("a text")?)?;
    assert_eq!((original, &edit["orderId"], &edit["number"]), (r#"{"number":"n0"}"#, &json!("4711"), &json!("n0")));
    let redriven = dlq(folder, &[&["redrive", "0/0"][..], &act].concat()).await?;
    assert!(redriven.status.success(), "{}", String::from_utf8_lossy(&redriven.stderr));
    reaches(&engine, "4711", &["completed"]).await?;
    assert!(find(&engine, "n0").await?.is_none());

    let listed = dlq(folder, &["list", "--status", "redriven", "--output", "json"]).await?;
    let line: Value =
        serde_json::from_slice(&listed.stdout).context(String::from_utf8_lossy(&listed.stderr).into_owned())?;
    assert_eq!((&line["place"], &line["edited"], &line["who"]), (&json!("0/0"), &json!(true), &json!("ada")));
    let csv = String::from_utf8(dlq(folder, &["export", "--format", "csv"]).await?.stdout)?;
    assert!(csv.starts_with("place,letter,") && csv.lines().count() == 2, "{csv}");
    let stats = dlq(folder, &["stats", "--output", "json"]).await?;
    let cause: Value = serde_json::from_slice(&stats.stdout)?;
    assert_eq!((&cause["letters"], &cause["open"], &cause["code"]), (&json!(1), &json!(0), &json!("key")));
    let asks = dlq(folder, &[&["purge"][..], &act].concat()).await?;
    assert!(!asks.status.success() && String::from_utf8_lossy(&asks.stderr).contains("--yes"));
    let purged =
        dlq(folder, &[&["purge", "--yes", "--ended-before", "2100-01-01T00:00:00Z"][..], &act].concat()).await?;
    assert!(
        String::from_utf8_lossy(&purged.stdout).starts_with("1 rows"),
        "{}",
        String::from_utf8_lossy(&purged.stderr)
    );
    letters(&engine, "", 0).await?;
    world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_topic_that_is_made_anew_begins_the_table_anew() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    keyless(&world, 0..3).await?;
    letters(&engine, "status=new", 3).await?;
    engine.terminate().await?;
    let dlq = world.installation.dlq();
    world.kafka.delete_topic(dlq).await?;
    world.kafka.create_topic(dlq, 1, &[]).await?;
    let producer = world.kafka.producer()?;
    for number in 0..4 {
        producer.send(dlq, &record(&format!("other{number}"), &json!({}))).await?;
    }
    let engine = world.start().await?;
    let found = letters(&engine, "code=foreign", 4).await?;
    assert_eq!(found[3]["key"], "other0");
    letters(&engine, "", 4).await?;
    Ok(())
}

async fn dlq(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.current_dir(folder).arg("dlq").args(arguments).env_remove("SAGA_CONFIG");
    Ok(command.output().await?)
}

fn configure(world: &TestWorld) -> Result<()> {
    let installation = &world.installation;
    let config = json!({
        "store": world.database.url(),
        "kafka": {"bootstrapServers": world.kafka.bootstrap(), "group": installation.group()},
        "topics": {"inbox": installation.inbox(), "replies": installation.replies(), "dlq": installation.dlq()},
        "sagas": installation.folder().join("sagas"),
    });
    Ok(std::fs::write(installation.folder().join("config.yaml"), config.to_string())?)
}
