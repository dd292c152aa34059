//! `saga verify-participant`: tests a participant against the contract, with commands that an engine may send after
//! failures.
//!
//! What is sent is what the engine sends: requests of [`saga_resilience::transport::http`], records of
//! [`saga_wire::cloudevents`]. Every check has a saga id of its own, which no engine knows.

mod checks;
mod kafka;
mod restart;
mod script;
mod steps;
mod subject;
mod trial;

pub(crate) use checks::ContractCheck;
pub(crate) use restart::RestartMethod;
pub(crate) use script::{RehearsedStep, TypedCommands, VerificationScript};
pub(crate) use steps::{RehearsedDefinition, StepReport, VerificationOptions, all_steps};
pub(crate) use subject::TypedTarget;

use anyhow::Context;
use kafka::ReplyTopic;
use saga_core::definition::participants::ParticipantConfig;
use saga_kafka::KafkaSettings;
use saga_resilience::{
    settings::{ParticipantSettings, TransportSettings},
    transport::http::HttpParticipantClient,
};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use trial::{ParticipantTrial, TrialTransport};

/// Settings of a verification.
#[derive(Clone, Debug)]
pub(crate) struct VerificationSubject {
    /// The commands to send.
    pub script: VerificationScript,
    /// Timeout of an attempt.
    pub timeout: Duration,
    /// How to restart the participant; `None`: the check after a restart is left out.
    pub restart: Option<RestartMethod>,
}

/// The findings about a participant.
#[derive(Clone, Debug)]
pub(crate) struct VerificationReport {
    /// One finding for each check.
    pub findings: Vec<ContractFinding>,
    /// The result of the first do that succeeded.
    pub result: Option<Value>,
}

/// Whether the participant keeps one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ContractVerdict {
    /// It kept the rule in all attempts.
    Holds,
    /// It broke the rule at least once.
    Broken,
    /// Not known, because a precondition is missing.
    NotTested,
    /// The caller did not ask for the check, or the transport does not have it.
    NotAsked,
}

/// A precondition of a check that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingPrecondition {
    /// A do that succeeds.
    Do,
    /// An undo that succeeds.
    Undo,
    /// A restart of the participant that succeeds.
    Restart,
    /// The participant, after its restart.
    Return,
}

/// One attempt and its answer, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct AttemptTranscript {
    /// The request as it was sent.
    pub sent: String,
    /// The answer as it came, or why there is none.
    pub came: String,
}

/// The finding of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContractFinding {
    /// The check that this finding is about.
    pub check: ContractCheck,
    /// Whether the participant keeps the rule.
    pub verdict: ContractVerdict,
    /// The missing precondition of a rule that was not tested.
    #[serde(skip)]
    pub lacks: Option<MissingPrecondition>,
    /// Why the rule is broken or was not tested; empty if it holds.
    pub why: String,
    /// All attempts of the check, in order.
    pub exchanges: Vec<AttemptTranscript>,
    /// The rule in the words of the contract.
    pub contract: &'static str,
    /// Where the rule is documented.
    pub read: &'static str,
}

/// The participant cannot be reached: nothing was verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the participant cannot be asked: {0}")]
pub(crate) struct VerificationError(pub String);

/// Runs all checks of `subject` on `participant`; each attempt without an answer takes the attempt timeout. Kafka
/// participants reply to `reply_topic`, or to a new topic that is removed afterwards.
///
/// # Errors
/// The participant cannot be reached ([`VerificationError`]), its settings are wrong, or the broker does not permit the
/// topic.
pub(crate) async fn run(
    name: &str,
    participant: &ParticipantConfig,
    subject: &VerificationSubject,
    broker: &KafkaSettings,
    reply_topic: Option<&str>,
) -> anyhow::Result<VerificationReport> {
    match ParticipantSettings::of(name, participant).transport {
        TransportSettings::Http(settings) => {
            let participant = HttpParticipantClient::new(&settings).context("the participant cannot be called")?;
            verified(ParticipantTrial::new(subject, TrialTransport::Http(participant))).await
        }
        TransportSettings::Kafka { commands } => {
            let topic = ReplyTopic::find(broker, reply_topic).await?;
            let wire = kafka::KafkaTrialTransport::start(broker, &commands, &topic).await?;
            let verified = verified(ParticipantTrial::new(subject, TrialTransport::Kafka(wire))).await;
            topic.remove(broker).await;
            verified
        }
    }
}

async fn verified(mut trial: ParticipantTrial<'_>) -> anyhow::Result<VerificationReport> {
    let findings = checks::all(&mut trial).await?;
    Ok(VerificationReport { findings, result: trial.result() })
}

#[cfg(test)]
mod tests;
