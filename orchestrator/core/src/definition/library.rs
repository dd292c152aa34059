//! All definitions of one installation, read together.

use super::{
    ParsedDefinition,
    avro::SchemaCatalog,
    build,
    covered::with_secrets_covered,
    diagnostic::{CheckFinding, Code, FindingSeverity, TextSpan},
    event_schema::EventSchema,
    model::SagaDefinition,
    parse,
    participants::{self, MissingVariablePolicy, ParticipantCatalog},
};
use std::{collections::BTreeMap, string::FromUtf8Error, sync::Arc};

/// A file: its name for messages, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The file's name, as findings print it.
    pub name: String,
    /// The file's whole content.
    pub text: String,
}

impl SourceFile {
    /// A file called `name` that holds `text`.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> SourceFile {
        SourceFile { name: name.into(), text: text.into() }
    }

    /// A file called `name` that holds `bytes`.
    ///
    /// # Errors
    /// The finding that they are not UTF-8, and where.
    pub fn of_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<SourceFile, Box<CheckFinding>> {
        let name = name.into();
        String::from_utf8(bytes)
            .map(|text| SourceFile::new(name.clone(), text))
            .map_err(|error| Box::new(not_utf8(name, &error)))
    }
}

impl CheckFinding {
    /// The finding for a file that the engine does not read although its name suggests it; `instead` is a name that the
    /// engine would read.
    #[must_use]
    pub fn not_read(file: impl Into<String>, instead: &str) -> CheckFinding {
        let message = "this file is not read: its name does not say what it is";
        let help = format!("call it {instead}, or move it to another folder");
        CheckFinding::of_file(Code::NotRead, FindingSeverity::Error, file, message, help)
    }

    /// A finding about a file as a whole, without a place in it.
    #[must_use]
    pub fn of_file(
        code: Code,
        severity: FindingSeverity,
        file: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> CheckFinding {
        CheckFinding {
            code,
            severity,
            message: message.into(),
            help: Some(help.into()),
            fix: None,
            file: file.into(),
            span: TextSpan::default(),
            related: Vec::new(),
            text: "".into(),
            excerpt: "".into(),
        }
    }
}

/// Everything before the first byte that is no text is as it was, so the place is right.
fn not_utf8(file: String, error: &FromUtf8Error) -> CheckFinding {
    let at = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes());
    CheckFinding {
        code: Code::Yaml,
        severity: FindingSeverity::Error,
        message: format!("the file is not UTF-8: its byte {at} is not valid UTF-8"),
        help: Some("save it as UTF-8".to_owned()),
        fix: None,
        file,
        span: TextSpan { start: at, end: at },
        related: Vec::new(),
        excerpt: with_secrets_covered(&text).into(),
        text: text.into(),
    }
}

/// Definitions that hold, by themselves and beside each other.
#[derive(Clone, Debug, Default)]
pub struct DefinitionLibrary {
    /// The valid definitions, in the order of the files.
    pub definitions: Vec<Arc<SagaDefinition>>,
    /// The participants; empty if there is no participants.yaml.
    pub participants: ParticipantCatalog,
    /// What could not be used, and why: a file with an error is left out, the others are there.
    pub findings: Vec<CheckFinding>,
    /// Definitions for whose events there is no schema: nothing proves the fields that they read.
    pub unproved: Vec<SchemalessDefinition>,
}

/// A definition for whose events there is no schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemalessDefinition {
    /// Name of the definition's file.
    pub file: String,
    /// The type of its events; `None`: it takes events of any type.
    pub event_type: Option<String>,
}

