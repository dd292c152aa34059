//! The commands that people type: what they print, in which form, and with which exit status.

use anyhow::{Context, Result};
use saga_tests::{
    engine::{binary, http_client},
    participant::{ParticipantScript, ScriptedBehaviour},
    world::{TestWorld, reaches},
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::Output,
};
use tokio::process::Command;

async fn saga(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.current_dir(folder).args(arguments).env_remove("SAGA_CONFIG");
    Ok(command.output().await?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(output: &Output) -> Result<Vec<Value>> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).context(line.to_owned())).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

const STEPS: &str = "
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
";

#[tokio::test]
async fn what_happened_is_read_by_id_and_by_key_and_filtered() -> Result<()> {
    let refusing = ParticipantScript::default().when(|call, _| {
        (call.body["refuse"] == true && call.command.ends_with(":do")).then(|| ScriptedBehaviour::fail("out_of_stock"))
    });
    let Some(world) = TestWorld::new(refusing, ParticipantScript::default()).await? else { return Ok(()) };
    let steps = STEPS.replace("    undo", "    with: {refuse: \"${ event.refuse }\"}\n    undo");
    world.define("order", &steps)?;
    world.define("audit", &STEPS.replace("reserve", "note"))?;
    let engine = world.start().await?;
    world.order("1", &json!({"refuse": false})).await?;
    world.order("2", &json!({"refuse": true})).await?;
    let folder = world.installation.folder();
    std::fs::write(folder.join("config.yaml"), json!({"store": world.database.url()}).to_string())?;
    for (name, key, status) in [
        ("order", "1", "completed"),
        ("order", "2", "compensated"),
        ("audit", "1", "completed"),
        ("audit", "2", "completed"),
    ] {
        saga_tests::eventually::eventually("all have ended", saga_tests::world::WITHIN, || async {
            let (_, list) = engine.api().get(&format!("/api/sagas?saga={name}&key={key}")).await?;
            Ok((list["sagas"][0]["status"] == status).then_some(()))
        })
        .await?;
    }

    let listed = lines(&saga(folder, &["list", "--output", "json"]).await?)?;
    assert_eq!(listed.len(), 4);
    let keys: Vec<&str> = listed[0].as_object().context("an object")?.keys().map(String::as_str).collect();
    for key in ["id", "saga", "key", "status", "startedAt", "updatedAt", "definition"] {
        assert!(keys.contains(&key), "{key}: {keys:?}");
    }
    let compensated = lines(&saga(folder, &["list", "--status", "compensated", "--output", "json"]).await?)?;
    assert_eq!((compensated.len(), &compensated[0]["key"]), (1, &json!("2")));
    assert!(compensated[0]["reason"].as_str().is_some_and(|reason| reason.contains("out_of_stock")), "{compensated:?}");
    assert_eq!(lines(&saga(folder, &["list", "--saga", "audit", "--limit", "1", "--output", "json"]).await?)?.len(), 1);

    let several = saga(folder, &["show", "2"]).await?;
    let said = text(&several.stderr);
    assert_eq!(several.status.code(), Some(1));
    assert!(said.contains("order") && said.contains("audit") && said.contains("--saga"), "{said}");
    let shown = lines(&saga(folder, &["show", "2", "--saga", "order", "--output", "json"]).await?)?;
    assert_eq!(shown[0]["steps"][0]["phase"], "failed");
    let id = shown[0]["id"].as_str().context("an id")?;
    let history = text(&saga(folder, &["history", id]).await?.stdout);
    assert!(history.contains("out_of_stock") && history.contains("compensated"), "{history}");
    let nobody = saga(folder, &["show", "nobody"]).await?;
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains("nobody"), "{}", text(&nobody.stderr));
    drop(reaches(&engine, id, &["compensated"]).await?);
    Ok(())
}

#[tokio::test]
async fn check_says_everything_at_once_and_how_it_went() -> Result<()> {
    let shipped = saga(&root(), &["check"]).await?;
    assert_eq!(shipped.status.code(), Some(0), "{}", text(&shipped.stderr));
    assert!(text(&shipped.stderr).contains(" definitions checked, 0 warnings"), "{}", text(&shipped.stderr));
    let folder = tempfile::tempdir()?;
    let nothing = saga(folder.path(), &["check", "."]).await?;
    assert_eq!(nothing.status.code(), Some(1), "{}", text(&nothing.stderr));
    assert!(text(&nothing.stderr).contains("*.saga.yaml"), "{}", text(&nothing.stderr));
    let bad = "saga: bad\ntrigger: {topic: t, type: T, key: \"${ event.id }\"}\nsteps:\n  - step: a\n    do: nobody.Do\n    retries: 3\n  - step: b\n    wait: soon\n";
    std::fs::write(folder.path().join("bad.saga.yaml"), bad)?;
    let found = saga(folder.path(), &["check", "bad.saga.yaml", "--output", "json"]).await?;
    assert_eq!(found.status.code(), Some(1), "{}", text(&found.stderr));
    assert!(text(&found.stderr).contains("1 definition checked, "), "{}", text(&found.stderr));
    let findings = lines(&found)?;
    let codes: Vec<&str> = findings.iter().filter_map(|finding| finding["code"].as_str()).collect();
    for code in ["unknown-key", "bad-duration"] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    assert!(findings.iter().all(|finding| finding["line"].is_u64() && finding["help"].is_string()), "{findings:?}");
    assert_eq!(saga(folder.path(), &["check", "--nonsense"]).await?.status.code(), Some(2));
    Ok(())
}

