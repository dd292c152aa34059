//! What nobody can process goes to the DLQ topic as it came; what nobody wants does not.

use super::definitions::ORDER;
use anyhow::Result;
use saga_tests::{
    eventually::eventually,
    kafka::{ReceivedRecord, TopicRecord},
    participant::ParticipantScript,
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::json;

fn raw(headers: &[(&str, &str)], value: Option<&[u8]>) -> TopicRecord {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), Some(value.as_bytes().to_vec()))).collect();
    TopicRecord { partition: Some(0), key: Some(b"k\0\xff".to_vec()), value: value.map(<[u8]>::to_vec), headers }
}

fn code(letter: &ReceivedRecord) -> &str {
    letter.header("saga_dlq_code").unwrap_or("none")
}

#[tokio::test]
async fn poison_goes_to_the_dlq_byte_for_byte_and_the_rest_goes_on() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    let typed = [("ce_type", "OrderPlaced"), ("twice", "1"), ("twice", "2")];
    let poison = [
        (raw(&typed, Some(b"{not json")), "not_json"),
        (raw(&[], Some(br#"{"orderId": "1"}"#)), "no_type"),
        (raw(&typed, Some(br#"{"other": 1}"#)), "key"),
        (raw(&typed, Some(br#"{"orderId": "a\u0000b"}"#)), "nul"),
        (raw(&typed, Some(br#"{"orderId": {"an": "object"}}"#)), "key"),
        (raw(&typed, None), "key"),
    ];
    let unwanted =
        [raw(&[("ce_type", "OrderPaid")], Some(b"{not json")), raw(&[("ce_type", "OrderPaid")], None), raw(&[], None)];
    for record in unwanted.iter().chain(poison.iter().map(|(record, _)| record)) {
        world.send(&world.orders, record).await?;
    }
    world.order("4711", &json!({})).await?;
    reaches(&engine, "4711", &["completed"]).await?;

    let letters =
        world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == poison.len()).await?;
    for (position, (record, class)) in poison.iter().enumerate() {
        let offset = (position + unwanted.len()).to_string();
        let letter = letters.iter().find(|letter| letter.header("saga_dlq_offset") == Some(&offset));
        let Some(letter) = letter else { anyhow::bail!("no letter for offset {offset}: {letters:?}") };
        assert_eq!((&letter.record.key, &letter.record.value), (&record.key, &record.value));
        assert_eq!(&letter.record.headers[..record.headers.len()], &record.headers[..], "headers byte for byte");
        assert_eq!(letter.header("saga_dlq_topic"), Some(world.orders.as_str()));
        assert_eq!(letter.header("saga_dlq_partition"), Some("0"));
        for header in ["saga_dlq_timestamp", "saga_dlq_message", "saga_dlq_time", "saga_dlq_id"] {
            assert!(letter.header(header).is_some_and(|text| !text.is_empty()), "{header}: {letter:?}");
        }
        assert_eq!(code(letter), *class, "{letter:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_event_that_breaks_its_schema_tells_no_customer_no() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    let schema = json!({"title": "OrderPlaced", "type": "object", "required": ["orderId", "amountCents"],
        "properties": {"orderId": {"type": "string"}, "amountCents": {"type": "integer"}}});
    let schemas = world.installation.folder().join("schemas");
    std::fs::create_dir_all(&schemas)?;
    std::fs::write(schemas.join("order-placed.schema.json"), schema.to_string())?;
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    world.order("4711", &json!({"amountCents": "1000"})).await?;
    world.order("4712", &json!({"amountCents": 1000})).await?;
    reaches(&engine, "4712", &["completed"]).await?;
    let letters = world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == 1).await?;
    let told = letters[0].header("saga_dlq_message").unwrap_or_default();
    assert_eq!(
        (code(&letters[0]), told.contains("event.amountCents") && told.contains("integer")),
        ("schema", true),
        "{told}"
    );
    assert_eq!(saga_tests::world::find(&engine, "4711").await?, None, "nothing was started");
    Ok(())
}

#[tokio::test]
async fn replies_that_answer_nothing_go_to_the_dlq() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    let replies = world.installation.replies();
    world.order("4711", &json!({})).await?;
    let id = reaches(&engine, "4711", &["completed"]).await?["id"].as_str().unwrap_or_default().to_owned();
    let nobody = "01a1fd5e-cd14-7005-9df6-748edc4017ec";
    let reply = |saga: &str, command: &str, outcome: &str| {
        raw(&[("ce_correlationid", saga), ("idempotency_key", command), ("saga_outcome", outcome)], Some(b"{}"))
    };
    world.send(replies, &raw(&[], Some(b"{}"))).await?;
    world.send(replies, &reply(nobody, &format!("{nobody}:charge:do"), "succeeded")).await?;
    world.send(replies, &reply(&id, &format!("{id}:nonsense:do"), "succeeded")).await?;
    world.send(replies, &reply(&id, &format!("{id}:reserve:do"), "perhaps")).await?;
    // For a finished saga: a log line and a counter, not poison.
    world.send(replies, &reply(&id, &format!("{id}:reserve:do"), "succeeded")).await?;
    let letters = world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == 4).await?;
    let mut codes: Vec<&str> = letters.iter().map(code).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["no_command", "outcome", "unknown_saga", "unknown_step"]);
    world.order("4712", &json!({})).await?;
    reaches(&engine, "4712", &["completed"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_record_of_100_mb_becomes_a_pointer() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    let large = saga_tests::unique("large");
    world.kafka.create_topic(&large, 1, &[("max.message.bytes", "110000000")]).await?;
    world.installation.definition(
        "large",
        &format!("saga: large\ntrigger: {{topic: {large}, type: OrderPlaced, key: \"${{ event.orderId }}\"}}\n{ORDER}"),
    )?;
    let engine = world.start().await?;
    let mut value = br#"{"orderId": "1", "padding": ""#.to_vec();
    value.resize(100_000_000, b'x');
    value.extend_from_slice(br#""}"#);
    world.send(&large, &raw(&[("ce_type", "OrderPlaced")], Some(&value))).await?;
    world.send(&large, &TopicRecord::event("OrderPlaced", "4711", &json!({"orderId": "4711"}))).await?;
    reaches(&engine, "4711", &["completed"]).await?;
    let letters = world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| !letters.is_empty()).await?;
    let pointer = letters[0].json();
    assert_eq!((code(&letters[0]), &pointer["size"]), ("oversize", &json!(value.len())));
    assert_eq!((&pointer["topic"], &pointer["offset"]), (&json!(large), &json!(0)));
    assert!(letters[0].record.value.as_ref().is_some_and(|value| value.len() < 10_000), "a pointer is small");
    assert_eq!(letters[0].header("saga_dlq_offset"), Some("0"));
    Ok(())
}

#[tokio::test]
async fn a_partition_is_paused_while_the_dlq_cannot_be_written() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define("order", ORDER)?;
    let dlq = world.installation.dlq();
    // Not even a pointer fits.
    world.kafka.create_topic(dlq, 1, &[("max.message.bytes", "100")]).await?;
    let engine = world.start().await?;
    world.send(&world.orders, &raw(&[("ce_type", "OrderPlaced")], Some(b"{not json"))).await?;
    eventually("the engine says so", WITHIN, || async {
        Ok(engine.log()?.contains("the DLQ cannot be written: the partition is paused until it can").then_some(()))
    })
    .await?;
    let behind =
        TopicRecord { partition: Some(0), ..TopicRecord::event("OrderPlaced", "4711", &json!({"orderId": "4711"})) };
    let elsewhere =
        TopicRecord { partition: Some(1), ..TopicRecord::event("OrderPlaced", "4712", &json!({"orderId": "4712"})) };
    world.send(&world.orders, &behind).await?;
    world.send(&world.orders, &elsewhere).await?;
    reaches(&engine, "4712", &["completed"]).await?;
    let committed = world.kafka.committed(world.installation.group(), &world.orders, 0).await?;
    assert_ne!(committed, Some(1), "the offset does not move before the letter is written");
    world.kafka.alter_topic(dlq, "max.message.bytes", "1048588").await?;
    let letters = world.kafka.read_until(dlq, WITHIN, |letters| !letters.is_empty()).await?;
    assert_eq!(code(&letters[0]), "not_json");
    reaches(&engine, "4711", &["completed"]).await?;
    Ok(())
}