impl DefinitionLibrary {
    /// Reads `*.saga.yaml` files with the participants.yaml and the Avro schemas that belong to them. Reading goes on
    /// after an error, so that all findings of all files are reported at once; [`DefinitionLibrary::has_errors`] says
    /// whether to use the rest.
    #[must_use]
    pub fn read(
        sagas: &[SourceFile],
        participants: Option<&SourceFile>,
        schemas: &[SourceFile],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> DefinitionLibrary {
        DefinitionLibrary::read_with(sagas, participants, schemas, env, MissingVariablePolicy::Refused)
    }

    /// The same; `missing` says what becomes of variables that are not set.
    #[must_use]
    pub fn read_with(
        sagas: &[SourceFile],
        participants: Option<&SourceFile>,
        schemas: &[SourceFile],
        env: &dyn Fn(&str) -> Option<String>,
        missing: MissingVariablePolicy,
    ) -> DefinitionLibrary {
        let mut library = DefinitionLibrary::default();
        let participants = participants.and_then(|source| library.participants(source, env, missing));
        let schemas = library.schemas(schemas);
        let mut named = BTreeMap::new();
        for source in sagas {
            library.add(source, participants.as_ref(), schemas.as_ref(), &mut named);
        }
        library.participants = participants.unwrap_or_default();
        library.refuse_commands_as_triggers(sagas);
        library
    }

    /// Whether any of the findings is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(CheckFinding::is_error)
    }

    fn participants(
        &mut self,
        source: &SourceFile,
        env: &dyn Fn(&str) -> Option<String>,
        missing: MissingVariablePolicy,
    ) -> Option<ParticipantCatalog> {
        match participants::read(&source.name, &source.text, env, missing) {
            Ok(read) => {
                self.findings.extend(read.warnings);
                Some(read.participants)
            }
            Err(findings) => {
                self.findings.extend(findings);
                None
            }
        }
    }

    fn schemas(&mut self, sources: &[SourceFile]) -> Option<SchemaCatalog> {
        let files = sources.iter().map(|source| (source.name.as_str(), source.text.as_str()));
        SchemaCatalog::parse(files).map_err(|findings| self.findings.extend(findings)).ok()
    }

    /// `named`: which file gave a name first. A file that cannot be used has its name, too.
    fn add<'s>(
        &mut self,
        source: &'s SourceFile,
        participants: Option<&ParticipantCatalog>,
        schemas: Option<&SchemaCatalog>,
        named: &mut BTreeMap<String, &'s str>,
    ) {
        let (definition, findings) = match parse(&source.name, &source.text, participants, schemas) {
            Err(findings) => (None, findings),
            Ok(ParsedDefinition { definition, warnings }) => (Some(definition), warnings),
        };
        self.findings.extend(findings);
        self.unproved.extend(definition.as_ref().and_then(|definition| unproved(source, definition, schemas)));
        let name = definition.as_ref().map(|definition| definition.name.clone());
        let Some(name) = name.or_else(|| build::declared_name(&source.text)) else { return };
        match named.get(&name) {
            Some(first) => self.findings.push(duplicate(source, &name, first)),
            None => {
                named.insert(name, &source.name);
                self.definitions.extend(definition.map(Arc::new));
            }
        }
    }
}

fn unproved(
    source: &SourceFile,
    definition: &SagaDefinition,
    schemas: Option<&SchemaCatalog>,
) -> Option<SchemalessDefinition> {
    let event_type = definition.trigger.event_type.clone();
    let known =
        schemas.zip(event_type.as_deref()).is_some_and(|(schemas, name)| EventSchema::find(schemas, name).is_some());
    (!known).then(|| SchemalessDefinition { file: source.name.clone(), event_type })
}

fn duplicate(source: &SourceFile, name: &str, first: &str) -> CheckFinding {
    let start = source.text.find("saga:").unwrap_or(0);
    let length = source.text[start..].find('\n').unwrap_or(source.text.len() - start);
    CheckFinding {
        code: Code::DuplicateDefinition,
        severity: FindingSeverity::Error,
        message: format!("{first} defines the saga `{name}`, too"),
        help: Some("give this one another name, or remove one of the files".to_owned()),
        fix: None,
        file: source.name.clone(),
        span: TextSpan { start, end: start + length },
        related: Vec::new(),
        text: source.text.as_str().into(),
        excerpt: source.text.as_str().into(),
    }
}
