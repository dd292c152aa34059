//! Open sagas are moved to another text of their definition while they run.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, binary},
    eventually::eventually,
    participant::ParticipantScript,
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use std::process::Output;
use tokio::process::Command;

const ORDERS: usize = 12;

const STEPS: &str = "
steps:
  - {step: reserve, do: inventory.ReserveStock, undo: inventory.ReleaseStock}
  - {step: rest, wait: 20s}
  - {step: charge, do: POST payments/charges, undo: POST payments/refunds}
";

struct MovedWorld {
    world: TestWorld,
    engine: Engine,
}

impl MovedWorld {
    async fn saga(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(binary()?);
        command.current_dir(self.world.installation.folder()).args(arguments).env_remove("SAGA_CONFIG");
        Ok(command.output().await?)
    }

    async fn read(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        lines(&self.saga(&[arguments, &["--store", self.world.database.url(), "--output", "json"]].concat()).await?)
    }

    /// Moves sagas of `order` to the text, or shows which would be moved.
    async fn migrate(&self, text: &str, more: &[&str]) -> Result<Output> {
        let file = self.world.installation.folder().join("moved.yaml");
        std::fs::write(&file, text)?;
        let (file, server) = (file.to_string_lossy().into_owned(), self.engine.api().base());
        let arguments = ["migrate", "--to", &file, "--who", "ada", "--reason", "v2", "--server", server, "-o", "json"];
        self.saga(&[arguments.as_slice(), more].concat()).await
    }

    fn text(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.world.installation.sagas().join("order.saga.yaml"))?)
    }
}

fn lines(output: &Output) -> Result<Vec<Value>> {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).context(told.clone())).collect()
}

fn counted(lines: &[Value], result: &str) -> usize {
    lines.iter().filter(|line| line["result"] == result).count()
}

/// All orders rest between two steps.
async fn resting() -> Result<Option<MovedWorld>> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(None);
    };
    world.define("order", STEPS)?;
    let engine = world.start().await?;
    for order in 0..ORDERS {
        world.order(&order.to_string(), &json!({})).await?;
    }
    for order in 0..ORDERS {
        eventually("the order rests", WITHIN, || async {
            let (_, saga) = engine.api().get(&format!("/api/sagas/{order}")).await?;
            ensure!(saga["step"] == "rest" && saga["status"] == "waiting", "{saga}");
            Ok(Some(()))
        })
        .await?;
    }
    Ok(Some(MovedWorld { world, engine }))
}

#[tokio::test]
async fn open_sagas_go_on_by_the_new_text_and_nothing_is_open_on_the_old_one() -> Result<()> {
    let Some(it) = resting().await? else { return Ok(()) };
    let text = it.text()?;
    let old = it.read(&["definitions", "used"]).await?[0]["definition"].as_str().context("a hash")?.to_owned();
    let misfit = it.migrate(&text.replace("step: reserve", "step: hold"), &[]).await?;
    let refused = lines(&misfit)?;
    assert_eq!((misfit.status.code(), counted(&refused, "refused")), (Some(1), ORDERS), "{misfit:?}");
    assert!(refused[0]["message"].as_str().is_some_and(|why| why.contains("there it is missing")), "{refused:?}");
    let longer = format!("{text}  - {{step: tell, do: inventory.TellCustomer, irreversible: true}}\n");
    let dry = it.migrate(&longer, &["--from", &old]).await?;
    let foretold = lines(&dry)?;
    assert_eq!((dry.status.code(), counted(&foretold, "applied")), (Some(0), ORDERS), "{dry:?}");
    assert_eq!(foretold[0]["leadsTo"]["status"], "waiting", "{foretold:?}");
    assert_eq!(it.read(&["definitions", "used", "--open"]).await?[0]["definition"], old, "a dry run moves nothing");
    let some = it.migrate(&longer, &["--limit", "2", "--apply"]).await?;
    assert_eq!(counted(&lines(&some)?, "applied"), 2, "{some:?}");
    let id = "0a9bf6a4-1c1f-4c38-b6cb-2a54b0f3a001";
    let rest = it.migrate(&longer, &["--apply", "--id", id]).await?;
    assert_eq!((rest.status.code(), counted(&lines(&rest)?, "applied")), (Some(0), ORDERS - 2), "{rest:?}");
    let again = it.migrate(&longer, &["--apply", "--id", id]).await?;
    assert_eq!((again.status.code(), lines(&again)?.len()), (Some(0), 0), "nothing is left: {again:?}");
    let open = it.read(&["definitions", "used", "--open"]).await?;
    assert_eq!((open.len(), &open[0]["openSagas"]), (1, &json!(ORDERS)), "{open:?}");
    assert_ne!(open[0]["definition"], old);
    for order in 0..ORDERS {
        let saga = reaches(&it.engine, &order.to_string(), &["completed"]).await?;
        assert_eq!(saga["steps"][3]["phase"], "succeeded", "{saga}");
    }
    let history = it.read(&["history", "1"]).await?;
    let moved = history.iter().find(|event| event["event"]["definitionChanged"]["from"] == old.as_str());
    assert!(moved.is_some() || history.iter().any(|event| event.to_string().contains(&old)), "{history:?}");
    let acts = it.read(&["audit", "--who", "ada"]).await?;
    assert_eq!(acts.iter().filter(|act| act["action"].to_string().contains("migrate")).count(), ORDERS, "{acts:?}");
    let (_, page) = it.engine.api().get("/api/audit?who=ada&limit=5").await?;
    let next = page["next"].as_str().context("more than a page")?;
    assert_eq!(page["entries"].as_array().map(Vec::len), Some(5), "{page}");
    let (_, rest) = it.engine.api().get(&format!("/api/audit?who=ada&after={next}")).await?;
    assert_eq!(rest["entries"].as_array().map(Vec::len), Some(acts.len() - 5), "{rest}");
    let (_, published) = it.engine.api().get("/api/audit?on=order").await?;
    let first = published["entries"].as_array().and_then(|entries| entries.last()).context("an entry")?;
    assert_eq!(
        (&first["action"], &first["on"]["definition"]["definition"]),
        (&json!("publish definition"), &json!(old))
    );
    let verified = &it.read(&["replay", "verify"]).await?[0]["report"];
    assert_eq!((&verified["sagas"], &verified["divergences"]), (&json!(ORDERS), &json!(0)), "{verified}");
    Ok(())
}

#[tokio::test]
async fn a_text_with_errors_is_not_stored_and_a_migration_needs_a_definition() -> Result<()> {
    let Some(it) = resting().await? else { return Ok(()) };
    let unknown = it.migrate(&it.text()?.replace("inventory.ReserveStock", "warehouse.Reserve"), &["--apply"]).await?;
    let told = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(unknown.status.code() == Some(1) && told.contains("warehouse"), "{told}");
    let body = json!({"action": "migrate", "who": "ada", "reason": "v2", "sagas": ["1"]});
    let (status, answer) = it.engine.api().post("/api/jobs", &body).await?;
    assert_eq!(status.as_u16(), 400, "{answer}");
    let act = json!({"who": "ada", "reason": "v2"});
    let (status, answer) = it.engine.api().post("/api/sagas/1/migrate", &act).await?;
    assert!(status.as_u16() == 400 && answer.to_string().contains("current"), "{answer}");
    let same = json!({"who": "ada", "reason": "v2", "definition": "current", "dryRun": true});
    let (status, answer) = it.engine.api().post("/api/sagas/1/migrate", &same).await?;
    assert!(status.as_u16() == 409 && answer.to_string().contains("already"), "{answer}");
    Ok(())
}
