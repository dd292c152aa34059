//! `schemas check`: what breaks if a schema follows earlier ones.

use super::{
    super::{CheckOutputFormat, ConfigFileArgs, output},
    compared::{SchemaFinding, compare},
    definitions,
    version::{SchemaStage, SchemaVersion},
};
use crate::config::{self, ConfigSources};
use anyhow::{Context, bail};
use clap::Args;
use saga_core::definition::{self, CheckFinding, RenderStyle, or_did_you_mean};
use saga_registry::{RegistryError, SchemaRegistry};
use saga_schemas::evolution::CompatibilityRule;
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, Args)]
pub(in crate::cli) struct SchemasCheckArgs {
    /// Files (`*.avsc`, `*.schema.json`) or folders of them, the oldest first; the last is the new one. With --subject
    /// the new one alone
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// What has to hold: backward, forward, full, each also with `_transitive`, or none [default: backward; of a
    /// subject: its rule in the registry]
    #[arg(long, value_name = "RULE")]
    rule: Option<CompatibilityRule>,
    /// Compare with the versions of this subject of the registry that the configuration names
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Folder of definitions whose expressions read the events [default: the key sagas of the configuration, if it has
    /// definitions]
    #[arg(long, value_name = "DIR")]
    sagas: Option<PathBuf>,
    /// Folder of the other schemas of the installation [default: the key schemas of the configuration]
    #[arg(long, value_name = "DIR")]
    schemas: Option<PathBuf>,
    #[command(flatten)]
    file: ConfigFileArgs,
    /// Format of the findings
    #[arg(short, long, value_enum, default_value_t)]
    output: CheckOutputFormat,
}

/// What is compared by which rule: the stages are the oldest first, the last is the new one.
struct ComparedStages {
    rule: CompatibilityRule,
    stages: Vec<SchemaStage>,
}

pub(super) async fn check(args: &SchemasCheckArgs) -> anyhow::Result<ExitCode> {
    let ComparedStages { rule, stages } = args.stages().await?;
    let comparison = compare(rule, &stages)?;
    comparison.notes.iter().for_each(|note| output::note(note));
    let sagas = args.definitions()?;
    let read = definitions::broken(sagas.as_ref(), &stages)?;
    print(&comparison.findings, &read, args.output)?;
    let errors =
        comparison.findings.iter().filter(|it| it.is_error()).count() + read.iter().filter(|it| it.is_error()).count();
    let warnings = comparison.findings.len() + read.len() - errors;
    output::note(&summary(rule, comparison.compared, sagas.is_some(), errors, warnings));
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

impl SchemasCheckArgs {
    async fn stages(&self) -> anyhow::Result<ComparedStages> {
        if let Some(subject) = &self.subject {
            return self.of_subject(subject).await;
        }
        if self.paths.len() < 2 {
            bail!(
                "there is nothing to compare {} with: write `saga schemas check OLD NEW`, or name the subject of the \
                 registry with --subject",
                self.paths[0].display()
            );
        }
        let stages = self.paths.iter().map(|path| SchemaStage::read(path)).collect::<anyhow::Result<_>>()?;
        Ok(ComparedStages { rule: self.rule.unwrap_or(CompatibilityRule::Backward), stages })
    }

    /// The versions of the subject, and the one file.
    async fn of_subject(&self, subject: &str) -> anyhow::Result<ComparedStages> {
        let [new] = self.paths.as_slice() else {
            bail!("with --subject name one file, the new schema; the earlier ones are the versions of {subject}");
        };
        let registry = self.registry()?;
        let numbers = match registry.versions(subject).await {
            Err(RegistryError::Unknown { .. }) => bail!("{}", unknown(&registry, subject).await),
            answer => answer?,
        };
        let rule = match self.rule {
            Some(rule) => rule,
            None => match registry.rule(subject).await? {
                CompatibilityRule::None => {
                    output::note(&format!(
                        "the registry has no rule for {subject}: backward is checked; --rule names another"
                    ));
                    CompatibilityRule::Backward
                }
                rule => rule,
            },
        };
        let mut stages = versions(&registry, subject, rule, numbers).await?;
        stages.push(SchemaStage::read(new)?);
        Ok(ComparedStages { rule, stages })
    }

    fn registry(&self) -> anyhow::Result<SchemaRegistry> {
        let configured = config::schema_registry(&self.sources())?;
        let configured = configured.context(
            "no schema registry is configured: set the key `schemaRegistry.url`, or SAGA_SCHEMA_REGISTRY_URL",
        )?;
        Ok(SchemaRegistry::open(&configured.settings)?)
    }

    /// The folders of definitions and schemas; `None`: there are no definitions, and none are named.
    fn definitions(&self) -> anyhow::Result<Option<config::DefinitionFolders>> {
        let mut folders = config::folders(&self.sources())?;
        if let Some(schemas) = &self.schemas {
            folders.schemas.clone_from(schemas);
        }
        if let Some(sagas) = &self.sagas {
            folders.sagas.clone_from(sagas);
            if let Some(why) = config::without_definitions(sagas) {
                bail!("{why}");
            }
        }
        Ok(config::without_definitions(&folders.sagas).is_none().then_some(folders))
    }

    fn sources(&self) -> ConfigSources<'_> {
        ConfigSources::of_process(self.file.config.as_deref(), Vec::new())
    }
}

/// The most subjects that a message names.
const MOST_NAMED: usize = 20;

/// Says that the registry does not have the subject, and which ones it has.
async fn unknown(registry: &SchemaRegistry, subject: &str) -> String {
    let said = format!("the schema registry has no subject `{subject}`");
    let all = match registry.subjects().await {
        Ok(all) if all.is_empty() => return format!("{said}: it has none"),
        Ok(all) => all,
        Err(error) => return format!("{said}; which ones it has cannot be asked: {error}"),
    };
    let guess = or_did_you_mean(subject, all.iter().map(String::as_str));
    let more = if all.len() > MOST_NAMED { format!(" and {} more", all.len() - MOST_NAMED) } else { String::new() };
    format!("{said}{guess}\nhint: it has {}{more}", all[..all.len().min(MOST_NAMED)].join(", "))
}

/// The versions that the rule looks at, the oldest first.
async fn versions(
    registry: &SchemaRegistry,
    subject: &str,
    rule: CompatibilityRule,
    numbers: Vec<u32>,
) -> anyhow::Result<Vec<SchemaStage>> {
    let skipped = if rule.is_transitive() { 0 } else { numbers.len().saturating_sub(1) };
    let mut stages = Vec::new();
    for number in numbers.into_iter().skip(skipped) {
        let version = registry.version(subject, Some(number)).await?;
        stages.push(SchemaStage::of_subject(SchemaVersion::registered(subject, &version)));
    }
    Ok(stages)
}

fn print(found: &[SchemaFinding], read: &[CheckFinding], format: CheckOutputFormat) -> anyhow::Result<()> {
    match format {
        CheckOutputFormat::Json => {
            let lines = found.iter().map(SchemaFinding::json).chain(read.iter().map(CheckFinding::json));
            lines.into_iter().try_for_each(|line| output::line(&line.to_string()))
        }
        CheckOutputFormat::Text => {
            found.iter().try_for_each(|finding| output::line(&finding.to_string()))?;
            if read.is_empty() { Ok(()) } else { output::line(definition::render(read, RenderStyle::Plain).trim_end()) }
        }
    }
}

fn summary(rule: CompatibilityRule, compared: usize, has_definitions: bool, errors: usize, warnings: usize) -> String {
    let several = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let what = several(compared, "schema");
    let rule = rule.as_str().to_ascii_lowercase();
    let read = if has_definitions { "" } else { ", no definitions" };
    format!("{what} compared by {rule}{read}: {}, {}", several(errors, "error"), several(warnings, "warning"))
}
