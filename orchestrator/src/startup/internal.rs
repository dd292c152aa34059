//! Internal topics are never a trigger, a topic of commands or a topic of published events.

use super::LoadedDefinitions;
use crate::config::InternalTopics;
use anyhow::bail;
use saga_core::definition::{ReservedTopic, participants::TransportConfig};
use tracing::warn;

/// Fails if a definition is triggered by an internal topic or publishes to one, or a participant takes its commands
/// from one.
pub(super) fn require_unused(topics: &InternalTopics, loaded: &LoadedDefinitions) -> anyhow::Result<()> {
    for (who, topic) in uses(loaded) {
        if let Some(reason) = ReservedTopic::reason(&topics.reserved(), &topic) {
            bail!("{who} topic {topic}, and {reason}: choose another topic");
        }
    }
    Ok(())
}

/// Says which topics with a DLQ topic of their own nobody reads: the name may be misspelt.
pub(super) fn warn_of_unread(topics: &InternalTopics, loaded: &LoadedDefinitions) {
    let read = loaded.trigger_topics();
    let is_read = |topic: &String| read.contains(topic) || [&topics.replies, &topics.inbox].contains(&topic);
    for topic in topics.dlq_of.keys().filter(|topic| !is_read(topic)) {
        warn!(topic, "no definition is triggered by a topic that topics.dlqOf has: is the name misspelt?");
    }
}

fn uses(loaded: &LoadedDefinitions) -> Vec<(String, String)> {
    let definitions = loaded.plans.iter().flat_map(|plan| {
        let definition = &plan.definition;
        let trigger = (format!("`{}` is triggered by", definition.name), definition.trigger.topic.clone());
        let published = super::definitions::published(definition);
        let published = published.into_iter().map(|topic| (format!("`{}` publishes to", definition.name), topic));
        std::iter::once(trigger).chain(published).collect::<Vec<_>>()
    });
    let participants = loaded.participants.iter().filter_map(|(name, participant)| match &participant.transport {
        TransportConfig::Kafka { commands } => {
            Some((format!("participant {name} takes its commands from"), commands.clone()))
        }
        TransportConfig::Http { .. } => None,
    });
    definitions.chain(participants).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::DefinitionFiles, *};
    use saga_core::definition::SourceFile;
    use saga_engine::events_topic::{EventsTopic, EventsTopicStart};

    fn refused(definition: &str, participants: &str) -> String {
        let files = DefinitionFiles {
            sagas: vec![SourceFile::new("a.saga.yaml", definition)],
            participants: Some(SourceFile::new("participants.yaml", participants)),
            ..DefinitionFiles::default()
        };
        let loaded = super::super::load_files(&files, &|_| None).expect("usable files");
        let events = Some(EventsTopic { name: "all".into(), start: EventsTopicStart::Newest });
        let topics = InternalTopics {
            inbox: "in".into(),
            replies: "back".into(),
            dlq: "dead".into(),
            dlq_of: [("t".to_owned(), "dead.of.t".to_owned())].into(),
            events,
        };
        require_unused(&topics, &loaded).expect_err("an internal topic").to_string()
    }

    #[test]
    fn the_engine_s_own_topics_are_no_trigger_and_get_neither_commands_nor_events() {
        let nobody = "participants: {}";
        let with = |topic: &str, more: &str| {
            format!(
                "saga: a\ntrigger: {{topic: {topic}, key: \"${{ event.id }}\"}}\nsteps: [{{step: rest, wait: 1s}}]\n{more}"
            )
        };
        let said = refused(&with("back", ""), nobody);
        assert!(said.contains("`a` is triggered by topic back") && said.contains("topics.replies"), "{said}");
        let said = refused(&with("t", "onCompleted: {publish: dead, type: Done}\n"), nobody);
        assert!(said.contains("`a` publishes to topic dead") && said.contains("topics.dlq"), "{said}");
        let said = refused(&with("dead.of.t", ""), nobody);
        assert!(said.contains("`a` is triggered by topic dead.of.t") && said.contains("topics.dlqOf"), "{said}");
        let said = refused(&with("all", ""), nobody);
        assert!(said.contains("`a` is triggered by topic all") && said.contains("topics.events"), "{said}");
        let said = refused(&with("t", ""), "participants: {stock: {kafka: {commands: in}}}");
        assert!(said.contains("participant stock") && said.contains("topics.inbox"), "{said}");
    }
}
