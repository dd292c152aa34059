//! `definitions …`: the definitions that start sagas on an engine, and those by which sagas of a store run or ran.

use super::{
    OutputFormat,
    operator::OperatorArgs,
    output,
    server::{NEWER_ENGINE, ServerOutputArgs},
    store::StoreReadArgs,
};
use crate::{
    api::DefinitionLine,
    startup::{DefinitionFiles, plan_of_text},
};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use saga_engine::journal::definitions::{self, StoredDefinition};
use serde_json::{Value, json};
use similar::TextDiff;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, Subcommand)]
pub(super) enum DefinitionsCommand {
    /// List the definitions that start sagas on an engine
    List(ServerOutputArgs),
    /// List the definitions by which sagas run or ran, with the number of their open sagas
    Used(UsedDefinitionsArgs),
    /// Show the text of a definition by which sagas run or ran
    Show(ShowDefinitionArgs),
    /// Show the difference between two texts of definitions
    Diff(DiffDefinitionsArgs),
    /// Put the documents of a definition back into the store, for sagas that cannot be read without them
    Restore(RestoreDefinitionArgs),
}

/// Arguments of `saga definitions restore`.
#[derive(Debug, Args)]
pub(super) struct RestoreDefinitionArgs {
    /// File of the definition as it was then; participants.yaml of that time is read beside it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    engine: ServerOutputArgs,
}

