//! The sample participants: the services that the shipped sagas call, over real topics and a real HTTP port.

mod conduct;
mod http;
mod kafka;

use anyhow::Context;
use conduct::{AnswerTiming, SampleHandler};
use saga_kafka::{KafkaProducer, KafkaSettings};
use saga_participant::{
    CommandBarrier, CommandService, ParticipantAnswer, RefusalRetention, SagaCommand, SagaParticipant,
};
use sqlx::{
    Sqlite, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tracing::warn;

/// How late a late answer is, in a run: longer than the attempt timeout of every sample participant.
const LATE: Duration = Duration::from_secs(3);

/// All of them, at work until they are dropped.
#[derive(Debug)]
pub(super) struct SampleParticipants {
    http: http::SampleHttpServer,
    /// Absent until the broker has their topics.
    kafka: Option<kafka::SampleKafkaListener>,
    memory: Arc<SampleAnswerStore>,
}

/// What both transports share: whatever was answered for good, in a file, so that a later run knows what an earlier one
/// did.
#[derive(Debug)]
struct SampleAnswerStore {
    pool: SqlitePool,
    barrier: CommandBarrier<Sqlite>,
    /// How late a late answer is.
    late: Duration,
}

impl SampleParticipants {
    /// Opens their memory at `path` and listens for HTTP on a free port of this machine.
    ///
    /// # Errors
    /// When the file or a port cannot be had.
    pub(super) async fn start(path: &Path) -> anyhow::Result<SampleParticipants> {
        let memory = SampleAnswerStore::open(path, LATE).await;
        let memory = memory.with_context(|| format!("the participants' memory {} cannot be used", path.display()))?;
        let memory = Arc::new(memory);
        let http = http::SampleHttpServer::start(Arc::clone(&memory)).await?;
        Ok(SampleParticipants { http, kafka: None, memory })
    }

    /// Consumes the commands of `topics`.
    ///
    /// # Errors
    /// When the client refuses the settings.
    pub(super) fn consume(&mut self, settings: &KafkaSettings, topics: &[String]) -> anyhow::Result<()> {
        let producer = KafkaProducer::start(settings)?;
        self.kafka = Some(kafka::SampleKafkaListener::start(settings, topics, producer, Arc::clone(&self.memory))?);
        Ok(())
    }

    /// Where they listen for HTTP.
    pub(super) fn address(&self) -> SocketAddr {
        self.http.address()
    }
}

impl SampleAnswerStore {
    /// Opens the file at `path`, or makes it. What was answered survives the death of the process; of a power cut it
    /// may lose the last answers, which a demonstration can bear.
    async fn open(path: &Path, late: Duration) -> anyhow::Result<SampleAnswerStore> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal);
        // SQLite has one writer: a second connection would only poll for its turn.
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        let barrier = CommandBarrier::create(&pool).await?.refusals(RefusalRetention::UntilInsisted);
        Ok(SampleAnswerStore { pool, barrier, late })
    }

    /// Performs a command and says what to answer, when the time has come. `None`: nothing is ever answered.
    async fn hear(&self, command: SagaCommand) -> Option<ParticipantAnswer> {
        let delivery = conduct::delivery(&command);
        if delivery == AnswerTiming::Deaf {
            return None;
        }
        let (conduct, performed) = SampleHandler::new();
        let answered = SagaParticipant::new(self.pool.clone(), self.barrier, conduct).answer(command).await;
        let answer = answered.inspect_err(|error| warn!(%error, "a sample participant does not answer")).ok()?;
        match delivery {
            AnswerTiming::LateAtFirst if performed.is_set() => {
                tokio::time::sleep(self.late).await;
                Some(answer)
            }
            AnswerTiming::Prompt | AnswerTiming::LateAtFirst => Some(answer),
            AnswerTiming::Withheld | AnswerTiming::Deaf => None,
        }
    }
}

#[cfg(test)]
mod tests;
