//! `verify-participant`: the arguments, and the findings as text.

mod steps;

use super::{ConfigFileArgs, OutputFormat, output};
use crate::{
    config::{self, ConfigSources, EngineConfig},
    source_files, startup,
    verify::{
        self, ContractFinding, ContractVerdict, MissingPrecondition, RestartMethod, TypedCommands, TypedTarget,
        VerificationScript, VerificationSubject,
    },
};
use anyhow::{Context, anyhow, bail};
use clap::{ArgGroup, Args};
use saga_core::definition::{
    RenderStyle,
    participants::{self, ParticipantCatalog, ParticipantConfig},
    render,
};
use saga_kafka::BrokerKind;
use serde_json::Value;
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").args(["target", "saga"]).required(true)))]
pub(super) struct VerifyArgs {
    /// The do command as in a definition: inventory.ReserveStock, or 'POST payments/charges'
    #[arg(value_name = "COMMAND")]
    target: Option<TypedTarget>,
    /// The undo command; without it the rules for undos are not tested
    #[arg(long, value_name = "COMMAND", requires = "target")]
    undo: Option<TypedTarget>,
    /// Input of the do as JSON; the do has to succeed with it
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = map, conflicts_with = "saga")]
    with: Value,
    /// Input of the undo as JSON [default: {"input": …, "result": …} of the do, like the short form in a definition]
    #[arg(long, value_name = "JSON", value_parser = map, requires = "target")]
    undo_with: Option<Value>,
    /// Test all steps of this definition instead of one command; their inputs follow from the event and from earlier
    /// answers
    #[arg(long, value_name = "NAME", requires = "event")]
    saga: Option<String>,
    /// The trigger event of the saga as JSON
    #[arg(long, value_name = "JSON", value_parser = event, requires = "saga")]
    event: Option<Value>,
    /// Shell command that restarts the participant. With it, the command also tests that the participant keeps its
    /// answers over a restart
    #[arg(long, value_name = "COMMAND", value_parser = command, conflicts_with = "restart_by_hand")]
    restart: Option<String>,
    /// Wait until you have restarted the participant and pressed Enter; tests the same
    #[arg(long)]
    restart_by_hand: bool,
    /// Participants file [default: participants.yaml in the folder of the key sagas of the configuration]
    #[arg(long, value_name = "FILE")]
    participants: Option<PathBuf>,
    /// Topic for replies that no engine reads [default: a new topic, which is removed afterwards]
    #[arg(long, value_name = "TOPIC")]
    reply_topic: Option<String>,
    /// Confirm that real commands are sent, under saga ids that no engine knows
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    file: ConfigFileArgs,
    /// Format of the findings
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

impl VerifyArgs {
    fn restart(&self) -> Option<RestartMethod> {
        match &self.restart {
            Some(command) => Some(RestartMethod::Command(command.clone())),
            None => self.restart_by_hand.then_some(RestartMethod::ByHand),
        }
    }
}

fn map(text: &str) -> Result<Value, String> {
    object(text, "write a JSON object: `with` of a step is a map")
}

fn event(text: &str) -> Result<Value, String> {
    object(text, r#"write a JSON object: an event is the value of the record that starts the saga, {"orderId": "o-1"}"#)
}

fn object(text: &str, expected: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}; {expected}"))?;
    if value.is_object() { Ok(value) } else { Err(expected.to_owned()) }
}

/// A shell treats an empty command as one that succeeds.
fn command(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("an empty command restarts nothing: write a shell command like 'docker restart payments'".into());
    }
    Ok(text.to_owned())
}

/// Arguments that cannot be verified are a usage error.
pub(super) async fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let config = config::load(&ConfigSources::of_process(args.file.config.as_deref(), Vec::new()))?;
    match &args.saga {
        Some(saga) => steps::run(&args, &config, saga).await,
        None => one(&args, &config).await,
    }
}

