//! Which topics take records, and when one that does not is tried again.
//!
//! A topic that refuses records is tried with one record at a time; all other records wait. Each writer reports what
//! became of its record.

use metrics::{counter, gauge};
use saga_base::sync::UnpoisonedMutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tracing::{info, warn};

/// How long a try may take before the next one may be made: the client knows after some seconds that a topic
/// does not exist.
const TRY: Duration = Duration::from_secs(10);

/// The longest delay between two tries: a topic that is available again is noticed within it.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// How often the log says that a topic refuses still.
const SAY_AGAIN: Duration = Duration::from_secs(300);

/// What a topic takes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicAvailability {
    /// The topic takes every record.
    All,
    /// Nothing, as far as is known: one record may find out.
    Probe,
    /// Nothing, and no record is tried before that span is over.
    Nothing(Duration),
}

/// The topics that records are written to.
#[derive(Debug)]
pub struct TopicTracker {
    refusing: UnpoisonedMutex<BTreeMap<Arc<str>, UnavailableTopic>>,
    /// How many refuse: usually none, and then the lock is not taken.
    count: AtomicUsize,
    /// Those that took a record again since the scheduler last looked.
    recovered: UnpoisonedMutex<Vec<Arc<str>>>,
    wakeup: Arc<Notify>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct UnavailableTopic {
    why: String,
    since: Instant,
    try_at: Instant,
    said_at: Instant,
    /// Records that wait here and in no queue.
    waiting: usize,
}

impl TopicTracker {
    /// All take records, as far as is known; `wakeup` is notified when one does again.
    pub(super) fn new(wakeup: Arc<Notify>) -> TopicTracker {
        let (refusing, recovered) = (UnpoisonedMutex::default(), UnpoisonedMutex::default());
        TopicTracker { refusing, count: AtomicUsize::new(0), recovered, wakeup, changed: watch::Sender::default() }
    }

    /// What `topic` takes now. Asking changes nothing.
    pub(crate) fn availability(&self, topic: &str) -> TopicAvailability {
        if self.count.load(Ordering::Acquire) == 0 {
            return TopicAvailability::All;
        }
        self.refusing.lock().get(topic).map_or(TopicAvailability::All, UnavailableTopic::availability)
    }

    /// Asks whether one record may be sent. Of a topic that refuses, one caller may send a record, which finds out for
    /// all; no other caller may meanwhile.
    ///
    /// # Errors
    /// When to ask again.
    pub fn try_acquire(&self, topic: &str) -> Result<(), Duration> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let mut refusing = self.refusing.lock();
        let Some(it) = refusing.get_mut(topic) else { return Ok(()) };
        match it.availability() {
            TopicAvailability::All => Ok(()),
            TopicAvailability::Probe => {
                it.try_at = Instant::now() + TRY;
                Ok(())
            }
            TopicAvailability::Nothing(rest) => Err(rest),
        }
    }

    /// Returns when there is leave to send one record: at once, or when it may be tried, or when the topic takes
    /// records again.
    pub async fn wait(&self, topic: &Arc<str>) {
        let mut changed = self.changed.subscribe();
        while let Err(rest) = self.try_acquire(topic) {
            let _counted = TopicWaiter::new(self, topic);
            // Its sender is here: it ends by time or by news.
            drop(tokio::time::timeout(rest, changed.changed()).await);
        }
    }

    /// `topic` has a record that was sent to it.
    pub fn record_success(&self, topic: &str) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut refusing = self.refusing.lock();
        let Some((topic, it)) = refusing.remove_entry(topic) else { return };
        self.count.store(refusing.len(), Ordering::Release);
        drop(refusing);
        info!(%topic, after = ?it.since.elapsed(), "the topic takes records again: what waited for it is sent");
        gauge!("saga_topic_refuses", "topic" => topic.to_string()).set(0.0);
        self.recovered.lock().push(topic);
        self.changed.send_replace(());
        self.wakeup.notify_one();
    }

    /// `topic` did not take a record, for a reason that is not the record's. It is tried again after `rest`, later the
    /// longer it lasts.
    pub fn record_failure(&self, topic: &Arc<str>, why: &str, rest: Duration) {
        counter!("saga_topic_refusals_total", "topic" => topic.to_string()).increment(1);
        let now = Instant::now();
        let mut refusing = self.refusing.lock();
        if let Some(it) = refusing.get_mut(topic) {
            why.clone_into(&mut it.why);
            it.try_at = now + rest.max((now - it.since) / 4).min(LONGEST_REST);
            return;
        }
        let it = UnavailableTopic { why: why.to_owned(), since: now, try_at: now + rest, said_at: now, waiting: 0 };
        refusing.insert(Arc::clone(topic), it);
        self.count.store(refusing.len(), Ordering::Release);
        drop(refusing);
        warn!(
            %topic,
            why,
            "the topic does not take records: what is written to it waits, and one record at a time is tried"
        );
        gauge!("saga_topic_refuses", "topic" => topic.to_string()).set(1.0);
    }

    /// Why `topic` takes no records; `None`: it takes them, as far as is known.
    #[must_use]
    pub fn refusal(&self, topic: &str) -> Option<String> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.refusing.lock().get(topic).map(|it| it.why.clone())
    }

    /// Those that took a record again since this was last asked.
    pub(super) fn recovered(&self) -> Vec<Arc<str>> {
        std::mem::take(&mut *self.recovered.lock())
    }

    /// Says of each topic that refuses how many wait for it, now and then in the log and always in a metric. `in_line`
    /// counts those in lines.
    pub(super) fn report_waiting(&self, in_line: impl Fn(&str) -> usize) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let refusing = self.refusing.lock();
        let all: Vec<_> = refusing.iter().map(|(topic, it)| (Arc::clone(topic), it.waiting)).collect();
        drop(refusing);
        for (topic, elsewhere) in all {
            let waiting = elsewhere + in_line(&topic);
            show_waiting(&topic, waiting);
            self.say_again(&topic, waiting);
        }
    }

    fn say_again(&self, topic: &Arc<str>, waiting: usize) {
        let mut refusing = self.refusing.lock();
        let Some(it) = refusing.get_mut(topic).filter(|it| it.said_at.elapsed() >= SAY_AGAIN) else { return };
        it.said_at = Instant::now();
        let (why, since) = (it.why.clone(), it.since.elapsed());
        drop(refusing);
        warn!(%topic, why, waiting, ?since, "the topic still does not take records");
    }
}

