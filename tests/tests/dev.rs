//! `saga dev` as a newcomer types it: in any folder, with nothing installed.

use anyhow::{Context, Result};
use saga_tests::{
    engine::binary,
    kafka::{Kafka, Record},
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
    process::{ChildStdout, Command},
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
    let search = async {
        while let Some(line) = shown.next_line().await? {
            if condition(&line) {
                return Ok(line);
            }
        }
        anyhow::bail!("the run ended before it said so")
    };
    tokio::time::timeout(PATIENCE, search).await?
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
    let producer = Kafka::new(address.to_owned(), None).producer()?;
    for (saga, topic, event_type, event) in events() {
        producer.send(topic, &Record::event(event_type, "mine", &event)).await?;
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
