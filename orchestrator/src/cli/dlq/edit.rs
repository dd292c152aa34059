//! `dlq edit`: a record that takes the place of a dead letter's original.

use super::acts::place;
use crate::{
    cli::{
        operator::OperatorArgs,
        output,
        server::{ApiClient, ServerArgs},
    },
    dead_letters::LetterName,
    visible,
};
use anyhow::{Context, anyhow, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use saga_core::json;
use serde_json::{Map, Value, json};
use std::{path::PathBuf, process::ExitCode};

/// Arguments of `saga dlq edit`.
#[derive(Debug, Args)]
pub(in crate::cli) struct EditLetterArgs {
    /// The dead letter: its place in the DLQ topic, or its id
    #[arg(value_name = "PARTITION/OFFSET|ID")]
    letter: LetterName,
    #[command(flatten)]
    operator: OperatorArgs,
    /// A JSON merge patch (RFC 7396) for the value; without any option the value is opened in $EDITOR. A value in Avro
    /// is opened and patched as JSON, and encoded again by its schema
    #[arg(long, value_name = "JSON", conflicts_with_all = ["file", "json", "remove"])]
    patch: Option<String>,
    /// A file with the whole value as JSON; where the value is in Avro, it is encoded by its schema
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "remove"])]
    json: Option<PathBuf>,
    /// A file whose bytes are the value, with the frame of Avro if there is to be one
    #[arg(long, value_name = "FILE", conflicts_with = "remove")]
    file: Option<PathBuf>,
    /// A header with its value; it takes the place of those with the same name
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The key of the record
    #[arg(long, value_name = "TEXT")]
    record_key: Option<String>,
    /// Remove the edit: the original is redriven again
    #[arg(long, conflicts_with_all = ["headers", "record_key"])]
    remove: bool,
    #[command(flatten)]
    server: ServerArgs,
}

fn header(text: &str) -> Result<(String, String), String> {
    let named = text.split_once('=').filter(|(name, _)| !name.is_empty());
    named
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("`{text}` is no header: write NAME=VALUE, like ce_type=OrderPlaced"))
}

pub(super) async fn edit(args: EditLetterArgs) -> anyhow::Result<ExitCode> {
    let server = args.server.open()?;
    let place = place(&server, &args.letter).await?;
    let record = if args.remove { Value::Null } else { record(&server, &place, &args).await? };
    let mut body = args.operator.body();
    body["record"] = record;
    let answer = server.post(&format!("/api/dead-letters/{place}/edit"), &body).await?;
    let told = match answer["leadsTo"].as_str() {
        Some(leads_to) => format!("kept beside the original; {leads_to}"),
        None => "removed; the original is redriven again".to_owned(),
    };
    output::line(&visible::in_line(&format!("edit {place}: {told}")))?;
    Ok(ExitCode::SUCCESS)
}

async fn record(server: &ApiClient, place: &str, args: &EditLetterArgs) -> anyhow::Result<Value> {
    let patch = args.patch.as_deref().map(serde_json::from_str::<Value>).transpose();
    let patch = patch.context("--patch is no JSON: write an object, like {\"total\": 7}")?;
    if patch.as_ref().is_some_and(|patch| !patch.is_object()) {
        bail!("--patch is no object: write one, like {{\"total\": 7}}; --file replaces the whole value");
    }
    let shown = server.get(&format!("/api/dead-letters/{place}")).await?;
    if let Some(why) = shown["gone"].as_str() {
        bail!("the letter cannot be edited: {why}");
    }
    let has_masks = |shown: &Value| [&shown["edit"], &shown["original"]].iter().any(|it| it["value"]["masked"] == true);
    // Masks must not get into the record: who edits it sees it whole, or replaces it.
    let shown = if has_masks(&shown) && args.file.is_none() {
        server.get(&format!("/api/dead-letters/{place}?sensitive=shown")).await?
    } else {
        shown
    };
    let before = if shown["edit"].is_object() { &shown["edit"] } else { &shown["original"] };
    let mut record = json!({
        "key": args.record_key.as_ref().map_or_else(|| before["key"]["base64"].clone(), |key| encoded(key.as_bytes())),
        "headers": headers(before, &args.headers),
    });
    match value(before, patch, args)? {
        NewValue::Bytes(bytes) => record["value"] = bytes.map_or(Value::Null, |bytes| encoded(&bytes)),
        NewValue::Json(value) => record["json"] = value,
    }
    Ok(record)
}

/// What takes the place of the value.
#[derive(Debug, PartialEq)]
enum NewValue {
    Bytes(Option<Vec<u8>>),
    /// The engine encodes it as the value is encoded now.
    Json(Value),
}

fn encoded(bytes: &[u8]) -> Value {
    json!(STANDARD.encode(bytes))
}

