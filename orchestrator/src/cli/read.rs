//! `show`, `history`: read the store; `show` also asks an engine for the state of guards.

use super::{OutputFormat, list, output, server::ServerArgs, store::StoreReadArgs};
use crate::visible;
use anyhow::{Context, bail};
use clap::Args;
use saga_core::{
    command::GuardKind,
    describe::{IncidentView, OperatorNeedView, SagaView, StepView},
    id::SagaId,
    words,
};
use saga_engine::journal::{
    PlanCache,
    history::HistoryLine,
    payloads::PayloadDetail,
    reading::{self, RefreshScope, SagaLookup},
    shown::{self, SagaDisplay},
};
use serde::Serialize;
use serde_json::Value;
use std::{process::ExitCode, time::Duration};

#[derive(Debug, Args)]
pub(super) struct SagaReadArgs {
    /// Id or business key of the saga
    #[arg(value_name = "ID|KEY")]
    name: String,
    /// Name of the definition, if sagas of several definitions have the key
    #[arg(long, value_name = "NAME")]
    saga: Option<String>,
    #[command(flatten)]
    store: StoreReadArgs,
    /// Address of the API of an engine, for the state of the guards that hold the saga back [default: api.listen of the
    /// configuration]
    #[arg(long, env = "SAGA_SERVER", hide_env_values = true, value_name = "URL")]
    server: Option<String>,
    /// Show whole payloads (trigger, requests, answers); without it long payloads are shortened
    #[arg(long)]
    full: bool,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

impl SagaReadArgs {
    fn payloads(&self) -> PayloadDetail {
        if self.full { PayloadDetail::Full } else { PayloadDetail::Short }
    }
}

/// Characters of a payload in a line.
const GIST_CHARS: usize = 160;

/// A payload in one line.
fn gist(payload: &Value, full: bool) -> String {
    shortened(payload, (!full).then_some(GIST_CHARS))
}

/// The text behind a payload that is cut.
const CUT: &str = "… (--full shows all)";

fn shortened(payload: &Value, most: Option<usize>) -> String {
    let text = payload.to_string();
    match most.and_then(|most| text.char_indices().nth(most)) {
        Some((end, _)) => format!("{}{CUT}", &text[..end]),
        None => text,
    }
}

/// A payload behind `title`, in a line that fits the terminal.
fn titled(title: &str, payload: &Value, full: bool) -> String {
    /// Least number of characters of a payload.
    const LEAST: usize = 20;
    let room =
        |width: usize| width.saturating_sub(title.chars().count() + 1 + CUT.chars().count()).clamp(LEAST, GIST_CHARS);
    let most = (!full).then(|| output::width().map_or(GIST_CHARS, room));
    format!("{title} {}", shortened(payload, most))
}

/// Maximum wait for an engine, which answers at once if it runs.
const ASKS_AN_ENGINE: Duration = Duration::from_secs(2);

pub(super) async fn show(args: SagaReadArgs) -> anyhow::Result<ExitCode> {
    let saga = args.payloads().of_saga(shown(&args).await?.view());
    let held_by = if saga.waits_on.is_empty() { Vec::new() } else { held_by(&args, &saga).await };
    output::one(&SagaShowOutput { saga, held_by }, args.output, |held| held_text(held, args.full))?;
    Ok(ExitCode::SUCCESS)
}

/// A saga, and the state of the guards that hold it back on one engine.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SagaShowOutput {
    #[serde(flatten)]
    saga: SagaView,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    held_by: Vec<Value>,
}

/// The store knows that a guard holds the saga back; only an engine knows why. Without an engine the command shows the
/// rest.
async fn held_by(args: &SagaReadArgs, saga: &SagaView) -> Vec<Value> {
    let asked = async {
        let server = ServerArgs::of(args.server.clone(), args.store.file.clone()).open()?;
        server.get(&format!("/api/sagas/{}", saga.id)).await
    };
    match tokio::time::timeout(ASKS_AN_ENGINE, asked).await {
        Ok(Ok(answer)) => answer["heldBy"].as_array().cloned().unwrap_or_default(),
        Ok(Err(_)) | Err(_) => {
            output::note("no engine answers, so the state of the guards is not known; --server names an engine");
            Vec::new()
        }
    }
}

fn held_text(held: &SagaShowOutput, full: bool) -> String {
    let why = |it: &Value| it["text"].as_str().map(|text| format!("{}\n", visible::in_line(text)));
    show_text(&held.saga, &held.held_by.iter().filter_map(why).collect::<String>(), full)
}

