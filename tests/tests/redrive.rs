//! Dead letters that are mended: the table that follows the topic, decisions of people, edits, and bringing records
//! back, with real Kafka and Postgres.

#[path = "redrive/avro.rs"]
mod avro;
#[path = "redrive/crashes.rs"]
mod crashes;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use saga_tests::{
    engine::{Engine, binary},
    eventually::eventually,
    kafka::TopicRecord,
    participant::{ParticipantScript, ScriptedBehaviour},
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

/// So many dead letters, whose cause is mended since: no engine runs.
async fn mended(world: &TestWorld, count: usize) -> Result<()> {
    let engine = world.start().await?;
    keyless(world, 0..count).await?;
    letters(&engine, "status=new", count).await?;
    engine.terminate().await?;
    mend(world)
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
    assert_eq!((status, &body["code"]), (StatusCode::CONFLICT, &json!("refused")), "{body}");
    let (status, body) = post(&engine, "/api/dead-letters/0/9/review", json!({})).await?;
    assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &json!("no_letter")), "{body}");
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

/// A program of somebody else copies letters back to their topic, with all headers.
#[tokio::test]
async fn a_letter_that_is_produced_again_and_fails_again_is_not_lost() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    let produced = async |headers: Vec<(&str, &[u8])>| {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), Some(value.to_vec()))).collect();
        let value = Some(json!({"number": "n0"}).to_string().into_bytes());
        world.send(&world.orders, &TopicRecord { partition: Some(0), key: None, value, headers }).await
    };
    produced(vec![("ce_type", b"OrderPlaced"), ("saga_dlq_id", b"forged/0/1")]).await?;
    produced(of_engine(&world, &[("saga_dlq_redrives", b"19")])).await?;
    produced(of_engine(&world, &[("saga_dlq_redrives", b"20")])).await?;
    let found = letters(&engine, "status=new", 2).await?;
    let redrives: Vec<_> = found.iter().map(|it| it["redrives"].as_u64()).collect();
    assert_eq!(redrives, [Some(20), Some(0)]);
    eventually("the last one is told of", WITHIN, || async {
        Ok(engine.log()?.contains("the engine writes no other one").then_some(()))
    })
    .await?;
    let records = world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == 2).await?;
    assert_eq!(records[1].header("ce_type"), Some("OrderPlaced"));
    Ok(())
}

#[tokio::test]
async fn an_edit_is_checked_kept_beside_the_original_and_redriven() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    keyless(&world, 0..1).await?;
    letters(&engine, "status=new", 1).await?;
    world.configure()?;
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

    let shown = String::from_utf8(dlq(folder, &["show", "0/0"]).await?.stdout)?;
    assert!(shown.contains(r#"  "number": "n0"     |   "number": "n0","#), "both beside each other: {shown}");
    assert!(shown.contains("starts saga order, unless the key 4711 is taken"), "the edit is judged: {shown}");
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
    let yet_to_come = ["purge", "--yes", "--ended-before", "2100-01-01T00:00:00Z"];
    let refused = dlq(folder, &[&yet_to_come[..], &act].concat()).await?;
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("a time that is over"));
    let purged = dlq(folder, &[&["purge", "--yes", "--ended-before", "1ms"][..], &act].concat()).await?;
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
    let engine = world.start().await?;
    // Also before the topic has its first letter.
    letters(&engine, "", 0).await?;
    let producer = world.kafka.producer()?;
    for number in 0..4 {
        producer.send(dlq, &record(&format!("other{number}"), &json!({}))).await?;
    }
    let found = letters(&engine, "code=foreign", 4).await?;
    assert_eq!(found[3]["key"], "other0");
    letters(&engine, "", 4).await?;
    Ok(())
}

/// A record of the DLQ topic that no engine of this test wrote.
async fn letter(world: &TestWorld, headers: &[(&str, &[u8])], key: &str, value: &Value) -> Result<String> {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), Some(value.to_vec()))).collect();
    let value = Some(value.to_string().into_bytes());
    let record = TopicRecord { partition: Some(0), key: Some(key.as_bytes().to_vec()), value, headers };
    let (partition, offset) = world.send(world.installation.dlq(), &record).await?;
    Ok(format!("{partition}/{offset}"))
}

