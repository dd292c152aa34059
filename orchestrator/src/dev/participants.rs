//! The sample participants: the services that the shipped sagas call, over real topics and a real HTTP port.

mod conduct;
mod http;
mod kafka;

use super::ledger::{Hearing, Ledger, Verdict};
use crate::kafka::{Producer, Settings};
use anyhow::Context;
use conduct::Delivery;
use saga_core::id::CommandId;
use serde_json::Value;
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tracing::warn;

/// How late a late answer is, in a run: longer than the attempt timeout of every sample participant.
const LATE: Duration = Duration::from_secs(3);

/// A command as it arrived.
#[derive(Clone, Debug, PartialEq)]
struct Command {
    id: CommandId,
    /// `inventory.ReserveStock`, or `POST payments/charges`.
    target: String,
    body: Value,
}

/// All of them, at work until they are dropped.
#[derive(Debug)]
pub(super) struct Participants {
    http: http::Listening,
    /// Absent until the broker has their topics.
    kafka: Option<kafka::Listening>,
    memory: Arc<Memory>,
}

/// What both transports share.
#[derive(Debug)]
struct Memory {
    ledger: Ledger,
    /// How late a late answer is.
    late: Duration,
}

impl Participants {
    /// Opens their memory at `path` and listens for HTTP on a free port of this machine.
    ///
    /// # Errors
    /// When the file or a port cannot be had.
    pub(super) async fn start(path: &Path) -> anyhow::Result<Participants> {
        let ledger = Ledger::open(path).await;
        let ledger = ledger.with_context(|| format!("the participants' memory {} cannot be used", path.display()))?;
        let memory = Arc::new(Memory { ledger, late: LATE });
        let http = http::Listening::start(Arc::clone(&memory)).await?;
        Ok(Participants { http, kafka: None, memory })
    }

    /// Consumes the commands of `topics`.
    ///
    /// # Errors
    /// When the client refuses the settings.
    pub(super) fn consume(&mut self, settings: &Settings, topics: &[String]) -> anyhow::Result<()> {
        let producer = Producer::start(settings)?;
        self.kafka = Some(kafka::Listening::start(settings, topics, producer, Arc::clone(&self.memory))?);
        Ok(())
    }

    /// Where they listen for HTTP.
    pub(super) fn address(&self) -> SocketAddr {
        self.http.address()
    }
}

impl Memory {
    /// Performs a command and says what to answer, when the time has come. `None`: nothing is ever answered.
    async fn hear(&self, command: &Command) -> Option<Verdict> {
        let delivery = conduct::delivery(command);
        if delivery == Delivery::Deaf {
            return None;
        }
        let (verdict, hearing) = match self.ledger.answer(&command.id, |past| conduct::verdict(command, past)).await {
            Ok(answered) => answered,
            Err(error) => {
                warn!(%error, "a sample participant cannot reach its memory and does not answer");
                return None;
            }
        };
        match (delivery, hearing) {
            (Delivery::Prompt, _) | (Delivery::LateAtFirst, Hearing::Again) => Some(verdict),
            (Delivery::LateAtFirst, Hearing::First) => {
                tokio::time::sleep(self.late).await;
                Some(verdict)
            }
            (Delivery::Withheld | Delivery::Deaf, _) => None,
        }
    }
}

#[cfg(test)]
mod tests;
