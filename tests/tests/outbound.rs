//! Where calls to participants may go, and as who: refused addresses, and tokens of an issuer.

use anyhow::{Context, Result, ensure};
use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use saga_tests::{
    engine::{Engine, binary, http_client},
    oracle::{OracleExemption, judge},
    participant::ParticipantScript,
    world::{TestWorld, reaches},
};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use tokio::{net::TcpListener, process::Command};

const STEPS: &str = "
retry: {attempts: 2, delay: 50ms}
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    undo: POST payments/refunds
";

async fn world() -> Result<Option<TestWorld>> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(None);
    };
    world.define("order", STEPS)?;
    Ok(Some(world))
}

/// `saga` with these arguments, against the engine; what it says, if it succeeds.
async fn saga(engine: &Engine, arguments: &[&str]) -> Result<String> {
    let output = Command::new(binary()?).args(arguments).args(["--server", engine.api().base()]).output().await?;
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{told}");
    Ok(told)
}

/// The history of the saga with this key, as text.
async fn history(engine: &Engine, key: &str) -> Result<String> {
    let id = engine.api().get(&format!("/api/sagas/{key}")).await?.1["id"].as_str().context("an id")?.to_owned();
    Ok(engine.api().get(&format!("/api/sagas/{id}/history")).await?.1.to_string())
}

async fn metrics(engine: &Engine) -> Result<String> {
    Ok(http_client()?.get(format!("{}/metrics", engine.api().base())).send().await?.text().await?)
}

#[tokio::test]
async fn a_participant_at_the_metadata_of_a_cloud_is_not_called_and_its_saga_waits_for_people() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    world.participants(&json!({}), &json!({"http": {"url": "http://[::ffff:169.254.169.254]:80/latest"}}))?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let parked = reaches(&engine, "4711", &["parked"]).await?;
    ensure!(parked["reason"].as_str().is_some_and(|why| why.contains("169.254.169.254")), "{parked}");
    let told = history(&engine, "4711").await?;
    for part in ["address.refused", "`payments`", "`cloud_metadata`", "outbound.allowReserved"] {
        ensure!(told.contains(part), "{part} is not in {told}");
    }
    ensure!(!told.contains("unknown"), "{told}");
    let scrape = metrics(&engine).await?;
    let counted = "saga_addresses_refused_total{participant=\"payments\",rule=\"cloud_metadata\"} ";
    ensure!(scrape.contains(counted), "{scrape}");
    ensure!(engine.log()?.contains("calls will fail"), "the start says nothing");

    world.participants(&json!({}), &json!({}))?;
    saga(&engine, &["guard", "reload"]).await?;
    saga(&engine, &["retry", "4711", "--reason", "the address is right now"]).await?;
    reaches(&engine, "4711", &["completed"]).await?;
    judge(&world, OracleExemption::default()).await
}

#[tokio::test]
async fn a_list_of_what_may_be_called_holds_for_every_call() -> Result<()> {
    let Some(mut world) = world().await? else { return Ok(()) };
    world.installation = world.installation.with("outbound", "allow", json!(["*.example.com", "10.0.0.0/8"]));
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    reaches(&engine, "4711", &["parked"]).await?;
    let told = history(&engine, "4711").await?;
    ensure!(told.contains("`not_listed`") && told.contains("`outbound.allow`"), "{told}");
    engine.terminate().await?;
    world.installation = world.installation.with("outbound", "allow", json!(["127.0.0.0/8", "localhost"]));
    let engine = world.start().await?;
    saga(&engine, &["retry", "4711", "--reason", "listed now"]).await?;
    reaches(&engine, "4711", &["completed"]).await?;
    Ok(())
}

/// An issuer that numbers its tokens, and a participant that does not take the first one.
#[derive(Default)]
struct IssuerAndService {
    issued: AtomicU32,
    refused: AtomicU32,
}

async fn answer(State(both): State<Arc<IssuerAndService>>, request: Request) -> Response {
    if request.uri().path() == "/token" {
        let number = both.issued.fetch_add(1, Ordering::SeqCst) + 1;
        let token =
            json!({"access_token": format!("issued-token-{number}"), "token_type": "Bearer", "expires_in": 3600});
        return axum::Json(token).into_response();
    }
    match request.headers().get("authorization").and_then(|value| value.to_str().ok()) {
        Some("Bearer issued-token-2") => axum::Json(json!({"chargeId": "1"})).into_response(),
        Some(_) | None => {
            both.refused.fetch_add(1, Ordering::SeqCst);
            StatusCode::UNAUTHORIZED.into_response()
        }
    }
}

#[tokio::test]
async fn the_engine_gets_tokens_and_another_one_when_its_token_is_refused() -> Result<()> {
    let Some(mut world) = world().await? else { return Ok(()) };
    let both = Arc::new(IssuerAndService::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().fallback(answer).with_state(Arc::clone(&both));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    world.installation = world.installation.with_env("PAYMENTS_SECRET", "the-secret-of-the-client");
    let credentials: Value =
        json!({"tokenUrl": format!("{url}/token"), "clientId": "saga", "clientSecret": "${ env.PAYMENTS_SECRET }"});
    let payments = json!({"http": {"url": url}, "authorization": {"clientCredentials": credentials}});
    world.participants(&json!({}), &payments)?;
    let engine = world.start().await?;
    world.order("first", &json!({})).await?;
    reaches(&engine, "first", &["completed"]).await?;
    for number in 0..10 {
        world.order(&format!("more-{number}"), &json!({})).await?;
    }
    for number in 0..10 {
        reaches(&engine, &format!("more-{number}"), &["completed"]).await?;
    }
    assert_eq!((both.issued.load(Ordering::SeqCst), both.refused.load(Ordering::SeqCst)), (2, 1));
    let scrape = metrics(&engine).await?;
    ensure!(scrape.contains("saga_token_requests_total{participant=\"payments\",outcome=\"issued\"} 2"), "{scrape}");
    ensure!(!engine.log()?.contains("issued-token"), "a token is in the log");
    serving.abort();
    Ok(())
}