/// Headers of a letter of the definition `order`, as an engine writes them.
fn of_engine<'h>(world: &'h TestWorld, more: &[(&'h str, &'h [u8])]) -> Vec<(&'h str, &'h [u8])> {
    let own: [(&str, &[u8]); 9] = [
        ("ce_type", b"OrderPlaced"),
        ("saga_dlq_topic", world.orders.as_bytes()),
        ("saga_dlq_partition", b"0"),
        ("saga_dlq_offset", b"99"),
        ("saga_dlq_timestamp", b"1700000000000"),
        ("saga_dlq_code", b"key"),
        ("saga_dlq_message", b"no key"),
        ("saga_dlq_time", b"2026-11-30T00:00:00.000Z"),
        ("saga_dlq_id", b"orders/0/99/order"),
    ];
    own.into_iter().chain(more.iter().copied()).collect()
}

async fn brought(engine: &Engine, place: &str, more: Value) -> Result<Value> {
    let mut order = json!({"letters": [place]});
    for (name, value) in more.as_object().context("an object")? {
        order[name] = value.clone();
    }
    let (status, body) = post(engine, "/api/dead-letters/jobs", order).await?;
    ensure!(status == StatusCode::ACCEPTED, "{status}: {body}");
    let done = ended(engine, body["job"]["id"].as_str().context("an id")?).await?;
    Ok(done["items"][0].clone())
}

