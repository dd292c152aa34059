//! `saga verify-participant`: holds a participant to the contract, by asking of it what an engine may ask on a bad day.
//!
//! What is sent is what the engine sends: requests of [`saga_resilience::transport::http`], records of [`saga_wire::cloudevents`]. Every check has
//! a saga id of its own, which no engine knows.

mod checks;
mod kafka;
mod restart;
mod script;
mod steps;
mod subject;
mod trial;

pub use checks::Check;
pub use restart::Restart;
pub use script::{RehearsedStep, Script, Typed};
pub use steps::{How, NoStart, Rehearsed, Skipped, StepReport, all_steps};
pub use subject::{NotASubject, Target};

use anyhow::Context;
use kafka::Topic;
use saga_core::definition::participants::Participant;
use saga_kafka::Settings;
use saga_resilience::{
    settings::{ParticipantSettings, Transport},
    transport::http::HttpParticipant,
};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use trial::{Trial, Wire};

/// What is verified.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What is asked.
    pub script: Script,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// How the participant is restarted; `None`: what it remembers then is not tested.
    pub restart: Option<Restart>,
}

/// What was found out about a participant.
#[derive(Clone, Debug)]
pub struct Verified {
    /// One for each check.
    pub findings: Vec<Finding>,
    /// What the first do answered that succeeded.
    pub result: Option<Value>,
}

/// Whether the participant keeps one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
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
pub enum Lacks {
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
pub struct Exchange {
    /// What was sent.
    pub sent: String,
    /// What came back.
    pub came: String,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Which check.
    pub check: Check,
    /// Whether the rule is kept.
    pub verdict: Verdict,
    /// Of what was not tested.
    #[serde(skip)]
    pub lacks: Option<Lacks>,
    /// Why it is broken, or was not tested; empty if it holds.
    pub why: String,
    /// Everything that was asked, in order.
    pub exchanges: Vec<Exchange>,
    /// What the contract says.
    pub contract: &'static str,
    /// Where to read it.
    pub read: &'static str,
}

/// The participant cannot be asked: nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the participant cannot be asked: {0}")]
pub struct Unreachable(pub String);

/// Asks `participant` everything there is to ask about `subject`; a participant that hangs takes the attempt timeout each time. Commands from a
/// topic are answered to `reply_topic`, or else to one that is made for this and removed afterwards.
///
/// # Errors
/// The participant cannot be asked at all: it is away ([`Unreachable`]), its settings are wrong, or the broker does not let us.
pub async fn run(
    name: &str,
    participant: &Participant,
    subject: &Subject,
    broker: &Settings,
    reply_topic: Option<&str>,
) -> anyhow::Result<Verified> {
    match ParticipantSettings::of(name, participant).transport {
        Transport::Http(settings) => {
            let participant = HttpParticipant::new(&settings).context("the participant cannot be called")?;
            verified(Trial::new(subject, Wire::Http(participant))).await
        }
        Transport::Kafka { commands } => {
            let topic = Topic::find(broker, reply_topic).await?;
            let wire = kafka::Wire::start(broker, &commands, &topic).await?;
            let verified = verified(Trial::new(subject, Wire::Kafka(wire))).await;
            topic.remove(broker).await;
            verified
        }
    }
}

async fn verified(mut trial: Trial<'_>) -> anyhow::Result<Verified> {
    let findings = checks::all(&mut trial).await?;
    Ok(Verified { findings, result: trial.result() })
}

#[cfg(test)]
mod tests;
