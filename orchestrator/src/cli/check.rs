//! `check` and `schema`.

use super::{CheckOutputFormat, ConfigFileArgs, output};
use crate::{
    config::{self, ConfigFileProblem, ConfigSources, InternalTopics},
    source_files,
    startup::{DefinitionFiles, WrittenType},
};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use saga_core::definition::{
    self, CheckFinding, Code, FindingSeverity, RenderStyle, SchemaCatalog, SourceFile,
    participants::MissingVariablePolicy, schema,
};
use saga_engine::topic_formats::{AvroFormat, AvroFrame, SchemaRegistration, TopicFormats};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Files and folders to check, each with the participants.yaml beside it [default: the key sagas of the
    /// configuration]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Folder of the schemas of trigger events [default: the key schemas of the configuration]
    #[arg(long, value_name = "DIR")]
    schemas: Option<PathBuf>,
    #[command(flatten)]
    file: ConfigFileArgs,
    /// If a variable of participants.yaml is not set, warn instead of failing: for machines without the secrets
    #[arg(long)]
    allow_missing_env: bool,
    /// Format of the findings
    #[arg(short, long, value_enum, default_value_t)]
    output: CheckOutputFormat,
}

/// A file format that has a JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaFormat {
    /// `*.saga.yaml`
    Saga,
    /// `participants.yaml`
    Participants,
}

