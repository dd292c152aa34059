//! What the engine writes itself starts no saga: each of its records would lead to another one.

use super::{
    covered::with_secrets_covered,
    diagnostic::{CheckFinding, Code, FindingSeverity, TextSpan},
    library::{DefinitionLibrary, SourceFile},
    model::{SagaDefinition, StepAction},
    participants::TransportConfig,
};

/// A topic that an installation keeps for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservedTopic<'a> {
    /// The key of the configuration that names it.
    pub key: &'a str,
    /// The topic's name, which no definition may use.
    pub topic: &'a str,
}

/// Topics that Kafka itself uses for its own state.
const OF_KAFKA: [&str; 4] = ["__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata"];
/// Ends the name of the topic that says which installation another topic belongs to.
pub const MARK: &str = ".installation";
/// Ends the name of the topic that says which installation a consumer group belongs to.
const MARK_OF_GROUP: &str = ".group.installation";

impl<'a> ReservedTopic<'a> {
    /// Why a definition may not use `topic`; `None` if it may.
    #[must_use]
    pub fn reason(kept: &[ReservedTopic<'a>], topic: &str) -> Option<String> {
        if let Some(ReservedTopic { key, .. }) = kept.iter().find(|kept| kept.topic == topic) {
            return Some(format!("the topic `{topic}` is reserved for the engine ({key})"));
        }
        let marked = topic.strip_suffix(MARK).filter(|name| kept.iter().any(|kept| kept.topic == *name));
        if marked.is_some() || topic.ends_with(MARK_OF_GROUP) {
            return Some(format!("in the topic `{topic}` the engine records which installation it is"));
        }
        OF_KAFKA.contains(&topic).then(|| format!("the topic `{topic}` is reserved for Kafka"))
    }
}

impl DefinitionLibrary {
    /// Reports every definition that is triggered by the commands of a participant: the engine writes them.
    pub(super) fn refuse_commands_as_triggers(&mut self, sagas: &[SourceFile]) {
        let mut findings = Vec::new();
        for definition in &self.definitions {
            let topic = &definition.trigger.topic;
            let taker = self.participants.iter().find(|(_, participant)| match &participant.transport {
                TransportConfig::Kafka { commands } => commands == topic,
                TransportConfig::Http { .. } => false,
            });
            if let Some((name, _)) = taker {
                let message = format!("`{topic}` holds the commands that the engine writes to participant `{name}`");
                findings.extend(finding(
                    sagas,
                    definition,
                    topic,
                    message,
                    "name a topic to which a service publishes its events",
                ));
            }
        }
        self.findings.extend(findings);
    }

    /// Reports every definition that is triggered by a topic of `kept` or publishes to one, and every participant that
    /// takes its commands from one, whether a step asks it or not.
    pub fn refuse_topics(
        &mut self,
        sagas: &[SourceFile],
        participants: Option<&SourceFile>,
        kept: &[ReservedTopic<'_>],
    ) {
        let mut findings = Vec::new();
        for definition in &self.definitions {
            for (topic, does) in uses(definition) {
                if let Some(reason) = ReservedTopic::reason(kept, topic) {
                    let message = format!("{reason}, and the saga {does} it");
                    findings.extend(finding(sagas, definition, topic, message, "choose another topic"));
                }
            }
        }
        for (name, participant) in self.participants.iter() {
            if let TransportConfig::Kafka { commands } = &participant.transport
                && let Some(reason) = ReservedTopic::reason(kept, commands)
            {
                let message = format!("{reason}, and participant `{name}` takes its commands from it");
                findings.extend(participants.map(|source| of_participant(source, name, commands, message)));
            }
        }
        self.findings.extend(findings);
    }
}

/// The finding, where the file names the topic of the participant.
fn of_participant(source: &SourceFile, name: &str, topic: &str, message: String) -> CheckFinding {
    let entry = source.text.find(&format!("{name}:")).unwrap_or(0);
    let start = source.text[entry..].find(topic).map_or(entry, |at| entry + at);
    let span = TextSpan { start, end: (start + topic.len()).min(source.text.len()) };
    let excerpt = with_secrets_covered(&source.text);
    CheckFinding { excerpt: excerpt.into(), ..at(source, span, message, "choose another topic") }
}

fn uses(definition: &SagaDefinition) -> Vec<(&str, &'static str)> {
    let outcomes = [&definition.on_completed, &definition.on_compensated].into_iter().flatten();
    let outcomes = outcomes.map(|event| (event.topic.as_str(), "publishes to"));
    let steps = definition.steps.iter().filter_map(|step| match &step.action {
        StepAction::Publish { topic, .. } => Some((topic.as_str(), "publishes to")),
        StepAction::Call(_) | StepAction::Wait(_) => None,
    });
    [(definition.trigger.topic.as_str(), "is triggered by")].into_iter().chain(outcomes).chain(steps).collect()
}

/// The finding, where the file names the topic.
fn finding(
    sagas: &[SourceFile],
    definition: &SagaDefinition,
    topic: &str,
    message: String,
    help: &str,
) -> Option<CheckFinding> {
    let source = sagas.iter().find(|source| source.text == definition.text)?;
    let start = source.text.find(topic).unwrap_or(0);
    Some(at(source, TextSpan { start, end: start + topic.len() }, message, help))
}

fn at(source: &SourceFile, span: TextSpan, message: String, help: &str) -> CheckFinding {
    CheckFinding {
        code: Code::EngineTopic,
        severity: FindingSeverity::Error,
        message,
        help: Some(help.to_owned()),
        fix: None,
        file: source.name.clone(),
        span,
        related: Vec::new(),
        text: source.text.as_str().into(),
        excerpt: source.text.as_str().into(),
    }
}
