//! `check` and `schema`.

use super::{CheckOutput, output};
use crate::startup::Files;
use anyhow::Context;
use clap::{Args, ValueEnum};
use saga_core::definition::{self, Diagnostic, Style, schema};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Files and folders; `participants.yaml` is looked for beside each definition
    #[arg(default_value = "./sagas", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Folder of Avro schemas of the trigger events
    #[arg(long, default_value = "./schemas", value_name = "DIR")]
    schemas: PathBuf,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: CheckOutput,
}

/// A file format that has a JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// `*.saga.yaml`
    Saga,
    /// `participants.yaml`
    Participants,
}

pub(super) fn schema(format: Format) -> anyhow::Result<ExitCode> {
    let schema = match format {
        Format::Saga => schema::saga(),
        Format::Participants => schema::participants(),
    };
    output::line(schema::text(&schema).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut findings = Vec::new();
    let mut definitions = 0;
    for (_, files) in by_folder(args)? {
        definitions += files.sagas.len();
        let checked = files.check();
        findings.extend(checked.findings);
        if let Some(message) = checked.unchecked {
            output::note(&format!("warning: {message}"));
        }
        if let Some(path) = checked.critical_path {
            output::note(&path.to_string());
        }
    }
    print(&findings, args.output)?;
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    if errors > 0 {
        return Ok(ExitCode::from(1));
    }
    output::note(&format!("{definitions} definitions checked, {} warnings", findings.len()));
    Ok(ExitCode::SUCCESS)
}

/// Definitions are proved together with what lies beside them.
fn by_folder(args: &CheckArgs) -> anyhow::Result<BTreeMap<PathBuf, Files>> {
    let mut folders = BTreeMap::new();
    for path in &args.paths {
        if path.is_dir() {
            folders.insert(path.clone(), Files::of_folders(path, &args.schemas)?);
        } else {
            let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let mut beside = Files::of_folders(folder, &args.schemas).with_context(|| format!("{}", path.display()))?;
            beside.sagas = vec![crate::startup::read_source(path)?];
            folders.insert(path.clone(), beside);
        }
    }
    Ok(folders)
}

fn print(findings: &[Diagnostic], format: CheckOutput) -> anyhow::Result<()> {
    match format {
        CheckOutput::Json => findings.iter().try_for_each(|finding| output::line(&finding.json().to_string())),
        CheckOutput::Text if findings.is_empty() => Ok(()),
        CheckOutput::Text => output::line(definition::render(findings, Style::Plain).trim_end()),
    }
}
