//! What a benchmark runs: an engine that owns all shards, and the no-op participant.

use crate::{
    config,
    startup::{DefinitionFiles, LoadedDefinitions, load_files},
    telemetry::{
        self,
        otlp::{self, SpanSender},
    },
};
use anyhow::Context;
use saga_base::clock::EngineClock;
use saga_core::{definition::SourceFile, id::ShardId, state::SagaPlan};
use saga_engine::{
    EngineSettings, SagaEngine, SchemaSource, ShardOwnership,
    catalog::DefinitionCatalog,
    observer::{CommitObserver, ObserverHandle},
};
use saga_event_store::EventStore;
use saga_resilience::registry::GuardRegistry;
use std::{collections::BTreeMap, num::NonZeroU32, process::Stdio, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// Maximum time for calls in flight when the engine stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Name of the participant.
pub(crate) const PARTICIPANT: &str = "noop";

/// The definition, and the participant at `url` with this number of permits.
pub(crate) fn load(name: &str, definition: &str, url: &str, places: NonZeroU32) -> anyhow::Result<LoadedDefinitions> {
    let participants =
        format!("participants:\n  {PARTICIPANT}:\n    http: {{url: \"{url}\"}}\n    bulkhead: {places}\n");
    let files = DefinitionFiles {
        sagas: vec![SourceFile::new(name, definition)],
        participants: Some(SourceFile::new("participants.yaml", participants)),
        ..DefinitionFiles::default()
    };
    Ok(load_files(&files, &|_| None)?)
}

/// A running engine that writes to the store of the benchmark.
pub(crate) struct BenchEngine {
    pub(crate) engine: SagaEngine,
    pub(super) plan: Arc<SagaPlan>,
    ownership: ShardOwnership,
    /// Sends spans, if the environment names a collector.
    spans: Option<SpanSender>,
}

impl BenchEngine {
    /// Starts an engine that claims all shards.
    pub(super) async fn start(
        store: &Arc<dyn EventStore>,
        loaded: LoadedDefinitions,
        observer: Arc<dyn CommitObserver>,
    ) -> anyhow::Result<BenchEngine> {
        let mut stand = BenchEngine::prepare(store, loaded, observer).await?;
        stand.own_all();
        Ok(stand)
    }

    /// Starts an engine without any shard.
    pub(crate) async fn prepare(
        store: &Arc<dyn EventStore>,
        loaded: LoadedDefinitions,
        observer: Arc<dyn CommitObserver>,
    ) -> anyhow::Result<BenchEngine> {
        // What a benchmark measures records metrics as an engine does.
        telemetry::record_metrics(None);
        let plan = loaded.plans.first().cloned().context("the benchmark has a definition")?;
        let config = config::traces(std::env::vars().collect())?;
        let (traces, spans) = config.map(|config| otlp::start(config, "bench")).transpose()?.unzip();
        let settings = EngineSettings {
            store: Arc::clone(store),
            guarded: Arc::new(GuardRegistry::from_participants(&loaded.participants)?),
            participants: Arc::new(loaded.participants.clone()),
            participants_file: None,
            catalog: DefinitionCatalog::new(loaded.plans),
            shards: store.identity().shards,
            instance: format!("bench/{}", std::process::id()),
            archive_folder: None,
            kafka: None,
            events_topic: None,
            letters: None,
            schemas: SchemaSource::default(),
            clock: EngineClock::Wall,
            most_skew: Duration::from_secs(60),
            observer: ObserverHandle::new(observer),
            traces,
        };
        let prepared = SagaEngine::prepare(&settings).await?;
        let engine = SagaEngine::start(settings, prepared);
        let ownership = engine.ownership();
        Ok(BenchEngine { engine, plan, ownership, spans })
    }

    pub(super) fn own_all(&mut self) {
        let shards = self.engine.shards();
        (0..shards).map(ShardId).for_each(|shard| self.ownership.acquire(shard));
    }

    pub(super) async fn stop(mut self) {
        self.ownership.release_all().await;
        self.engine.finish(STOP_TIMEOUT).await;
        if let Some(spans) = self.spans {
            spans.finish(STOP_TIMEOUT).await;
        }
    }
}

/// The no-op participant, a child process.
pub(super) struct BenchParticipant {
    child: Child,
    pub(super) url: String,
}

impl BenchParticipant {
    pub(super) async fn start() -> anyhow::Result<BenchParticipant> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut child = Command::new(program)
            .arg("bench-participant")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the participant")?;
        let stdout = child.stdout.take().context("the participant has a standard output")?;
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address).await?;
        Ok(BenchParticipant { child, url: format!("http://{}", address.trim()) })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    pub(super) async fn calls(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        saga_resilience::transport::install_tls();
        let client = reqwest::Client::builder().no_proxy().build()?;
        let answer = client.get(format!("{}/calls", self.url)).send().await?.bytes().await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}
