//! From files of a folder to definitions and participants, or to all findings in the files.

use crate::{
    config::InternalTopics,
    source_files::{self, lookup, misnamed, paths},
};
use saga_base::secrets;
use saga_core::{
    definition::{
        self, CallTarget, CheckFinding, Code, DefinitionLibrary, ParticipantCatalog, ParticipantSelector, RenderStyle,
        SagaDefinition, SchemalessDefinition, SourceFile, StepAction, TriggerStartPosition,
        participants::{CriticalPath, MissingVariablePolicy, StubParticipants, TransportConfig},
        render,
    },
    policy::SagaPolicies,
    state::SagaPlan,
};
use saga_engine::reload::WatchedFile;
use saga_kafka::consumer::TopicStart;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};
use tracing::warn;

/// The texts of the files that an engine needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct DefinitionFiles {
    /// `*.saga.yaml`: name and text.
    pub sagas: Vec<SourceFile>,
    /// `participants.yaml`, if there is one.
    pub participants: Option<SourceFile>,
    /// `*.avsc` and `*.schema.json`: name and text.
    pub schemas: Vec<SourceFile>,
    /// The path from which a changed `participants.yaml` is read again; `None`: it is never read again.
    pub participants_file: Option<PathBuf>,
    /// Findings about files that are no text, or that have a name under which they are not read.
    pub unreadable: Vec<CheckFinding>,
    /// Sample participants that replace participants of the files.
    pub stand_ins: Option<StubParticipants>,
}

/// The content of the files, proved.
#[derive(Clone, Debug)]
pub(crate) struct LoadedDefinitions {
    /// Every definition with the policies of a saga that starts now.
    pub plans: Vec<Arc<SagaPlan>>,
    /// The participants, with stand-ins already applied.
    pub participants: ParticipantCatalog,
    /// The file from which changed participants are read again; `None`: they are never read again.
    pub participants_file: Option<WatchedFile>,
    /// Names of participants that are replaced by stand-ins.
    pub played: Vec<String>,
}

/// The type of a command or an event, and the topic that it is written to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WrittenType {
    /// Name of the topic.
    pub topic: String,
    /// The header `ce_type`.
    pub event_type: String,
}

/// The result of `saga check`.
#[derive(Clone, Debug)]
pub(crate) struct DefinitionCheckReport {
    /// The errors and warnings that the check found.
    pub findings: Vec<CheckFinding>,
    /// The message that definitions call participants and that there is no participants.yaml to check them.
    pub unchecked: Option<String>,
    /// The message about definitions that read events without a schema.
    pub unproved: Option<String>,
    /// The event types of all triggers.
    pub event_types: BTreeSet<String>,
    /// What the definitions write to topics.
    pub written: BTreeSet<WrittenType>,
    /// The chain of participants that depend on each other that takes longest, if there is one.
    pub critical_path: Option<CriticalPath>,
}

/// Files were read and cannot be used; the text is for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DefinitionFilesError(pub String);

impl DefinitionFiles {
    /// Reads a folder of definitions and one of schemas.
    ///
    /// # Errors
    /// When a folder or a file cannot be read. A folder of schemas that does not exist holds none. A file that is no
    /// text is a finding.
    pub(crate) fn of_folders(sagas: &Path, schemas: &Path) -> anyhow::Result<DefinitionFiles> {
        let mut files = DefinitionFiles::beside(sagas, schemas)?;
        files.add_definitions(&paths(sagas, ".saga.yaml")?)?;
        Ok(files)
    }

    /// The participants and the schemas for the definitions of a folder, without the definitions.
    ///
    /// # Errors
    /// As [`DefinitionFiles::of_folders`].
    pub(crate) fn beside(sagas: &Path, schemas: &Path) -> anyhow::Result<DefinitionFiles> {
        let mut files = DefinitionFiles { unreadable: misnamed(sagas)?, ..DefinitionFiles::default() };
        let participants = sagas.join("participants.yaml");
        if participants.exists() {
            files.participants = files.text(&participants)?;
            files.participants_file = Some(participants);
        }
        files.unreadable.extend(source_files::definitions_elsewhere(sagas)?);
        if schemas.is_dir() {
            files.unreadable.extend(source_files::misnamed_schemas(schemas)?);
        }
        for path in if schemas.is_dir() { source_files::schemas(schemas)? } else { Vec::new() } {
            let schema = files.text(&path)?;
            files.schemas.extend(schema);
        }
        Ok(files)
    }

