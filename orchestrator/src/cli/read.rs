//! `show`, `history`, `diff`: read the store; `show` also asks an engine for the state of guards.

use super::{
    OutputFormat,
    archive::{archived, note_earlier},
    list, output,
    selection::known_saga,
    server::ServerArgs,
    store::StoreReadArgs,
};
use crate::{api::LetterLineView, visible};
use anyhow::{Context, bail};
use clap::Args;
use saga_core::{
    command::GuardKind,
    describe::{ErasureView, IncidentView, OperatorNeedView, SagaView, StepView},
    direct_start::DirectStart,
    event::ForkOrigin,
    id::SagaId,
    words,
};
use saga_engine::journal::{
    PlanCache,
    difference::{SagaDifference, ValueChange},
    history::HistoryLine,
    payloads::PayloadDetail,
    point::HistoryPoint,
    reading::{self, RefreshScope, SagaLookup},
    reruns,
    sensitive::SensitiveDetail,
    shown::{self, SagaDisplay},
};
use saga_event_store::{EventStore, JournalReader, LetterOrder, LetterStatus, OpenedArchive, StoredLetterFilter};
use serde::Serialize;
use serde_json::Value;
use std::{process::ExitCode, sync::Arc, time::Duration};

/// Names one saga, and the store that has it.
#[derive(Debug, Args)]
pub(super) struct SagaNameArgs {
    /// Id or business key of the saga
    #[arg(value_name = "ID|KEY")]
    name: String,
    /// Name of the definition, if sagas of several definitions have the key
    #[arg(long, value_name = "NAME")]
    saga: Option<String>,
    #[command(flatten)]
    store: StoreReadArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// Arguments of `saga show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    named: SagaNameArgs,
    /// Show the saga as it was after this version, or at this time (RFC 3339)
    #[arg(long, value_name = "VERSION|TIME")]
    at: Option<HistoryPoint>,
    /// Address of the API of an engine, for the state of the guards that hold the saga back [default: api.listen of the
    /// configuration]
    #[arg(long, env = "SAGA_SERVER", hide_env_values = true, value_name = "URL")]
    server: Option<String>,
    /// Show whole payloads (trigger, requests, answers); without it long payloads are shortened
    #[arg(long)]
    full: bool,
    /// Show what the definition calls `sensitive`, too
    #[arg(long)]
    sensitive: bool,
}

/// Arguments of `saga history`.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    #[command(flatten)]
    named: SagaNameArgs,
    /// Show the events up to this version, or up to this time (RFC 3339)
    #[arg(long, value_name = "VERSION|TIME")]
    at: Option<HistoryPoint>,
    /// Show the payloads (trigger, requests, answers) in the table, shortened
    #[arg(long)]
    payloads: bool,
    /// Show whole payloads
    #[arg(long)]
    full: bool,
    /// Show what the definition calls `sensitive`, too
    #[arg(long)]
    sensitive: bool,
}

/// Arguments of `saga diff`.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    #[command(flatten)]
    named: SagaNameArgs,
    /// The earlier version or time
    #[arg(value_name = "VERSION|TIME")]
    from: HistoryPoint,
    /// The later version or time
    #[arg(value_name = "VERSION|TIME")]
    to: HistoryPoint,
    /// Show what the definition calls `sensitive`, too
    #[arg(long)]
    sensitive: bool,
}

fn detail(full: bool) -> PayloadDetail {
    if full { PayloadDetail::Full } else { PayloadDetail::Short }
}

