//! `saga schemas check` as people and pipelines type it.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{binary, http_client},
    servers,
};
use serde_json::{Value, json};
use std::{path::Path, process::Output};
use tokio::process::Command;

const SAGA: &str = "saga: order
trigger: {topic: shop.orders, type: OrderPlaced, key: \"${ event.orderId }\"}
steps:
  - step: charge
    do: payments.Charge
    with:
      amountCents: ${ event.amountCents }
    irreversible: true
";

fn order(fields: &str) -> String {
    let id = r#"{"name": "orderId", "type": "string"}"#;
    format!(r#"{{"type": "record", "name": "OrderPlaced", "namespace": "shop", "fields": [{id}{fields}]}}"#)
}

fn amount(kind: &str) -> String {
    order(&format!(r#", {{"name": "amountCents", "type": "{kind}"}}"#))
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        std::fs::write(path, text)?;
    }
    Ok(folder)
}

async fn check(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.current_dir(folder).args(["schemas", "check"]).args(arguments).env_remove("SAGA_CONFIG");
    Ok(command.output().await?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(output: &Output) -> Result<Vec<Value>> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).context(line.to_owned())).collect()
}

#[tokio::test]
async fn a_break_is_told_by_its_field_and_decides_the_exit_code() -> Result<()> {
    let folder = folder(&[("old.avsc", &amount("long")), ("new.avsc", &amount("string"))])?;
    let broken = check(folder.path(), &["old.avsc", "new.avsc"]).await?;
    assert_eq!(broken.status.code(), Some(1), "{}", text(&broken.stderr));
    let said = text(&broken.stdout);
    assert!(said.contains("error[type_changed]: amountCents: ") && said.contains("new.avsc does not read"), "{said}");
    assert!(text(&broken.stderr).contains("1 schema compared by backward, no definitions: 1 error, 0 warnings"));

    let wider = check(folder.path(), &["--rule", "none", "old.avsc", "new.avsc"]).await?;
    assert_eq!(wider.status.code(), Some(0));
    let unknown = check(folder.path(), &["--rule", "sideways", "old.avsc", "new.avsc"]).await?;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("backward_transitive"), "{}", text(&unknown.stderr));
    let alone = check(folder.path(), &["new.avsc"]).await?;
    assert_eq!(alone.status.code(), Some(1));
    assert!(text(&alone.stderr).contains("--subject"), "{}", text(&alone.stderr));
    Ok(())
}

#[tokio::test]
async fn a_transitive_rule_looks_at_all_earlier_files() -> Result<()> {
    let extra = |more: &str| order(&format!(r#", {{"name": "note", "type": "string"{more}}}"#));
    // The second gives `note` a default, which the first lacked: the third may drop it for the second only.
    let files = [("1.avsc", extra("")), ("2.avsc", extra(r#", "default": """#)), ("3.avsc", order(""))];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let folder = folder(&files)?;
    let names = ["1.avsc", "2.avsc", "3.avsc"];
    let last = check(folder.path(), &[&["--rule", "full"], &names[..]].concat()).await?;
    assert_eq!(last.status.code(), Some(0), "{}", text(&last.stdout));
    let all = check(folder.path(), &[&["--rule", "full-transitive", "-o", "json"], &names[..]].concat()).await?;
    assert_eq!(all.status.code(), Some(1));
    let found = lines(&all)?;
    let wanted = json!({"file": "3.avsc", "against": "1.avsc", "type": "shop.OrderPlaced", "direction": "forward",
        "path": "note", "severity": "error", "code": "field_missing", "message": found[0]["message"]});
    assert_eq!(found, [wanted]);
    Ok(())
}

#[tokio::test]
async fn folders_are_compared_by_the_events_of_their_schemas() -> Result<()> {
    let claim = |kind: &str| format!(r#"{{"title": "ClaimFiled", "properties": {{"claimId": {{"type": "{kind}"}}}}}}"#);
    let gone = r#"{"type": "record", "name": "Gone", "fields": []}"#;
    let folder = folder(&[
        ("old/order.avsc", &amount("long")),
        ("old/claim.schema.json", &claim("string")),
        ("old/gone.avsc", gone),
        ("new/placed.avsc", &amount("long")),
        ("new/ClaimFiled.schema.json", &claim("integer")),
    ])?;
    let output = check(folder.path(), &["old", "new"]).await?;
    assert_eq!(output.status.code(), Some(1));
    let (found, notes) = (text(&output.stdout), text(&output.stderr));
    assert!(found.contains("error[type_changed]: claimId: ") && !found.contains("placed.avsc"), "{found}");
    assert!(notes.contains("there is no new schema of Gone") && notes.contains("2 schemas compared"), "{notes}");
    Ok(())
}

#[tokio::test]
async fn an_expression_that_reads_what_changes_is_told_with_its_line() -> Result<()> {
    let folder = folder(&[
        ("sagas/order.saga.yaml", SAGA),
        ("schemas/order.avsc", &amount("long")),
        ("gone.avsc", &order("")),
        ("retyped.avsc", &amount("double")),
        (
            "more.avsc",
            &order(r#", {"name": "amountCents", "type": "long"}, {"name": "note", "type": "string", "default": ""}"#),
        ),
    ])?;
    let codes = async |new: &str| -> Result<(Option<i32>, Vec<Value>)> {
        let output = check(folder.path(), &["-o", "json", "schemas/order.avsc", new]).await?;
        Ok((output.status.code(), lines(&output)?))
    };
    for (new, code) in [("gone.avsc", "unknown-field"), ("retyped.avsc", "retyped-field")] {
        let (status, found) = codes(new).await?;
        let [finding] = found.as_slice() else { anyhow::bail!("{new}: {found:?}") };
        assert_eq!((status, &finding["code"]), (Some(1), &json!(code)));
        assert_eq!((&finding["line"], finding["severity"].as_str()), (&json!(7), Some("error")), "{finding}");
        ensure!(finding["file"].as_str().is_some_and(|file| file.ends_with("order.saga.yaml")), "{finding}");
    }
    assert_eq!(codes("more.avsc").await?, (Some(0), Vec::new()));
    let named = check(folder.path(), &["--sagas", "elsewhere", "schemas/order.avsc", "gone.avsc"]).await?;
    assert_eq!(named.status.code(), Some(1));
    assert!(text(&named.stderr).contains("elsewhere"), "{}", text(&named.stderr));
    Ok(())
}

#[tokio::test]
async fn the_versions_of_a_subject_are_compared_with() -> Result<()> {
    let Some(registry) = servers::schema_registry() else { return Ok(()) };
    let subject = format!("orders-{}-value", uuid::Uuid::new_v4());
    let url = format!("{registry}/subjects/{subject}/versions");
    let answer = http_client()?
        .post(url)
        .header("content-type", "application/json")
        .body(json!({"schema": amount("long")}).to_string())
        .send()
        .await?;
    ensure!(answer.status().is_success(), "{}", answer.text().await?);
    let config = json!({"schemaRegistry": {"url": registry}}).to_string();
    let folder = folder(&[("config.yaml", &config), ("new.avsc", &amount("string")), ("same.avsc", &amount("long"))])?;
    let of = ["--subject", &subject, "--rule", "full"];
    let broken = check(folder.path(), &[&of[..], &["new.avsc"]].concat()).await?;
    assert_eq!(broken.status.code(), Some(1), "{}", text(&broken.stderr));
    assert!(text(&broken.stdout).contains(&format!("{subject} version 1")), "{}", text(&broken.stdout));
    let same = check(folder.path(), &[&of[..], &["same.avsc"]].concat()).await?;
    assert_eq!(same.status.code(), Some(0), "{}", text(&same.stderr));
    let unknown = check(folder.path(), &["--subject", "nobody-has-it", "--rule", "full", "same.avsc"]).await?;
    let said = text(&unknown.stderr);
    assert!(unknown.status.code() == Some(1) && said.contains("has no subject `nobody-has-it`"), "{said}");
    let misspelt = check(folder.path(), &["--subject", &format!("{subject}s"), "same.avsc"]).await?;
    let said = text(&misspelt.stderr);
    assert!(misspelt.status.code() == Some(1) && said.contains("did you mean `orders-"), "{said}");
    Ok(())
}