fn value(before: &Value, patch: Option<Value>, args: &EditLetterArgs) -> anyhow::Result<NewValue> {
    let read = |file: &PathBuf| std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()));
    if let Some(file) = &args.file {
        return Ok(NewValue::Bytes(Some(read(file)?)));
    }
    if let Some(file) = &args.json {
        return Ok(NewValue::Json(json_of(&read(file)?).with_context(|| file.display().to_string())?));
    }
    let bytes = before["value"]["base64"].as_str().map(|text| STANDARD.decode(text)).transpose()?;
    let keeps_value = patch.is_none() && !(args.headers.is_empty() && args.record_key.is_none());
    match &before["value"]["avro"] {
        _ if keeps_value => Ok(NewValue::Bytes(bytes)),
        Value::Object(avro) => of_avro(avro, patch).map(NewValue::Json),
        _ => of_json(bytes, patch).map(|bytes| NewValue::Bytes(Some(bytes))),
    }
}

/// A value in Avro as the engine shows it, patched or edited.
fn of_avro(avro: &Map<String, Value>, patch: Option<Value>) -> anyhow::Result<Value> {
    let Some(value) = avro.get("value") else {
        let unread = avro.get("unread").and_then(Value::as_str).unwrap_or_default();
        bail!("the value cannot be opened as JSON: it is {}", visible::in_line(unread));
    };
    let mut value = value.clone();
    match patch {
        Some(patch) => merge(&mut value, patch),
        None => value = json_of(&in_editor(value.to_string().as_bytes())?)?,
    }
    Ok(value)
}

fn of_json(bytes: Option<Vec<u8>>, patch: Option<Value>) -> anyhow::Result<Vec<u8>> {
    let Some(patch) = patch else { return in_editor(&bytes.unwrap_or_default()) };
    let bytes = bytes.context("the record has no value, so there is nothing to patch: use --file")?;
    let mut value: Value = serde_json::from_slice(&bytes)
        .context("the value is not JSON, so there is nothing to patch: use --file, or $EDITOR")?;
    merge(&mut value, patch);
    Ok(serde_json::to_vec(&value)?)
}

fn json_of(bytes: &[u8]) -> anyhow::Result<Value> {
    json::read(bytes).map_err(|unfit| anyhow!("the value is no JSON, and nothing has changed: {unfit}"))
}

/// RFC 7396.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(&name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}

fn headers(before: &Value, given: &[(String, String)]) -> Value {
    let old = before["headers"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    let stays = |header: &&Value| given.iter().all(|(name, _)| header["name"] != json!(name));
    let old = old.iter().filter(stays).map(|header| json!([header["name"], header["value"]["base64"]]));
    let new = given.iter().map(|(name, value)| json!([name, encoded(value.as_bytes())]));
    Value::Array(old.chain(new).collect())
}

/// What a person makes of the value. JSON is laid out for it.
fn in_editor(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let named = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR"));
    let Ok(editor) = named else {
        bail!("no editor is named: set EDITOR, or use --patch or --file");
    };
    let text = std::str::from_utf8(bytes).context("the value is no text: use --file")?;
    let laid_out = serde_json::from_str::<Value>(text).ok().and_then(|value| serde_json::to_string_pretty(&value).ok());
    let before = laid_out.unwrap_or_else(|| text.to_owned());
    let file = std::env::temp_dir().join(format!("saga-dlq-{}.json", uuid::Uuid::new_v4()));
    write_private(&file, &before)?;
    let status =
        std::process::Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(&file).status();
    let after = std::fs::read(&file);
    std::fs::remove_file(&file)?;
    if !status.context("the editor cannot be started (EDITOR)")?.success() {
        bail!("the editor ended with an error: nothing has changed");
    }
    let after = after?;
    if after == before.as_bytes() {
        bail!("nothing was changed in the editor");
    }
    Ok(after)
}

/// The value of a record is other people's: nobody else on this machine may read it.
fn write_private(file: &std::path::Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_adds_and_removes() {
        let mut value = json!({"id": 1, "total": {"sum": 5, "currency": "EUR"}, "old": true});
        merge(&mut value, json!({"id": "1", "total": {"sum": 7}, "old": null, "new": {"a": null}}));
        assert_eq!(value, json!({"id": "1", "total": {"sum": 7, "currency": "EUR"}, "new": {}}));
    }

    #[test]
    fn a_value_in_avro_is_patched_as_it_is_shown() {
        let shown = json!({"schema": "shop.A", "value": {"id": 9_007_199_254_740_993_i64, "paid": null}});
        let patched = of_avro(shown.as_object().expect("a map"), Some(json!({"paid": 1.5})));
        assert_eq!(patched.expect("it is shown"), json!({"id": 9_007_199_254_740_993_i64, "paid": 1.5}));
        let unread = json!({"schema": "shop.A", "unread": "in Avro, and cut off. `--json FILE` takes the whole"});
        let error = of_avro(unread.as_object().expect("a map"), Some(json!({}))).expect_err("nobody can read it");
        assert!(error.to_string().ends_with("it is in Avro, and cut off. `--json FILE` takes the whole"), "{error}");
    }

    #[test]
    fn a_header_takes_the_place_of_those_with_its_name() {
        let before = json!({"headers": [{"name": "a", "value": {"base64": "MQ=="}}, {"name": "b", "value": null}]});
        let now = headers(&before, &[("a".to_owned(), "2".to_owned())]);
        assert_eq!(now, json!([["b", null], ["a", "Mg=="]]));
    }
}