#[tokio::test]
async fn the_web_pages_go_on_to_older_sagas_and_say_what_is_wrong() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define("order", STEPS)?;
    let engine = world.start().await?;
    for key in ["1", "2"] {
        world.order(key, &json!({})).await?;
        reaches(&engine, key, &["completed"]).await?;
    }
    let page = async |path: String| -> Result<(u16, String)> {
        let asked = http_client()?.get(format!("{}{path}", engine.api().base())).header("accept", "text/html");
        let answer = asked.send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    };
    let (_, newest) = page("/?limit=1".into()).await?;
    let next =
        newest.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).context(newest.clone())?;
    let (status, oldest) = page(next.replace("&#38;", "&").replace("&amp;", "&")).await?;
    assert_eq!(status, 200, "{oldest}");
    assert!(oldest.contains(">1</a>") && !oldest.contains(">2</a>") && !oldest.contains("rel=\"next\""), "{oldest}");
    let (_, found) = page("/?key=1&saga=&status=&waitingOn=".into()).await?;
    assert!(found.contains(">1</a>") && !found.contains(">2</a>"), "{found}");
    let (_, none) = page("/?key=3".into()).await?;
    assert!(none.contains("No saga fits the filter."), "{none}");
    let (_, guards) = page("/guards".into()).await?;
    assert!(
        guards.contains("<section aria-label=\"payments\">") && guards.contains("/api/guards/payments/reset"),
        "{guards}"
    );
    let (status, wrong) = page("/sagas/nobody".into()).await?;
    assert!(status == 404 && wrong.starts_with("<!doctype html>") && wrong.contains("nobody"), "{status} {wrong}");
    let (status, body) = engine.api().get("/api/sagas?limit=0").await?;
    assert_eq!((status.as_u16(), &body["code"]), (400, &json!("bad_parameter")), "{body}");
    let (_, listed) = engine.api().get("/api/sagas?key=1").await?;
    let id = listed["sagas"][0]["id"].as_str().context("an id")?;
    let (_, shown) = page(format!("/sagas/{id}")).await?;
    assert!(shown.contains("orderId") && shown.contains("payloads=full"), "{shown}");
    let acts = shown.matches("data-act=").count();
    assert!(acts == 1 && shown.contains("/erase\""), "a saga that has ended can be erased, and nothing else: {shown}");
    let (_, whole) = page(format!("/sagas/{id}?payloads=full")).await?;
    assert!(whole.contains("payloads=short"), "{whole}");
    let arguments = ["definitions", "list", "--server", engine.api().base(), "--output", "json"];
    let definitions = lines(&saga(&root(), &arguments).await?)?;
    assert_eq!((definitions.len(), &definitions[0]["name"]), (1, &json!("order")));
    assert_eq!(definitions[0]["definition"], listed["sagas"][0]["definition"]);
    let act = json!({"who": "ada", "reason": "why not"});
    let (status, body) = engine.api().post(&format!("/api/sagas/{id}/retry"), &act).await?;
    assert!(status.as_u16() == 409 && body["hint"].as_str().is_some_and(|hint| hint.contains("ended")), "{body}");
    Ok(())
}

#[tokio::test]
async fn what_is_missing_on_a_command_line_is_asked_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let wrong = saga(folder.path(), &["guard", "list", "--server", "foo"]).await?;
    assert!(text(&wrong.stderr).contains("`foo` is not the address of an engine's API"), "{}", text(&wrong.stderr));
    let unexplained = ["retry", "4711", "--server", "http://127.0.0.1:1"];
    let output = Command::new(binary()?).args(unexplained).output().await?;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("--reason"), "{}", text(&output.stderr));
    // Who acts is found out where no variable tells.
    let act = ["retry", "4711", "--reason", "why", "--server", "http://127.0.0.1:1"];
    let output = Command::new(binary()?).args(act).env_remove("USER").env_remove("LOGNAME").output().await?;
    assert!(text(&output.stderr).contains("no engine answers at http://127.0.0.1:1"), "{}", text(&output.stderr));
    let unread = Command::new(binary()?).current_dir(folder.path()).arg("list").env_remove("SAGA_CONFIG").output();
    let said = text(&unread.await?.stderr);
    assert!(said.contains("this is the default, postgres at localhost:5432"), "{said}");
    Ok(())
}

#[tokio::test]
async fn whatever_the_key_its_saga_is_shown_and_acted_on() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define("order", STEPS)?;
    let engine = world.start().await?;
    let folder = world.installation.folder();
    std::fs::write(folder.join("config.yaml"), json!({"store": world.database.url()}).to_string())?;
    // The first reads as the id of a saga.
    for key in ["01890a5d-ac96-774b-bcce-b302099a8057", ".", "..", "acme/eu/7", "50%25", "a b?c#d"] {
        world.order(key, &json!({})).await?;
        saga_tests::eventually::eventually("it has ended", saga_tests::world::WITHIN, || async {
            let listed = saga(folder, &["list", "--key", key, "--status", "completed", "-o", "json"]).await?;
            Ok(lines(&listed)?.pop())
        })
        .await?;
        let shown = lines(&saga(folder, &["show", key, "-o", "json"]).await?)?;
        assert_eq!((shown.len(), &shown[0]["key"]), (1, &json!(key)), "{shown:?}");
        let cancelled = saga(folder, &["cancel", key, "--reason", "r", "--server", engine.api().base()]).await?;
        let told = text(&cancelled.stderr);
        assert!(cancelled.status.code() == Some(1) && told.contains("ended"), "{key}: {told}");
    }
    let (_, shown) = engine.api().get("/api/sagas/-?key=..").await?;
    assert_eq!(shown["key"], "..", "{shown}");
    Ok(())
}
