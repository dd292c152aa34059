//! What this engine knows of the definitions that start sagas: the set that was published last, for all engines of the
//! installation.
//!
//! While a new version is rolled out, engines with older files stop reading the topics of definitions that they lack,
//! so that no record is finished without having been judged for them.

pub(crate) mod generation;

use arc_swap::ArcSwap;
use generation::DefinitionGeneration;
use saga_base::sync::UnpoisonedMutex;
use saga_core::definition::TransportKind;
use saga_kafka::consumer::{AckCallback, AckCondition};
use saga_wire::KafkaRecord;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};

/// How long an engine judges and finishes records after it last heard that the published set is the one it knows.
/// A catch-up that reads records again for an added definition relies on this time.
pub(crate) const HEARD_FOR: Duration = Duration::from_secs(10);

/// What this engine has heard of what is published.
pub(crate) struct GenerationTracker {
    seen: ArcSwap<KnownGeneration>,
    heard: watch::Sender<GenerationFreshness>,
    /// Records that were done while nothing was heard. Each counts as unfinished, which bounds them.
    undecided: UnpoisonedMutex<Vec<(Arc<str>, AckCallback)>>,
}

impl fmt::Debug for GenerationTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenerationTracker")
            .field("seen", &self.seen)
            .field("heard", &self.heard)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Default)]
struct KnownGeneration {
    /// `None`: this engine is alone and nothing is published.
    generation: Option<Arc<DefinitionGeneration>>,
    /// Topics that are left to engines which know more, and why.
    yielded_topics: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug)]
enum GenerationFreshness {
    /// There are no other engines.
    Alone,
    /// When it was asked last, if there was an answer.
    At(Instant),
}

impl Default for GenerationTracker {
    fn default() -> GenerationTracker {
        GenerationTracker {
            seen: ArcSwap::default(),
            heard: watch::Sender::new(GenerationFreshness::Alone),
            undecided: UnpoisonedMutex::default(),
        }
    }
}

impl GenerationTracker {
    /// Whether records of `topic` may be judged here.
    pub(crate) fn reads(&self, topic: &str) -> bool {
        !self.seen.load().yielded_topics.contains_key(topic)
    }

    /// Topics that are left to engines which know more, and why.
    pub(crate) fn yielded_topics(&self) -> BTreeMap<String, String> {
        self.seen.load().yielded_topics.clone()
    }

    /// Whether `record` is one of those for which `definition` was published. A record that is younger than the
    /// definition is, whatever its offset: its topic may have been made anew.
    pub(crate) fn is_for(&self, definition: &str, record: &KafkaRecord) -> bool {
        let seen = self.seen.load();
        let starts = seen.generation.as_ref().and_then(|generation| generation.starts(definition));
        starts.is_none_or(|(starts, since_ms)| {
            starts.get(&record.partition).is_none_or(|start| record.offset >= *start || record.timestamp.0 > since_ms)
        })
    }

    /// Whether some engine can call `participant`.
    pub(crate) fn has_participant(&self, participant: &str) -> bool {
        self.seen.load().generation.as_ref().is_some_and(|generation| generation.participants.contains(participant))
    }

    /// A participant that has the capability and that some engine can call; `None` if there is none.
    pub(crate) fn with_capability(&self, capability: &str, over: TransportKind) -> Option<String> {
        let seen = self.seen.load();
        seen.generation.as_ref()?.capabilities.get(&generation::capability(capability, over)).cloned()
    }

    /// Returns when this engine has heard of late what is published: records may be judged.
    pub(crate) async fn wait_fresh(&self) {
        if is_fresh(*self.heard.borrow()) {
            return;
        }
        let mut heard = self.heard.subscribe();
        while !is_fresh(*heard.borrow_and_update()) {
            if heard.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    pub(crate) fn mark_fresh(&self, asked: Instant) {
        self.heard.send_replace(GenerationFreshness::At(asked));
        let undecided = std::mem::take(&mut *self.undecided.lock());
        for (topic, settle) in undecided {
            settle(self.reads(&topic));
        }
    }

    pub(crate) fn set_generation(
        &self,
        generation: Arc<DefinitionGeneration>,
        yielded_topics: BTreeMap<String, String>,
    ) {
        self.seen.store(Arc::new(KnownGeneration { generation: Some(generation), yielded_topics }));
    }

    pub(crate) fn generation(&self) -> Option<Arc<DefinitionGeneration>> {
        self.seen.load().generation.clone()
    }
}

impl AckCondition for GenerationTracker {
    /// What was judged without what was published meanwhile is judged again, by an engine that knows it.
    fn decide(&self, topic: &Arc<str>, settle: AckCallback) {
        if is_fresh(*self.heard.borrow()) {
            settle(self.reads(topic));
        } else {
            self.undecided.lock().push((Arc::clone(topic), settle));
        }
    }
}

fn is_fresh(heard: GenerationFreshness) -> bool {
    match heard {
        GenerationFreshness::Alone => true,
        GenerationFreshness::At(asked) => asked.elapsed() < HEARD_FOR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_has_not_heard_for_long_judges_nothing_until_it_has() {
        let published = Arc::new(GenerationTracker::default());
        published.wait_fresh().await;
        published.mark_fresh(Instant::now());
        published.wait_fresh().await;
        tokio::time::advance(HEARD_FOR).await;
        let waiting = tokio::spawn({
            let published = Arc::clone(&published);
            async move { published.wait_fresh().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        published.mark_fresh(Instant::now());
        waiting.await.expect("it goes on");
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_is_done_while_nothing_is_heard_is_finished_if_its_topic_is_still_read() {
        for still_read in [true, false] {
            let published = GenerationTracker::default();
            published.mark_fresh(Instant::now());
            tokio::time::advance(HEARD_FOR).await;
            let (settled, fate) = std::sync::mpsc::sync_channel(1);
            let settle = move |may_finish| settled.send(may_finish).expect("somebody listens");
            published.decide(&"orders".into(), Box::new(settle));
            assert!(fate.try_recv().is_err());
            let left = if still_read { BTreeMap::new() } else { BTreeMap::from([("orders".into(), "why".into())]) };
            published.set_generation(Arc::default(), left);
            published.mark_fresh(Instant::now());
            assert_eq!(fate.try_recv(), Ok(still_read));
        }
    }
}