pub(super) fn schema(format: SchemaFormat) -> anyhow::Result<ExitCode> {
    let schema = match format {
        SchemaFormat::Saga => schema::saga(),
        SchemaFormat::Participants => schema::participants(),
    };
    output::line(schema::text(&schema).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let topics = args.topics();
    let mut findings = Vec::new();
    let mut counted = CheckCounts::default();
    let (paths, schemas) = args.places()?;
    findings.extend(args.of_config());
    let (mut event_types, mut written) = (BTreeSet::new(), BTreeSet::new());
    let mut read = Vec::new();
    for (folder, paths) in by_folder(&paths)? {
        let mut files = DefinitionFiles::beside(&folder, &schemas).with_context(|| format!("{}", folder.display()))?;
        files.add_definitions(&paths)?;
        counted.definitions += paths.len();
        let checked = files.check(&topics, args.missing());
        findings.extend(checked.findings.into_iter().filter(|finding| !args.names_folder_of(finding)));
        event_types.extend(checked.event_types);
        written.extend(checked.written);
        read = files.schemas;
        if let Some(message) = checked.unchecked {
            counted.warnings += 1;
            output::note(&format!("warning: {message}"));
        }
        if let Some(message) = checked.unproved {
            output::note(&message);
        }
        if let Some(path) = checked.critical_path {
            output::note(&path.to_string());
        }
    }
    // What is wrong in a definition hides its type.
    let is_whole = paths.iter().all(|path| path.is_dir()) && !findings.iter().any(CheckFinding::is_error);
    let (formats, has_registry) = args.formats();
    written.retain(|written: &WrittenType| formats.avro(&written.topic).is_some());
    findings.extend(without_schema(&written, &read, (&formats, has_registry), &schemas));
    event_types.extend(written.into_iter().map(|written| written.event_type));
    findings.extend(source_files::unused_schemas(&read, &event_types, is_whole));
    dedup(&mut findings);
    print(&findings, args.output)?;
    counted.errors = findings.iter().filter(|finding| finding.is_error()).count();
    counted.warnings += findings.len() - counted.errors;
    output::note(&counted.summary());
    Ok(if counted.errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

impl CheckArgs {
    /// The files to check, and the folder of their schemas. The configuration is read only for what the arguments do
    /// not name.
    fn places(&self) -> anyhow::Result<(Vec<PathBuf>, PathBuf)> {
        if let (false, Some(schemas)) = (self.paths.is_empty(), &self.schemas) {
            return Ok((self.paths.clone(), schemas.clone()));
        }
        let folders = config::folders(&ConfigSources::of_process(self.file.config.as_deref(), Vec::new()))?;
        let paths = if self.paths.is_empty() { vec![folders.sagas] } else { self.paths.clone() };
        Ok((paths, self.schemas.clone().unwrap_or(folders.schemas)))
    }

    /// Problems of the configuration file: errors if the user named the file, else warnings.
    fn of_config(&self) -> Vec<CheckFinding> {
        let sources = ConfigSources::of_process(self.file.config.as_deref(), Vec::new());
        let wrong = config::wrong_in_file(&sources);
        let finding = |wrong: ConfigFileProblem| {
            let severity = if wrong.is_named { FindingSeverity::Error } else { FindingSeverity::Warning };
            let help = "docs/configuration.md lists all keys and their values";
            CheckFinding::of_file(Code::BadConfig, severity, wrong.file, wrong.message, help)
        };
        let literal = |it: ConfigFileProblem| {
            let help = "docs/configuration.md says which keys read the environment";
            CheckFinding::of_file(Code::LiteralSecret, FindingSeverity::Warning, it.file, it.message, help)
        };
        let literals = config::secrets_in_file(&sources).into_iter().map(literal);
        wrong.into_iter().map(finding).chain(literals).collect()
    }

    /// Whether a file that is not read with one folder is read with another folder of the arguments.
    fn names_folder_of(&self, finding: &CheckFinding) -> bool {
        let folder = Path::new(&finding.file).parent();
        let is_named = self.paths.iter().any(|path| Some(path.as_path()) == folder || path == Path::new(&finding.file));
        finding.code == Code::NotRead && finding.file.ends_with(".saga.yaml") && is_named
    }

    fn missing(&self) -> MissingVariablePolicy {
        if self.allow_missing_env { MissingVariablePolicy::Allowed } else { MissingVariablePolicy::Refused }
    }

    /// The formats of topics, and whether there is a schema registry; without a configuration there are none.
    fn formats(&self) -> (TopicFormats, bool) {
        config::formats(&ConfigSources::of_process(self.file.config.as_deref(), Vec::new())).unwrap_or_default()
    }

    /// The topics that the engine keeps for itself, from the configuration if one can be read; a check needs none.
    fn topics(&self) -> InternalTopics {
        config::topics(&ConfigSources::of_process(self.file.config.as_deref(), Vec::new())).unwrap_or_default()
    }
}

/// A warning for each command and event whose topic is in Avro, and whose schema only a file can give: without it
/// nothing is sent.
fn without_schema(
    written: &BTreeSet<WrittenType>,
    schemas: &[SourceFile],
    (formats, has_registry): (&TopicFormats, bool),
    folder: &Path,
) -> Vec<CheckFinding> {
    let has_file = |event_type: &str| {
        let avro = schemas.iter().filter(|source| source.name.ends_with(".avsc"));
        let parsed = |source: &SourceFile| SchemaCatalog::parse([(source.name.as_str(), source.text.as_str())]).ok();
        avro.filter_map(parsed).any(|schema| schema.record(event_type).is_some())
    };
    let needs_file = |written: &&WrittenType| match formats.avro(&written.topic) {
        None => false,
        Some(AvroFormat { frame: AvroFrame::SingleObject, .. }) => true,
        Some(AvroFormat { registration: SchemaRegistration::Requested, .. }) => true,
        Some(AvroFormat { registration: SchemaRegistration::Expected, .. }) => !has_registry,
    };
    let finding = |WrittenType { topic, event_type }: &WrittenType| {
        let message = format!(
            "there is no Avro schema of `{event_type}`, which is written to the topic {topic} in Avro (`topics.formats`)"
        );
        let help = format!("add {event_type}.avsc with a record of this name: without it the topic takes nothing");
        CheckFinding::of_file(
            Code::MissingSchema,
            FindingSeverity::Warning,
            folder.display().to_string(),
            message,
            help,
        )
    };
    written.iter().filter(needs_file).filter(|it| !has_file(&it.event_type)).map(finding).collect()
}

/// A finding that several folders have is printed once.
fn dedup(findings: &mut Vec<CheckFinding>) {
    let mut seen: Vec<CheckFinding> = Vec::new();
    findings.retain(|finding| {
        let is_new = finding.code != Code::NotRead || !seen.contains(finding);
        if is_new && finding.code == Code::NotRead {
            seen.push(finding.clone());
        }
        is_new
    });
}

/// Counts of a check.
#[derive(Clone, Copy, Debug, Default)]
struct CheckCounts {
    definitions: usize,
    errors: usize,
    warnings: usize,
}

impl CheckCounts {
    fn summary(self) -> String {
        let several = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        let warnings = several(self.warnings, "warning");
        let found = if self.errors == 0 { warnings } else { format!("{}, {warnings}", several(self.errors, "error")) };
        format!("{} checked, {found}", several(self.definitions, "definition"))
    }
}

/// The definitions of each folder: they are checked together, with the files beside them.
fn by_folder(paths: &[PathBuf]) -> anyhow::Result<BTreeMap<PathBuf, BTreeSet<PathBuf>>> {
    let mut folders: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for path in paths {
        if path.is_dir() {
            folders.entry(path.clone()).or_default().extend(of_folder(path)?);
        } else {
            let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            folders.entry(folder.to_owned()).or_default().insert(path.clone());
        }
    }
    Ok(folders)
}

/// A folder without anything to check is an error of the user, not a success.
fn of_folder(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let definitions = source_files::paths(folder, ".saga.yaml")?;
    if definitions.is_empty()
        && !folder.join("participants.yaml").exists()
        && source_files::misnamed(folder)?.is_empty()
    {
        bail!(
            "there is neither a *.saga.yaml nor a participants.yaml in {}\n\
             hint: name the folder of your definitions, or the files",
            folder.display()
        );
    }
    Ok(definitions)
}

fn print(findings: &[CheckFinding], format: CheckOutputFormat) -> anyhow::Result<()> {
    match format {
        CheckOutputFormat::Json => findings.iter().try_for_each(|finding| output::line(&finding.json().to_string())),
        CheckOutputFormat::Text if findings.is_empty() => Ok(()),
        CheckOutputFormat::Text => output::line(definition::render(findings, RenderStyle::Plain).trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_engine::topic_formats::TopicFormat;

    #[test]
    fn a_summary_counts_in_words() {
        let counted = CheckCounts { definitions: 1, errors: 0, warnings: 0 };
        assert_eq!(counted.summary(), "1 definition checked, 0 warnings");
        let counted = CheckCounts { definitions: 3, errors: 2, warnings: 1 };
        assert_eq!(counted.summary(), "3 definitions checked, 2 errors, 1 warning");
    }

    #[test]
    fn what_is_written_in_avro_needs_a_schema_where_only_a_file_can_give_it() {
        let written = |event_type: &str| WrittenType { topic: "stock".to_owned(), event_type: event_type.to_owned() };
        let all = BTreeSet::from([written("Reserve"), written("Release")]);
        let text = r#"{"type": "record", "namespace": "shop", "name": "Reserve", "fields": []}"#;
        let schemas = [SourceFile::new("a.avsc", text)];
        let told = |avro: AvroFormat, has_registry: bool| {
            let formats = TopicFormats::new([("stock".to_owned(), TopicFormat::Avro(avro))]);
            let found = without_schema(&all, &schemas, (&formats, has_registry), Path::new("schemas"));
            found.into_iter().map(|finding| finding.message).collect::<Vec<_>>()
        };
        let single = AvroFormat { frame: AvroFrame::SingleObject, ..AvroFormat::default() };
        assert!(matches!(told(single, true).as_slice(), [one] if one.contains("`Release`")));
        let requested = AvroFormat { registration: SchemaRegistration::Requested, ..AvroFormat::default() };
        assert_eq!(told(requested, true).len(), 1);
        assert!(told(AvroFormat::default(), true).is_empty(), "the registry may have it");
    }

    #[test]
    fn a_folder_with_nothing_to_check_is_an_error_that_says_where_and_for_what_it_looked() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let said = by_folder(&[folder.path().to_owned()]).expect_err("nothing there").to_string();
        assert!(said.contains("*.saga.yaml") && said.contains(&folder.path().display().to_string()), "{said}");
        std::fs::write(folder.path().join("participants.yaml"), "participants: {}").expect("written");
        assert!(by_folder(&[folder.path().to_owned()]).is_ok());
    }

    #[test]
    fn files_of_one_folder_are_checked_together_and_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [a, b] = ["a.saga.yaml", "b.saga.yaml"].map(|name| folder.path().join(name));
        std::fs::write(&a, "").expect("written");
        std::fs::write(&b, "").expect("written");
        let named = by_folder(&[a.clone(), folder.path().to_owned(), b.clone()]).expect("they are there");
        assert_eq!(named, BTreeMap::from([(folder.path().to_owned(), BTreeSet::from([a, b]))]));
    }
}
