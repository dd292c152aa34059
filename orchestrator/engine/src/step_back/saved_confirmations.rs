//! What this engine knows the event store to have, kept in Kafka too: when all engines end while a database takes over
//! that lagged, or an older state is restored while none runs, no engine remembers it. The next one that starts
//! compares.
//!
//! A text is kept for the lowest shard that an engine owns: one request a second, and never more texts than shards.

mod text;

use crate::router::ShardRouter;
use rdkafka::error::KafkaError;
use saga_base::clock::EngineClock;
use saga_event_store::{CommitConfirmation, EventStore, StoreError};
use saga_kafka::{OffsetMetadataStore, offset_metadata::PartitionTexts};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

/// Between two texts: what was confirmed since the last is not known to the next engine if this one is killed.
const EVERY: Duration = Duration::from_secs(1);

/// Between two looks until a shard is owned: an engine that ends within a second leaves what it knows, too.
const FIRST: Duration = Duration::from_millis(50);

/// The store forgets the marks of stopped processes after seven days: an older confirmation proves nothing.
const TOO_OLD: Duration = Duration::from_secs(6 * 24 * 60 * 60);

/// How often an engine asks Kafka when it starts. An engine that may not read the group gets an error within some
/// seconds, and starts all the same.
const TRIES: u32 = 3;

/// The confirmations that earlier engines saved in Kafka.
#[derive(Debug, Default)]
pub struct SavedConfirmations {
    known: Vec<(i32, CommitConfirmation)>,
}

impl SavedConfirmations {
    /// Reads it. Without it the engine works all the same, and says what it does not know.
    pub async fn read(kept: &OffsetMetadataStore, installation: Uuid, clock: EngineClock) -> SavedConfirmations {
        match texts(kept).await {
            Ok(texts) => SavedConfirmations::of(&texts, installation, clock.now().minus(TOO_OLD).0),
            Err(error) => {
                warn!(
                    %error,
                    "the engine cannot read from Kafka which commits earlier engines had confirmed; it does not detect \
                     commits that the database lost while no engine ran"
                );
                SavedConfirmations::default()
            }
        }
    }

    fn of(texts: &PartitionTexts, installation: Uuid, oldest_ms: i64) -> SavedConfirmations {
        let known = texts.iter().filter_map(|(partition, text)| Some((*partition, text::parse(text, installation)?)));
        SavedConfirmations { known: known.filter(|(_, confirmed)| confirmed.last_ms() >= oldest_ms).collect() }
    }

    /// Compares the store with these confirmations; the store reports what is missing. Returns the partitions whose
    /// text is not true any more.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn compare(&self, store: &dyn EventStore) -> Result<Vec<i32>, StoreError> {
        let all: Vec<CommitConfirmation> = self.known.iter().map(|(_, confirmed)| confirmed.clone()).collect();
        let missing = store.compare(&all).await?;
        Ok(missing
            .into_iter()
            .filter_map(|position| self.known.get(position))
            .map(|(partition, _)| *partition)
            .collect())
    }
}

async fn texts(kept: &OffsetMetadataStore) -> Result<PartitionTexts, KafkaError> {
    let mut tries = 1;
    loop {
        match kept.read().await {
            Err(_) if tries < TRIES => tries += 1,
            answer => return answer,
        }
    }
}

/// Keeps what this engine knows, until it is finished.
#[derive(Debug)]
pub struct ConfirmationSaver {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl ConfirmationSaver {
    /// Begins to save; `untrue`: partitions whose text is to be replaced first.
    pub(crate) fn start(
        store: Arc<dyn EventStore>,
        router: ShardRouter,
        kept: OffsetMetadataStore,
        untrue: Vec<i32>,
    ) -> ConfirmationSaver {
        let stop = CancellationToken::new();
        let installation = store.identity().installation;
        let keeper = ConfirmationSaverTask {
            store,
            router,
            kept,
            installation,
            untrue,
            partition: None,
            written: None,
            trouble: SaveFailure::None,
        };
        ConfirmationSaver { task: tokio::spawn(keeper.run(stop.clone())), stop }
    }

    /// Saves the last known confirmation. Waits at most `patience`.
    pub async fn finish(mut self, patience: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(patience, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SaveFailure {
    None,
    Told,
}

struct ConfirmationSaverTask {
    store: Arc<dyn EventStore>,
    router: ShardRouter,
    kept: OffsetMetadataStore,
    installation: Uuid,
    untrue: Vec<i32>,
    /// Of the lowest shard that is or was owned.
    partition: Option<i32>,
    written: Option<(i32, CommitConfirmation)>,
    trouble: SaveFailure,
}

impl ConfirmationSaverTask {
    async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(self.rest())).await.is_some() {
            self.keep().await;
        }
        self.keep().await;
    }

    fn rest(&self) -> Duration {
        if self.partition.is_some() { EVERY } else { FIRST }
    }

    async fn keep(&mut self) {
        let lowest = self.router.owned_shards().map(|shard| i32::from(shard.0)).min();
        self.partition = lowest.or(self.partition);
        let Some((partition, confirmed)) = self.partition.zip(self.store.confirmed()) else { return };
        let news = (partition, confirmed);
        if self.written.as_ref() == Some(&news) {
            return;
        }
        let mut partitions = self.untrue.clone();
        partitions.push(partition);
        let written = self.kept.write(partitions, text::of(&news.1, self.installation)).await;
        if written.is_ok() {
            self.untrue.clear();
            self.written = Some(news);
        }
        self.tell(written);
    }

    fn tell(&mut self, written: Result<(), KafkaError>) {
        match (written, self.trouble) {
            (Err(error), SaveFailure::None) => {
                warn!(
                    %error,
                    "the engine cannot store the last confirmed commits in Kafka; it tries again. Until then no engine \
                     detects commits that the database loses while no engine runs"
                );
                self.trouble = SaveFailure::Told;
            }
            (Ok(()), SaveFailure::Told) => {
                info!("what the event store is known to have is kept in Kafka again");
                self.trouble = SaveFailure::None;
            }
            (Err(_), SaveFailure::Told) | (Ok(()), SaveFailure::None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_old_or_of_another_installation_says_nothing() {
        let (installation, writer) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let confirmed = |at_ms| CommitConfirmation { writer, number: 7, at_ms, append: None };
        let texts = PartitionTexts::from([
            (0, text::of(&confirmed(5_000), installation)),
            (1, text::of(&confirmed(4_999), installation)),
            (2, text::of(&confirmed(5_000), Uuid::from_u128(3))),
            (3, "by hand".to_owned()),
        ]);
        assert_eq!(SavedConfirmations::of(&texts, installation, 5_000).known, [(0, confirmed(5_000))]);
    }
}
