//! `verify-participant`.

mod steps;

use super::{ConfigFile, Output, output};
use crate::{
    config::{self, Config, Sources},
    kafka::Broker,
    startup,
    verify::{self, Finding, Restart, Script, Subject, Target, Typed, Verdict},
};
use anyhow::{Context, anyhow, bail};
use clap::{ArgGroup, Args};
use saga_core::definition::{
    Style,
    participants::{self, Participant, Participants},
    render,
};
use serde_json::Value;
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").args(["target", "saga"]).required(true)))]
pub(super) struct VerifyArgs {
    /// The do, as a definition writes it: inventory.ReserveStock, or 'POST payments/charges'
    #[arg(value_name = "COMMAND")]
    target: Option<Target>,
    /// Its undo; without it nothing of what an undo has to keep is tested
    #[arg(long, value_name = "COMMAND", requires = "target")]
    undo: Option<Target>,
    /// What the do is sent, as JSON: something that succeeds
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = map, conflicts_with = "saga")]
    with: Value,
    /// What the undo is sent, as JSON; else what the short form of a definition sends: {"input": …, "result": …} of the do
    #[arg(long, value_name = "JSON", value_parser = map, requires = "target")]
    undo_with: Option<Value>,
    /// All steps of this definition in place of one command: each is sent what the event and the answers before it make of it
    #[arg(long, value_name = "NAME", requires = "event")]
    saga: Option<String>,
    /// The event that would start the saga, as JSON
    #[arg(long, value_name = "JSON", value_parser = map, requires = "saga")]
    event: Option<Value>,
    /// Command of the shell that restarts the participant: what it remembers is tested, too
    #[arg(long, value_name = "COMMAND", conflicts_with = "restart_by_hand")]
    restart: Option<String>,
    /// Ask you to restart the participant, and wait until you press Enter
    #[arg(long)]
    restart_by_hand: bool,
    /// Participants file; else participants.yaml in the folder that the configuration's `sagas` names
    #[arg(long, value_name = "FILE")]
    participants: Option<PathBuf>,
    /// Topic for replies that no engine reads; else one is made and removed again
    #[arg(long, value_name = "TOPIC")]
    reply_topic: Option<String>,
    /// Do it: real commands are performed, under ids of sagas that no engine knows
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    file: ConfigFile,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl VerifyArgs {
    fn restart(&self) -> Option<Restart> {
        match &self.restart {
            Some(command) => Some(Restart::Command(command.clone())),
            None => self.restart_by_hand.then_some(Restart::ByHand),
        }
    }
}

fn map(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    if value.is_object() { Ok(value) } else { Err("write a JSON object: `with` of a step is a map".into()) }
}

/// What cannot be verified as it was typed is a usage error.
pub(super) async fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let config = config::load(&Sources::of_process(args.file.config.as_deref(), Vec::new()))?;
    match &args.saga {
        Some(saga) => steps::run(&args, &config, saga).await,
        None => one(&args, &config).await,
    }
}

async fn one(args: &VerifyArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let (participant, typed) = match prepared(args, config) {
        Ok(found) => found,
        Err(error) => return Ok(usage_error(&error)),
    };
    if !args.yes {
        output::note(&announcement(&typed));
        return Ok(ExitCode::from(2));
    }
    let broker = startup::kafka_settings(config, Broker::Real)?;
    let name = typed.target.participant().to_owned();
    let subject = Subject { timeout: participant.timeout, script: Script::Typed(typed), restart: args.restart() };
    let verified = verify::run(&name, &participant, &subject, &broker, args.reply_topic.as_deref()).await?;
    output::many(&verified.findings, args.output, shown)?;
    output::note(&summary(&verified.findings));
    Ok(exit_code(&verified.findings))
}

fn usage_error(error: &anyhow::Error) -> ExitCode {
    output::note(&format!("error: {error:#}"));
    ExitCode::from(2)
}

