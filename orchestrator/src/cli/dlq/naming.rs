//! Names in options that nothing here has: an empty list says nothing of a slip.

use super::{
    source::{self, LetterFilterArgs, LetterSourceArgs},
    table,
};
use crate::{config::EngineConfig, dead_letters::SeenNames};
use anyhow::bail;
use saga_core::{definition::or_did_you_mean, state::SagaPlan};
use saga_engine::{
    journal::{LetterNames, PlanCache, UnknownFilterName},
    naming,
};
use saga_event_store::{EventStore, StoredLetterFilter};
use std::sync::Arc;

/// A mistyped name in a filter of the table that chose nothing is an error.
pub(super) async fn named_right(
    store: &dyn EventStore,
    config: &EngineConfig,
    filter: &StoredLetterFilter,
) -> anyhow::Result<()> {
    let names = LetterNames {
        saga: filter.definition.as_deref(),
        topic: filter.origin_topic.as_deref(),
        cause: filter.fingerprint.as_deref(),
    };
    if names == LetterNames::default() {
        return Ok(());
    }
    let plans = source::plans_if_any(config);
    let names = LetterNames { saga: names.saga.filter(|saga| !has(&plans, saga)), ..names };
    let topics = topics(config, &plans);
    told(naming::misnamed_letters(store, &PlanCache::default(), filter.topic.as_deref(), &names, &topics).await?)
}

/// The same of a list of the topic: what was seen there is known, too. Without the event store the files alone say what
/// is known, and only what is near a known name counts as a slip.
pub(super) async fn seen_right(
    filter: &LetterFilterArgs,
    seen: &SeenNames,
    (config, source): (&EngineConfig, &LetterSourceArgs),
) -> anyhow::Result<()> {
    let names = filter.names();
    let names = LetterNames {
        saga: names.saga.filter(|saga| !seen.sagas.contains(*saga)),
        topic: names.topic.filter(|topic| !seen.topics.contains(*topic)),
        cause: None,
    };
    if names == LetterNames::default() {
        return Ok(());
    }
    let plans = source::plans_if_any(config);
    let known = topics(config, &plans).into_iter().chain(seen.topics.iter().cloned()).collect::<Vec<_>>();
    let names = LetterNames { saga: names.saga.filter(|saga| !has(&plans, saga)), ..names };
    if let (Ok(store), None) = (table::open(config).await, source.other_topic(config)) {
        let unknown =
            naming::misnamed_letters(store.as_ref(), &PlanCache::default(), source.asked(), &names, &known).await?;
        return told(unknown);
    }
    let sagas = plans.iter().map(|plan| plan.definition.name.as_str()).chain(seen.sagas.iter().map(String::as_str));
    near("no definition of sagas is called", names.saga, sagas)?;
    near("no dead letter came from the topic", names.topic, known.iter().map(String::as_str))
}

/// Whether the files have a definition with this name.
fn has(plans: &[Arc<SagaPlan>], saga: &str) -> bool {
    plans.iter().any(|plan| plan.definition.name == saga)
}

fn near<'a>(what: &str, name: Option<&str>, known: impl Iterator<Item = &'a str> + Clone) -> anyhow::Result<()> {
    let Some(name) = name.filter(|name| known.clone().all(|known| known != *name)) else { return Ok(()) };
    match or_did_you_mean(name, known).as_str() {
        "" => Ok(()),
        guess => bail!("{what} `{name}`{guess}"),
    }
}

fn told(unknown: Option<UnknownFilterName>) -> anyhow::Result<()> {
    match unknown {
        Some(unknown) => bail!("{unknown}\nhint: `saga dlq stats` shows the definitions, topics and causes of letters"),
        None => Ok(()),
    }
}

/// Topics from which letters can come, as the files say.
fn topics(config: &EngineConfig, plans: &[Arc<SagaPlan>]) -> Vec<String> {
    let triggers = plans.iter().map(|plan| plan.definition.trigger.topic.clone());
    triggers.chain([config.topics.replies.clone(), config.topics.inbox.clone()]).collect()
}
