//! Letters whose originals are in Avro: edited as JSON, kept in Avro.

use super::{brought, get, letters, record, world};
use anyhow::Result;
use saga_tests::{
    engine::{binary, http_client},
    kafka::TopicRecord,
    world::reaches,
};
use serde_json::{Value, json};
use tokio::process::Command;

/// A schema, for the folder `schemas`; single-object encoding names it by its fingerprint.
const ORDER_PLACED: &str = r#"{"type": "record", "name": "shop.OrderPlaced", "fields": [
    {"name": "orderId", "type": "string"}, {"name": "total", "type": ["null", "int", "long"]},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}"#;
const FRAME: &[u8] = b"\xc3\x01\xf0\x33\xc6\x60\xda\xfb\xeb\x67";
/// An order without an id; the total is 5, as a long.
const WITHOUT_ID: &[u8] = b"\xc3\x01\xf0\x33\xc6\x60\xda\xfb\xeb\x67\x00\x04\x0a\xa8\xe6\xe7\xd3\xc5\x68";
/// The same in base64, and with the id 4711.
const ORIGINAL: &str = "wwHwM8Zg2vvrZwAECqjm59PFaA==";
const EDITED: &str = "wwHwM8Zg2vvrZwg0NzExBAqo5ufTxWg=";

#[tokio::test]
async fn a_letter_in_avro_is_edited_as_json_and_stays_in_its_schema_and_frame() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let folder = world.installation.folder();
    std::fs::write(folder.join("schemas").join("order-placed.avsc"), ORDER_PLACED)?;
    let engine = world.start().await?;
    let avro = |value: Vec<u8>| TopicRecord { value: Some(value), ..record("k", &Value::Null) };
    world.send(&world.orders, &avro(WITHOUT_ID.to_vec())).await?;
    letters(&engine, "code=key", 1).await?;
    world.send(&world.orders, &avro([FRAME, b"\x02"].concat())).await?;
    letters(&engine, "code=avro", 1).await?;
    world.configure()?;
    let server = engine.api().base().to_owned();
    let act = ["--reason", "the producer is mended", "--who", "ada", "--server", &server];
    let edit = async |more: &[&str], editor: &str| -> Result<(bool, String)> {
        let arguments = [&["dlq", "edit"][..], more, &act].concat();
        let mut command = Command::new(binary()?);
        command
            .current_dir(folder)
            .args(arguments)
            .env_remove("SAGA_CONFIG")
            .env("EDITOR", editor)
            .env_remove("VISUAL");
        let output = command.output().await?;
        let told = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&told).into_owned()))
    };

    let (kept, told) = edit(&["0/0", "--patch", r#"{"orderId": 4711}"#], "").await?;
    let said = "orderId: expected a string such as \"4711\", found a number, by the schema shop.OrderPlaced";
    assert!(!kept && told.contains(said), "{told}");
    let shown = get(&engine, "/api/dead-letters/0/0").await?;
    let value = json!({"orderId": "", "total": 5, "at": "2026-11-30T16:15:00.5Z"});
    assert_eq!(shown["original"]["value"]["avro"], json!({"schema": "shop.OrderPlaced", "value": value}), "{shown}");
    let (kept, told) = edit(&["0/0"], r#"sed -i 's/"orderId": ""/"orderId": "4711"/'"#).await?;
    assert!(kept && told.contains("starts order with the key 4711"), "{told}");
    let edited = get(&engine, "/api/dead-letters/0/0").await?;
    assert_eq!(edited["edit"]["value"]["base64"], EDITED, "the frame, the branch and the time stay");
    assert_eq!(edited["original"]["value"]["base64"], ORIGINAL, "beside the original");
    let page = http_client()?.get(format!("{server}/dead-letters/0/0")).header("accept", "text/html");
    let page = page.send().await?.text().await?;
    assert!(page.contains("by the schema shop.OrderPlaced") && page.contains("&#34;4711&#34;"), "{page}");

    let (kept, told) = edit(&["0/1", "--patch", "{}"], "").await?;
    assert!(
        !kept && told.contains("orderId, byte") && told.contains("--json FILE"),
        "it says why and what to do: {told}"
    );
    std::fs::write(
        folder.join("whole.json"),
        json!({"orderId": "4712", "total": null, "at": value["at"]}).to_string(),
    )?;
    let (kept, told) = edit(&["0/1", "--json", "whole.json"], "").await?;
    assert!(kept && told.contains("starts order with the key 4712"), "{told}");
    for place in ["0/0", "0/1"] {
        assert_eq!(brought(&engine, place, json!({})).await?["result"], "started", "{place}");
    }
    for key in ["4711", "4712"] {
        reaches(&engine, key, &["completed"]).await?;
    }
    Ok(())
}
