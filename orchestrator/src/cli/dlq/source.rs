//! Options that name a DLQ topic, and those that choose dead letters in it.

use crate::{
    cli::{ConfigFileArgs, output, selection::StartedSince},
    config::{self, ConfigSources, EngineConfig},
    dead_letters::{FOREIGN, LetterEntry, LetterFilter, LetterJudge, LetterName, LetterTopic},
    source_files::lookup,
    startup::{self, DefinitionFiles, load_files},
    time_range::time_range,
};
use anyhow::{Context, bail};
use clap::{Args, builder::NonEmptyStringValueParser};
use rdkafka::types::RDKafkaErrorCode;
use saga_base::secrets;
use saga_core::{definition, state::SagaPlan};
use saga_engine::journal::LetterNames;
use saga_kafka::{KafkaSettings, settings::BrokerKind};
use saga_wire::PoisonCode;
use std::sync::Arc;

/// Options that name a DLQ topic.
#[derive(Debug, Args)]
pub(super) struct LetterSourceArgs {
    #[command(flatten)]
    file: ConfigFileArgs,
    /// The topic of dead letters; also one that Spring or Kafka Connect writes [default: the key topics.dlq of the
    /// configuration]
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
    /// Only letters whose record has this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only letters that were written then or later: a time (RFC 3339), or how long ago, like 7d
    #[arg(long, value_name = "TIME|DURATION")]
    since: Option<StartedSince>,
    /// Only letters that were written before: a time (RFC 3339), or how long ago
    #[arg(long, value_name = "TIME|DURATION")]
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

    /// The name of the DLQ topic.
    pub(super) fn topic(&self, config: &EngineConfig) -> String {
        self.dlq.clone().unwrap_or_else(|| config.topics.dlq.clone())
    }

    /// Opens the DLQ topic as it is now.
    ///
    /// # Errors
    /// It cannot be read; the error names the keys of the configuration.
    pub(super) async fn open(&self, config: &EngineConfig) -> anyhow::Result<LetterTopic> {
        let (settings, name) = (startup::kafka_settings(config, BrokerKind::Real)?, self.topic(config));
        let error = match LetterTopic::open(&settings, &name).await {
            Ok(topic) => return Ok(topic),
            Err(error) => error,
        };
        let is_unknown = error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownTopicOrPartition);
        let guess = if is_unknown { guess(&settings, &name).await } else { String::new() };
        let servers = secrets::address_shown(&config.kafka.bootstrap_servers);
        Err(anyhow::Error::new(error).context(format!(
            "the topic {name} cannot be read at {servers} (keys topics.dlq, kafka.bootstrapServers){guess}"
        )))
    }

    /// The topic that `--dlq` names, if it is not the one of the configuration.
    pub(super) fn other_topic(&self, config: &EngineConfig) -> Option<&str> {
        self.dlq.as_deref().filter(|dlq| *dlq != config.topics.dlq)
    }
}

/// Guesses which topic of the broker is meant.
async fn guess(settings: &KafkaSettings, name: &str) -> String {
    let known = LetterTopic::topics(settings, name).await.unwrap_or_default();
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

/// The letter that `name` means, the newest where there are several.
pub(super) async fn find(mut topic: LetterTopic, name: &LetterName, dlq: &str) -> anyhow::Result<LetterEntry> {
    let found = match name {
        LetterName::Place(place) => topic.at(*place).await?,
        LetterName::Id(_) => {
            let filter = LetterFilter { names: vec![name.clone()], ..LetterFilter::default() };
            topic.newest().next(&filter).await?
        }
    };
    match found {
        Some(entry) => Ok(entry),
        None => bail!("no dead letter {name} is in {dlq}\nhint: `saga dlq list` shows those that are there"),
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