/// What could not be tested is not proved: only `--with` can help there, which makes it a usage error.
fn exit_code(findings: &[Finding]) -> ExitCode {
    match (count(findings, Verdict::Broken), count(findings, Verdict::NotTested)) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(2),
        _ => ExitCode::from(1),
    }
}

fn prepared(args: &VerifyArgs, config: &Config) -> anyhow::Result<(Participant, Typed)> {
    let participants = participants(args, config)?;
    let target = args.target.clone().context("which command? name one, or a definition with --saga")?;
    let name = target.participant();
    let participant = participants.get(name).with_context(|| {
        let names = participants.names().collect::<Vec<_>>().join(", ");
        format!("there is no participant `{name}`; there are: {names}")
    })?;
    target.fits(participant)?;
    if let Some(undo) = &args.undo {
        undo.fits(participant)?;
        if undo.participant() != name {
            bail!("`{undo}` is performed by another participant than `{target}`");
        }
    }
    let (undo, with, undo_with) = (args.undo.clone(), args.with.clone(), args.undo_with.clone());
    Ok((participant.clone(), Typed { target, undo, with, undo_with }))
}

fn undo_with(typed: &Typed) -> String {
    match &typed.undo_with {
        Some(body) => body.to_string(),
        None => format!("{{\"input\": {}, \"result\": what the do answered, or null}}", typed.with),
    }
}

fn participants(args: &VerifyArgs, config: &Config) -> anyhow::Result<Participants> {
    let path = args.participants.clone().unwrap_or_else(|| config.sagas.join("participants.yaml"));
    let source = startup::read_source(&path)
        .context("who is reached how is said in participants.yaml: --participants names it")?;
    let read = participants::parse(&source.name, &source.text, &crate::startup::lookup);
    read.map_err(|findings| anyhow!("{}", render(&findings, Style::Plain)))
}

fn announcement(typed: &Typed) -> String {
    let mut text = format!(
        "This would perform, some twenty times, with what effects it has:\n\n  {}  {}\n",
        typed.target, typed.with
    );
    match &typed.undo {
        Some(undo) => text.push_str(&format!("  {undo}  {}\n", undo_with(typed))),
        None => text.push_str("  (and no undo: --undo names it)\n"),
    }
    let name = typed.target.participant();
    text.push_str(&format!("\nThe sagas that ask for it exist nowhere; not all of it is undone. Nothing was sent to {name}.\nhint: --yes does it"));
    text
}

/// A line for each check, and what was asked and said for each that is broken.
fn shown(findings: &[Finding]) -> String {
    let row =
        |finding: &Finding| [finding.check.name().to_owned(), word(finding.verdict).to_owned(), finding.why.clone()];
    let mut text = output::table(["check", "result", "why"], findings.iter().map(row));
    for finding in findings.iter().filter(|finding| finding.verdict == Verdict::Broken) {
        text.push_str(&format!(
            "\n\n{}\n  the contract  {}\n  to read       {}",
            finding.check.name(),
            finding.contract,
            finding.read
        ));
        for exchange in &finding.exchanges {
            text.push_str(&format!("\n  sent          {}\n  came back     {}", exchange.sent, exchange.came));
        }
    }
    text
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Broken => "BROKEN",
        Verdict::NotTested => "not tested",
        Verdict::NotAsked => "not asked",
    }
}

fn summary(findings: &[Finding]) -> String {
    let of = |verdict| count(findings, verdict);
    let (holds, broken, untested) = (of(Verdict::Holds), of(Verdict::Broken), of(Verdict::NotTested));
    let asked = findings.len() - of(Verdict::NotAsked);
    let hint = match untested {
        0 => "",
        _ => "\nhint: --with has to say something that succeeds",
    };
    format!("{asked} checks: {holds} hold, {broken} broken, {untested} could not be tested{hint}")
}

fn count(findings: &[Finding], verdict: Verdict) -> usize {
    findings.iter().filter(|finding| finding.verdict == verdict).count()
}
