//! `saga dev` as a newcomer types it: in any folder, with nothing installed.

use anyhow::{Context, Result};
use saga_tests::{
    engine::{EngineApi, binary, free_port},
    eventually::eventually,
    kafka::{TestKafka, TopicRecord},
};
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdout, Command},
};

/// Far above what a run needs; reached only by a fault.
const PATIENCE: Duration = Duration::from_secs(60);

async fn saga(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.current_dir(folder).args(arguments).env_remove("SAGA_CONFIG").kill_on_drop(true);
    Ok(command.output().await?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn orders_run_to_their_ends_and_can_be_read_afterwards() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for _ in 0..2 {
        let run = saga(folder.path(), &["dev", "--port", "0", "--orders", "2", "--exit"]).await?;
        assert!(run.status.success(), "{}{}", text(&run.stdout), text(&run.stderr));
        let shown = text(&run.stdout);
        for line in ["  completed         1", "  compensated       1", "  parked            0", "2 sagas in"] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
        assert!(!shown.contains('\u{1b}'), "colour is for terminals");
        assert_eq!(text(&run.stderr), "");
    }
    let list = saga(folder.path(), &["list", "--config", ".saga-dev/config.yaml", "--output", "json"]).await?;
    let lines: Vec<Value> = text(&list.stdout).lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines.iter().all(|line| line["saga"] == "order-fulfillment"), "{lines:?}");
    Ok(())
}

type Shown = Lines<BufReader<ChildStdout>>;

/// The next line that fulfils `condition`.
async fn line(shown: &mut Shown, condition: impl Fn(&str) -> bool) -> Result<String> {
    let mut others = Vec::new();
    let search = async {
        while let Some(line) = shown.next_line().await? {
            if condition(&line) {
                return Ok(line);
            }
            others.push(line);
        }
        anyhow::bail!("the run ended")
    };
    let found = tokio::time::timeout(PATIENCE, search).await;
    found.map_err(anyhow::Error::from).flatten().with_context(|| format!("no such line, but:\n{}", others.join("\n")))
}

/// One event for each shipped definition: its name, the topic, the event's type, and the event.
fn events() -> [(&'static str, &'static str, &'static str, Value); 4] {
    let order = json!({
        "orderId": "mine-1", "customerId": "me", "amountCents": 4900, "digital": false,
        "address": {"city": "Turin"}, "items": [{"sku": "teapot", "quantity": 1}],
    });
    let trip = json!({
        "tripId": "mine-2", "travellerId": "me", "from": "TRN", "to": "OSL", "nights": 2, "wantsCar": true,
        "visaNumber": null,
    });
    let transfer = json!({"transferId": "mine-3", "from": "IT60 0001", "to": "PT50 0002", "amountCents": 100});
    let subscription = json!({
        "customerId": "mine-4", "name": "me", "plan": "basic", "features": ["news"], "amountCents": 900,
    });
    [
        ("order-fulfillment", "shop.orders", "OrderPlaced", order),
        ("travel-booking", "travel.bookings", "TripRequested", trip),
        ("money-transfer", "bank.transfers", "TransferOrdered", transfer),
        ("subscription-signup", "shop.subscriptions", "SubscriptionRequested", subscription),
    ]
}

#[tokio::test]
async fn any_client_reaches_the_printed_broker_and_every_shipped_saga_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(binary()?);
    command.current_dir(folder.path()).args(["dev", "--port", "0", "--orders", "1"]);
    let mut run = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut shown = BufReader::new(run.stdout.take().context("stdout is piped")?).lines();
    let said = line(&mut shown, |line| line.trim_start().starts_with("Kafka")).await?;
    let address = said.split_whitespace().nth(1).context("an address")?;
    let producer = TestKafka::new(address.to_owned(), None).producer()?;
    line(&mut shown, |line| line.starts_with("All orders have ended")).await?;
    for (saga, topic, event_type, event) in events() {
        producer.send(topic, &TopicRecord::event(event_type, "mine", &event)).await?;
        let begun = line(&mut shown, |line| line.contains("mine-") && line.contains(" starts saga ")).await?;
        assert!(begun.contains(saga), "{begun}");
        line(&mut shown, |line| line.contains("mine-") && line.contains("completed after")).await?;
    }
    let id = run.id().context("it runs")?.to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await?.success());
    line(&mut shown, |line| line.contains("5 completed") && line.contains("nothing is open")).await?;
    assert!(tokio::time::timeout(PATIENCE, run.wait()).await??.success());
    Ok(())
}