    /// Adds definitions.
    ///
    /// # Errors
    /// When a file cannot be read. One that is no text is a finding.
    pub(crate) fn add_definitions<'p>(&mut self, paths: impl IntoIterator<Item = &'p PathBuf>) -> anyhow::Result<()> {
        for path in paths {
            // A file that the user names is read, whatever its name is.
            let name = path.display().to_string();
            self.unreadable.retain(|finding| finding.file != name);
            let definition = self.text(path)?;
            self.sagas.extend(definition);
        }
        Ok(())
    }

    fn text(&mut self, path: &Path) -> anyhow::Result<Option<SourceFile>> {
        match source_files::read(path)? {
            Ok(source) => Ok(Some(source)),
            Err(finding) => {
                self.unreadable.push(*finding);
                Ok(None)
            }
        }
    }
}

impl DefinitionFiles {
    /// Checks the files for an installation whose internal topics are `topics`.
    #[must_use]
    pub(crate) fn check(&self, topics: &InternalTopics, missing: MissingVariablePolicy) -> DefinitionCheckReport {
        let mut library = self.read(&lookup, missing);
        library.refuse_topics(&self.sagas, self.participants.as_ref(), &topics.reserved());
        let unchecked = self.without_participants(&library);
        let unproved = unproved(&library);
        let critical_path = library.participants.critical_path();
        let triggers = library.definitions.iter().map(|definition| &definition.trigger);
        let event_types = triggers.filter_map(|trigger| trigger.event_type.clone()).collect();
        let written = library.definitions.iter().flat_map(|it| written(it, &library.participants)).collect();
        DefinitionCheckReport { findings: library.findings, unchecked, unproved, event_types, written, critical_path }
    }

    fn without_participants(&self, library: &DefinitionLibrary) -> Option<String> {
        let called: BTreeSet<String> =
            library.definitions.iter().flat_map(|definition| definition.called()).map(ToString::to_string).collect();
        let names = called.into_iter().collect::<Vec<_>>().join(", ");
        let is_read = !self.unreadable.iter().any(CheckFinding::is_error);
        (self.participants.is_none() && is_read && !names.is_empty()).then(|| {
            format!(
                "there is no participants.yaml beside the definitions, which call {names}: add one that says how to \
                 reach each"
            )
        })
    }

    fn read(&self, env: &dyn Fn(&str) -> Option<String>, missing: MissingVariablePolicy) -> DefinitionLibrary {
        let mut library =
            DefinitionLibrary::read_with(&self.sagas, self.participants.as_ref(), &self.schemas, env, missing);
        library.findings.splice(0..0, self.unreadable.iter().cloned());
        library
    }
}

/// The message about definitions that read events without a schema.
fn unproved(library: &DefinitionLibrary) -> Option<String> {
    let told = |unproved: &SchemalessDefinition| match &unproved.event_type {
        Some(event_type) => format!("there is no schema of {event_type} ({})", unproved.file),
        None => format!("the trigger names no type ({})", unproved.file),
    };
    let told: Vec<String> = library.unproved.iter().map(told).collect();
    (!told.is_empty()).then(|| format!("fields of `event` are not proved: {}", told.join("; ")))
}