#[tokio::test]
async fn letters_of_others_start_sagas_and_what_cannot_be_brought_back_says_why() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    let spring: [(&str, &[u8]); 5] = [
        ("ce_type", b"OrderPlaced"),
        ("kafka_dlt-original-topic", world.orders.as_bytes()),
        ("kafka_dlt-original-partition", &0_i32.to_be_bytes()),
        ("kafka_dlt-original-offset", &7_i64.to_be_bytes()),
        ("kafka_dlt-exception-fqcn", b"java.lang.IllegalStateException"),
    ];
    let of_spring = letter(&world, &spring, "k", &json!({"orderId": "s1"})).await?;
    let pointer = of_engine(&world, &[("saga_dlq_pointer", b"true"), ("saga_dlq_left_out", b"value")]);
    let pointer = letter(&world, &pointer, "k", &json!({"topic": "orders"})).await?;
    let often = of_engine(&world, &[("saga_dlq_redrives", b"20")]);
    let often = letter(&world, &often, "k", &json!({"orderId": "s2"})).await?;
    letters(&engine, "status=new", 3).await?;

    let nobody = brought(&engine, &of_spring, json!({})).await?;
    assert_eq!(nobody["result"], "refused", "{nobody}");
    let everybody = brought(&engine, &of_spring, json!({"everybody": true})).await?;
    assert_eq!(everybody["result"], "started", "{everybody}");
    reaches(&engine, "s1", &["completed"]).await?;
    for (place, why) in [(&pointer, "pointer"), (&often, "20 times")] {
        let refused = brought(&engine, place, json!({"everybody": true})).await?;
        assert_eq!(refused["result"], "refused", "{refused}");
        assert!(refused["message"].as_str().is_some_and(|said| said.contains(why)), "{refused}");
    }
    letters(&engine, "status=new", 2).await?;
    assert!(find(&engine, "s2").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_reply_without_its_command_answers_its_saga_once_it_is_edited() -> Result<()> {
    let silent = ParticipantScript::default().on("reserve:do", |_| ScriptedBehaviour::silence());
    let Some(world) = TestWorld::new(silent, ParticipantScript::default()).await? else { return Ok(()) };
    world.participants(&json!({"timeout": "10m"}), &json!({}))?;
    world.define("order", "steps:\n  - step: reserve\n    do: inventory.Reserve\n    readOnly: true\n")?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let commands = world.kafka.read_until(world.inventory.topic(), WITHIN, |records| !records.is_empty()).await?;
    let command = commands[0].header("idempotency_key").context("a command has a key")?.to_owned();
    let headers = vec![("saga_outcome".into(), Some(b"succeeded".to_vec()))];
    let reply = TopicRecord { partition: Some(0), key: None, value: Some(b"{}".to_vec()), headers };
    world.send(world.installation.replies(), &reply).await?;
    let found = letters(&engine, "code=no_command", 1).await?;
    let place = found[0]["place"].as_str().context("a place")?.to_owned();

    world.configure()?;
    let server = engine.api().base().to_owned();
    let act = ["--reason", "the participant is mended", "--who", "ada", "--server", &server];
    let header = format!("idempotency_key={command}");
    let edited = dlq(world.installation.folder(), &[&["edit", &place, "--header", &header][..], &act].concat()).await?;
    ensure!(edited.status.success(), "{}", String::from_utf8_lossy(&edited.stderr));
    let shown = dlq(world.installation.folder(), &["show", &place, "--output", "json"]).await?;
    let shown: Value = serde_json::from_slice(&shown.stdout)?;
    assert_eq!(shown["now"][0]["would"], "answer", "{shown}");
    let item = brought(&engine, &place, json!({})).await?;
    assert_eq!(item["result"], "answered", "{item}");
    reaches(&engine, "4711", &["completed"]).await?;
    let again = brought(&engine, &place, json!({"again": true})).await?;
    assert_eq!(again["result"], "ignored", "{again}");
    Ok(())
}

#[tokio::test]
async fn a_job_reaches_sagas_of_two_engines_and_each_engine_lists_it() -> Result<()> {
    const LETTERS: usize = 20;
    let Some(world) = world().await? else { return Ok(()) };
    mended(&world, LETTERS).await?;

    let engines = [world.start().await?, world.start().await?];
    let [one, other] = &engines;
    let order = json!({"filter": {"code": "key"}, "pace": 500, "canary": 1});
    let (_, body) = post(one, "/api/dead-letters/jobs", order).await?;
    let job = body["job"]["id"].as_str().context("an id")?.to_owned();
    assert_eq!(ended(one, &job).await?["job"]["status"], "paused");
    let listed = get(other, "/api/dead-letters/jobs").await?;
    assert_eq!((&listed["jobs"][0]["id"], &listed["jobs"][0]["status"]), (&json!(job), &json!("noEnd")), "{listed}");
    let (status, body) = other.api().post(&format!("/api/dead-letters/jobs/{job}/stop"), &json!({})).await?;
    assert_eq!(status, StatusCode::CONFLICT, "{body}");
    one.api().post(&format!("/api/dead-letters/jobs/{job}/resume"), &json!({})).await?;
    let done = eventually("the other engine sees the end", WITHIN, || async {
        let body = get(other, &format!("/api/dead-letters/jobs/{job}")).await?;
        Ok((body["job"]["status"] == "done").then_some(body))
    })
    .await?;
    assert_eq!((&done["job"]["lookedAt"], counts(&done)), (&json!(LETTERS), &json!({"started": LETTERS})), "{done}");
    for number in 0..LETTERS {
        reaches(other, &format!("n{number}"), &["completed"]).await?;
    }
    let sagas = get(other, "/api/sagas?limit=1000&saga=order").await?;
    assert_eq!(sagas["sagas"].as_array().map(Vec::len), Some(LETTERS), "each order has one saga");

    let server = one.api().base().to_owned();
    let stopped = dlq(world.installation.folder(), &["job", "stop", &job, "--server", &server]).await?;
    let said = String::from_utf8_lossy(&stopped.stderr);
    assert!(stopped.status.success() && said.contains("nothing to stop: the job ended at"), "{said}");
    Ok(())
}

#[tokio::test]
async fn names_that_nothing_has_are_errors_and_pages_lose_no_letter() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    keyless(&world, 0..3).await?;
    let found = letters(&engine, "status=new", 3).await?;
    world.configure()?;
    let (folder, server) = (world.installation.folder(), engine.api().base().to_owned());
    let (topic, misspelt) = (world.orders.as_str(), format!("{}s", world.orders));
    let dlq_topic = format!("{}x", world.installation.dlq());
    let redrive = ["redrive", "--saga", "ordre", "--reason", "r", "--who", "ada", "--server", &server];
    for (arguments, said) in [
        (&["list", "--saga", "ordre"][..], "did you mean `order`?"),
        (&["list", "--status", "open", "--saga", "ordre"], "did you mean `order`?"),
        (&["list", "--topic", &misspelt], topic),
        (&["list", "--status", "open", "--topic", &misspelt], topic),
        (&["list", "--fingerprint", "0123456789abcdef"], "no dead letter has the cause `0123456789abcdef`"),
        (&["export", "--saga", "ordre"], "did you mean `order`?"),
        (&["stats", "--dlq", &dlq_topic], world.installation.dlq()),
        (&["list", "--dlq", &dlq_topic], world.installation.dlq()),
        (&redrive, "did you mean `order`?"),
        (&["list", "--since", "1h", "--until", "2h"], "nothing is in this range"),
        (&["export", "--since", "1h", "--until", "2h"], "nothing is in this range"),
        (&["edit", "0/0", "--remove", "--reason", "r", "--who", "ada", "--server", &server], "has no edit"),
    ] {
        let output = dlq(folder, arguments).await?;
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && told.contains(said), "{arguments:?}: {told}");
    }
    let (status, body) = engine.api().get("/api/dead-letters?saga=ordre").await?;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("bad_parameter")), "{body}");
    let (near, usual) = (format!("stats?dlq={dlq_topic}"), world.installation.dlq());
    for (query, said) in [
        (near.as_str(), usual),
        ("stats?dlq=nope", "no topic of dead letters is called `nope`"),
        ("?dlq=nope", "no topic of dead letters is called `nope`"),
        ("?code=not_jsn", "did you mean `not_json`?"),
        ("?topic=nope", "no dead letter came from the topic `nope`"),
        ("?fingerprint=nope", "no dead letter has the cause `nope`"),
        ("?sagaId=nope", "`sagaId`"),
    ] {
        let query = if query.starts_with('?') { query.to_owned() } else { format!("/{query}") };
        let (status, body) = engine.api().get(&format!("/api/dead-letters{query}")).await?;
        let told = body["detail"].as_str().unwrap_or_default();
        assert!(status == StatusCode::BAD_REQUEST && told.contains(said), "{query}: {status}: {body}");
    }

    let with_value = dlq(folder, &["list", "--status", "open", "--text", "N1", "--output", "json"]).await?;
    let line: Value = serde_json::from_slice(&with_value.stdout)?;
    assert_eq!(line["key"], "k1", "the table has no values, and the topic is asked: {line}");

    // However close their times are, each letter is in one page.
    let mut places: Vec<String> = found.iter().filter_map(|it| it["place"].as_str().map(str::to_owned)).collect();
    places.sort();
    for table in [&[][..], &["--status", "open"]] {
        let (mut seen, mut before) = (Vec::new(), None::<String>);
        for _ in 0..places.len() {
            let cursor = before.iter().flat_map(|before| ["--before", before.as_str()]);
            let page =
                ["list", "--limit", "1", "--output", "json"].into_iter().chain(cursor).chain(table.iter().copied());
            let output = dlq(folder, &page.collect::<Vec<_>>()).await?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let line: Value = serde_json::from_slice(&output.stdout).context(said.clone())?;
            seen.push(line["place"].as_str().context("a place")?.to_owned());
            before =
                said.split_once("--before ").map(|(_, rest)| rest.split(' ').next().unwrap_or_default().to_owned());
        }
        seen.sort();
        assert_eq!(seen, places, "{table:?}");
    }
    Ok(())
}

async fn dlq(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.current_dir(folder).arg("dlq").args(arguments).env_remove("SAGA_CONFIG");
    Ok(command.output().await?)
}