#[allow(clippy::cast_precision_loss, reason = "a gauge; a count of what is in memory")]
pub(super) fn show_waiting(topic: &str, waiting: usize) {
    gauge!("saga_topic_waiting", "topic" => topic.to_owned()).set(waiting as f64);
}

impl UnavailableTopic {
    fn availability(&self) -> TopicAvailability {
        let rest = self.try_at.saturating_duration_since(Instant::now());
        if rest.is_zero() { TopicAvailability::Probe } else { TopicAvailability::Nothing(rest) }
    }
}

/// A record that waits in no queue, while it does.
struct TopicWaiter<'a> {
    topics: &'a TopicTracker,
    topic: &'a Arc<str>,
}

impl<'a> TopicWaiter<'a> {
    fn new(topics: &'a TopicTracker, topic: &'a Arc<str>) -> TopicWaiter<'a> {
        let counted = TopicWaiter { topics, topic };
        counted.change(|waiting| waiting.saturating_add(1));
        counted
    }

    fn change(&self, change: impl FnOnce(usize) -> usize) {
        if let Some(it) = self.topics.refusing.lock().get_mut(self.topic) {
            it.waiting = change(it.waiting);
        }
    }
}

impl Drop for TopicWaiter<'_> {
    fn drop(&mut self) {
        self.change(|waiting| waiting.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const REST: Duration = Duration::from_secs(5);

    fn refusing() -> (TopicTracker, Arc<str>) {
        let (topics, topic) = (TopicTracker::new(Arc::default()), Arc::from("news"));
        assert_eq!(topics.availability(&topic), TopicAvailability::All);
        topics.record_failure(&topic, "no such topic", REST);
        (topics, topic)
    }

    #[tokio::test(start_paused = true)]
    async fn one_record_finds_out_for_all() {
        let (topics, topic) = refusing();
        assert_eq!((topics.try_acquire(&topic), topics.try_acquire("other")), (Err(REST), Ok(())));
        advance(REST).await;
        assert_eq!(topics.availability(&topic), TopicAvailability::Probe);
        assert_eq!((topics.try_acquire(&topic), topics.try_acquire(&topic)), (Ok(()), Err(TRY)));
        topics.record_success(&topic);
        assert_eq!((topics.availability(&topic), topics.recovered()), (TopicAvailability::All, vec![topic]));
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_says_how_it_went_keeps_nobody_from_trying() {
        let (topics, topic) = refusing();
        advance(REST).await;
        assert_eq!(topics.try_acquire(&topic), Ok(()));
        advance(TRY).await;
        assert_eq!(topics.try_acquire(&topic), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_longer_it_lasts_the_longer_are_the_rests_up_to_a_bound() {
        let (topics, topic) = refusing();
        for (after, rest) in [(4, 5), (36, 10), (4_000, 30)] {
            advance(Duration::from_secs(after)).await;
            topics.record_failure(&topic, "no such topic", REST);
            assert_eq!(topics.availability(&topic), TopicAvailability::Nothing(Duration::from_secs(rest)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_goes_on_when_another_record_was_taken() {
        let (topics, topic) = refusing();
        assert_eq!((topics.refusal(&topic).as_deref(), topics.refusal("other")), (Some("no such topic"), None));
        let begun = Instant::now();
        let (topics, name) = (Arc::new(topics), Arc::clone(&topic));
        let waiting = tokio::spawn({
            let topics = Arc::clone(&topics);
            async move { topics.wait(&name).await }
        });
        tokio::task::yield_now().await;
        topics.record_success(&topic);
        waiting.await.expect("it waits");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
