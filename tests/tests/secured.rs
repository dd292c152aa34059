//! A database that speaks TLS: which servers are taken for it, and who logs in.

use anyhow::{Result, ensure};
use saga_tests::{
    certificates::{MadeAuthority, MadeCertificate},
    engine::binary,
    participant::ParticipantScript,
    secure_postgres::SecurePostgres,
    world::{TestWorld, reaches},
};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use tokio::process::Command;

/// What `saga list` says about the store at `url`, and whether it could read it.
async fn listed(url: &str) -> Result<(bool, String)> {
    let mut saga = Command::new(binary()?);
    saga.args(["list", "--store", url]).env_remove("SAGA_CONFIG").kill_on_drop(true);
    let said = saga.output().await?;
    Ok((
        said.status.success(),
        format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr)),
    ))
}

async fn accepted(url: &str) -> Result<()> {
    let (read, told) = listed(url).await?;
    ensure!(read && told.contains("4711"), "{url}: {told}");
    Ok(())
}

async fn refused(url: &str, why: &str) -> Result<()> {
    let (read, told) = listed(url).await?;
    ensure!(!read && told.contains(why), "{url}: {why} is not in: {told}");
    ensure!(!told.contains("postgres:saga"), "the password is in {told}");
    Ok(())
}

#[tokio::test]
async fn the_database_has_to_show_a_certificate_that_holds_and_takes_one_of_the_client() -> Result<()> {
    let (ours, theirs) = (MadeAuthority::new("ours")?, MadeAuthority::new("theirs")?);
    let Some(server) = SecurePostgres::start(&ours).await? else { return Ok(()) };
    let Some(mut world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    let ca = server.file("ca.crt", &ours.pem())?;
    let other = server.file("other.crt", &theirs.pem())?;
    let verified = format!("?sslmode=verify-full&sslrootcert={}", ca.display());
    let url = server.url("localhost", &verified);
    world.installation = world.installation.set("store", json!(url));
    world.define("order", "steps:\n  - {step: charge, do: POST payments/charges, undo: POST payments/refunds}\n")?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    reaches(&engine, "4711", &["completed"]).await?;
    let mut asked = PgConnection::connect(&url).await?;
    let question = "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl) FROM pg_stat_ssl \
                    JOIN pg_stat_activity USING (pid) WHERE application_name = 'saga'";
    let (encrypted, plain): (i64, i64) = sqlx::query_as(question).fetch_one(&mut asked).await?;
    ensure!(encrypted > 0 && plain == 0, "{encrypted} sessions with TLS, {plain} without");
    engine.terminate().await?;

    accepted(&url).await?;
    refused(&server.url("127.0.0.1", &verified), "not valid for name").await?;
    accepted(&server.url("127.0.0.1", &verified.replace("verify-full", "verify-ca"))).await?;
    let unknown = format!("?sslmode=verify-full&sslrootcert={}", other.display());
    refused(&server.url("localhost", &unknown), "UnknownIssuer").await?;
    refused(&server.url("localhost", "?sslmode=verify-full"), "UnknownIssuer").await?;

    let identity = |name: &str, made: &MadeCertificate| -> Result<String> {
        let certificate = server.file(&format!("{name}.crt"), &made.certificate)?;
        let key = server.file(&format!("{name}.key"), &made.key)?;
        Ok(format!("{verified}&sslcert={}&sslkey={}", certificate.display(), key.display()))
    };
    accepted(&server.url_of_certified(&identity("right", &ours.signs("certified")?)?)).await?;
    refused(&server.url_of_certified(&verified), "certificate").await?;
    refused(&server.url_of_certified(&identity("somebody", &ours.signs("somebody")?)?), "certificate").await?;
    refused(&server.url_of_certified(&identity("theirs", &theirs.signs("certified")?)?), "").await
}
