//! Recorded events are published once more: all of them, also after an interruption, and no engine takes them for new.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{binary, http_client},
    eventually::eventually,
    kafka::{ReceivedRecord, TopicRecord},
    participant::{ParticipantScript, ScriptedBehaviour},
    world::{TestWorld, WITHIN, find, reaches},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::Path,
    process::{Output, Stdio},
};
use tokio::process::{Child, Command};

const ORDERS: usize = 24;

fn definition(orders: &str, replayed: &str) -> String {
    format!(
        "trigger: {{topic: {orders}, type: OrderPlaced, key: \"${{ event.orderId }}\"{replayed}}}
retry: {{attempts: 3, delay: 50ms, maxDelay: 200ms}}
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    with: {{refuse: \"${{ has(event.refuse) }}\"}}
    undo: POST payments/refunds
onCompleted: {{publish: {orders}.ends, type: OrderFulfilled}}
onCompensated: {{publish: {orders}.ends, type: OrderRejected}}
"
    )
}

fn command(folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.current_dir(folder).args(["replay", "publish"]).args(arguments).env_remove("SAGA_CONFIG");
    command.kill_on_drop(true);
    Ok(command)
}

async fn saga(folder: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(command(folder, &[arguments, &["--output", "json"]].concat())?.output().await?)
}

fn told(output: &Output) -> Result<Value> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(text.lines().last().with_context(|| said.clone())?).context(said)
}

/// A world in which every third order was compensated.
async fn with_orders() -> Result<Option<TestWorld>> {
    let refusing = ParticipantScript::default().when(|call, _| {
        (call.body["refuse"] == true && call.command.ends_with(":do")).then(|| ScriptedBehaviour::status(422))
    });
    let Some(world) = TestWorld::new(ParticipantScript::default(), refusing).await? else { return Ok(None) };
    world.kafka.create_topic(&format!("{}.ends", world.orders), 2, &[]).await?;
    let text = definition(&world.orders, "");
    world.installation.definition("order", &format!("saga: order\n{text}"))?;
    let engine = world.start().await?;
    for number in 0..ORDERS {
        let more = if number % 3 == 0 { json!({"refuse": true}) } else { json!({}) };
        world.order(&number.to_string(), &more).await?;
    }
    for number in 0..ORDERS {
        reaches(&engine, &number.to_string(), &["completed", "compensated"]).await?;
    }
    let folder = world.installation.folder();
    let config = json!({
        "store": world.database.url(),
        "kafka": {"bootstrapServers": world.kafka.bootstrap(), "group": world.installation.group()},
        "topics": {"inbox": world.installation.inbox(), "formats": {"copies.in.avro": "avro"}},
    });
    std::fs::write(folder.join("config.yaml"), config.to_string())?;
    Ok(Some(world))
}

fn ids(records: &[ReceivedRecord]) -> BTreeSet<String> {
    records.iter().filter_map(|record| record.header("ce_id")).map(str::to_owned).collect()
}

fn run_of(folder: &Path) -> Result<String> {
    let names = std::fs::read_dir(folder)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let runs = names.filter_map(|name| Some(name.strip_prefix("saga-replay-")?.strip_suffix(".json")?.to_owned()));
    runs.max().context("a file of progress")
}

async fn interrupted(mut child: Child) -> Result<std::process::ExitStatus> {
    let id = child.id().context("it runs")?;
    let sent = Command::new("kill").args(["-INT", &id.to_string()]).status().await?;
    ensure!(sent.success());
    Ok(child.wait().await?)
}

#[tokio::test]
async fn outcome_events_are_sent_again_as_they_were() -> Result<()> {
    let Some(world) = with_orders().await? else { return Ok(()) };
    let folder = world.installation.folder();
    let copies = world.kafka.fresh_topic("copies", 2).await?;

    let dry = told(&saga(folder, &["--topic", &copies]).await?)?;
    let by_type = json!({"order OrderFulfilled": ORDERS - ORDERS / 3, "order OrderRejected": ORDERS / 3});
    assert_eq!(
        (&dry["status"], &dry["records"], &dry["byType"]),
        (&json!("dryRun"), &json!(ORDERS), &by_type),
        "{dry}"
    );
    assert_eq!(world.kafka.count(&copies).await?, 0, "a dry run sends nothing");
    let only = told(&saga(folder, &["--topic", &copies, "--status", "compensated"]).await?)?;
    assert_eq!(only["records"], json!(ORDERS / 3), "{only}");
    let only = told(&saga(folder, &["--topic", &copies, "--key", "1", "--saga", "order"]).await?)?;
    assert_eq!((&only["records"], &only["first"]), (&json!(1), &only["last"]), "{only}");
    for until in ["7d", "2001-01-01T00:00:00Z"] {
        let none = told(&saga(folder, &["--topic", &copies, "--until", until]).await?)?;
        assert_eq!(none["records"], 0, "{none}");
    }

    for (arguments, said) in [
        (&["--topic", "copies.in.avro"][..], "takes Avro (key `topics.formats`)"),
        (&["--topic", "copies.in.avro", "--send"], "takes Avro (key `topics.formats`)"),
        (&["--topic", &copies, "--since", "1h", "--until", "2h"], "nothing is in this range"),
        (&["--topic", "copies.elsewhere"], "there is no topic `copies.elsewhere`"),
    ] {
        let refused = saga(folder, arguments).await?;
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(1) && told.contains(said), "{arguments:?}: {told}");
    }

    let done = told(&saga(folder, &["--topic", &copies, "--send"]).await?)?;
    assert_eq!((&done["status"], &done["records"]), (&json!("done"), &json!(ORDERS)), "{done}");
    let originals =
        world.kafka.read_until(&format!("{}.ends", world.orders), WITHIN, |all| all.len() == ORDERS).await?;
    let sent = world.kafka.read_until(&copies, WITHIN, |all| all.len() == ORDERS).await?;
    for original in &originals {
        let id = original.header("ce_id").context("an id")?;
        let copy = sent.iter().find(|copy| copy.header("ce_id") == Some(id)).context("a copy")?;
        let (copy, original) = (&copy.record, &original.record);
        assert_eq!((&copy.key, &copy.value), (&original.key, &original.value));
        let run = done["run"].as_str().context("a run")?;
        let marked = [original.headers.clone(), vec![("ce_replay".to_owned(), Some(run.as_bytes().to_vec()))]].concat();
        assert_eq!(copy.headers, marked, "the same headers, and the mark");
    }
    let resumed = saga(folder, &["--resume", done["run"].as_str().context("a run")?]).await?;
    assert!(String::from_utf8_lossy(&resumed.stderr).contains("is done"), "{resumed:?}");
    Ok(())
}

