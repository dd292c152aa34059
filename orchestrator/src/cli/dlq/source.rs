//! Options that name a DLQ topic, and those that choose dead letters in it.

use crate::{
    cli::{ConfigFileArgs, output, selection::StartedSince},
    config::{self, ConfigSources, EngineConfig},
    dead_letters::{FOREIGN, LetterAddress, LetterEntry, LetterFilter, LetterName, LetterTopics},
    source_files::lookup,
    startup::{self, DefinitionFiles, load_files},
};
use anyhow::{Context, bail};
use clap::{Args, builder::NonEmptyStringValueParser};
use saga_base::secrets;
use saga_core::{definition, id::SagaId, state::SagaPlan};
use saga_kafka::settings::BrokerKind;
use saga_wire::PoisonCode;
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
    #[arg(long, value_name = "TIME|DURATION")]
    since: Option<StartedSince>,
    /// Only letters that were written before: a time (RFC 3339), or how long ago
    #[arg(long, value_name = "TIME|DURATION")]
    until: Option<StartedSince>,
    /// Only letters with this text in message, id, key or value, whatever its case. What is read from the table of the
    /// event store (--status, --fingerprint, redrive, export) has no values
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    text: Option<String>,
}

impl LetterFilterArgs {
    /// The filter, also for the letters that are named.
    pub(super) fn filter(&self, names: Vec<LetterName>) -> LetterFilter {
        LetterFilter {
            names,
            codes: self.code.clone(),
            topic: self.topic.clone(),
            saga: self.saga.clone(),
            saga_id: self.saga_id,
            key: self.key.clone(),
            since: self.since.map(|since| since.0),
            until: self.until.map(|until| until.0),
            text: self.text.clone(),
        }
    }
}

/// A code of the engine, or of another program: the class of an exception, which has a dot in it.
fn code(text: &str) -> Result<String, String> {
    let codes = || PoisonCode::ALL.iter().map(|code| code.as_str()).chain([FOREIGN]);
    if text.contains('.') || codes().any(|code| code == text) {
        return Ok(text.to_owned());
    }
    let guess = definition::or_did_you_mean(text, codes());
    Err(format!("there is no such code{guess}; docs/errors.md lists the poison codes"))
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

    /// The topic that is shown without its name in places: the usual one, or the one that is named if it is not of this
    /// installation.
    pub(super) fn shown_without<'a>(&'a self, config: &'a EngineConfig) -> &'a str {
        let routes = config.topics.letter_routes();
        let foreign = self.asked().filter(|topic| !routes.all().iter().any(|own| **own == **topic));
        foreign.unwrap_or(&config.topics.dlq)
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
        let settings = startup::kafka_settings(config, BrokerKind::Real)?;
        LetterTopics::open(&settings, &self.topics(config)).await.with_context(|| {
            let servers = secrets::address_shown(&config.kafka.bootstrap_servers);
            format!("dead letters cannot be read at {servers} (keys topics.dlq, topics.dlqOf, kafka.bootstrapServers)")
        })
    }
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
        LetterName::Place(place) => topics.at(usual, *place).await?,
        LetterName::Id(text) => {
            // A place in another topic looks like an id; no record of a DLQ topic is an original.
            let placed = match text.parse::<LetterAddress>() {
                Ok(LetterAddress { topic: Some(topic), place }) => topics.at(&topic, place).await?,
                Ok(LetterAddress { topic: None, .. }) | Err(_) => None,
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
        None => bail!("no dead letter {name} is in {usual}\nhint: `saga dlq list` shows those that are there"),
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
