//! `saga dlq` over a real DLQ topic: what an engine wrote, what other programs wrote, and what is no dead letter.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::binary,
    kafka::TopicRecord,
    participant::ParticipantScript,
    world::{TestWorld, WITHIN},
};
use serde_json::{Value, json};
use std::{path::Path, process::Output};
use tokio::process::Command;

const WAIT: &str = "steps:\n  - step: rest\n    wait: 1s\n";

async fn dlq(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.current_dir(folder).arg("dlq").args(arguments).env_remove("SAGA_CONFIG");
    Ok(command.output().await?)
}

/// The objects that the command prints.
async fn told(folder: &Path, arguments: &[&str]) -> Result<Vec<Value>> {
    let output = dlq(folder, &[arguments, &["--output", "json"]].concat()).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).context(said.clone()))
        .collect()
}

fn record(headers: &[(&str, &[u8])], key: &str, value: &[u8]) -> TopicRecord {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), Some(value.to_vec()))).collect();
    TopicRecord { partition: Some(0), key: Some(key.as_bytes().to_vec()), value: Some(value.to_vec()), headers }
}

fn codes(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["code"].as_str()).collect()
}

#[tokio::test]
async fn letters_of_a_running_engine_are_listed_chosen_and_explained() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.configure()?;
    world.define("order", WAIT)?;
    let engine = world.start().await?;
    let typed: [(&str, &[u8]); 1] = [("ce_type", b"OrderPlaced")];
    world.send(&world.orders, &record(&typed, "k1", b"{not json")).await?;
    world.send(&world.orders, &record(&typed, "k2", br#"{"number": "4711", "what": "Sofa"}"#)).await?;
    world.send(&world.orders, &record(&[], "k3", br#"{"orderId": "1"}"#)).await?;
    world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == 3).await?;

    let folder = world.installation.folder();
    let all = told(folder, &["list"]).await?;
    assert_eq!(all.len(), 3, "{all:?}");
    let mut found = codes(&all);
    found.sort_unstable();
    assert_eq!(found, ["key", "no_type", "not_json"]);
    let places: Vec<&str> = all.iter().filter_map(|line| line["place"].as_str()).collect();
    assert_eq!(places, ["0/2", "0/1", "0/0"], "newest first");
    for (arguments, code) in [
        (["--code", "not_json"], "not_json"),
        (["--key", "k2"], "key"),
        (["--text", "sofa"], "key"),
        (["--limit", "1"], codes(&all)[0]),
    ] {
        let chosen = told(folder, &[&["list"][..], &arguments].concat()).await?;
        assert_eq!(codes(&chosen), [code], "{arguments:?}");
    }
    assert_eq!(told(folder, &["list", "--saga", "order"]).await?.len(), 2, "no_type is no definition's matter");
    assert_eq!(told(folder, &["list", "--since", "1h", "--topic", &world.orders]).await?.len(), 3);
    for none in [["--until", "1h"], ["--since", "2100-01-01T00:00:00Z"], ["--topic", world.installation.replies()]] {
        assert!(told(folder, &[&["list"][..], &none].concat()).await?.is_empty(), "{none:?}");
    }

    let keyless = all.iter().find(|line| line["code"] == "key").context("a letter")?;
    let id = keyless["id"].as_str().context("an id")?;
    let shown = told(folder, &["show", id]).await?.pop().context("a letter")?;
    assert_eq!(
        (&shown["place"], &shown["saga"], &shown["writtenBy"]),
        (&keyless["place"], &json!("order"), &json!("saga"))
    );
    assert_eq!((&shown["payload"]["json"]["what"], &shown["key"]["text"]), (&json!("Sofa"), &json!("k2")));
    assert_eq!(shown["headers"], json!([{"name": "ce_type", "value": {"text": "OrderPlaced"}}]), "only the original's");
    assert_eq!((&shown["trigger"]["key"], &shown["now"][0]["would"]), (&json!(["event.orderId"]), &json!("poison")));
    let fault = &shown["now"][0]["fault"];
    assert_eq!((&fault["expression"], &fault["mark"]["column"]), (&json!("event.orderId"), &json!(1)), "{shown}");
    let instead = fault["reads"][0]["instead"].as_str().context("what is there")?;
    assert!(instead.contains("event has number, what"), "{shown}");
    assert!(shown["remedy"].as_str().is_some_and(|remedy| remedy.contains("has(")), "{shown}");

    // The files are mended: the same record would start a saga now.
    let mended = format!("trigger: {{topic: {}, type: OrderPlaced, key: \"${{ event.number }}\"}}", world.orders);
    world.installation.definition("order", &format!("saga: order\n{mended}\n{WAIT}"))?;
    let place = keyless["place"].as_str().context("a place")?;
    let shown = told(folder, &["show", place]).await?.pop().context("a letter")?;
    assert_eq!(shown["now"], json!([{"would": "start", "saga": "order", "key": "4711"}]));
    engine.kill().await
}

#[tokio::test]
async fn letters_of_other_programs_are_read_and_what_is_none_is_foreign() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.configure()?;
    world.define("order", WAIT)?;
    let letters = world.kafka.fresh_topic("letters", 2).await?;
    let (partition, offset) = (3_i32.to_be_bytes(), 14_i64.to_be_bytes());
    let spring: [(&str, &[u8]); 4] = [
        ("kafka_dlt-original-topic", b"shop.orders"),
        ("kafka_dlt-original-partition", &partition),
        ("kafka_dlt-original-offset", &offset),
        ("kafka_dlt-exception-fqcn", b"java.lang.IllegalStateException"),
    ];
    let connect: [(&str, &[u8]); 4] = [
        ("__connect.errors.topic", b"shop.orders"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"15"),
        ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
    ];
    world.send(&letters, &record(&spring, "a", b"{}")).await?;
    world.send(&letters, &TopicRecord { partition: Some(1), ..record(&connect, "b", b"{}") }).await?;
    world.send(&letters, &record(&[], "c", &[0xff, 0])).await?;

    let folder = world.installation.folder();
    let all = told(folder, &["list", "--dlq", &letters]).await?;
    let expected = ["foreign", "org.apache.kafka.connect.errors.DataException", "java.lang.IllegalStateException"];
    assert_eq!(codes(&all), expected, "the newest of all partitions first");
    let one = told(folder, &["show", "shop.orders/3/15", "--dlq", &letters]).await?.pop().context("a letter")?;
    assert_eq!((&one["place"], &one["writtenBy"]), (&json!(format!("{letters}/1/0")), &json!("kafkaConnect")));
    for line in all.iter().filter(|line| line["code"] != "foreign") {
        let pasted = told(folder, &["show", line["place"].as_str().context("a place")?]).await?;
        let pasted = pasted.first().context("a letter")?;
        assert_eq!(
            (&pasted["place"], &pasted["id"]),
            (&line["place"], &line["id"]),
            "a printed place finds its letter"
        );
    }
    let foreign = told(folder, &["show", "0/1", "--dlq", &letters]).await?.pop().context("a record")?;
    assert_eq!(foreign["payload"]["content"], json!({"base64": "/wA="}));
    assert!(foreign["foreign"].as_str().is_some_and(|reason| reason.contains("saga_dlq_topic")), "{foreign}");

    for (arguments, said) in [
        (["show", "0/99", "--dlq", &letters], "no dead letter 0/99"),
        (["list", "--code", "not_jsn", "--all"], "not_json"),
        (["list", "--all", "--dlq", "no-such-topic"], "topics.dlq"),
    ] {
        let output = dlq(folder, &arguments).await?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains(said), "{arguments:?}: {stderr}");
    }
    Ok(())
}

#[tokio::test]
async fn a_long_topic_is_read_back_to_its_beginning() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.configure()?;
    world.define("order", WAIT)?;
    let letters = world.kafka.fresh_topic("letters", 1).await?;
    let count = 1_000;
    let producer = world.kafka.producer()?;
    let all = (0..count).map(|number| record(&[], &number.to_string(), b"{}")).collect::<Vec<_>>();
    for record in &all {
        producer.send(&letters, record).await?;
    }
    let listed = told(world.installation.folder(), &["list", "--all", "--dlq", &letters]).await?;
    let keys: Vec<usize> = listed.iter().filter_map(|line| line["key"]["text"].as_str()?.parse().ok()).collect();
    assert_eq!(keys, (0..count).rev().collect::<Vec<_>>(), "each once, newest first");
    Ok(())
}