async fn one(args: &VerifyArgs, config: &EngineConfig) -> anyhow::Result<ExitCode> {
    let (participant, typed) = match prepared(args, config) {
        Ok(found) => found,
        Err(error) => return Ok(usage_error(&error)),
    };
    if !args.yes {
        output::note(&announcement(&typed));
        return Ok(ExitCode::from(2));
    }
    let broker = startup::kafka_settings(config, BrokerKind::Real)?;
    let name = typed.target.participant().to_owned();
    let subject = VerificationSubject {
        timeout: participant.timeout,
        script: VerificationScript::Typed(typed),
        restart: args.restart(),
    };
    let verified = verify::run(&name, &participant, &subject, &broker, args.reply_topic.as_deref()).await?;
    output::many(&verified.findings, args.output, shown)?;
    output::note(&summary(&verified.findings, "--with"));
    Ok(exit_code(&verified.findings))
}

fn usage_error(error: &anyhow::Error) -> ExitCode {
    output::note(&format!("error: {error:#}"));
    ExitCode::from(2)
}

/// A rule that could not be tested is not proved. Other arguments can help, so this is a usage error.
fn exit_code(findings: &[ContractFinding]) -> ExitCode {
    match (count(findings, ContractVerdict::Broken), count(findings, ContractVerdict::NotTested)) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(2),
        _ => ExitCode::from(1),
    }
}

fn prepared(args: &VerifyArgs, config: &EngineConfig) -> anyhow::Result<(ParticipantConfig, TypedCommands)> {
    let participants = participants(args, config)?;
    let target = args.target.clone().context("no command is named: name one, or a definition with --saga")?;
    let name = target.participant();
    let participant = participants.get(name).with_context(|| {
        let names = participants.names().collect::<Vec<_>>().join(", ");
        format!("there is no participant `{name}`; known participants: {names}")
    })?;
    target.fits(participant)?;
    if let Some(undo) = &args.undo {
        undo.fits(participant)?;
        if undo.participant() != name {
            bail!("`{undo}` is performed by another participant than `{target}`");
        }
    }
    let (undo, with, undo_with) = (args.undo.clone(), args.with.clone(), args.undo_with.clone());
    Ok((participant.clone(), TypedCommands { target, undo, with, undo_with }))
}

fn undo_with(typed: &TypedCommands) -> String {
    match &typed.undo_with {
        Some(body) => body.to_string(),
        None => format!("{{\"input\": {}, \"result\": the answer of the do, or null}}", typed.with),
    }
}

fn participants(args: &VerifyArgs, config: &EngineConfig) -> anyhow::Result<ParticipantCatalog> {
    let path = args.participants.clone().unwrap_or_else(|| config.sagas.join("participants.yaml"));
    let source = source_files::read_source(&path)
        .context("participants.yaml says how participants are reached: name the file with --participants")?;
    let read = participants::parse(&source.name, &source.text, &source_files::lookup);
    read.map_err(|findings| anyhow!("{}", render(&findings, RenderStyle::Plain)))
}

fn announcement(typed: &TypedCommands) -> String {
    let mut text = format!(
        "This sends the following commands about twenty times, with all their effects:\n\n  {}  {}\n",
        typed.target, typed.with
    );
    match &typed.undo {
        Some(undo) => text.push_str(&format!("  {undo}  {}\n", undo_with(typed))),
        None => text.push_str("  (no undo: --undo names it)\n"),
    }
    let name = typed.target.participant();
    text.push_str(&format!(
        "\nNo engine knows the sagas of these commands; not every command is undone. Nothing was sent to {name}.\n\
         hint: --yes sends the commands"
    ));
    text
}

/// One line per check, and the requests and answers of each broken one.
fn shown(findings: &[ContractFinding]) -> String {
    let row = |finding: &ContractFinding| {
        [finding.check.name().to_owned(), word(finding.verdict).to_owned(), finding.why.clone()]
    };
    let mut text = output::table(["check", "result", "why"], findings.iter().map(row));
    for finding in findings.iter().filter(|finding| finding.verdict == ContractVerdict::Broken) {
        text.push_str(&format!(
            "\n\n{}\n  the rule      {}\n  read          {}",
            finding.check.name(),
            finding.contract,
            finding.read
        ));
        for exchange in &finding.exchanges {
            text.push_str(&format!("\n  sent          {}\n  answer        {}", exchange.sent, exchange.came));
        }
    }
    text
}

