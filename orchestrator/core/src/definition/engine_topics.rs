//! What the engine writes itself starts no saga: each of its records would lead to another one.

use super::{
    diagnostic::{Code, Diagnostic, Severity, Span},
    library::{Library, Source},
    model::{Action, Definition},
    participants::Transport,
};

/// A topic that an installation keeps for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept<'a> {
    /// The key of the configuration that names it.
    pub key: &'a str,
    /// Its name.
    pub topic: &'a str,
}

impl Library {
    /// Reports every definition that is triggered by the commands of a participant: the engine writes them.
    pub(super) fn refuse_commands_as_triggers(&mut self, sagas: &[Source]) {
        let mut findings = Vec::new();
        for definition in &self.definitions {
            let topic = &definition.trigger.topic;
            let taker = self.participants.iter().find(|(_, participant)| match &participant.transport {
                Transport::Kafka { commands } => commands == topic,
                Transport::Http { .. } => false,
            });
            if let Some((name, _)) = taker {
                let message = format!("`{topic}` holds the commands that the engine writes to participant `{name}`");
                findings.extend(finding(sagas, definition, topic, message, "name the topic of a service's events"));
            }
        }
        self.findings.extend(findings);
    }

    /// Reports every definition that is triggered by a topic of `kept` or publishes to one.
    pub fn refuse_topics(&mut self, sagas: &[Source], kept: &[Kept<'_>]) {
        let mut findings = Vec::new();
        for definition in &self.definitions {
            for (topic, does) in uses(definition) {
                if let Some(found) = kept.iter().find(|kept| kept.topic == topic) {
                    let message = format!(
                        "the engine keeps the topic `{topic}` for itself ({}), and the saga {does} it",
                        found.key
                    );
                    findings.extend(finding(sagas, definition, topic, message, "name another topic"));
                }
            }
        }
        self.findings.extend(findings);
    }
}

fn uses(definition: &Definition) -> Vec<(&str, &'static str)> {
    let outcomes = [&definition.on_completed, &definition.on_compensated].into_iter().flatten();
    let outcomes = outcomes.map(|event| (event.topic.as_str(), "publishes to"));
    let steps = definition.steps.iter().filter_map(|step| match &step.action {
        Action::Publish { topic, .. } => Some((topic.as_str(), "publishes to")),
        Action::Call(_) | Action::Wait(_) => None,
    });
    [(definition.trigger.topic.as_str(), "is triggered by")].into_iter().chain(outcomes).chain(steps).collect()
}

/// The finding, where the file names the topic.
fn finding(sagas: &[Source], definition: &Definition, topic: &str, message: String, help: &str) -> Option<Diagnostic> {
    let source = sagas.iter().find(|source| source.text == definition.text)?;
    let start = source.text.find(topic).unwrap_or(0);
    Some(Diagnostic {
        code: Code::EngineTopic,
        severity: Severity::Error,
        message,
        help: Some(help.to_owned()),
        fix: None,
        file: source.name.clone(),
        span: Span { start, end: start + topic.len() },
        related: Vec::new(),
        text: source.text.as_str().into(),
        excerpt: source.text.as_str().into(),
    })
}
