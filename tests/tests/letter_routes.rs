//! How and where an engine writes dead letters: in which dialects of headers, in which order, to which topic.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, binary},
    eventually::eventually,
    kafka::{ReceivedRecord, TopicRecord},
    participant::ParticipantScript,
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use std::process::Output;
use tokio::process::Command;

const WAIT: &str = "steps:\n  - step: rest\n    wait: 1s\n";
/// More than a client sends at once.
const MANY: usize = 300;

fn poison(number: usize) -> TopicRecord {
    let headers = vec![("ce_type".to_owned(), Some(b"OrderPlaced".to_vec()))];
    TopicRecord { partition: Some(0), key: None, value: Some(format!("{{{number}").into_bytes()), headers }
}

fn bytes<'a>(letter: &'a ReceivedRecord, name: &str) -> Option<&'a [u8]> {
    let (_, value) = letter.record.headers.iter().rev().find(|(candidate, _)| candidate == name)?;
    value.as_deref()
}

#[tokio::test]
async fn letters_have_the_headers_of_other_programs_and_come_in_the_order_of_their_partition() -> Result<()> {
    let Some(mut world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    let dialects = json!(["saga", "spring", "kafkaConnect"]);
    world.installation = world.installation.with("deadLetters", "headers", dialects);
    world.define("order", WAIT)?;
    let producer = world.kafka.producer()?;
    for number in 0..MANY {
        producer.send(&world.orders, &poison(number)).await?;
    }
    let engine = world.start().await?;
    let dlq = world.installation.dlq();
    let letters = world.kafka.read_until(dlq, WITHIN, |letters| letters.len() == MANY).await?;
    let offsets: Vec<usize> =
        letters.iter().filter_map(|letter| letter.header("saga_dlq_offset")?.parse().ok()).collect();
    assert_eq!(offsets, (0..MANY).collect::<Vec<_>>(), "in the order of the partition");

    let letter = letters.get(14).context("a letter")?;
    assert_eq!(bytes(letter, "kafka_dlt-original-topic"), Some(world.orders.as_bytes()));
    assert_eq!(bytes(letter, "kafka_dlt-original-partition"), Some(&[0, 0, 0, 0][..]));
    assert_eq!(bytes(letter, "kafka_dlt-original-offset"), Some(&[0, 0, 0, 0, 0, 0, 0, 14][..]));
    assert_eq!(bytes(letter, "kafka_dlt-exception-fqcn"), Some(&b"saga.poison.not_json"[..]));
    assert_eq!(bytes(letter, "__connect.errors.offset"), Some(&b"14"[..]));
    assert_eq!(bytes(letter, "__connect.errors.exception.class.name"), Some(&b"saga.poison.not_json"[..]));
    let own = letter.record.headers.iter().take_while(|(name, _)| name != "saga_dlq_topic").count();
    assert_eq!(own, 1, "the original's headers come first: {letter:?}");
    engine.kill().await
}

fn order(value: &Value) -> TopicRecord {
    let headers = vec![("ce_type".to_owned(), Some(b"OrderPlaced".to_vec()))];
    let value = Some(value.to_string().into_bytes());
    TopicRecord { partition: Some(0), key: Some(b"k".to_vec()), value, headers }
}

/// `saga dlq` with the configuration of the engine.
async fn dlq(world: &TestWorld, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.arg("dlq").args(arguments).env("SAGA_CONFIG", world.installation.config()?);
    Ok(command.output().await?)
}

/// The objects that a command prints that succeeds.
async fn told(world: &TestWorld, arguments: &[&str]) -> Result<Vec<Value>> {
    let output = dlq(world, &[arguments, &["--output", "json"]].concat()).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// What a command that acts on letters says.
async fn acted(world: &TestWorld, engine: &Engine, arguments: &[&str]) -> Result<String> {
    let server = engine.api().base().to_owned();
    let by = ["--reason", "the producer is mended", "--who", "ada", "--server", &server];
    let output = dlq(world, &[arguments, &by].concat()).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{arguments:?}: {said}");
    Ok(said)
}

/// The places of the letters in the table, oldest first, once there are so many.
async fn places(engine: &Engine, query: &str, count: usize) -> Result<Vec<String>> {
    eventually("the table has the letters", WITHIN, || async {
        let (_, body) = engine.api().get(&format!("/api/dead-letters?{query}")).await?;
        let found = body["letters"].as_array().context("letters")?.iter().rev();
        let places: Vec<String> = found.filter_map(|it| Some(it["place"].as_str()?.to_owned())).collect();
        Ok((places.len() == count).then_some(places))
    })
    .await
}

#[tokio::test]
async fn a_topic_with_a_topic_of_its_own_for_its_letters_is_followed_listed_and_redriven() -> Result<()> {
    let Some(mut world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    let own = format!("{}.of-orders", world.installation.dlq());
    let former = world.installation.another_version()?;
    world.installation = world.installation.with("topics", "dlqOf", json!({&*world.orders: own}));
    world.define("order", WAIT)?;
    let engine = world.start().await?;
    world.send(&world.orders, &order(&json!({"number": "n0"}))).await?;
    world.kafka.read_until(&own, WITHIN, |letters| letters.len() == 1).await?;
    let no_reply = TopicRecord { partition: None, key: None, value: Some(b"{}".to_vec()), headers: Vec::new() };
    world.send(world.installation.replies(), &no_reply).await?;
    let of_orders = format!("{own}/0/0");
    let mut both = places(&engine, "", 2).await?;
    both.sort();
    assert_eq!(both, ["0/0", &of_orders]);
    assert_eq!(places(&engine, &format!("dlq={own}"), 1).await?, [&*of_orders]);

    let listed = told(&world, &["list"]).await?;
    let mut listed: Vec<_> =
        listed.iter().filter_map(|it| Some((it["place"].as_str()?, it["code"].as_str()?))).collect();
    listed.sort_unstable();
    assert_eq!(listed, [("0/0", "no_command"), (&*of_orders, "key")]);
    let shown = told(&world, &["show", &of_orders]).await?.pop().context("a letter")?;
    assert_eq!((&shown["place"], &shown["row"]["status"]), (&json!(of_orders), &json!("new")));
    let named = told(&world, &["show", "0/0", "--dlq", &own]).await?.pop().context("a letter")?;
    assert_eq!(named["id"], shown["id"]);
    let browser = reqwest::Client::builder().no_proxy().build()?;
    let page = format!("{}/dead-letters/{of_orders}", engine.api().base());
    let page = browser.get(page).send().await?.text().await?;
    assert!(page.contains(&format!("/api/dead-letters/{of_orders}/redrive")), "{page}");
    assert!(acted(&world, &engine, &["review", &of_orders]).await?.contains("reviewing"));
    let edited = acted(&world, &engine, &["edit", &of_orders, "--patch", r#"{"orderId": "4711"}"#]).await?;
    assert!(edited.contains("starts order with the key 4711"), "{edited}");
    let redriven = acted(&world, &engine, &["redrive", &of_orders]).await?;
    assert!(redriven.contains(&format!("{of_orders}  started")), "{redriven}");
    reaches(&engine, "4711", &["completed"]).await?;
    let ended = told(&world, &["list", "--status", "redriven", "--dlq", &own]).await?;
    assert_eq!(ended.len(), 1, "{ended:?}");
    engine.terminate().await?;

    // An engine without the key writes to the usual topic, and still follows the former one.
    world.installation = former;
    world.define("order", WAIT)?;
    let engine = world.start().await?;
    world.send(&world.orders, &order(&json!({"number": "n1"}))).await?;
    world.send(&own, &order(&json!({}))).await?;
    let mut all = places(&engine, "", 4).await?;
    all.sort();
    assert_eq!(all, ["0/0", "0/1", &of_orders, &format!("{own}/0/1")]);
    engine.kill().await
}

#[tokio::test]
async fn a_dlq_topic_that_takes_nothing_holds_only_what_goes_there() -> Result<()> {
    let Some(mut world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    let own = format!("{}.of-orders", world.installation.dlq());
    world.installation = world.installation.with("topics", "dlqOf", json!({&*world.orders: own}));
    world.define("order", WAIT)?;
    // Not even a pointer fits.
    world.kafka.create_topic(&own, 1, &[("max.message.bytes", "100")]).await?;
    let engine = world.start().await?;
    world.send(&world.orders, &poison(0)).await?;
    eventually("the partition is held", WITHIN, || async {
        Ok(engine.log()?.contains("the DLQ cannot be written: the partition is paused until it can").then_some(()))
    })
    .await?;
    let no_reply = TopicRecord { partition: None, key: None, value: Some(b"{}".to_vec()), headers: Vec::new() };
    world.send(world.installation.replies(), &no_reply).await?;
    world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == 1).await?;
    assert_eq!(world.kafka.count(&own).await?, 0);
    world.kafka.alter_topic(&own, "max.message.bytes", "1048588").await?;
    world.kafka.read_until(&own, WITHIN, |letters| letters.len() == 1).await?;
    engine.kill().await
}

/// The exit code of `saga dlq reconcile`, its findings with their places, and its last line.
async fn reconciled(world: &TestWorld) -> Result<(Option<i32>, Vec<String>, Value)> {
    let output = dlq(world, &["reconcile", "--output", "json"]).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = said.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let summary = lines.pop().with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let finding = |line: &Value| Some(format!("{} {}", line["place"].as_str()?, line["finding"].as_str()?));
    Ok((output.status.code(), lines.iter().filter_map(finding).collect(), summary))
}

#[tokio::test]
async fn decisions_come_back_from_an_export_and_what_differs_is_named() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define("order", WAIT)?;
    let engine = world.start().await?;
    for number in ["n0", "n1"] {
        world.send(&world.orders, &order(&json!({"number": number}))).await?;
    }
    places(&engine, "", 2).await?;
    let (code, findings, summary) = reconciled(&world).await?;
    assert_eq!((code, findings.len(), &summary["compared"]), (Some(0), 0, &json!(2)), "{findings:?}");

    acted(&world, &engine, &["review", "0/0"]).await?;
    acted(&world, &engine, &["discard", "0/1"]).await?;
    let exported = dlq(&world, &["export"]).await?.stdout;
    let with_records = String::from_utf8(dlq(&world, &["export", "--records"]).await?.stdout)?;
    let first: Value = serde_json::from_str(with_records.lines().next().context("a line")?)?;
    assert_eq!(first["original"]["value"], "eyJudW1iZXIiOiJuMCJ9", "{first}");
    let file = world.installation.folder().join("decisions.jsonl");
    std::fs::write(&file, &exported)?;
    let file = file.to_str().context("a path")?;

    // The table is lost; the follower makes its rows anew.
    let pool = world.database.pool().await?;
    sqlx::query("ALTER TABLE letter_acts DISABLE TRIGGER append_only").execute(&pool).await?;
    sqlx::query("TRUNCATE dead_letters, letter_acts, letter_logs").execute(&pool).await?;
    assert_eq!(places(&engine, "status=new", 2).await?, ["0/0", "0/1"]);
    let would = acted(&world, &engine, &["import", file, "--dry-run"]).await?;
    assert!(would.contains("would be: 2 imported"), "{would}");
    places(&engine, "status=new", 2).await?;
    assert!(acted(&world, &engine, &["import", file]).await?.contains("2 imported"));
    let (_, body) = engine.api().get("/api/dead-letters/0/1").await?;
    assert_eq!(
        (&body["letter"]["status"], &body["acts"][0]["action"]),
        (&json!("discarded"), &json!("import decision on dead letter"))
    );
    let why = body["acts"][0]["reason"].as_str().context("a reason")?;
    assert!(
        why.starts_with("the producer is mended; discarded at ") && why.ends_with(" by ada: the producer is mended"),
        "{why}"
    );
    assert!(acted(&world, &engine, &["import", file]).await?.contains("2 before"));

    // What does not fit is counted and named, and nothing is overwritten.
    let discarded: Value = serde_json::from_slice(exported.split(|byte| *byte == b'\n').nth(1).context("a line")?)?;
    let with = |name: &str, value: &str| {
        let mut line = discarded.clone();
        line[name] = json!(value);
        line.to_string()
    };
    let mut edited = discarded.clone();
    edited["status"] = json!("reviewing");
    edited["edited"] = json!(true);
    let lines = [with("place", "0/99"), with("letter", "shop/0/1"), with("who", "bob"), edited.to_string()];
    let lines = ["{}".to_owned(), lines.join("\n")].join("\n");
    std::fs::write(file, lines)?;
    let by = ["--reason", "r", "--who", "ada", "--server", engine.api().base()];
    let refused = dlq(&world, &[&["import", file][..], &by].concat()).await?;
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for expected in [
        "line 1: bad line  expected the text `place`",
        "line 2: 0/99  ",
        "  unknown  the table has no letter at this place",
        "line 3: 0/1  shop/0/1  otherLetter",
        "  decidedSince  somebody has acted",
        "line 5: bad line  the letter had an edit",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let (_, body) = engine.api().get("/api/dead-letters/0/1").await?;
    assert_eq!(body["acts"].as_array().map(Vec::len), Some(1), "{body}");

    // By another text of the definition the open letter has the key of this saga; the engine keeps the former text.
    world.order("n0", &json!({})).await?;
    reaches(&engine, "n0", &["completed"]).await?;
    engine.terminate().await?;
    let mended = format!("trigger: {{topic: {}, type: OrderPlaced, key: \"${{ event.number }}\"}}", world.orders);
    world.installation.definition("order", &format!("saga: order\n{mended}\n{WAIT}"))?;
    world.send(world.installation.dlq(), &order(&json!({}))).await?;
    let (code, findings, summary) = reconciled(&world).await?;
    assert_eq!((code, findings), (Some(1), vec!["0/0 keyTaken".to_owned(), "0/2 behind".to_owned()]), "{summary}");
    let another = "UPDATE dead_letters SET id = 'x', status = 'redriven', who = 'a', changed_at = 1, \
                   result = 'started ' || $1 WHERE position = 1";
    sqlx::query(another).bind("01890a5d-ac96-774b-bcce-b302099a8057").execute(&pool).await?;
    sqlx::query("DELETE FROM dead_letters WHERE position = 0").execute(&pool).await?;
    sqlx::query("ALTER TABLE letter_acts DISABLE TRIGGER append_only").execute(&pool).await?;
    sqlx::query("DELETE FROM letter_acts").execute(&pool).await?;
    let (_, findings, _) = reconciled(&world).await?;
    assert_eq!(findings, ["0/0 rowMissing", "0/1 otherLetter", "0/1 sagaMissing", "0/2 behind"]);
    // A partition that the topic does not have, with a second letter of a record.
    for another in [
        "INSERT INTO letter_logs SELECT topic, 7, log, 9, NULL FROM letter_logs",
        "UPDATE dead_letters SET status = 'new', id = 'x'",
        "INSERT INTO dead_letters (topic, partition, log, position, id, code, message, fingerprint, redrives, written_at,
             status) SELECT topic, 7, log, 3, id, code, message, fingerprint, redrives, written_at, status
         FROM dead_letters",
    ] {
        sqlx::query(another).execute(&pool).await?;
    }
    let (_, findings, _) = reconciled(&world).await?;
    assert_eq!(findings, ["0/0 rowMissing", "0/1 otherLetter", "0/2 behind", "7/3 recordGone", "0/1 repeated"]);
    Ok(())
}