/// Proves that all files fit together.
///
/// # Errors
/// [`DefinitionFilesError`] with every finding, rendered.
pub(crate) fn load_files(
    files: &DefinitionFiles,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<LoadedDefinitions, DefinitionFilesError> {
    let library = files.read(env, MissingVariablePolicy::Refused);
    secrets::remember(secrets::of_participants(&library.participants));
    if library.has_errors() {
        return Err(DefinitionFilesError(render(&library.findings, RenderStyle::Plain)));
    }
    if let Some(message) = files.without_participants(&library) {
        return Err(DefinitionFilesError(message));
    }
    for finding in library.findings.iter().filter(|finding| finding.code == Code::LiteralSecret) {
        warn!("{finding}");
    }
    let (participants, played) = match &files.stand_ins {
        Some(stand_ins) => library.participants.with_stand_ins(stand_ins),
        None => (library.participants, Vec::new()),
    };
    let plans = library.definitions.iter().map(|definition| plan(definition, &participants)).collect();
    let text = files.participants.as_ref().map_or("", |file| file.text.as_str());
    let watched = |path: &PathBuf| WatchedFile::new(path.clone(), text, files.stand_ins.clone());
    let participants_file = files.participants_file.as_ref().map(watched);
    Ok(LoadedDefinitions { plans, participants, participants_file, played })
}

/// The plan of the one definition of the files, for a machine that runs no saga: variables of participants.yaml may be
/// missing, and without participants.yaml all participants have their defaults.
///
/// # Errors
/// [`DefinitionFilesError`] with every finding, rendered.
pub(crate) fn plan_of_file(files: &DefinitionFiles) -> Result<Arc<SagaPlan>, DefinitionFilesError> {
    let library = files.read(&lookup, MissingVariablePolicy::Allowed);
    match library.definitions.as_slice() {
        [definition] if !library.has_errors() => Ok(plan(definition, &library.participants)),
        _ => Err(DefinitionFilesError(render(&library.findings, RenderStyle::Plain))),
    }
}

/// What files say, for a machine that runs no saga.
#[derive(Clone, Debug)]
pub(crate) struct ProvedFiles {
    /// Every definition with the policies of a saga that starts now.
    pub plans: Vec<Arc<SagaPlan>>,
    /// The participants; none without participants.yaml.
    pub participants: ParticipantCatalog,
}

/// The same of all definitions of the files; there may be none.
///
/// # Errors
/// [`DefinitionFilesError`] with every finding, rendered.
pub(crate) fn prove_files(files: &DefinitionFiles) -> Result<ProvedFiles, DefinitionFilesError> {
    let library = files.read(&lookup, MissingVariablePolicy::Allowed);
    if library.has_errors() {
        return Err(DefinitionFilesError(render(&library.findings, RenderStyle::Plain)));
    }
    let plans = library.definitions.iter().map(|definition| plan(definition, &library.participants)).collect();
    Ok(ProvedFiles { plans, participants: library.participants })
}

/// The plan that `text`, the text of a definition, had when it was proved, with the participants of `files`. The rules
/// of this build do not judge it.
///
/// # Errors
/// When the text is no definition.
pub(crate) fn plan_of_text(text: &str, files: &DefinitionFiles) -> Result<SagaPlan, String> {
    let library = files.read(&lookup, MissingVariablePolicy::Allowed);
    let definition = definition::parse_stored(text)?;
    let policies = SagaPolicies::resolve(&definition, &library.participants);
    Ok(SagaPlan::new(Arc::new(definition), Arc::new(policies)))
}

/// A number by which start positions are ordered, the earliest first.
fn order(from: &TriggerStartPosition) -> i64 {
    match from {
        TriggerStartPosition::Earliest => i64::MIN,
        TriggerStartPosition::Time(time) => time.0,
        TriggerStartPosition::Latest => i64::MAX,
    }
}

fn plan(definition: &Arc<SagaDefinition>, participants: &ParticipantCatalog) -> Arc<SagaPlan> {
    let policies = SagaPolicies::resolve(definition, participants);
    Arc::new(SagaPlan::new(Arc::clone(definition), Arc::new(policies)))
}

impl LoadedDefinitions {
    /// Topics that triggers read, each once.
    #[must_use]
    pub(crate) fn trigger_topics(&self) -> Vec<String> {
        let topics: BTreeSet<&String> = self.plans.iter().map(|plan| &plan.definition.trigger.topic).collect();
        topics.into_iter().cloned().collect()
    }

    /// The same with the position at which the first reading begins: the earliest of all definitions with this topic.
    #[must_use]
    pub(crate) fn trigger_starts(&self) -> Vec<TopicStart> {
        let start = |topic: String| {
            let of_topic = self.plans.iter().filter(|plan| plan.definition.trigger.topic == topic);
            let from = of_topic.map(|plan| plan.definition.trigger.from.unwrap_or_default()).min_by_key(order);
            let from = from.unwrap_or_default();
            TopicStart { topic: Arc::from(topic.as_str()), from, initial_offsets: None }
        };
        self.trigger_topics().into_iter().map(start).collect()
    }

    /// Topics for commands and published events, each once.
    #[must_use]
    pub(crate) fn written_topics(&self) -> Vec<String> {
        let commands = self.participants.iter().filter_map(|(_, participant)| match &participant.transport {
            TransportConfig::Kafka { commands } => Some(commands.clone()),
            TransportConfig::Http { .. } => None,
        });
        let events = self.plans.iter().flat_map(|plan| published(&plan.definition));
        commands.chain(events).collect::<BTreeSet<String>>().into_iter().collect()
    }
}

/// What a definition writes. A command to a capability may go to each participant that has it.
fn written(definition: &SagaDefinition, participants: &ParticipantCatalog) -> Vec<WrittenType> {
    let of = |topic: &String, event_type: &String| WrittenType { topic: topic.clone(), event_type: event_type.clone() };
    let mut all = Vec::new();
    for target in definition.targets() {
        let CallTarget::Kafka { whom, command } = target else { continue };
        for (name, participant) in participants.iter() {
            let is_called = match whom {
                ParticipantSelector::Participant(called) => name == called,
                ParticipantSelector::Capability(capability) => participant.capabilities.contains(capability),
            };
            if let (true, TransportConfig::Kafka { commands }) = (is_called, &participant.transport) {
                all.push(of(commands, command));
            }
        }
    }
    all.extend(definition.steps.iter().filter_map(|step| match &step.action {
        StepAction::Publish { topic, event_type, .. } => Some(of(topic, event_type)),
        StepAction::Call(_) | StepAction::Wait(_) => None,
    }));
    let outcomes = definition.on_completed.iter().chain(&definition.on_compensated);
    all.extend(outcomes.map(|event| of(&event.topic, &event.event_type)));
    all
}

pub(super) fn published(definition: &SagaDefinition) -> Vec<String> {
    let steps = definition.steps.iter().filter_map(|step| match &step.action {
        StepAction::Publish { topic, .. } => Some(topic.clone()),
        StepAction::Call(_) | StepAction::Wait(_) => None,
    });
    let outcomes = definition.on_completed.iter().chain(&definition.on_compensated).map(|event| event.topic.clone());
    steps.chain(outcomes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(name: &str, from: &str) -> SourceFile {
        let trigger = format!("{{topic: t, type: T, key: \"${{ event.id }}\"{from}}}");
        SourceFile::new(name, format!("saga: {name}\ntrigger: {trigger}\nsteps:\n  - step: rest\n    wait: 1s\n"))
    }

    fn load(sagas: Vec<SourceFile>) -> Result<LoadedDefinitions, DefinitionFilesError> {
        load_files(&DefinitionFiles { sagas, ..DefinitionFiles::default() }, &|_| None)
    }

    #[test]
    fn a_topic_is_read_from_where_the_first_of_its_definitions_begins() {
        let from = |beginnings: [&str; 2]| {
            let loaded = load(vec![definition("a", beginnings[0]), definition("b", beginnings[1])]).expect("usable");
            loaded.trigger_starts()[0].from
        };
        let (latest, time) = (", from: latest", ", from: 2026-01-01T00:00:00Z");
        assert_eq!(from(["", latest]), TriggerStartPosition::Earliest);
        assert!(matches!(from([latest, time]), TriggerStartPosition::Time(_)));
        assert_eq!(from([latest, latest]), TriggerStartPosition::Latest);
    }

    #[test]
    fn the_critical_path_of_participants_that_need_each_other_is_told() {
        let text =
            "participants: {web: {http: {url: 'http://web'}, dependsOn: [store]}, store: {kafka: {commands: store}}}";
        let files = DefinitionFiles {
            participants: Some(SourceFile::new("participants.yaml", text)),
            ..DefinitionFiles::default()
        };
        let told = files
            .check(&InternalTopics::default(), MissingVariablePolicy::Refused)
            .critical_path
            .map(|path| path.to_string());
        assert_eq!(told.as_deref(), Some("critical path: web → store (40s)"));
    }

    #[test]
    fn a_file_that_is_no_text_is_one_finding_among_the_others() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
        write("a.saga.yaml", b"saga: gr\xfc\xdfe");
        write("b.saga.yaml", b"saga: b");
        write("participants.yaml", b"\xff");
        let files = DefinitionFiles::of_folders(folder.path(), folder.path()).expect("the folder is there");
        let checked = files.check(&InternalTopics::default(), MissingVariablePolicy::Refused);
        let found = |name: &str| checked.findings.iter().filter(|finding| finding.file.ends_with(name)).count();
        assert_eq!((found("a.saga.yaml"), found("participants.yaml")), (1, 1));
        assert!(found("b.saga.yaml") > 0, "the others are checked");
        let said = load_files(&files, &|_| None).expect_err("it cannot be used").0;
        assert!(said.contains("a.saga.yaml") && said.contains("UTF-8"), "{said}");
    }

    #[test]
    fn a_file_that_would_not_be_read_is_told_with_the_name_that_would() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = "saga: a\ntrigger: {topic: t, key: \"${ event.id }\"}\nsteps: [{step: rest, wait: 1s}]\n";
        for name in ["a.saga.yml", "b.yaml", "participants.yml", "C.saga.yaml", "notes.yaml", ".hidden.saga.yml"] {
            let text = if name == "notes.yaml" { "todo: []\n" } else { text };
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        let files = DefinitionFiles::of_folders(folder.path(), folder.path()).expect("the folder is there");
        let told: Vec<_> = files.unreadable.iter().filter_map(|finding| finding.help.as_deref()).collect();
        let call = |name: &str| format!("call it {name}, or move it to another folder");
        assert_eq!(told, [call("a.saga.yaml"), call("b.saga.yaml"), call("participants.yaml")]);
        assert!(load_files(&files, &|_| None).is_err(), "an engine does not start without it");
    }

    #[test]
    fn who_has_no_secrets_can_prove_definitions() {
        let text = "participants: {bank: {http: {url: 'http://${ env.HOST }:${ env.PORT }'}, authorization: 'Bearer ${ env.TOKEN }'}}";
        let files = DefinitionFiles {
            participants: Some(SourceFile::new("participants.yaml", text)),
            ..DefinitionFiles::default()
        };
        let errors = |missing| {
            let findings = files.check(&InternalTopics::default(), missing).findings;
            (findings.len(), findings.iter().filter(|finding| finding.is_error()).count())
        };
        assert_eq!(errors(MissingVariablePolicy::Refused), (3, 3));
        assert_eq!(errors(MissingVariablePolicy::Allowed), (3, 0));
    }

    #[test]
    fn topics_that_serve_refuses_are_found_by_the_check() {
        let topics = InternalTopics { dlq: "dead".into(), ..InternalTopics::default() };
        let found = |trigger: &str, commands: &str| {
            let text = definition("a", "").text.replace("topic: t,", &format!("topic: {trigger},"));
            let participants = format!(
                "participants:\n  idle: {{kafka: {{commands: idle}}}}\n  stock: {{kafka: {{commands: {commands}}}}}\n"
            );
            let files = DefinitionFiles {
                sagas: vec![SourceFile::new("a.saga.yaml", text)],
                participants: Some(SourceFile::new("participants.yaml", participants)),
                ..DefinitionFiles::default()
            };
            let refused = load_files(&files, &|_| None)
                .map(|loaded| super::super::internal::require_unused(&topics, &loaded).is_err());
            let findings = files.check(&topics, MissingVariablePolicy::Refused).findings;
            assert_eq!(refused.unwrap_or(true), !findings.is_empty(), "check and serve agree on {trigger}, {commands}");
            findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let (inbox, replies) = (topics.inbox.as_str(), topics.replies.as_str());
        for topic in [inbox, replies, "dead", "dead.installation", "saga.group.installation", "__consumer_offsets"] {
            let said = found("t", topic);
            assert!(said.contains("participants.yaml:3:") && said.contains("`stock` takes its commands"), "{said}");
            let said = found(topic, "stock");
            assert!(said.contains("a.saga.yaml:2:") && said.contains("is triggered by it"), "{said}");
        }
        for topic in ["saga.dlq", "solar.installation", "__debezium-heartbeat.shop"] {
            assert_eq!(found(topic, "stock"), "");
        }
    }

    #[test]
    fn a_definition_whose_events_have_no_schema_is_told() {
        let files = DefinitionFiles { sagas: vec![definition("a", "")], ..DefinitionFiles::default() };
        let told = files.check(&InternalTopics::default(), MissingVariablePolicy::Refused).unproved;
        assert_eq!(told.as_deref(), Some("fields of `event` are not proved: there is no schema of T (a)"));
    }

    #[test]
    fn a_capability_that_is_called_has_to_be_in_participants() {
        let calling = "saga: a\ntrigger: {topic: t, type: T, key: \"${ event.id }\"}\nsteps:\n  - step: read\n    do: capability:reading.Read\n    readOnly: true\n";
        let error = load(vec![SourceFile::new("a", calling)]).expect_err("nobody says who reads");
        assert!(error.0.contains("capability:reading"), "{error}");
    }

    #[test]
    fn whoever_is_called_has_to_be_in_participants() {
        let calling = "saga: a\ntrigger: {topic: t, type: T, key: \"${ event.id }\"}\nsteps:\n  - step: pay\n    do: POST bank/payments\n    readOnly: true\n";
        let error = load(vec![SourceFile::new("a", calling)]).expect_err("nobody says who the bank is");
        assert!(error.0.contains("participants.yaml") && error.0.contains("bank"), "{error}");
    }
}
