//! `verify-participant`.

use super::{ConfigFile, Output, output};
use crate::{
    config::{self, Config, Sources},
    kafka::Broker,
    startup,
    verify::{self, Finding, Subject, Target, Verdict},
};
use anyhow::{Context, anyhow, bail};
use clap::Args;
use saga_core::definition::{
    Style,
    participants::{self, Participant, Participants},
    render,
};
use serde_json::Value;
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The do, as a definition writes it: inventory.ReserveStock, or 'POST payments/charges'
    #[arg(value_name = "COMMAND")]
    target: Target,
    /// Its undo; without it nothing of what an undo has to keep is tested
    #[arg(long, value_name = "COMMAND")]
    undo: Option<Target>,
    /// What the do is sent, as JSON: something that succeeds
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = map)]
    with: Value,
    /// What the undo is sent, as JSON; else what the short form of a definition sends: {"input": …, "result": …} of the do
    #[arg(long, value_name = "JSON", value_parser = map)]
    undo_with: Option<Value>,
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

fn map(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    if value.is_object() { Ok(value) } else { Err("write a JSON object: `with` of a step is a map".into()) }
}

/// What cannot be verified as it was typed is a usage error.
pub(super) async fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let config = config::load(&Sources::of_process(args.file.config.as_deref(), Vec::new()))?;
    let found = match prepared(&args, &config) {
        Ok(found) => found,
        Err(error) => {
            output::note(&format!("error: {error:#}"));
            return Ok(ExitCode::from(2));
        }
    };
    if !args.yes {
        output::note(&announcement(&args, &found));
        return Ok(ExitCode::from(2));
    }
    let (participant, subject) = found;
    let broker = startup::kafka_settings(&config, Broker::Real)?;
    let name = subject.target.participant().to_owned();
    let findings = verify::run(&name, &participant, &subject, &broker, args.reply_topic.as_deref()).await?;
    output::many(&findings, args.output, shown)?;
    output::note(&summary(&findings));
    Ok(exit_code(&findings))
}

/// What could not be tested is not proved: only `--with` can help there, which makes it a usage error.
fn exit_code(findings: &[Finding]) -> ExitCode {
    match (count(findings, Verdict::Broken), count(findings, Verdict::NotTested)) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(2),
        _ => ExitCode::from(1),
    }
}

fn prepared(args: &VerifyArgs, config: &Config) -> anyhow::Result<(Participant, Subject)> {
    let participants = participants(args, config)?;
    let name = args.target.participant();
    let participant = participants.get(name).with_context(|| {
        let names = participants.names().collect::<Vec<_>>().join(", ");
        format!("there is no participant `{name}`; there are: {names}")
    })?;
    args.target.fits(participant)?;
    if let Some(undo) = &args.undo {
        undo.fits(participant)?;
        if undo.participant() != name {
            bail!("`{undo}` is performed by another participant than `{}`", args.target);
        }
    }
    let subject = Subject {
        target: args.target.clone(),
        undo: args.undo.clone(),
        with: args.with.clone(),
        undo_with: args.undo_with.clone(),
        timeout: participant.timeout,
    };
    Ok((participant.clone(), subject))
}

fn undo_with(subject: &Subject) -> String {
    match &subject.undo_with {
        Some(body) => body.to_string(),
        None => format!("{{\"input\": {}, \"result\": what the do answered, or null}}", subject.with),
    }
}

fn participants(args: &VerifyArgs, config: &Config) -> anyhow::Result<Participants> {
    let path = args.participants.clone().unwrap_or_else(|| config.sagas.join("participants.yaml"));
    let source = startup::read_source(&path)
        .context("who is reached how is said in participants.yaml: --participants names it")?;
    let read = participants::parse(&source.name, &source.text, &crate::startup::lookup);
    read.map_err(|findings| anyhow!("{}", render(&findings, Style::Plain)))
}

fn announcement(args: &VerifyArgs, (_, subject): &(Participant, Subject)) -> String {
    let mut text = format!(
        "This would perform, some twenty times, with what effects it has:\n\n  {}  {}\n",
        subject.target, subject.with
    );
    match &subject.undo {
        Some(undo) => text.push_str(&format!("  {undo}  {}\n", undo_with(subject))),
        None => text.push_str("  (and no undo: --undo names it)\n"),
    }
    let name = args.target.participant();
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
