//! Options that name a DLQ topic, and those that choose dead letters in it.

use crate::{
    cli::{ConfigFileArgs, output, selection::StartedSince},
    config::{self, ConfigSources, EngineConfig},
    dead_letters::{LetterAddress, LetterEntry, LetterFilter, LetterJudge, LetterName, LetterTopics, unknown_code},
    source_files::lookup,
    startup::{self, DefinitionFiles, load_files},
    time_range::time_range,
};
use anyhow::{Context, bail};
use clap::{Args, builder::NonEmptyStringValueParser};
use saga_base::secrets;
use saga_core::{definition, id::SagaId, state::SagaPlan};
use saga_engine::journal::LetterNames;
use saga_kafka::{KafkaSettings, settings::BrokerKind};
use std::sync::Arc;

/// Options that name a DLQ topic.
#[derive(Debug, Args)]
pub(super) struct LetterSourceArgs {
    #[command(flatten)]
    file: ConfigFileArgs,
    /// Only this topic of dead letters; also one that Spring or Kafka Connect writes [default: all of the keys
    /// topics.dlq and topics.dlqOf of the configuration]
    #[arg(long, value_name = "TOPIC", value_parser = NonEmptyStringValueParser::new())]
    dlq: Option<String>,
}

/// Options that choose dead letters; a letter is chosen if it fits all of them.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct LetterFilterArgs {
    /// Only letters with one of these codes, separated by commas: `key`, `not_json`; `foreign` for records that are no
    /// dead letters
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = code)]
    code: Vec<String>,
    /// Only letters whose record came from this topic
    #[arg(long, value_name = "TOPIC", value_parser = NonEmptyStringValueParser::new())]
    topic: Option<String>,
    /// Only letters of this definition
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    saga: Option<String>,
    /// Only letters of replies to the saga with this id
    #[arg(long, value_name = "ID")]
    saga_id: Option<SagaId>,
    /// Only letters whose record has this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only letters that were written then or later: a time (RFC 3339), or how long ago, like 7d
    #[arg(long, value_name = "TIME|DURATION", allow_hyphen_values = true)]
    since: Option<StartedSince>,
    /// Only letters that were written before: a time (RFC 3339), or how long ago
    #[arg(long, value_name = "TIME|DURATION", allow_hyphen_values = true)]
    until: Option<StartedSince>,
    /// Only letters with this text in message, id, key or value, whatever its case. A redrive and an export do not look
    /// into values
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    text: Option<String>,
}

impl LetterFilterArgs {
    /// The filter, also for the letters that are named.
    ///
    /// # Errors
    /// The range of time is empty.
    pub(super) fn filter(&self, names: Vec<LetterName>) -> anyhow::Result<LetterFilter> {
        let (since, until) = time_range(self.since.map(|since| since.0), self.until.map(|until| until.0))?;
        Ok(LetterFilter {
            names,
            codes: self.code.clone(),
            topic: self.topic.clone(),
            saga: self.saga.clone(),
            saga_id: self.saga_id,
            key: self.key.clone(),
            since,
            until,
            text: self.text.clone(),
        })
    }

    /// The names in it.
    pub(super) fn names(&self) -> LetterNames<'_> {
        LetterNames { saga: self.saga.as_deref(), topic: self.topic.as_deref(), cause: None }
    }
}

fn code(text: &str) -> Result<String, String> {
    match unknown_code(text) {
        None => Ok(text.to_owned()),
        Some(unknown) => Err(format!("{unknown}; docs/errors.md lists the poison codes")),
    }
}

impl LetterSourceArgs {
    /// The configuration that the arguments name.
    pub(super) fn config(&self) -> anyhow::Result<EngineConfig> {
        Ok(config::load(&ConfigSources::of_process(self.file.config.as_deref(), Vec::new()))?)
    }

    /// The topic that the person names.
    pub(super) fn asked(&self) -> Option<&str> {
        self.dlq.as_deref()
    }

    /// The topic that a place without one is in: the one that is named, else the usual one.
    pub(super) fn usual<'a>(&'a self, config: &'a EngineConfig) -> &'a str {
        self.asked().unwrap_or(&config.topics.dlq)
    }

    /// The names of the DLQ topics.
    pub(super) fn topics(&self, config: &EngineConfig) -> Vec<String> {
        match self.asked() {
            Some(topic) => vec![topic.to_owned()],
            None => config.topics.letter_routes().all().iter().map(ToString::to_string).collect(),
        }
    }

    /// Opens the DLQ topics as they are now.
    ///
    /// # Errors
    /// One cannot be read; the error names the keys of the configuration.
    pub(super) async fn open(&self, config: &EngineConfig) -> anyhow::Result<LetterTopics> {
        open(config, &self.topics(config)).await
    }

