//! A participant that is right, and one for each way of being wrong.

mod bad;
mod good;
mod over_kafka;

use super::*;
use saga_core::definition::participants;
use serde_json::json;

/// The checks that came out as `verdict`.
fn named(findings: &[ContractFinding], verdict: ContractVerdict) -> Vec<ContractCheck> {
    findings.iter().filter(|finding| finding.verdict == verdict).map(|finding| finding.check).collect()
}

fn charge() -> TypedCommands {
    TypedCommands {
        target: "POST payments/charges".parse().expect("a command"),
        undo: Some("POST payments/refunds".parse().expect("a command")),
        with: json!({"amountCents": 100}),
        undo_with: None,
    }
}

fn typed(typed: TypedCommands) -> VerificationSubject {
    VerificationSubject { script: VerificationScript::Typed(typed), timeout: Duration::from_secs(10), restart: None }
}

fn subject() -> VerificationSubject {
    typed(charge())
}

async fn over_http(address: std::net::SocketAddr, subject: &VerificationSubject) -> Vec<ContractFinding> {
    attempted(address, subject).await.expect("it can be asked")
}

async fn attempted(
    address: std::net::SocketAddr,
    subject: &VerificationSubject,
) -> anyhow::Result<Vec<ContractFinding>> {
    set_to(address, "", subject).await
}

/// The same of a participant with these settings besides.
async fn set_to(
    address: std::net::SocketAddr,
    settings: &str,
    subject: &VerificationSubject,
) -> anyhow::Result<Vec<ContractFinding>> {
    let text = format!("participants:\n  payments:\n    http: {{url: http://{address}}}\n    {settings}\n");
    let participants = participants::parse("participants.yaml", &text, &|_| None).expect("it can be read");
    let participant = participants.get("payments").expect("it is there");
    let broker = KafkaSettings::new("127.0.0.1:1", "unused");
    run("payments", participant, subject, &broker, None).await.map(|verified| verified.findings)
}