fn show_text(saga: &SagaView, held_by: &str, full: bool) -> String {
    let reason = saga.reason.as_ref().map(|reason| format!(" ({})", visible::in_line(reason))).unwrap_or_default();
    let overdue = if saga.overdue { ", overdue" } else { "" };
    let row = |step: &StepView| {
        let failure = step.failure.as_ref().map(words::told).unwrap_or_default();
        let result = step.result.as_ref().map(|result| gist(result, full)).unwrap_or_default();
        let answered = step.answered_by.as_ref().map(|by| format!(", answered by {}", by.text)).unwrap_or_default();
        let doubt = if step.skipped_in_doubt { ", may have happened" } else { "" };
        [step.step.clone(), format!("{}{doubt}{answered}", step.phase.as_str()), attempts(step), result, failure]
    };
    let columns = ["step", "state", "attempts", "result", "failure"];
    let steps = output::table_within(width(full), columns, saga.steps.iter().map(row));
    let incident =
        |incident: &IncidentView| format!("\nincident at {}: {}", incident.at, visible::in_line(&incident.text()));
    let incidents: String = saga.incidents.iter().map(incident).collect();
    let needs = needs_person(saga);
    let next: String = saga.next.iter().map(|next| format!("next: {}\n", next.text())).collect();
    let waits: String = saga.waits_on.iter().map(String::as_str).map(waits_on).collect();
    let payloads = payloads(saga, full);
    let ends = saga.deadline.as_ref().map(|at| format!("deadline {at}\n")).unwrap_or_default();
    format!(
        "{} {} · {}{overdue}{reason}\nid {}\nstarted {}, changed {}\n{waits}{held_by}{next}{ends}{needs}\n{steps}{incidents}{payloads}",
        saga.saga,
        visible::in_line(&saga.key),
        saga.status,
        saga.id,
        saga.started_at,
        saga.updated_at
    )
}

/// The payloads of the trigger and of the requests.
fn payloads(saga: &SagaView, full: bool) -> String {
    let mut lines = Vec::new();
    if let Some(trigger) = &saga.trigger {
        let place = format!("{}/{}/{}", trigger.topic, trigger.partition, trigger.offset);
        lines.push(titled(&format!("trigger {place}:"), &trigger.event, full));
    }
    for step in &saga.steps {
        for (what, sent) in [("", &step.sent), ("undo of ", &step.undo_sent)] {
            let Some(sent) = sent else { continue };
            let title = format!("{what}{}: {}", step.step, sent.to);
            lines.push(if sent.body.is_null() { title } else { titled(&title, &sent.body, full) });
        }
    }
    lines.iter().map(|line| format!("\n{line}")).collect()
}

fn waits_on(held: &str) -> String {
    match held.split_once(':') {
        Some((_, whose)) if !held.starts_with(GuardKind::Transport.as_str()) => {
            format!("waits on {held}; `saga guard show {whose}` shows its state and the acts on it\n")
        }
        Some(_) | None => format!("waits on {held}\n"),
    }
}

/// The steps that an operator has to decide about, with the possible acts.
fn needs_person(saga: &SagaView) -> String {
    let row = |need: &OperatorNeedView| {
        let acts: Vec<&str> = need.acts.iter().map(|act| act.as_str()).collect();
        [need.name(), need.phase.as_str().to_owned(), words::told(&need.failure), acts.join(", ")]
    };
    if saga.needs_person.is_empty() {
        return String::new();
    }
    let table =
        output::table(["needs an operator", "state", "why", "possible acts"], saga.needs_person.iter().map(row));
    format!("\n{table}")
}

fn attempts(step: &StepView) -> String {
    match step.undo_attempts {
        0 => step.attempts.to_string(),
        undos => format!("{} + {undos} undo", step.attempts),
    }
}

pub(super) async fn history(args: SagaReadArgs) -> anyhow::Result<ExitCode> {
    let shown = shown(&args).await?;
    let lines = args.payloads().of_history(shown.history());
    output::many(&lines, args.output, |lines| history_table(lines, args.full))?;
    Ok(ExitCode::SUCCESS)
}

fn history_table(lines: &[HistoryLine], full: bool) -> String {
    let row = |line: &HistoryLine| {
        let payload = line.payload.as_ref().map(|payload| format!(" {}", gist(payload, full))).unwrap_or_default();
        [line.event.clone(), line.at.clone(), format!("{}{payload}", line.text)]
    };
    output::table_within(width(full), ["event", "time", "what happened"], lines.iter().map(row))
}

/// A payload that is shown whole stays in one line, so that it can be copied.
fn width(full: bool) -> Option<usize> {
    if full { None } else { output::width() }
}

async fn shown(args: &SagaReadArgs) -> anyhow::Result<SagaDisplay> {
    let store = args.store.open().await?;
    let mut found = reading::find(store.as_ref(), &args.name, args.saga.as_deref()).await?;
    if let SagaLookup::Several(lines) = &mut found {
        reading::refresh(store.as_ref(), &PlanCache::default(), lines, RefreshScope::Open).await?;
    }
    let id = the_one(found, &args.name)?;
    let shown = shown::show(store.as_ref(), &PlanCache::default(), id).await?;
    shown.with_context(|| format!("no saga has the id {id}"))
}

fn the_one(found: SagaLookup, name: &str) -> anyhow::Result<SagaId> {
    match found {
        SagaLookup::One { id, earlier } => {
            if !earlier.is_empty() {
                let ids: Vec<String> = earlier.iter().map(ToString::to_string).collect();
                output::note(&format!(
                    "this is the newest saga with the key `{name}`; older sagas with this key: {}",
                    ids.join(", ")
                ));
            }
            Ok(id)
        }
        SagaLookup::None => bail!("no saga has the id or key `{name}`\nhint: `saga list` shows the sagas"),
        SagaLookup::Several(lines) => {
            bail!("several sagas have the key `{name}`:\n{}\nhint: `--saga NAME` chooses one", list::several(&lines))
        }
    }
}