const CLAIM: &str = "saga: claim
trigger: {topic: insurance.claims, type: ClaimFiled, key: [\"${ event.office }\", \"${ event.claimId }\"]}
steps:
  - {step: tell, publish: insurance.notices, type: ClaimNoted, with: {claim: \"${ saga.key }\"}, irreversible: true}
";

fn claim(office: &str) -> TopicRecord {
    TopicRecord::event("ClaimFiled", "mine", &json!({"office": office, "claimId": 7}))
}

/// A run in `folder` that goes on until it is dropped, and what it shows.
fn dev(folder: &Path, arguments: &[&str]) -> Result<(Child, Shown)> {
    let mut command = Command::new(binary()?);
    command.current_dir(folder).args(["dev", "--port", "0"]).args(arguments).env_remove("SAGA_CONFIG");
    let mut run = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let shown = BufReader::new(run.stdout.take().context("stdout is piped")?).lines();
    Ok((run, shown))
}

/// Where it says that its Kafka is.
async fn address(shown: &mut Shown) -> Result<String> {
    let said = line(shown, |line| line.trim_start().starts_with("Kafka")).await?;
    Ok(said.split_whitespace().nth(1).context("an address")?.to_owned())
}

#[tokio::test]
async fn a_folder_runs_in_place_of_what_ships_and_kafka_is_found_where_it_was() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("claims"))?;
    std::fs::write(folder.path().join("claims/claim.saga.yaml"), CLAIM)?;
    let mut addresses = Vec::new();
    for office in ["acme/eu", "acme"] {
        let (mut run, mut shown) = dev(folder.path(), &["--sagas", "claims"])?;
        line(&mut shown, |line| line.contains("definitions") && line.contains("claims: claim")).await?;
        addresses.push(address(&mut shown).await?);
        let producer = TestKafka::new(addresses[0].clone(), None).producer()?;
        producer.send("insurance.claims", &claim(office)).await?;
        let key = office.replace('/', "~1");
        line(&mut shown, |line| line.contains(&format!("{key}/7")) && line.contains("completed after")).await?;
        run.kill().await?;
    }
    assert_eq!(addresses[0], addresses[1]);
    let wrong = saga(folder.path(), &["dev", "--sagas", "clams"]).await?;
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("did you mean `claims`?"), "{}", text(&wrong.stderr));
    let wrong = saga(folder.path(), &["dev", "--sagas", "claims", "--orders", "3"]).await?;
    assert!(text(&wrong.stderr).contains("--orders"), "{}", text(&wrong.stderr));
    Ok(())
}

#[tokio::test]
async fn an_engine_beside_it_runs_sagas_of_its_own_on_its_kafka() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_run, mut shown) = dev(folder.path(), &["--orders", "1"])?;
    let kafka = address(&mut shown).await?;
    line(&mut shown, |line| line.contains("saga serve --config")).await?;
    std::fs::create_dir(folder.path().join("claims"))?;
    std::fs::write(folder.path().join("claims/claim.saga.yaml"), CLAIM)?;
    let api = format!("127.0.0.1:{}", free_port()?);
    let beside = [".saga-dev/serve.yaml", "--sagas", "claims", "--listen", &api];
    let mut command = Command::new(binary()?);
    command.current_dir(folder.path()).args(["serve", "--config"]).args(beside).env_remove("SAGA_CONFIG");
    let _serve = command.stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    let engine = EngineApi::new(&format!("http://{api}"))?;
    eventually("it is ready", PATIENCE, || async { Ok(engine.is_ready().await?.then_some(())) }).await?;
    TestKafka::new(kafka, None).producer()?.send("insurance.claims", &claim("acme/eu")).await?;
    eventually("the claim is told of", PATIENCE, || async {
        let (_, saga) = engine.get("/api/sagas?key=acme~1eu/7").await?;
        Ok((saga["sagas"][0]["status"] == "completed").then_some(()))
    })
    .await?;
    let other = format!("127.0.0.1:{}", free_port()?);
    let wrong = ["serve", "--config", ".saga-dev/config.yaml", "--sagas", "claims", "--listen", &other];
    let said = text(&saga(folder.path(), &[&wrong[..], &["--store", "sqlite:x.db"]].concat()).await?.stderr);
    assert!(said.contains("that of `saga dev`") && said.contains("serve.yaml"), "{said}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_processed_is_in_its_table_of_dead_letters() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_run, mut shown) = dev(folder.path(), &["--orders", "1"])?;
    let said = line(&mut shown, |line| line.trim_start().starts_with("sagas")).await?;
    let engine = EngineApi::new(said.split_whitespace().nth(1).context("an address")?)?;
    let producer = TestKafka::new(address(&mut shown).await?, None).producer()?;
    let broken = TopicRecord { value: Some(b"{not json".to_vec()), ..claim("acme") };
    let headers = vec![("ce_type".into(), Some(b"OrderPlaced".to_vec()))];
    producer.send("shop.orders", &TopicRecord { headers, ..broken }).await?;
    let letter = eventually("the letter is in the table", PATIENCE, || async {
        let (_, found) = engine.get("/api/dead-letters").await?;
        Ok((found["letters"][0]["code"] == "not_json").then(|| found["letters"][0].clone()))
    })
    .await?;
    let place = letter["place"].as_str().context("a place")?;
    let config = ["--config", ".saga-dev/config.yaml", "--output", "json"];
    let shown = saga(folder.path(), &[&["dlq", "show", place][..], &config].concat()).await?;
    let shown: Value = serde_json::from_slice(&shown.stdout).with_context(|| text(&shown.stderr))?;
    assert_eq!(
        (&shown["now"][0]["would"], &shown["now"][0]["code"]),
        (&json!("poison"), &json!("not_json")),
        "{shown}"
    );
    Ok(())
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_the_flag() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let port = taken.local_addr()?.port().to_string();
    let run = saga(folder.path(), &["dev", "--port", &port]).await?;
    assert_eq!(run.status.code(), Some(1));
    let said = text(&run.stderr);
    assert!(said.contains(&port) && said.contains("--port"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0, "nothing is left behind");
    Ok(())
}

#[tokio::test]
async fn an_end_that_nobody_could_reach_is_a_usage_error() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let run = saga(folder.path(), &["dev", "--exit"]).await?;
    assert_eq!(run.status.code(), Some(2));
    assert!(text(&run.stderr).contains("--orders"), "{}", text(&run.stderr));
    Ok(())
}
