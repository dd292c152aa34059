//! `saga verify-participant` as somebody types it who has made a service.

use anyhow::{Context, Result};
use axum::{Router, http::StatusCode};
use saga_participant::{
    CommandBarrier, CommandHandler, CommandService, HandlerError, ParticipantAnswer, PriorOutcome, SagaCommand,
    SagaParticipant, http::CommandExtractor,
};
use saga_tests::engine::binary;
use serde_json::{Value, json};
use sqlx::{Sqlite, SqliteConnection, sqlite::SqlitePoolOptions};
use std::{net::SocketAddr, path::Path, process::Output};
use tempfile::TempDir;
use tokio::{net::TcpListener, process::Command};

const CHARGES: [&str; 5] =
    ["verify-participant", "POST payments/charges", "--undo", "POST payments/refunds", "--participants"];

/// Charges at most 100.
struct Payments;

impl CommandHandler<Sqlite> for Payments {
    async fn perform(
        &self,
        _: &mut SqliteConnection,
        command: &SagaCommand,
        _: PriorOutcome,
    ) -> Result<ParticipantAnswer, HandlerError> {
        match command.body["amountCents"].as_i64() {
            Some(100..) => Ok(ParticipantAnswer::refused("card_declined", "too much")),
            Some(_) | None => Ok(ParticipantAnswer::Succeeded(json!({"of": command.id.to_string()}))),
        }
    }
}

async fn serve(routes: Router) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}

/// A service made with the kit.
async fn payments() -> Result<SocketAddr> {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    let participant = SagaParticipant::new(pool.clone(), CommandBarrier::create(&pool).await?, Payments);
    let answer = move |CommandExtractor(command): CommandExtractor| {
        let participant = participant.clone();
        async move { participant.answer(command).await }
    };
    serve(Router::new().fallback(answer)).await
}

fn folder(address: SocketAddr) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let text = format!("participants:\n  payments:\n    http: {{url: http://{address}}}\n    timeout: 5s\n");
    std::fs::write(folder.path().join("participants.yaml"), text)?;
    Ok(folder)
}