    /// The letter at a place in a topic that is none of the configuration, as `saga dlq list --dlq` prints it. `None`:
    /// `name` is no such place, or no letter is there.
    pub(super) async fn elsewhere(&self, config: &EngineConfig, name: &LetterName) -> Option<LetterEntry> {
        let LetterName::Id(text) = name else { return None };
        let place = text.parse::<LetterAddress>().ok()?.within(&config.topics.dlq);
        if self.asked().is_some() || config.topics.letter_routes().has(&place.topic) {
            return None;
        }
        // It may be an id, whose topic nobody needs to have any more.
        let mut topic = open(config, std::slice::from_ref(&place.topic)).await.ok()?;
        topic.at(&place).await.ok().flatten().filter(|entry| entry.letter.is_ok())
    }

    /// The topic that `--dlq` names, if it is none of the configuration.
    pub(super) fn other_topic(&self, config: &EngineConfig) -> Option<&str> {
        let routes = config.topics.letter_routes();
        self.asked().filter(|topic| !routes.has(topic))
    }
}

async fn open(config: &EngineConfig, topics: &[String]) -> anyhow::Result<LetterTopics> {
    let settings = startup::kafka_settings(config, BrokerKind::Real)?;
    let error = match LetterTopics::open(&settings, topics).await {
        Ok(topics) => return Ok(topics),
        Err(error) => error,
    };
    let guess = if error.is_unknown() { guess(&settings, &error.topic).await } else { String::new() };
    let servers = secrets::address_shown(&config.kafka.bootstrap_servers);
    Err(anyhow::Error::new(error).context(format!(
        "dead letters cannot be read at {servers} (keys topics.dlq, topics.dlqOf, kafka.bootstrapServers){guess}"
    )))
}

/// Guesses which topic of the broker is meant.
async fn guess(settings: &KafkaSettings, name: &str) -> String {
    let known = LetterTopics::topics(settings, name).await.unwrap_or_default();
    definition::or_did_you_mean(name, known.iter().map(String::as_str))
}

/// Judges letters as an engine with this configuration and these definitions does; `None`: its schemas cannot be used,
/// and a note says why.
pub(super) fn judge(config: &EngineConfig, plans: &[Arc<SagaPlan>]) -> Option<LetterJudge> {
    let made = || -> anyhow::Result<LetterJudge> {
        // Without files a note was written.
        let files = DefinitionFiles::of_folders(&config.sagas, &config.schemas).unwrap_or_default().schemas;
        Ok(LetterJudge {
            definitions: plans.iter().map(|plan| Arc::clone(&plan.definition)).collect(),
            schemas: startup::schema_source(&files, config.schema_registry.as_ref(), &config.formats)?,
            replies: config.topics.replies.clone(),
        })
    };
    made().inspect_err(|error| output::note(&format!("without a judgement: {error:#}"))).ok()
}

/// The definitions of the configuration's files.
fn plans(config: &EngineConfig) -> anyhow::Result<Vec<Arc<SagaPlan>>> {
    let files = DefinitionFiles::of_folders(&config.sagas, &config.schemas)
        .with_context(|| format!("{} (key sagas)", config.sagas.display()))?;
    Ok(load_files(&files, &lookup)?.plans)
}

/// The definitions; without them a letter is shown all the same, and a note says so.
pub(super) fn plans_if_any(config: &EngineConfig) -> Vec<Arc<SagaPlan>> {
    plans(config).unwrap_or_else(|error| {
        output::note(&format!("without the definitions, whose files cannot be used: {error:#}"));
        Vec::new()
    })
}

/// The letter that `name` means, the newest where there are several. `usual`: the topic of places without one.
pub(super) async fn find(mut topics: LetterTopics, name: &LetterName, usual: &str) -> anyhow::Result<LetterEntry> {
    let found = match name {
        LetterName::Place(place) => topics.at(&LetterAddress { topic: None, place: *place }.within(usual)).await?,
        LetterName::Id(text) => {
            // A place in another topic looks like an id; no record of a DLQ topic is an original.
            let placed = match text.parse::<LetterAddress>() {
                Ok(address) if address.topic.is_some() => topics.at(&address.within(usual)).await?,
                Ok(_) | Err(_) => None,
            };
            let filter = LetterFilter { names: vec![name.clone()], ..LetterFilter::default() };
            match placed {
                Some(entry) => Some(entry),
                None => topics.newest().next(&filter).await?,
            }
        }
    };
    match found {
        Some(entry) => Ok(entry),
        None => bail!(
            "no dead letter {name} is there\nhint: `saga dlq list` shows those that are there; a record of another topic \
             needs its topic, too: --dlq TOPIC"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_code_is_an_error_that_names_the_nearest() {
        assert_eq!(code("not_json"), Ok("not_json".to_owned()));
        assert_eq!(code("java.lang.IllegalStateException").as_deref(), Ok("java.lang.IllegalStateException"));
        assert!(code("not_jsn").is_err_and(|error| error.contains("not_json")));
    }
}
