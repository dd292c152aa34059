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

/// Delay of a late answer in a run: longer than the attempt timeout of every sample participant.
const LATE: Duration = Duration::from_secs(3);

/// All sample participants; dropping the value ends them.
#[derive(Debug)]
pub(super) struct SampleParticipants {
    http: http::SampleHttpServer,
    /// `None` until the broker has their topics.
    kafka: Option<kafka::SampleKafkaListener>,
    memory: Arc<SampleAnswerStore>,
}

/// What both transports share: the final answers, in a file, so that a later run repeats the answers of an earlier one.
#[derive(Debug)]
struct SampleAnswerStore {
    pool: SqlitePool,
    barrier: CommandBarrier<Sqlite>,
    /// Delay of a late answer.
    late: Duration,
}

impl SampleParticipants {
    /// Opens their memory at `path` and listens for HTTP on a free port of this machine.
    ///
    /// # Errors
    /// When the file cannot be opened or no port is free.
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

    /// Performs a command and returns the answer when it is time to send it. `None`: the command gets no answer.
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