fn word(verdict: ContractVerdict) -> &'static str {
    match verdict {
        ContractVerdict::Holds => "holds",
        ContractVerdict::Broken => "BROKEN",
        ContractVerdict::NotTested => "not tested",
        ContractVerdict::NotAsked => "not asked",
    }
}

/// `sent` is the option with the input of the do.
fn summary(findings: &[ContractFinding], sent: &str) -> String {
    let of = |verdict| count(findings, verdict);
    let (holds, broken, untested) =
        (of(ContractVerdict::Holds), of(ContractVerdict::Broken), of(ContractVerdict::NotTested));
    let asked = findings.len() - of(ContractVerdict::NotAsked);
    let lacks =
        [MissingPrecondition::Do, MissingPrecondition::Undo, MissingPrecondition::Restart, MissingPrecondition::Return]
            .into_iter();
    let lacks = lacks.filter(|lacks| findings.iter().any(|finding| finding.lacks == Some(*lacks)));
    let hints = lacks.map(|lacks| format!("\nhint: {}", hint(lacks, sent))).collect::<String>();
    format!("{asked} checks: {holds} hold, {broken} broken, {untested} could not be tested{hints}")
}

fn hint(lacks: MissingPrecondition, sent: &str) -> String {
    match lacks {
        MissingPrecondition::Do => format!("{sent} has to be an input with which the do succeeds"),
        MissingPrecondition::Undo => "the checks after an undo need an undo that succeeds".to_owned(),
        MissingPrecondition::Restart => {
            "--restart has to be a command that restarts the participant and exits with 0; \
             with --restart-by-hand you restart it and press Enter"
                .to_owned()
        }
        MissingPrecondition::Return => {
            "the participant has to answer again within a minute after its restart".to_owned()
        }
    }
}

fn count(findings: &[ContractFinding], verdict: ContractVerdict) -> usize {
    findings.iter().filter(|finding| finding.verdict == verdict).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::ContractCheck;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct VerifyCommandLine {
        #[command(flatten)]
        _args: VerifyArgs,
    }

    fn untested(check: ContractCheck, lacks: MissingPrecondition) -> ContractFinding {
        let exchanges = Vec::new();
        let verdict = ContractVerdict::NotTested;
        ContractFinding { check, verdict, lacks: Some(lacks), why: String::new(), exchanges, contract: "", read: "" }
    }

    #[test]
    fn what_could_not_be_tested_has_the_hint_that_helps_there() {
        let told = |lacks| summary(&[untested(ContractCheck::AfterRestart, lacks)], "--with");
        assert!(told(MissingPrecondition::Do).contains("--with has to be an input with which the do succeeds"));
        for lacks in [MissingPrecondition::Undo, MissingPrecondition::Restart, MissingPrecondition::Return] {
            assert!(!told(lacks).contains("--with ") && told(lacks).contains("hint: "), "{}", told(lacks));
        }
        assert!(
            told(MissingPrecondition::Restart).contains("--restart ")
                && told(MissingPrecondition::Restart).contains("Enter")
        );
        let both = [
            untested(ContractCheck::Undo, MissingPrecondition::Do),
            untested(ContractCheck::AfterRestart, MissingPrecondition::Return),
        ];
        let both = summary(&both, "--event");
        assert!(both.contains("--event has") && both.contains("after its restart"), "{both}");
    }

    #[test]
    fn an_empty_restart_and_an_event_that_is_no_object_are_told() {
        let said = |line: &[&str]| {
            let parsed = VerifyCommandLine::try_parse_from([&["verify-participant"], line].concat());
            parsed.expect_err("it cannot be used").to_string()
        };
        for blank in ["", " ", "\n\t"] {
            let said = said(&["payments.Charge", "--restart", blank]);
            assert!(said.contains("--restart") && said.contains("restarts nothing"), "{said}");
        }
        for event in ["[]", "5", "\"x\"", "null", "{"] {
            let said = said(&["--saga", "order", "--event", event]);
            assert!(said.contains("an event is") && !said.contains("`with`"), "{said}");
        }
        assert!(said(&["payments.Charge", "--with", "[]"]).contains("`with` of a step"));
    }
}
