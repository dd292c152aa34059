//! What the documentation prints holds as it is printed: participants are run and held to the contract, patterns are
//! checked.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{binary, free_port},
    eventually::eventually,
    servers, traffic,
    world::TestWorld,
};
use serde_json::Value;
use std::{path::Path, process::Stdio, time::Duration};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

/// Java compiles the listing first.
const START: Duration = Duration::from_secs(60);

/// What a page of the documentation prints in `language`.
fn blocks(page: &str, language: &str) -> Result<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let text = std::fs::read_to_string(&page)?;
    let fence = format!("```{language}\n");
    text.split(&fence)
        .skip(1)
        .map(|rest| Ok(rest.split_once("\n```").context("the block ends")?.0.to_owned()))
        .collect()
}

/// The service in `language`.
fn listing(language: &str) -> Result<String> {
    let mut blocks = blocks("participant-examples.md", language)?;
    ensure!(blocks.len() == 1, "{} listings in {language}", blocks.len());
    Ok(blocks.remove(0))
}

/// Starts a service and waits until it takes connections.
async fn started(command: &mut Command, port: u16) -> Result<Child> {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    let look = || async { Ok(TcpStream::connect(("127.0.0.1", port)).await.ok()) };
    eventually("the printed service takes connections", START, look).await?;
    Ok(child)
}

/// Under both forms of the idempotency key.
async fn holds(folder: &Path, port: u16) -> Result<()> {
    for key in ["command-id", "uuid"] {
        let text = format!(
            "participants:\n  payments:\n    http: {{url: \"http://127.0.0.1:{port}\"}}\n    timeout: 5s\n    idempotencyKey: {key}\n"
        );
        std::fs::write(folder.join("participants.yaml"), text)?;
        verified(folder).await.with_context(|| format!("idempotencyKey: {key}"))?;
    }
    Ok(())
}

async fn verified(folder: &Path) -> Result<()> {
    let mut verify = Command::new(binary()?);
    verify.current_dir(folder).env_remove("SAGA_CONFIG").args(["verify-participant", "POST payments/charges"]);
    verify.args(["--undo", "POST payments/refunds", "--with", r#"{"amountCents": 4900}"#]);
    let verified = verify.args(["--participants", "participants.yaml", "--yes"]).output().await?;
    let (shown, told) = (String::from_utf8_lossy(&verified.stdout), String::from_utf8_lossy(&verified.stderr));
    ensure!(told.contains("8 checks: 8 hold, 0 broken, 0 could not be tested"), "{shown}{told}");
    Ok(())
}

#[tokio::test]
async fn the_service_in_python_keeps_the_contract_also_after_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("payments.py"), listing("python")?)?;
    let port = free_port()?;
    for _ in 0..2 {
        let mut command = Command::new("python3");
        command.current_dir(folder.path()).args(["payments.py", &port.to_string(), "payments.db"]);
        let mut service = started(&mut command, port).await?;
        holds(folder.path(), port).await?;
        service.kill().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_service_in_java_keeps_the_contract() -> Result<()> {
    let (Some(postgres), Some(driver)) = (servers::postgres(), servers::jdbc_driver()) else { return Ok(()) };
    let (folder, database): (TempDir, _) = (tempfile::tempdir()?, postgres.database().await?);
    std::fs::write(folder.path().join("Payments.java"), listing("java")?)?;
    let port = free_port()?;
    let mut command = Command::new("java");
    command.current_dir(folder.path()).args(["-cp", &driver, "Payments.java", &port.to_string()]);
    let _service = started(command.arg(jdbc(database.url())?), port).await?;
    holds(folder.path(), port).await
}

/// The same address as JDBC writes it.
fn jdbc(url: &str) -> Result<String> {
    let rest = url.split_once("://").context("an address")?.1;
    let (login, place) = rest.split_once('@').context("a login")?;
    let (user, password) = login.split_once(':').context("a password")?;
    let place = place.split_once('?').map_or(place, |(place, _)| place);
    Ok(format!("jdbc:postgresql://{place}?user={user}&password={password}"))
}

/// Runs the consumer to the end of the feed.
async fn consumed(folder: &Path, api: &str) -> Result<Vec<Value>> {
    let mut command = Command::new("python3");
    command.current_dir(folder).arg("consumer.py").kill_on_drop(true);
    command.envs([("SAGA_API", api), ("ONCE", "1"), ("no_proxy", "*")]);
    let ran = command.output().await.context("python3 cannot be run: install it, or let `tests/run` do so")?;
    ensure!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let written = std::fs::read_to_string(folder.join("ended.jsonl"))?;
    written.lines().map(|line| serde_json::from_str(line).context("a line of JSON")).collect()
}

#[tokio::test]
async fn the_consumer_of_the_feed_writes_each_ended_saga_once() -> Result<()> {
    let Some(world) = TestWorld::new(traffic::inventory(), traffic::payments()).await? else { return Ok(()) };
    traffic::participants(&world)?;
    world.define("order", traffic::DEFINITION)?;
    let (engine, folder) = (world.start().await?, tempfile::tempdir()?);
    let mut printed = blocks("feed.md", "python")?;
    ensure!(printed.len() == 1, "{} listings in Python", printed.len());
    std::fs::write(folder.path().join("consumer.py"), printed.remove(0))?;
    for orders in [6, 12] {
        traffic::place(&world, orders - 6, orders).await?;
        traffic::ends_well(&world, &engine, orders).await?;
        let (_, listed) = engine.api().get("/api/sagas?limit=1000").await?;
        let mut ended: Vec<&Value> = listed["sagas"].as_array().into_iter().flatten().map(|saga| &saga["id"]).collect();
        let lines = eventually("the feed shows every end", START, || async {
            let lines = consumed(folder.path(), engine.api().base()).await?;
            Ok((lines.len() >= orders).then_some(lines))
        })
        .await?;
        let mut written: Vec<&Value> = lines.iter().map(|line| &line["id"]).collect();
        for all in [&mut ended, &mut written] {
            all.sort_by_key(ToString::to_string);
        }
        ensure!(written == ended, "each saga once: {lines:?}");
    }
    Ok(())
}

#[tokio::test]
async fn every_pattern_passes_the_check() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let blocks = blocks("patterns.md", "yaml")?;
    for (number, block) in blocks.iter().enumerate() {
        let is_definition = block.starts_with("saga:");
        let name = if is_definition { format!("{number}.saga.yaml") } else { "participants.yaml".to_owned() };
        std::fs::write(folder.path().join(name), block)?;
    }
    let mut check = Command::new(binary()?);
    let checked = check.current_dir(folder.path()).env_remove("SAGA_CONFIG").args(["check", "."]).output().await?;
    let told = String::from_utf8_lossy(&checked.stderr);
    let expected = format!("{} definitions checked, 0 warnings", blocks.len() - 1);
    ensure!(told.contains(&expected), "{told}{}", String::from_utf8_lossy(&checked.stdout));
    Ok(())
}