async fn verify(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.current_dir(folder).args(CHARGES).arg("participants.yaml").args(arguments).env_remove("SAGA_CONFIG");
    Ok(command.output().await?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn what_is_made_with_the_kit_passes() -> Result<()> {
    let folder = folder(payments().await?)?;
    let passed = verify(folder.path(), &["--with", r#"{"amountCents": 49}"#, "--yes"]).await?;
    assert_eq!(passed.status.code(), Some(0), "{}{}", text(&passed.stdout), text(&passed.stderr));
    assert!(text(&passed.stderr).contains("8 checks: 8 hold, 0 broken"), "{}", text(&passed.stderr));
    Ok(())
}

#[tokio::test]
async fn nothing_is_sent_before_somebody_says_yes() -> Result<()> {
    let folder = folder("127.0.0.1:1".parse()?)?;
    let told = verify(folder.path(), &["--with", r#"{"amountCents": 49}"#]).await?;
    assert_eq!(told.status.code(), Some(2));
    assert_eq!(text(&told.stdout), "");
    for line in ["POST payments/charges  {\"amountCents\":49}", "POST payments/refunds", "--yes"] {
        assert!(text(&told.stderr).contains(line), "{line}: {}", text(&told.stderr));
    }
    let sent = verify(folder.path(), &["--yes"]).await?;
    assert_eq!(sent.status.code(), Some(1));
    assert!(text(&sent.stderr).contains("cannot be asked: no connection"), "{}", text(&sent.stderr));
    Ok(())
}

#[tokio::test]
async fn a_do_that_does_not_succeed_proves_nothing() -> Result<()> {
    let folder = folder(payments().await?)?;
    let refused = verify(folder.path(), &["--with", r#"{"amountCents": 4900}"#, "--yes"]).await?;
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stdout));
    assert!(
        text(&refused.stderr).contains("--with has to be an input with which the do succeeds"),
        "{}",
        text(&refused.stderr)
    );
    Ok(())
}

#[tokio::test]
async fn what_is_broken_is_shown_with_what_was_sent_and_what_came() -> Result<()> {
    let careless = Router::new().fallback(async || (StatusCode::OK, [("content-type", "application/json")], "{}"));
    let folder = folder(serve(careless).await?)?;
    let broken = verify(folder.path(), &["--yes"]).await?;
    assert_eq!(broken.status.code(), Some(1), "{}", text(&broken.stdout));
    let shown = text(&broken.stdout);
    for part in [
        "late do                   BROKEN",
        "a do that comes after its undo must do nothing",
        "succeeded {} after",
        ":verify:undo, attempt 1",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let json = verify(folder.path(), &["--yes", "--output", "json"]).await?;
    let findings: Vec<Value> = text(&json.stdout).lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let late = findings.iter().find(|finding| finding["check"] == "late-do").context("each check is a line")?;
    assert_eq!((&late["verdict"], late["exchanges"].as_array().map(Vec::len)), (&json!("broken"), Some(2)));
    Ok(())
}

const SHOP: &str = "
saga: shop
trigger: {topic: shop.orders, type: OrderPlaced, key: \"${ event.id }\", when: event.id != 'nothing'}
steps:
  - step: charge
    do: POST payments/charges
    undo: POST payments/refunds
    with: {amountCents: \"${ event.cents }\"}
  - {step: rest, wait: 1s}
  - step: gift
    if: event.cents > 50
    do: POST payments/gifts
    undo: POST payments/gifts/cancel
  - step: receipt
    do: \"POST payments/receipts/${ steps.charge.of }\"
    irreversible: true
";

/// `verify-participant --saga shop` of a service that is made with the kit.
async fn verify_shop(event: &str, arguments: &[&str]) -> Result<Output> {
    let folder = folder(payments().await?)?;
    std::fs::write(folder.path().join("shop.saga.yaml"), SHOP)?;
    std::fs::write(folder.path().join("config.yaml"), "sagas: .\n")?;
    let mut command = Command::new(binary()?);
    command.current_dir(folder.path()).args(["verify-participant", "--saga", "shop", "--event", event]);
    Ok(command.args(arguments).env_remove("SAGA_CONFIG").output().await?)
}

#[tokio::test]
async fn all_steps_of_a_definition_are_verified_with_what_they_send() -> Result<()> {
    let event = r#"{"id": "7", "cents": 49}"#;
    let announced = verify_shop(event, &[]).await?;
    assert_eq!(announced.status.code(), Some(2), "{}", text(&announced.stderr));
    for line in [
        "charge: POST payments/charges  {\"amountCents\":49}",
        "rest: it calls no participant",
        "gift: its `if` is false for this event",
        "receipt: its input has no value",
    ] {
        assert!(text(&announced.stderr).contains(line), "{line}: {}", text(&announced.stderr));
    }
    let verified = verify_shop(event, &["--yes", "--output", "json"]).await?;
    assert_eq!(verified.status.code(), Some(0), "{}{}", text(&verified.stdout), text(&verified.stderr));
    assert!(text(&verified.stderr).contains("11 checks: 11 hold, 0 broken"), "{}", text(&verified.stderr));
    let findings: Vec<Value> = text(&verified.stdout).lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let of = |step: &str| findings.iter().filter(|finding| finding["step"] == step).collect::<Vec<_>>();
    let (charge, receipt) = (of("charge"), of("receipt"));
    assert!(charge[0]["exchanges"][0]["sent"].as_str().is_some_and(|sent| sent.contains(":charge:do, attempt 1")));
    let sent = receipt[0]["exchanges"][0]["sent"].as_str().context("what was sent")?;
    assert!(
        sent.starts_with("POST payments/receipts/") && sent.contains("%3Acharge%3Ado "),
        "the charge's answer: {sent}"
    );
    let refused = verify_shop(r#"{"id": "nothing", "cents": 49}"#, &["--yes"]).await?;
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("`when` is false"), "{}", text(&refused.stderr));
    Ok(())
}

#[tokio::test]
async fn a_restart_is_asked_for_and_what_fails_in_it_is_told() -> Result<()> {
    let folder = folder(payments().await?)?;
    let with = ["--with", r#"{"amountCents": 49}"#, "--yes"];
    let restarted = verify(folder.path(), &[with.as_slice(), &["--restart", "true"]].concat()).await?;
    assert!(text(&restarted.stderr).contains("9 checks: 9 hold, 0 broken"), "{}", text(&restarted.stderr));
    let failed = verify(folder.path(), &[with.as_slice(), &["--restart", "exit 3"]].concat()).await?;
    assert_eq!(failed.status.code(), Some(2), "{}", text(&failed.stdout));
    assert!(text(&failed.stdout).contains("`exit 3` ended with exit status: 3"), "{}", text(&failed.stdout));
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_verified_as_it_is_typed_is_a_usage_error() -> Result<()> {
    let folder = folder("127.0.0.1:1".parse()?)?;
    for (command, said) in [
        ("payments.Charge", "reached over HTTP"),
        ("POST shipping/parcels", "no participant `shipping`"),
        ("POST payments/${ event.id }", "write the path as it is sent"),
    ] {
        let mut typed = Command::new(binary()?);
        typed.current_dir(folder.path()).args(["verify-participant", command, "--participants", "participants.yaml"]);
        let answer = typed.output().await?;
        assert_eq!(answer.status.code(), Some(2), "{command}");
        assert!(text(&answer.stderr).contains(said), "{command}: {}", text(&answer.stderr));
    }
    Ok(())
}
