//! `saga verify-participant`: holds a participant to the contract, by asking of it what an engine may ask on a bad day.
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

pub use checks::ContractCheck;
pub use restart::RestartMethod;
pub use script::{RehearsedStep, TypedCommands, VerificationScript};
pub use steps::{NoStartError, RehearsedDefinition, StepReport, StepSkipReason, VerificationOptions, all_steps};
pub use subject::{TypedTarget, TypedTargetError};

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

/// What is verified.
#[derive(Clone, Debug)]
pub struct VerificationSubject {
    /// What is asked.
    pub script: VerificationScript,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// How the participant is restarted; `None`: what it remembers then is not tested.
    pub restart: Option<RestartMethod>,
}

/// What was found out about a participant.
#[derive(Clone, Debug)]
pub struct VerificationReport {
    /// One for each check.
    pub findings: Vec<ContractFinding>,
    /// What the first do answered that succeeded.
    pub result: Option<Value>,
}

/// Whether the participant keeps one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractVerdict {
    /// It did whenever it was asked.
    Holds,
    /// It did not.
    Broken,
    /// Nobody can tell, because what it needs did not come about.
    NotTested,
    /// Not asked for, or there is no such thing here.
    NotAsked,
}

/// What a check needs and did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingPrecondition {
    /// A do that succeeds.
    Do,
    /// An undo that succeeds.
    Undo,
    /// A restart.
    Restart,
    /// The participant, after its restart.
    Return,
}

/// One attempt and what came of it, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttemptTranscript {
    /// What was sent.
    pub sent: String,
    /// What came back.
    pub came: String,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContractFinding {
    /// Which check.
    pub check: ContractCheck,
    /// Whether the rule is kept.
    pub verdict: ContractVerdict,
    /// Of what was not tested.
    #[serde(skip)]
    pub lacks: Option<MissingPrecondition>,
    /// Why it is broken, or was not tested; empty if it holds.
    pub why: String,
    /// Everything that was asked, in order.
    pub exchanges: Vec<AttemptTranscript>,
    /// What the contract says.
    pub contract: &'static str,
    /// Where to read it.
    pub read: &'static str,
}

/// The participant cannot be asked: nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the participant cannot be asked: {0}")]
pub struct VerificationError(pub String);

/// Asks `participant` everything there is to ask about `subject`; a participant that hangs takes the attempt timeout
/// each time. Commands from a topic are answered to `reply_topic`, or else to one that is made for this and removed
/// afterwards.
///
/// # Errors
/// The participant cannot be asked at all: it is away ([`VerificationError`]), its settings are wrong, or the broker
/// does not let us.
pub async fn run(
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
