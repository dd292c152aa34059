//! The table of dead letters in the event store, for commands that only read it.

use super::source::{LetterFilterArgs, LetterSourceArgs};
use crate::{config::EngineConfig, dead_letters::LetterState};
use anyhow::{Context, anyhow, bail};
use clap::{Args, builder::NonEmptyStringValueParser};
use saga_core::{definition::or_did_you_mean, id::SagaId, time::rfc3339};
use saga_event_store::{EventStore, LetterOrder, LetterStatus, StoreAccess, StoredLetterFilter};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Options that choose letters of the table: those of the topic, and what people have decided.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct TableFilterArgs {
    /// Only letters with one of these statuses, separated by commas: new, reviewing, redriven, discarded; open for new
    /// and reviewing
    #[arg(long, value_name = "STATUS", value_parser = states)]
    pub(super) status: Option<LetterStates>,
    /// Only letters with this cause: `saga dlq stats` shows them
    #[arg(long, value_name = "FINGERPRINT", value_parser = NonEmptyStringValueParser::new())]
    pub(super) fingerprint: Option<String>,
}

/// Statuses that a person asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LetterStates(pub(super) Vec<LetterStatus>);

fn states(text: &str) -> Result<LetterStates, String> {
    LetterState::all_of(text).map(LetterStates)
}

impl TableFilterArgs {
    /// Whether only the table can answer.
    pub(super) fn is_asked(&self) -> bool {
        self.status.is_some() || self.fingerprint.is_some()
    }

    /// The filter for the store.
    ///
    /// # Errors
    /// The range of time is empty.
    pub(super) fn stored(&self, letters: &LetterFilterArgs, topic: Option<&str>) -> anyhow::Result<StoredLetterFilter> {
        let asked = letters.filter(Vec::new())?;
        Ok(StoredLetterFilter {
            topic: topic.map(str::to_owned),
            statuses: self.status.clone().map(|states| states.0).unwrap_or_default(),
            codes: asked.codes,
            origin_topic: asked.topic,
            definition: asked.saga,
            stream: asked.saga_id.map(SagaId::uuid),
            key: asked.key,
            fingerprint: self.fingerprint.clone(),
            since_ms: asked.since.map(|at| at.0),
            until_ms: asked.until.map(|at| at.0),
            text: asked.text,
            ..StoredLetterFilter::default()
        })
    }

    /// The filter for the API; empty: nothing is said.
    ///
    /// # Errors
    /// The range of time is empty.
    pub(super) fn body(&self, letters: &LetterFilterArgs) -> anyhow::Result<Map<String, Value>> {
        let asked = letters.filter(Vec::new())?;
        let statuses = self
            .status
            .as_ref()
            .map(|states| states.0.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(","));
        let codes = (!asked.codes.is_empty()).then(|| asked.codes.join(","));
        let named = [
            ("status", statuses),
            ("code", codes),
            ("topic", asked.topic),
            ("saga", asked.saga),
            ("sagaId", asked.saga_id.map(|saga| saga.to_string())),
            ("key", asked.key),
            ("fingerprint", self.fingerprint.clone()),
            ("since", asked.since.map(rfc3339)),
            ("until", asked.until.map(rfc3339)),
            ("text", asked.text),
        ];
        Ok(named.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text?)))).collect())
    }
}

/// The event store of the configuration.
pub(super) async fn open(config: &EngineConfig) -> anyhow::Result<Arc<dyn EventStore>> {
    config.open_store(StoreAccess::Read).await.context("the event store cannot be read (key store)")
}

/// The event store, or why it cannot be read: for a command that shows less without it.
pub(super) type StoreIfAny = Result<Arc<dyn EventStore>, String>;

/// The event store of the configuration, if it can be read.
pub(super) async fn if_any(config: &EngineConfig) -> StoreIfAny {
    open(config).await.map_err(|error| format!("{error:#}"))
}

/// The event store for a part that needs it.
///
/// # Errors
/// It cannot be read.
pub(super) fn needed(store: &StoreIfAny) -> anyhow::Result<&dyn EventStore> {
    store.as_deref().map_err(|said| anyhow!("{said}"))
}

/// The configuration and the event store that the arguments name.
///
/// # Errors
/// The table has no letters of the topic that `--dlq` names.
pub(super) async fn opened(source: &LetterSourceArgs) -> anyhow::Result<(EngineConfig, Arc<dyn EventStore>)> {
    let config = source.config()?;
    let store = open(&config).await?;
    if let Some(other) = source.other_topic(&config) {
        has_letters(store.as_ref(), &config, other).await?;
    }
    Ok((config, store))
}

/// The table follows the topics of the configuration, and keeps letters of former ones.
async fn has_letters(store: &dyn EventStore, config: &EngineConfig, other: &str) -> anyhow::Result<()> {
    let one = StoredLetterFilter { topic: Some(other.to_owned()), limit: 1, ..StoredLetterFilter::default() };
    if !store.letters(&one, LetterOrder::Newest).await?.is_empty() {
        return Ok(());
    }
    let all = config.topics.letter_routes().all();
    let followed: Vec<&str> = all.iter().map(|topic| &**topic).collect();
    let guess = or_did_you_mean(other, followed.iter().copied());
    let followed = followed.join(", ");
    bail!(
        "the table has no dead letters of the topic {other}: it follows {followed} (keys topics.dlq, topics.dlqOf){guess}\n\
         hint: `saga dlq list --dlq {other}` without --status and --fingerprint, and `saga dlq show`, read the topic"
    )
}