fn sensitive(asked: bool) -> SensitiveDetail {
    if asked { SensitiveDetail::Shown } else { SensitiveDetail::Masked }
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

pub(super) async fn show(args: ShowArgs) -> anyhow::Result<ExitCode> {
    let store = args.named.store.open().await?;
    let shown = shown(&args.named, &store, args.at).await?;
    let saga = detail(args.full).of_saga(reruns::told(store.as_ref(), shown.view(sensitive(args.sensitive))).await?);
    let is_held_now = args.at.is_none() && !saga.waits_on.is_empty();
    let held_by = if is_held_now { held_by(&args, &saga).await } else { Vec::new() };
    let letters = letters(store.as_ref(), &saga.id).await?;
    output::one(&SagaShowOutput { saga, held_by, letters }, args.named.output, |held| held_text(held, args.full))?;
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
    /// Replies to it that are dead letters and that nobody has dealt with, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    letters: Vec<LetterLineView>,
}

/// Most dead letters that are shown with their saga: `saga dlq list --saga-id` lists all.
const MOST_LETTERS: u32 = 20;

async fn letters(store: &dyn EventStore, saga: &str) -> anyhow::Result<Vec<LetterLineView>> {
    let stream = Some(saga.parse::<SagaId>()?.uuid());
    let statuses = LetterStatus::ALL.into_iter().filter(|status| status.is_open()).collect();
    let filter = StoredLetterFilter { stream, statuses, limit: MOST_LETTERS, ..StoredLetterFilter::default() };
    let open = store.letters(&filter, LetterOrder::Oldest).await?;
    // Without a configuration nobody knows the usual topic: each place names its own.
    Ok(open.into_iter().map(|letter| LetterLineView::of(letter, "")).collect())
}

fn letter_text(letter: &LetterLineView) -> String {
    let LetterLineView { place, status, code, message, .. } = letter;
    let message = visible::in_line(message);
    format!(
        "{status} dead letter {place}, {code}: {message}; `saga dlq show {place}` shows the reply, `saga dlq edit {place}` \
         mends it, and `saga dlq redrive {place}` brings it to this saga\n"
    )
}

/// The store knows that a guard holds the saga back; only an engine knows why. Without an engine the command shows the
/// rest.
async fn held_by(args: &ShowArgs, saga: &SagaView) -> Vec<Value> {
    let asked = async {
        let server = ServerArgs::of(args.server.clone(), args.named.store.file.clone()).open()?;
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
    let letters: String = held.letters.iter().map(letter_text).collect();
    let held_by = held.held_by.iter().filter_map(why).collect::<String>() + &letters;
    show_text(&held.saga, (&held_by, &held.letters), full)
}

fn show_text(saga: &SagaView, (held_by, letters): (&str, &[LetterLineView]), full: bool) -> String {
    let reason = saga.reason.as_ref().map(|reason| format!(" ({})", visible::in_line(reason))).unwrap_or_default();
    let overdue = if saga.overdue { ", overdue" } else { "" };
    let row = |step: &StepView| {
        let failure = step.failure.as_ref().map(words::told).unwrap_or_default();
        let result = step.result.as_ref().map(|result| gist(result, full)).unwrap_or_default();
        let answered = step.answered_by.as_ref().map(|by| format!(", answered by {}", by.text)).unwrap_or_default();
        let taken = if step.done_in.is_some() { ", taken over" } else { "" };
        let doubt = if step.skipped_in_doubt { ", may have happened" } else { "" };
        [step.step.clone(), format!("{}{taken}{doubt}{answered}", step.phase.as_str()), attempts(step), result, failure]
    };
    let columns = ["step", "state", "attempts", "result", "failure"];
    let steps = output::table_within(width(full), columns, saga.steps.iter().map(row));
    let incident =
        |incident: &IncidentView| format!("\nincident at {}: {}", incident.at, visible::in_line(&incident.text()));
    let incidents: String = saga.incidents.iter().map(incident).collect();
    let needs = needs_person(saga, letters);
    let (asked, forks) = (asked(saga), forks(saga));
    let erased = saga.erased.as_ref().map(erased).unwrap_or_default();
    let next: String = saga.next.iter().map(|next| format!("next: {}\n", next.text())).collect();
    let waits: String = saga.waits_on.iter().map(String::as_str).map(waits_on).collect();
    let payloads = payloads(saga, full);
    let trace = saga.trace_id.as_ref().map(|id| format!("trace {id}\n")).unwrap_or_default();
    let ends = saga.deadline.as_ref().map(|at| format!("deadline {at}\n")).unwrap_or_default();
    format!(
        "{} {} · {}{overdue}{reason}\nid {}\n{trace}started {}, changed {}\n{asked}{erased}{forks}{waits}{held_by}{next}{ends}{needs}\n{steps}{incidents}{payloads}",
        saga.saga,
        visible::in_line(&saga.key),
        saga.status,
        saga.id,
        saga.started_at,
        saga.updated_at
    )
}

fn erased(erased: &ErasureView) -> String {
    let (who, reason) = (visible::in_line(&erased.who), visible::in_line(&erased.reason));
    format!("erased at {} by {who}: {reason}\n", erased.at)
}

/// Who asked the API for the saga.
fn asked(saga: &SagaView) -> String {
    let start = saga.trigger.as_ref().and_then(|trigger| trigger.started_by.as_ref());
    let said = |DirectStart { id, who, reason }: &DirectStart| {
        let [id, who, reason] = [id, who, reason].map(|text| visible::in_line(text));
        format!("started over the API by {who}: {reason} (request {id})\n")
    };
    start.map(said).unwrap_or_default()
}

/// The saga that this one runs again, and the one that runs this one again.
fn forks(saga: &SagaView) -> String {
    let of = |origin: &ForkOrigin| {
        let from = origin.from.as_ref().map(|step| format!(" from {step}")).unwrap_or_default();
        let (who, reason) = (visible::in_line(&origin.who), visible::in_line(&origin.reason));
        let standing = match origin.standing.as_slice() {
            [] => String::new(),
            steps => format!("effects of {} that stay beside its own: {}\n", origin.saga, steps.join(", ")),
        };
        format!("runs {} again{from} ({who}: {reason})\n{standing}", origin.saga)
    };
    let by = saga.rerun_as.as_ref().map(|rerun| format!("run again by {rerun}\n")).unwrap_or_default();
    format!("{}{by}", saga.forked_from.as_ref().map(of).unwrap_or_default())
}

/// The payloads of the trigger and of the requests.
fn payloads(saga: &SagaView, full: bool) -> String {
    let mut lines = Vec::new();
    if let Some(trigger) = &saga.trigger {
        let place = match &trigger.started_by {
            Some(_) => "of the API".to_owned(),
            None => format!("{}/{}/{}", trigger.topic, trigger.partition, trigger.offset),
        };
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

/// The steps that an operator has to decide about, with the possible acts. A reply that cannot be read is also mended.
fn needs_person(saga: &SagaView, letters: &[LetterLineView]) -> String {
    let row = |need: &OperatorNeedView| {
        let acts = need.acts.iter().map(|act| act.as_str().to_owned());
        let acts: Vec<String> = acts.chain(mending(&need.failure.code, letters)).collect();
        [need.name(), need.phase.as_str().to_owned(), words::told(&need.failure), acts.join(", ")]
    };
    if saga.needs_person.is_empty() {
        return String::new();
    }
    let table =
        output::table(["needs an operator", "state", "why", "possible acts"], saga.needs_person.iter().map(row));
    format!("\n{table}")
}

/// The acts that mend the letters of replies for which a step failed with this code. Of several letters the store does
/// not know which step each is of: its record says it.
fn mending(code: &str, letters: &[LetterLineView]) -> Vec<String> {
    let is_of = |letter: &&LetterLineView| code.strip_prefix("reply.") == Some(letter.code.as_str());
    let of_code: Vec<&LetterLineView> = letters.iter().filter(is_of).collect();
    match of_code.as_slice() {
        [] => Vec::new(),
        [letter] => ["edit", "redrive"].map(|act| format!("dlq {act} {}", letter.place)).into(),
        several => {
            let places: Vec<&str> = several.iter().map(|letter| letter.place.as_str()).collect();
            vec![format!("the reply among {}: `dlq show` says of which step each is", places.join(" "))]
        }
    }
}

fn attempts(step: &StepView) -> String {
    match step.undo_attempts {
        0 => step.attempts.to_string(),
        undos => format!("{} + {undos} undo", step.attempts),
    }
}

pub(super) async fn history(args: HistoryArgs) -> anyhow::Result<ExitCode> {
    let store = args.named.store.open().await?;
    let shown = shown(&args.named, &store, args.at).await?;
    let lines = detail(args.full).of_history(shown.history(sensitive(args.sensitive)));
    let shows_payloads = args.payloads || args.full;
    output::many(&lines, args.named.output, |lines| history_table(lines, shows_payloads, args.full))?;
    Ok(ExitCode::SUCCESS)
}

fn history_table(lines: &[HistoryLine], shows_payloads: bool, full: bool) -> String {
    let row = |line: &HistoryLine| {
        let payload = line.payload.as_ref().filter(|_| shows_payloads);
        let payload = payload.map(|payload| format!(" {}", gist(payload, full))).unwrap_or_default();
        [
            line.event.clone(),
            line.at.clone(),
            line.attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
            line.took().unwrap_or_default(),
            line.cause.clone().unwrap_or_default(),
            format!("{}{payload}", line.text),
        ]
    };
    let columns = ["event", "time", "attempt", "took", "caused by", "what happened"];
    output::table_within(width(full), columns, lines.iter().map(row))
}

pub(super) async fn diff(args: DiffArgs) -> anyhow::Result<ExitCode> {
    let store = args.named.store.open().await?;
    let (journals, id) = located(&args.named, &store).await?;
    let (points, detail) = ([args.from, args.to], sensitive(args.sensitive));
    let difference = shown::difference(journals.as_ref(), &PlanCache::default(), id, points, detail).await?;
    let difference = difference.with_context(|| format!("no saga has the id {id}"))?;
    output::one(&difference, args.named.output, difference_text)?;
    Ok(ExitCode::SUCCESS)
}

fn difference_text(difference: &SagaDifference) -> String {
    let SagaDifference { from, to, changes, events } = difference;
    if from.version == to.version {
        return format!("version {} of {} and version {} are the same", from.version, from.at, to.version);
    }
    let value = |value: &Value| if value.is_null() { String::new() } else { gist(value, false) };
    let row = |it: &ValueChange| [it.path.clone(), value(&it.before), value(&it.after)];
    let (before, after) = (format!("version {}", from.version), format!("version {}", to.version));
    let changes = output::table(["what changed", &before, &after], changes.iter().map(row));
    format!(
        "from version {} ({}) to version {} ({})\n\n{changes}\n\n{}",
        from.version,
        from.at,
        to.version,
        to.at,
        history_table(events, false, false)
    )
}

/// A payload that is shown whole stays in one line, so that it can be copied.
fn width(full: bool) -> Option<usize> {
    if full { None } else { output::width() }
}

async fn shown(
    args: &SagaNameArgs,
    store: &Arc<dyn EventStore>,
    at: Option<HistoryPoint>,
) -> anyhow::Result<SagaDisplay> {
    let (journals, id) = located(args, store).await?;
    let shown = shown::show(journals.as_ref(), &PlanCache::default(), id, at).await?;
    shown.with_context(|| format!("no saga has the id {id}"))
}

/// The saga that the arguments name, and what has its journal: the store, or an archive that it went to.
async fn located(args: &SagaNameArgs, store: &Arc<dyn EventStore>) -> anyhow::Result<(Arc<dyn JournalReader>, SagaId)> {
    let store = Arc::clone(store);
    if let Some(id) = resolve(args, store.as_ref()).await? {
        return Ok((store, id));
    }
    if let Some(saga) = &args.saga {
        known_saga(store.as_ref(), saga).await?;
    }
    let folder = args.store.archive_folder()?;
    match archived(store.as_ref(), folder.as_deref(), &args.name, args.saga.as_deref()).await? {
        Some((archive, id)) => Ok((Arc::new(OpenedArchive::new(archive, store)), id)),
        None => bail!("no saga has the id or key `{}`\nhint: `saga list` shows the sagas", args.name),
    }
}

/// The saga that the arguments name; `None`: the store does not have it.
async fn resolve(args: &SagaNameArgs, store: &dyn EventStore) -> anyhow::Result<Option<SagaId>> {
    let mut found = reading::find(store, &args.name, args.saga.as_deref()).await?;
    if let SagaLookup::Several(lines) = &mut found {
        reading::refresh(store, &PlanCache::default(), lines, RefreshScope::OpenAndFaults).await?;
    }
    the_one(found, &args.name)
}

fn the_one(found: SagaLookup, name: &str) -> anyhow::Result<Option<SagaId>> {
    match found {
        SagaLookup::One { id, earlier } => {
            note_earlier(name, &earlier);
            Ok(Some(id))
        }
        SagaLookup::None => Ok(None),
        SagaLookup::Several(lines) => {
            bail!("several sagas have the key `{name}`:\n{}\nhint: `--saga NAME` chooses one", list::several(&lines))
        }
    }
}
