//! `dlq show`: everything about one dead letter.

mod content;
mod text;

use super::{
    source::{self, LetterSourceArgs},
    table::{self, StoreIfAny},
    timeline::{self, ReplyTimeline},
};
use crate::{
    api::LetterLineView,
    cli::{OutputFormat, output},
    config::EngineConfig,
    dead_letters::{JudgedRecord, LetterEntry, LetterFault, LetterName, LetterVerdict},
};
use clap::Args;
use content::ContentShown;
use saga_core::{state::SagaPlan, time::rfc3339};
use saga_engine::letters::{EditedRecord, restored};
use saga_wire::dead_letter::{DeadLetterForm, FoundLetter, LetterCode, OriginalContent};
use serde::Serialize;
use std::{process::ExitCode, sync::Arc};

/// Arguments of `saga dlq show`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowLetterArgs {
    /// The dead letter: its place in the DLQ topic, or its id
    #[arg(value_name = "PARTITION/OFFSET|ID")]
    letter: LetterName,
    #[command(flatten)]
    source: LetterSourceArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// A dead letter with all that is known of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LetterShown {
    place: String,
    written_at: String,
    /// What people have decided, if the table of the event store has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<LetterLineView>,
    #[serde(flatten)]
    letter: Option<LetterProvenance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    foreign: Option<String>,
    #[serde(flatten)]
    content: ContentShown,
    /// What takes the place of the original in a redrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    edit: Option<ContentShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<TriggerShown>,
    /// The saga of a reply, around the reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<ReplyTimeline>,
    /// What would become of the record, or of its edit, if it came again now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    now: Vec<LetterVerdict>,
    /// What of its content is at fault, where nobody judges it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<LetterFault>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LetterProvenance {
    id: String,
    written_by: &'static str,
    origin: OriginShown,
    #[serde(skip_serializing_if = "Option::is_none")]
    saga: Option<String>,
    code: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    found_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meaning: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'static str>,
    form: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OriginShown {
    topic: String,
    partition: i32,
    offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
}

/// What the definition asks of its records.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TriggerShown {
    saga: String,
    topic: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    key: Vec<String>,
}

pub(super) async fn show(args: ShowLetterArgs) -> anyhow::Result<ExitCode> {
    let config = args.source.config()?;
    let usual = args.source.usual(&config);
    let entry = match args.source.elsewhere(&config, &args.letter).await {
        Some(entry) => entry,
        None => source::find(args.source.open(&config).await?, &args.letter, usual).await?,
    };
    let store = table::if_any(&config).await;
    let (row, edit) = row(&entry, &config, &store).await.unzip();
    let timeline = match entry.letter.as_ref().ok().and_then(|letter| Some((letter, letter.saga()?))) {
        Some((letter, saga)) => timeline::of((&config, &store), saga, letter).await,
        None => None,
    };
    let place = entry.place_within(&config.topics.dlq);
    let detail = LetterShown { row, timeline, place, ..detail(&entry, edit.flatten(), &config).await };
    output::one(&detail, args.output, text::text)?;
    Ok(ExitCode::SUCCESS)
}

const NO_ROW: &str = "the table has no row of this letter: it has not come that far, or the row was removed after the \
                      letter had ended; `saga audit --on ID` shows what people did";

/// Without the event store a letter is shown all the same.
async fn row(
    entry: &LetterEntry,
    config: &EngineConfig,
    store: &StoreIfAny,
) -> Option<(LetterLineView, Option<OriginalContent>)> {
    let place = entry.coordinates();
    let read = async {
        let Some((letter, edit)) = table::needed(store)?.letter(&place).await? else {
            if config.topics.letter_routes().has(&place.topic) {
                output::note(NO_ROW);
            }
            return Ok(None);
        };
        let edit = edit.map(|edit| EditedRecord::read(&edit)?.content()).transpose()?;
        anyhow::Ok(Some((LetterLineView::of(letter, &config.topics.dlq), edit)))
    };
    read.await.unwrap_or_else(|error| {
        output::note(&format!("without what people have decided: {error:#}"));
        None
    })
}

async fn detail(entry: &LetterEntry, edit: Option<OriginalContent>, config: &EngineConfig) -> LetterShown {
    let letter = entry.letter.as_ref().ok();
    let plans = source::plans_if_any(config);
    let definition = letter.and_then(|letter| letter.definition.as_deref());
    let plan = plans.iter().find(|plan| Some(plan.definition.name.as_str()) == definition);
    let trigger = plan.map(trigger);
    let judge = source::judge(config, &plans);
    let original = entry.original();
    let judged = async |content: &OriginalContent| match (letter, &judge) {
        (Some(letter), Some(judge)) => judge.judge(letter, &restored(letter, content.clone())).await,
        (Some(_) | None, _) => JudgedRecord::default(),
    };
    let of_original = judged(&original).await;
    let content = ContentShown::of(&original, of_original.decoded.clone());
    let of_edit = match &edit {
        Some(edit) => Some(judged(edit).await),
        None => None,
    };
    let edit = edit.map(|edit| ContentShown::of(&edit, of_edit.as_ref().and_then(|it| it.decoded.clone())));
    let JudgedRecord { verdicts, fault, decoded: _ } = of_edit.unwrap_or(of_original);
    // What nobody can judge without definitions is no news.
    let is_known = |verdict: &LetterVerdict| !plans.is_empty() || !matches!(verdict, LetterVerdict::Unknown { .. });
    LetterShown {
        place: entry.place.to_string(),
        written_at: rfc3339(entry.written_at),
        row: None,
        letter: letter.map(provenance),
        foreign: entry.letter.as_ref().err().map(ToString::to_string),
        content,
        edit,
        trigger,
        timeline: None,
        now: verdicts.into_iter().filter(is_known).collect(),
        fault,
    }
}

fn provenance(letter: &FoundLetter) -> LetterProvenance {
    let code = match &letter.code {
        LetterCode::Poison(code) => Some(*code),
        LetterCode::Other(_) => None,
    };
    LetterProvenance {
        id: letter.id(),
        written_by: letter.dialect.as_str(),
        origin: OriginShown {
            topic: letter.origin.topic.to_string(),
            partition: letter.origin.partition,
            offset: letter.origin.offset,
            timestamp: letter.origin.timestamp.map(rfc3339),
        },
        saga: letter.definition.clone(),
        code: letter.code.to_string(),
        message: letter.message.clone(),
        found_at: letter.found_at.map(rfc3339),
        meaning: code.map(|code| code.meaning()),
        remedy: code.map(|code| code.remedy()),
        form: match letter.form {
            DeadLetterForm::Whole => "whole",
            DeadLetterForm::Pointer => "pointer, without the value",
            DeadLetterForm::PointerWithoutHeaders => "pointer, without value and headers",
            DeadLetterForm::PointerAlone => "pointer, without value, headers and key",
        },
    }
}

fn trigger(plan: &Arc<SagaPlan>) -> TriggerShown {
    let trigger = &plan.definition.trigger;
    TriggerShown {
        saga: plan.definition.name.clone(),
        topic: trigger.topic.clone(),
        event_type: trigger.event_type.clone(),
        when: trigger.when.as_ref().map(|when| when.source().to_owned()),
        key: trigger.key.expressions().into_iter().map(|key| key.source().to_owned()).collect(),
    }
}