/// Arguments of `saga definitions used`.
#[derive(Debug, Args)]
pub(super) struct UsedDefinitionsArgs {
    /// Only definitions that have open sagas
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    store: StoreReadArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// Arguments of `saga definitions show`.
#[derive(Debug, Args)]
pub(super) struct ShowDefinitionArgs {
    /// Name of the definition, or the beginning of its hash
    #[arg(value_name = "NAME|HASH")]
    definition: String,
    #[command(flatten)]
    store: StoreReadArgs,
    /// Format of the output; a table is the text itself
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// Arguments of `saga definitions diff`.
#[derive(Debug, Args)]
pub(super) struct DiffDefinitionsArgs {
    /// Name of the older definition, or the beginning of its hash
    #[arg(value_name = "NAME|HASH")]
    from: String,
    /// Name of the newer definition, or the beginning of its hash
    #[arg(value_name = "NAME|HASH")]
    to: String,
    #[command(flatten)]
    store: StoreReadArgs,
    /// Format of the output; a table is a unified diff
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// Digits of a hash that are shown: enough to tell definitions apart.
const SHORT_HASH: usize = 12;

pub(super) async fn run(command: DefinitionsCommand) -> anyhow::Result<ExitCode> {
    match command {
        DefinitionsCommand::List(args) => {
            let answer = args.server.open()?.get("/api/definitions").await?;
            let lines = answer["definitions"].as_array().cloned().unwrap_or_default();
            let typed = typed(&lines)?;
            output::many(&lines, args.output, |_| table(&typed))?;
            Ok(ExitCode::SUCCESS)
        }
        DefinitionsCommand::Used(args) => used(args).await,
        DefinitionsCommand::Show(args) => show(args).await,
        DefinitionsCommand::Diff(args) => diff(args).await,
        DefinitionsCommand::Restore(args) => restore(args).await,
    }
}

async fn used(args: UsedDefinitionsArgs) -> anyhow::Result<ExitCode> {
    let store = args.store.open().await?;
    let mut all = definitions::stored(store.as_ref()).await?;
    all.retain(|it| !args.open || it.open_sagas > 0);
    output::many(&all, args.output, used_table)?;
    Ok(ExitCode::SUCCESS)
}

fn used_table(all: &[StoredDefinition]) -> String {
    let row = |it: &StoredDefinition| {
        let oldest = it.oldest_open_at.clone().unwrap_or_default();
        [
            it.name.clone(),
            short(&it.definition),
            it.open_sagas.to_string(),
            oldest,
            it.sagas.to_string(),
            it.first_started_at.clone(),
        ]
    };
    output::table(["definition", "hash", "open sagas", "oldest open", "all sagas", "first saga"], all.iter().map(row))
}

async fn show(args: ShowDefinitionArgs) -> anyhow::Result<ExitCode> {
    let store = args.store.open().await?;
    let (definition, text) = definitions::named(store.as_ref(), &args.definition).await?;
    let mut shown = serde_json::to_value(&definition)?;
    shown["text"] = json!(text);
    output::one(&shown, args.output, |_| text)?;
    Ok(ExitCode::SUCCESS)
}

async fn diff(args: DiffDefinitionsArgs) -> anyhow::Result<ExitCode> {
    let store = args.store.open().await?;
    let (from, old) = definitions::named(store.as_ref(), &args.from).await?;
    let (to, new) = definitions::named(store.as_ref(), &args.to).await?;
    let header = |it: &StoredDefinition| format!("{} {}", it.name, it.definition);
    let diff = TextDiff::from_lines(&old, &new);
    let text = diff.unified_diff().header(&header(&from), &header(&to)).to_string();
    let shown = json!({"from": from, "to": to, "diff": text});
    let told = |_: &Value| if text.is_empty() { "the texts are the same".to_owned() } else { text.clone() };
    output::one(&shown, args.output, told)?;
    Ok(ExitCode::SUCCESS)
}

/// The store keeps documents by the hash of their text, so files that differ from those of then repair nothing. The
/// answer names the hashes, to compare them with those that are missing.
async fn restore(args: RestoreDefinitionArgs) -> anyhow::Result<ExitCode> {
    let named = || args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).with_context(named)?;
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = DefinitionFiles::beside(folder, Path::new("")).with_context(named)?;
    let plan = plan_of_text(&text, &files).map_err(anyhow::Error::msg).with_context(named)?;
    if files.participants_file.is_none() && !plan.definition.called().is_empty() {
        bail!(
            "there is no participants.yaml beside {}: the policies follow from it, and without it other ones would be \
             stored than those of that time\nhint: put participants.yaml of that time into {}",
            named(),
            folder.display()
        );
    }
    let mut body = args.operator.body();
    body["definition"] = json!(text);
    body["policies"] = json!(plan.policies.canonical_json());
    let answer = args.engine.server.open()?.post("/api/definitions/restore", &body).await?;
    output::one(&answer, args.engine.output, restored)?;
    if answer["openSagas"] == 0 {
        output::note("no open saga runs by this text: compare its hash with the one that is missing");
    }
    Ok(ExitCode::SUCCESS)
}

fn restored(answer: &Value) -> String {
    let text = |key: &str| answer[key].as_str().unwrap_or_default();
    let (name, definition, policies) = (text("name"), text("definition"), text("policies"));
    let open = &answer["openSagas"];
    format!("stored {name}\n  definition  {definition}\n  policies    {policies}\n  open sagas  {open}")
}

fn short(hash: &str) -> String {
    hash.chars().take(SHORT_HASH).collect()
}

/// What the table shows; as JSON and YAML the lines are printed as the engine sent them.
fn typed(lines: &[Value]) -> anyhow::Result<Vec<DefinitionLine>> {
    let lines: Result<_, _> = lines.iter().cloned().map(serde_json::from_value).collect();
    lines.context(NEWER_ENGINE)
}

fn table(lines: &[DefinitionLine]) -> String {
    let row = |line: &DefinitionLine| {
        let hash = short(&line.definition);
        let (steps, participants) = (line.steps.join(", "), line.participants.join(", "));
        let paused = line.paused.as_ref().map(|pause| format!(" (paused by {}: {})", pause.who, pause.reason));
        [
            format!("{}{}", line.name, paused.unwrap_or_default()),
            hash,
            line.topic.clone(),
            line.event_type.clone().unwrap_or_default(),
            steps,
            participants,
        ]
    };
    output::table(["definition", "hash", "topic", "type", "steps", "participants"], lines.iter().map(row))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_definition_is_a_line_with_a_short_hash() {
        let line = json!({"name": "order", "definition": "53ac66d588e5240f", "policies": "1f", "topic": "shop.orders",
            "type": "OrderPlaced", "steps": ["reserve", "charge"], "participants": ["stock"], "added": "later"});
        let shown = super::table(&super::typed(&[line]).expect("an engine's line"));
        for part in ["order", "53ac66d588e5 ", "shop.orders", "OrderPlaced", "reserve, charge", "stock"] {
            assert!(shown.contains(part), "{part} is missing:\n{shown}");
        }
    }
}