#[tokio::test]
async fn an_interrupted_run_goes_on_and_sends_everything() -> Result<()> {
    let Some(world) = with_orders().await? else { return Ok(()) };
    let folder = world.installation.folder();
    let expected = told(&saga(folder, &["--topic", "nowhere", "--what", "steps"]).await?)?;
    let expected = usize::try_from(expected["records"].as_u64().context("a count")?)?;
    for by_signal in [true, false] {
        let copies = world.kafka.fresh_topic("copies", 3).await?;
        let slow = ["--topic", &copies, "--what", "steps", "--send", "--rate", "20/s"];
        let child = command(folder, &slow)?.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        eventually("some records are sent", WITHIN, || async {
            Ok((world.kafka.count(&copies).await? >= 12).then_some(()))
        })
        .await?;
        if by_signal {
            assert_eq!(interrupted(child).await?.code(), Some(1), "it says that it is not done");
        } else {
            let mut child = child;
            child.kill().await?;
        }
        let before = world.kafka.count(&copies).await?;
        assert!(usize::try_from(before)? < expected, "it was interrupted in between");
        let run = run_of_topic(folder, &copies)?;
        let progress = std::fs::read_to_string(folder.join(format!("saga-replay-{run}.json")))?;
        assert_eq!(serde_json::from_str::<Value>(&progress)?["rate"], 20, "{progress}");
        let done = told(&saga(folder, &["--resume", &run]).await?)?;
        assert_eq!((&done["status"], &done["run"]), (&json!("done"), &json!(run)), "{done}");
        let sent = world.kafka.read_until(&copies, WITHIN, |all| ids(all).len() == expected).await?;
        assert_eq!(ids(&sent).len(), expected, "each at least once");
        assert!(sent.iter().all(|record| record.header("ce_replay") == Some(&run)), "each is marked");
        if by_signal {
            assert_eq!(sent.len(), expected, "what was on its way was awaited, so nothing was sent twice");
        }
    }
    let run = run_of(folder)?;
    let unknown = saga(folder, &["--resume", &run.replace(|digit: char| digit.is_ascii_digit(), "a")]).await?;
    assert_eq!(unknown.status.code(), Some(1));
    Ok(())
}

/// The run that sends to the topic.
fn run_of_topic(folder: &Path, topic: &str) -> Result<String> {
    for entry in std::fs::read_dir(folder)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("saga-replay-") {
            let progress: Value = serde_json::from_str(&std::fs::read_to_string(entry.path())?)?;
            if progress["topic"] == topic {
                return progress["run"].as_str().map(str::to_owned).context("a run");
            }
        }
    }
    anyhow::bail!("no run sends to {topic}")
}

#[tokio::test]
async fn marked_records_start_sagas_only_where_a_definition_accepts_them() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.kafka.create_topic(&format!("{}.ends", world.orders), 2, &[]).await?;
    for (name, replayed) in [("ignores", ""), ("accepts", ", replayed: accept")] {
        let text = definition(&world.orders, replayed);
        world.installation.definition(name, &format!("saga: {name}\n{text}"))?;
    }
    let engine = world.start().await?;
    let mut marked = TopicRecord::event("OrderPlaced", "old", &json!({"orderId": "old"}));
    marked.headers.push(("ce_replay".into(), Some(b"run-1".to_vec())));
    world.send(&world.orders, &marked).await?;
    world.order("new", &json!({})).await?;
    for (key, name) in [("old", "accepts"), ("new", "accepts"), ("new", "ignores")] {
        reaches(&engine, &format!("{key}?saga={name}"), &["completed"]).await?;
    }
    assert_eq!(find(&engine, "old?saga=ignores").await?, None);
    let metrics = http_client()?.get(format!("{}/metrics", engine.api().base())).send().await?.text().await?;
    let counted = |line: &&str| line.starts_with("saga_replayed_ignored_total{") && line.contains("trigger");
    assert!(metrics.lines().find(counted).is_some_and(|line| line.ends_with(" 1")), "{metrics}");
    Ok(())
}

#[tokio::test]
async fn a_topic_of_the_engine_or_one_that_is_not_there_is_refused() -> Result<()> {
    let Some(world) = with_orders().await? else { return Ok(()) };
    let folder = world.installation.folder();
    let own = saga(folder, &["--topic", world.installation.inbox(), "--send"]).await?;
    assert!(String::from_utf8_lossy(&own.stderr).contains("is a topic of the engine"), "{own:?}");
    let missing = saga(folder, &["--topic", "no-such-topic", "--send"]).await?;
    assert!(String::from_utf8_lossy(&missing.stderr).contains("there is no topic `no-such-topic`"), "{missing:?}");
    assert_eq!(missing.status.code(), Some(1));
    assert!(run_of(folder).is_err(), "a run that is refused leaves no file");
    Ok(())
}
