//! `verify-participant --saga`: all steps of a definition.

use super::{VerifyArgs, count, exit_code, shown, summary, usage_error};
use crate::{
    cli::output,
    config::EngineConfig,
    source_files::{lookup, read_source},
    startup::{self, DefinitionFiles, load_files},
    verify::{ContractFinding, ContractVerdict, RehearsedDefinition, StepReport, VerificationOptions, all_steps},
};
use anyhow::Context;
use saga_core::{describe::body, words::addressed};
use saga_kafka::BrokerKind;
use serde_json::{Value, json};
use std::{process::ExitCode, sync::Arc};

/// The option with the input of the dos.
const EVENT: &str = "--event";

pub(super) async fn run(args: &VerifyArgs, config: &EngineConfig, saga: &str) -> anyhow::Result<ExitCode> {
    let rehearsed = match rehearsed(args, config, saga) {
        Ok(rehearsed) => rehearsed,
        Err(error) => return Ok(usage_error(&error)),
    };
    if !args.yes {
        output::note(&announcement(&rehearsed));
        return Ok(ExitCode::from(2));
    }
    let broker = startup::kafka_settings(config, BrokerKind::Real)?;
    let restart = args.restart();
    let how = VerificationOptions { reply_topic: args.reply_topic.as_deref(), restart: restart.as_ref() };
    let mut findings = Vec::new();
    all_steps(rehearsed, &broker, &how, |report| {
        output::many(&lines(report), args.output, |_| told(report))?;
        findings.extend(report.found.iter().flat_map(|verified| verified.findings.clone()));
        Ok(())
    })
    .await?;
    output::note(&summary(&findings, EVENT));
    Ok(exit_code(&findings))
}

fn rehearsed(args: &VerifyArgs, config: &EngineConfig, saga: &str) -> anyhow::Result<RehearsedDefinition> {
    let mut files = DefinitionFiles::of_folders(&config.sagas, &config.schemas)?;
    if let Some(path) = &args.participants {
        files.participants = Some(read_source(path)?);
    }
    let loaded = load_files(&files, &lookup)?;
    let mut plans = loaded.plans.iter();
    let plan = plans.find(|plan| plan.definition.name == saga).cloned().with_context(|| {
        let names: Vec<&str> = loaded.plans.iter().map(|plan| plan.definition.name.as_str()).collect();
        format!("{} has no definition `{saga}`; known definitions: {}", config.sagas.display(), names.join(", "))
    })?;
    let event = args.event.clone().unwrap_or_default();
    Ok(RehearsedDefinition::new(plan, Arc::new(loaded.participants), &event)?)
}

fn announcement(rehearsed: &RehearsedDefinition) -> String {
    let line = |(step, sent): (String, Result<_, _>)| match sent {
        Ok(request) => {
            let body = body(&request).map(Value::to_string).unwrap_or_default();
            format!("  {step}: {}  {body}\n", addressed(&request))
        }
        Err(why) => format!("  {step}: {why}\n"),
    };
    let steps: String = rehearsed.announced().into_iter().map(line).collect();
    format!(
        "This sends each of these commands and their undos about twenty times, with all their effects:\n\n{steps}\n\
         An input without a value yet may have one after the earlier answers. No engine knows the sagas of these \
         commands; not every command is undone. \
         Nothing was sent.\nhint: --yes sends the commands"
    )
}

/// As JSON: each finding with its step.
fn lines(report: &StepReport) -> Vec<Value> {
    let with_step = |mut line: Value| {
        line["step"] = json!(report.step);
        line
    };
    match &report.found {
        Ok(verified) => verified.findings.iter().map(|finding| with_step(json!(finding))).collect(),
        Err(why) => vec![with_step(json!({"verdict": ContractVerdict::NotAsked, "why": why.to_string()}))],
    }
}

fn told(report: &StepReport) -> String {
    match &report.found {
        Ok(verified) => format!("{}: {}\n{}\n", report.step, report.sends, of(&verified.findings)),
        Err(why) => format!("{}: not asked, {why}\n", report.step),
    }
}

/// One line for a step that keeps all rules.
fn of(findings: &[ContractFinding]) -> String {
    let is_whole = count(findings, ContractVerdict::Broken) + count(findings, ContractVerdict::NotTested) == 0;
    if is_whole { format!("  {}", summary(findings, EVENT)) } else { shown(findings) }
}
