//! What a letter's record leads to, decided by the code that decides about records of topics; and records that take the
//! place of an original.

use crate::{
    active_config::ActiveConfigCell,
    definition_lookup::DefinitionLookup,
    schema_source::{SchemaSource, SchemaUnanswered},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use saga_core::{definition::SagaDefinition, state::SagaPlan};
use saga_event_store::LetterEdit;
use saga_wire::{
    KafkaRecord, PayloadSchema,
    dead_letter::{DeadLetterForm, FoundLetter, OriginalContent},
    reply,
    trigger::{self, TriggerOutcome},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Why a letter's record cannot be brought back, or its edit not be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MendError {
    /// What was asked for does not fit the letter.
    #[error("{0}")]
    Unfit(String),
    /// The record would be poison again.
    #[error("it would be poison again: {code}: {message}")]
    Poison {
        /// The code.
        code: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// Its schema is not known now: nobody can say what it leads to.
    #[error("it cannot be judged now: {0}")]
    NotJudged(#[from] SchemaUnanswered),
}

/// A record that takes the place of an original: key, value and headers, each in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditedRecord {
    /// `None`: the record has no key.
    pub key: Option<String>,
    /// `None`: a tombstone.
    pub value: Option<String>,
    /// In their order.
    pub headers: Vec<(String, Option<String>)>,
}

impl EditedRecord {
    /// The record with this content.
    #[must_use]
    pub fn of(content: &OriginalContent) -> EditedRecord {
        EditedRecord {
            key: content.key.as_deref().map(|bytes| STANDARD.encode(bytes)),
            value: content.value.as_deref().map(|bytes| STANDARD.encode(bytes)),
            headers: content
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_deref().map(|bytes| STANDARD.encode(bytes))))
                .collect(),
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// A part is no base64; the error names it.
    pub fn content(&self) -> Result<OriginalContent, MendError> {
        let read = |what: &str, text: &Option<String>| {
            let bytes = text.as_ref().map(|text| STANDARD.decode(text)).transpose();
            bytes.map(|bytes| bytes.map(Into::into)).map_err(|error| {
                MendError::Unfit(format!("`{what}` is no base64: {error}; write the bytes in base64 with padding"))
            })
        };
        let header = |(name, value): &(String, Option<String>)| Ok((name.clone(), read("headers", value)?));
        Ok(OriginalContent {
            key: read("key", &self.key)?,
            value: read("value", &self.value)?,
            headers: self.headers.iter().map(header).collect::<Result<_, MendError>>()?,
        })
    }

    pub(super) fn stored(&self) -> LetterEdit {
        LetterEdit::new(serde_json::to_vec(self).unwrap_or_default())
    }

    /// The record as the store keeps it.
    ///
    /// # Errors
    /// Another build wrote it in a form that this one does not read.
    pub fn read(edit: &LetterEdit) -> Result<EditedRecord, MendError> {
        serde_json::from_slice(edit.record())
            .map_err(|error| MendError::Unfit(format!("the edit of the letter cannot be read: {error}")))
    }
}

/// To which definitions a record goes.
#[derive(Clone, Debug)]
pub(super) enum RecordTargets {
    /// To the saga that waits for it: it is a reply.
    Saga,
    /// To these definitions.
    Definitions(Vec<Arc<SagaPlan>>),
}

/// Decides about records as the intake does, without any effect.
#[derive(Clone, Debug)]
pub(super) struct RecordJudge {
    pub(super) config: Arc<ActiveConfigCell>,
    pub(super) definitions: DefinitionLookup,
    pub(super) schemas: SchemaSource,
    pub(super) replies: Arc<str>,
    pub(super) inbox: Arc<str>,
}

/// A record with this content whose original is the letter's, as if it was read from its own topic.
#[must_use]
pub fn restored(letter: &FoundLetter, content: OriginalContent) -> KafkaRecord {
    let OriginalContent { key, value, headers } = content;
    KafkaRecord {
        topic: Arc::clone(&letter.origin.topic),
        partition: letter.origin.partition,
        offset: letter.origin.offset,
        timestamp: letter.origin.timestamp.or(letter.found_at).unwrap_or_default(),
        key,
        value,
        headers,
    }
}

impl RecordJudge {
    /// Whose matter the letter is: the definition that could not process it, by the text in force or the one that
    /// `wanted` names; with `everybody` all that read its topic.
    ///
    /// # Errors
    /// Nobody can take it.
    pub(super) async fn targets(
        &self,
        letter: &FoundLetter,
        everybody: bool,
        wanted: Option<&str>,
    ) -> Result<RecordTargets, MendError> {
        let unfit = |said: String| Err(MendError::Unfit(said));
        let topic = &letter.origin.topic;
        if letter.form != DeadLetterForm::Whole {
            return unfit(format!(
                "the letter is a pointer: the record was too large, and is at {} as long as its topic keeps it; \
                 produce it again from there",
                letter.origin
            ));
        }
        if *topic == self.replies {
            return Ok(RecordTargets::Saga);
        }
        if *topic == self.inbox {
            return unfit("the record is of the inbox, which only engines write".to_owned());
        }
        if everybody {
            let plans = self.config.keep().catalog.of_topic(topic).to_vec();
            return match plans.is_empty() {
                true => unfit(format!("no definition that is live on this engine reads the topic {topic}")),
                false => Ok(RecordTargets::Definitions(plans)),
            };
        }
        let Some(name) = &letter.definition else {
            return unfit("it is no single definition's matter: bring it to everybody (--everybody)".to_owned());
        };
        let found = self.definitions.plan_of(name, wanted.unwrap_or("current")).await;
        let plan = found.map_err(|error| MendError::Unfit(error.to_string()))?;
        Ok(RecordTargets::Definitions(vec![plan]))
    }

    /// What the record means to one definition, its topic and its type included.
    ///
    /// # Errors
    /// The registry does not give the record's schema in time.
    pub(super) async fn judged(&self, record: &KafkaRecord, plan: &SagaPlan) -> Result<TriggerOutcome, MendError> {
        let definitions: [Arc<SagaDefinition>; 1] = [Arc::clone(&plan.definition)];
        let schema = self.schemas.of_record_soon(record, trigger::schema_needed(record, &definitions)).await?;
        let all = trigger::evaluate(record, &schema, &definitions);
        Ok(all.into_iter().next().map_or(TriggerOutcome::Unwanted, |judged| judged.disposition))
    }

    /// The schema of a reply.
    ///
    /// # Errors
    /// The registry does not give it in time.
    pub(super) async fn reply_schema(&self, record: &KafkaRecord) -> Result<PayloadSchema, MendError> {
        Ok(self.schemas.of_record_soon(record, reply::schema_needed(record)).await?)
    }

    /// Whether definitions take a record as an edit: at least one does, and it is poison to none.
    ///
    /// # Errors
    /// Why they do not.
    pub(super) async fn accepts(&self, plans: &[Arc<SagaPlan>], record: &KafkaRecord) -> Result<String, MendError> {
        let mut starts = Vec::new();
        for plan in plans {
            match self.judged(record, plan).await? {
                TriggerOutcome::Start(start) => {
                    starts.push(format!("{} with the key {}", plan.definition.name, start.key));
                }
                TriggerOutcome::Unwanted | TriggerOutcome::Replayed => {}
                TriggerOutcome::Poison(poison) => return Err(poisoned(&poison)),
            }
        }
        match starts.as_slice() {
            [] => Err(MendError::Unfit(
                "no definition wants the record as it is: `type` or `when` of its trigger do not fit it".to_owned(),
            )),
            starts => Ok(format!("starts {}", starts.join(" and "))),
        }
    }
}

pub(super) fn poisoned(poison: &saga_wire::PoisonDiagnosis) -> MendError {
    MendError::Poison { code: poison.code.as_str(), message: poison.message.clone() }
}
