//! All definitions of one installation, read together.

use super::{
    Parsed,
    avro::Schemas,
    diagnostic::{Code, Diagnostic, Severity},
    model::Definition,
    parse,
    participants::{self, Participants},
};
use std::sync::Arc;

/// A file: its name for messages, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As it is printed in findings.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl Source {
    /// A file called `name` that holds `text`.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Source {
        Source { name: name.into(), text: text.into() }
    }
}

/// Definitions that hold, by themselves and beside each other.
#[derive(Clone, Debug, Default)]
pub struct Library {
    /// In the order of the files.
    pub definitions: Vec<Arc<Definition>>,
    /// Empty if there is no participants.yaml.
    pub participants: Participants,
    /// What could not be used, and why: a file with an error is left out, the others are there.
    pub findings: Vec<Diagnostic>,
}

impl Library {
    /// Reads `*.saga.yaml` files with the participants.yaml and the Avro schemas that belong to them. Reading goes on after an
    /// error, so that all findings of all files are reported at once; [`Library::has_errors`] says whether to use the rest.
    #[must_use]
    pub fn read(
        sagas: &[Source],
        participants: Option<&Source>,
        schemas: &[Source],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Library {
        let mut library = Library::default();
        let participants = participants.and_then(|source| library.participants(source, env));
        let schemas = library.schemas(schemas);
        for source in sagas {
            library.add(source, participants.as_ref(), schemas.as_ref());
        }
        library.participants = participants.unwrap_or_default();
        library
    }

    /// Whether something could not be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(Diagnostic::is_error)
    }

    fn participants(&mut self, source: &Source, env: &dyn Fn(&str) -> Option<String>) -> Option<Participants> {
        participants::parse(&source.name, &source.text, env).map_err(|findings| self.findings.extend(findings)).ok()
    }

    fn schemas(&mut self, sources: &[Source]) -> Option<Schemas> {
        let files = sources.iter().map(|source| (source.name.as_str(), source.text.as_str()));
        Schemas::parse(files).map_err(|findings| self.findings.extend(findings)).ok()
    }

    fn add(&mut self, source: &Source, participants: Option<&Participants>, schemas: Option<&Schemas>) {
        match parse(&source.name, &source.text, participants, schemas) {
            Err(findings) => self.findings.extend(findings),
            Ok(Parsed { definition, warnings }) => {
                self.findings.extend(warnings);
                match self.definitions.iter().any(|other| other.name == definition.name) {
                    true => self.findings.push(duplicate(source, &definition.name)),
                    false => self.definitions.push(Arc::new(definition)),
                }
            }
        }
    }
}

fn duplicate(source: &Source, name: &str) -> Diagnostic {
    let start = source.text.find("saga:").unwrap_or(0);
    let length = source.text[start..].find('\n').unwrap_or(source.text.len() - start);
    Diagnostic {
        code: Code::DuplicateDefinition,
        severity: Severity::Error,
        message: format!("another file defines the saga `{name}`"),
        help: Some("give this one another name, or remove one of the files".to_owned()),
        file: source.name.clone(),
        span: super::diagnostic::Span { start, end: start + length },
        related: Vec::new(),
        text: source.text.as_str().into(),
    }
}
