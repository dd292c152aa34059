//! A broker that wants to know who its clients are: SASL and TLS.

use anyhow::{Result, ensure};
use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use saga_tests::{
    certificates::MadeAuthority,
    engine::Engine,
    eventually::eventually,
    participant::ParticipantScript,
    secure_kafka::{PASSWORD, SecureKafka, USER},
    servers::{KAFKA_TLS, tell_not_run},
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};

/// A world on the broker whose engines come by the listener at `address`, with these properties.
async fn world(broker: &SecureKafka, address: &str, properties: &Value) -> Result<Option<TestWorld>> {
    let made = TestWorld::on(broker.open(), ParticipantScript::default(), ParticipantScript::default()).await?;
    let Some(mut world) = made else { return Ok(None) };
    world.installation = world
        .installation
        .with("kafka", "bootstrapServers", json!(address))
        .with("kafka", "properties", properties.clone())
        .with_env("KAFKA_PASSWORD", PASSWORD)
        .with_env("KAFKA_WRONG_PASSWORD", "another-password");
    world.define("order", "steps:\n  - {step: reserve, do: inventory.Reserve, undo: inventory.Release}\n")?;
    Ok(Some(world))
}

/// A saga runs from its trigger to its outcome.
async fn accepted(broker: &SecureKafka, address: &str, properties: &Value) -> Result<()> {
    let Some(world) = world(broker, address, properties).await? else { return Ok(()) };
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    reaches(&engine, "4711", &["completed"]).await?;
    ensure!(!engine.log()?.contains(PASSWORD), "the password is in the log");
    engine.terminate().await?;
    Ok(())
}

/// The engine does not become ready, and its log says `why`.
async fn refused(broker: &SecureKafka, address: &str, properties: &Value, why: &str) -> Result<()> {
    let Some(world) = world(broker, address, properties).await? else { return Ok(()) };
    let engine = Engine::spawn(&world.installation)?;
    eventually(&format!("the log says `{why}`"), WITHIN, || async {
        let log = engine.log()?;
        ensure!(log.contains(why), "{log}");
        Ok(Some(()))
    })
    .await?;
    ensure!(!engine.api().is_ready().await?, "it is ready");
    let log = engine.log()?;
    ensure!(!log.contains(PASSWORD) && !log.contains("another-password"), "a password is in {log}");
    engine.kill().await
}

fn sasl(protocol: &str, mechanism: &str, variable: &str) -> Value {
    json!({
        "security.protocol": protocol, "sasl.mechanism": mechanism, "sasl.username": USER,
        "sasl.password": format!("${{ env.{variable} }}"),
    })
}

fn with(mut properties: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().into_iter().flatten() {
        properties[name] = value.clone();
    }
    properties
}

#[tokio::test]
async fn a_password_is_taken_and_a_wrong_one_is_not() -> Result<()> {
    let Some(broker) = SecureKafka::start(&MadeAuthority::new("ours")?)? else { return Ok(()) };
    let address = format!("127.0.0.1:{}", broker.ports().sasl_plaintext);
    accepted(&broker, &address, &sasl("SASL_PLAINTEXT", "PLAIN", "KAFKA_PASSWORD")).await?;
    let wrong = sasl("SASL_PLAINTEXT", "PLAIN", "KAFKA_WRONG_PASSWORD");
    refused(&broker, &address, &wrong, "Authentication failed").await
}

/// Gives whoever has the secret a token without a signature, as the broker of the test takes it.
async fn issue(headers: HeaderMap) -> Response {
    use base64::{
        Engine as _,
        engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    };
    let pair = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let expected = format!("Basic {pair}");
    if headers.get("authorization").and_then(|it| it.to_str().ok()) != Some(expected.as_str()) {
        let refusal = json!({"error": "invalid_client", "error_description": "nobody of that name"});
        return (StatusCode::UNAUTHORIZED, axum::Json(refusal)).into_response();
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let part = |claims: Value| URL_SAFE_NO_PAD.encode(claims.to_string());
    let claims = json!({"sub": USER, "iat": now, "exp": now + 3600});
    let token = format!("{}.{}.", part(json!({"alg": "none", "typ": "JWT"})), part(claims));
    axum::Json(json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600})).into_response()
}

