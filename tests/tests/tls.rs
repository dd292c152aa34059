//! TLS of the API on a real engine, as operators use it: a probe, a command with a certificate, a renewed certificate.

use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use saga_tests::{
    engine::{Engine, binary},
    eventually::eventually,
    participant::ParticipantScript,
    world::{TestWorld, WITHIN},
};
use serde_json::json;
use std::{path::PathBuf, process::Output};
use tokio::process::Command;

const STEPS: &str = "\nsteps:\n  - {step: charge, do: POST payments/charges, undo: POST payments/refunds}\n";

struct TestAuthority(CertifiedIssuer<'static, KeyPair>);

impl TestAuthority {
    fn new(name: &str) -> Result<TestAuthority> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(TestAuthority(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// A certificate and its key, in PEM.
    fn signed(&self, name: &str) -> Result<(String, String)> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::DnsName(name.try_into()?)];
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.0)?.pem(), key.serialize_pem()))
    }
}

async fn saga(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(binary()?).args(arguments).env("USER", "ada").output().await?)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_with_tls_is_probed_and_takes_certificates() -> Result<()> {
    let Some(mut world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define("order", STEPS)?;
    let folder = world.installation.folder().to_owned();
    let write = |name: &str, text: &str| -> Result<PathBuf> {
        std::fs::write(folder.join(name), text)?;
        Ok(folder.join(name))
    };
    let (servers, clients) = (TestAuthority::new("servers")?, TestAuthority::new("clients")?);
    let ((certificate, key), (client, client_key)) = (servers.signed("localhost")?, clients.signed("ci.example.com")?);
    let files = json!({
        "certificate": write("tls.crt", &certificate)?,
        "key": write("tls.key", &key)?,
        "clientCa": write("clients.crt", &clients.0.pem())?,
        "clients": {"ci.example.com": "operator"},
    });
    world.installation = world.installation.with("api", "tls", files);
    let engine = Engine::spawn(&world.installation)?;
    let port = engine.api().base().rsplit(':').next().context("a port")?.to_owned();
    let config = std::fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let config = config.into_iter().find(|path| path.to_string_lossy().contains(&format!("{port}.yaml")));
    let config = config.context("a configuration")?.to_string_lossy().into_owned();
    let ready = eventually("the probe says that the engine is ready", WITHIN, || async {
        let probed = saga(&["health", "--config", &config]).await?;
        ensure!(probed.status.success(), "{}\n{}", said(&probed), engine.log_tail());
        Ok(Some(()))
    });
    ready.await?;
    let (server, ca) = (format!("https://localhost:{port}"), write("ca.crt", &servers.0.pem())?);
    let (ca, login) = (ca.to_string_lossy().into_owned(), write("client.pem", &format!("{client}{client_key}"))?);
    let act = ["guard", "open", "payments", "--reason", "they migrate", "--server", &server];
    let unknown = saga(&act).await?;
    ensure!(!unknown.status.success() && said(&unknown).contains("--ca"), "{}", said(&unknown));
    let nobody = saga(&[&act[..], &["--ca", &ca]].concat()).await?;
    ensure!(!nobody.status.success() && said(&nobody).contains("this needs a login"), "{}", said(&nobody));
    let acted = saga(&[&act[..], &["--ca", &ca, "--certificate", &login.to_string_lossy()]].concat()).await?;
    ensure!(acted.status.success(), "{}", said(&acted));
    ensure!(engine.log()?.contains("cert:ci.example.com"), "{}", engine.log_tail());
    let others = TestAuthority::new("others")?;
    let (certificate, key) = others.signed("localhost")?;
    write("tls.key", &key)?;
    write("tls.crt", &certificate)?;
    let new_ca = write("other.crt", &others.0.pem())?.to_string_lossy().into_owned();
    let list = ["guard", "list", "--server", &server, "--certificate", &login.to_string_lossy(), "--ca", &new_ca];
    let renewed = eventually("the engine has the other certificate", WITHIN, || async {
        Ok(saga(&list).await?.status.success().then_some(()))
    });
    renewed.await
}