/// A broker with TLS and a file with its authority; `None`: this run has none, which has been reported.
fn with_tls(ours: &MadeAuthority) -> Result<Option<(SecureKafka, Value)>> {
    if std::env::var_os(KAFKA_TLS).is_none() {
        tell_not_run("the engine of this run has no TLS to Kafka; `tests/run tls` builds one");
        return Ok(None);
    }
    let Some(broker) = SecureKafka::start(ours)? else { return Ok(None) };
    let ca = json!({"ssl.ca.location": broker.file("trusted.pem", &ours.pem())?});
    Ok(Some((broker, ca)))
}

#[tokio::test]
async fn over_tls_passwords_are_taken_and_only_from_a_broker_whose_certificate_holds() -> Result<()> {
    let (ours, theirs) = (MadeAuthority::new("ours")?, MadeAuthority::new("theirs")?);
    let Some((broker, ca)) = with_tls(&ours)? else { return Ok(()) };
    let other = json!({"ssl.ca.location": broker.file("other.pem", &theirs.pem())?});
    let address = format!("localhost:{}", broker.ports().sasl_ssl);
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let right = with(sasl("SASL_SSL", mechanism, "KAFKA_PASSWORD"), &ca);
        accepted(&broker, &address, &right).await?;
        let wrong = with(sasl("SASL_SSL", mechanism, "KAFKA_WRONG_PASSWORD"), &ca);
        refused(&broker, &address, &wrong, "uthentication failed").await?;
    }
    let right = sasl("SASL_SSL", "PLAIN", "KAFKA_PASSWORD");
    refused(&broker, &address, &with(right.clone(), &other), "certificate verify failed").await?;
    let by_address = format!("127.0.0.1:{}", broker.ports().sasl_ssl);
    refused(&broker, &by_address, &with(right, &ca), "certificate verify failed").await
}

#[tokio::test]
async fn over_tls_the_tokens_of_an_issuer_are_taken() -> Result<()> {
    let Some((broker, ca)) = with_tls(&MadeAuthority::new("ours")?)? else { return Ok(()) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/token", listener.local_addr()?);
    let issuing = tokio::spawn(async move { axum::serve(listener, Router::new().fallback(issue)).await });
    let oidc = |variable: &str| {
        json!({
            "security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": USER, "sasl.oauthbearer.client.secret": format!("${{ env.{variable} }}"),
            "sasl.oauthbearer.token.endpoint.url": url,
        })
    };
    let address = format!("localhost:{}", broker.ports().sasl_ssl);
    accepted(&broker, &address, &with(oidc("KAFKA_PASSWORD"), &ca)).await?;
    refused(&broker, &address, &with(oidc("KAFKA_WRONG_PASSWORD"), &ca), "nobody of that name").await?;
    issuing.abort();
    Ok(())
}

#[tokio::test]
async fn a_broker_that_wants_a_certificate_takes_only_one_that_holds() -> Result<()> {
    let (ours, theirs) = (MadeAuthority::new("ours")?, MadeAuthority::new("theirs")?);
    let Some((broker, ca)) = with_tls(&ours)? else { return Ok(()) };
    let address = format!("localhost:{}", broker.ports().ssl);
    let identity = |name: &str, authority: &MadeAuthority| -> Result<Value> {
        let made = authority.signs(name)?;
        let certificate = broker.file(&format!("{name}.crt"), &made.certificate)?;
        let key = broker.file(&format!("{name}.key"), &made.key)?;
        Ok(with(json!({"ssl.certificate.location": certificate, "ssl.key.location": key}), &ca))
    };
    let ssl = json!({"security.protocol": "SSL"});
    accepted(&broker, &address, &with(ssl.clone(), &identity("engine", &ours)?)).await?;
    refused(&broker, &address, &with(ssl.clone(), &ca), "alert").await?;
    refused(&broker, &address, &with(ssl, &identity("stranger", &theirs)?), "alert").await
}
