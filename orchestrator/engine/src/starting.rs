//! Business keys of starts: those under way, for which a second start waits until the first one's fate is known, and
//! those that were found taken a moment ago, which are answered without asking the store again.

use super::message::ShardMessage;
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;
use uuid::Uuid;

/// Definition name and business key.
pub(super) type StartKey = (String, String);

/// How long the shard remembers which saga has a key. The time is bounded, because the store forgets keys in the end
/// (`keepKeys`): the shard refuses no start longer than this for a key that the store has forgotten.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// Keys of one shard that are known to be taken, twice: a key that comes again stays, whatever else comes in between.
/// With keys of usual length some 100 KB.
const KNOWN: usize = 256;

/// The stream that has a business key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyHolder {
    pub(super) stream: Uuid,
    /// The hash of the event that started the saga.
    pub(super) payload_hash: [u8; 32],
    /// Coordinates of that event's record, where they are known without reading the journal.
    pub(super) record: Option<String>,
}

/// What the shard does with a start.
#[derive(Debug)]
pub(super) enum StartAdmission {
    /// The start is the first of its key and begins now.
    First(ShardMessage),
    /// The start waits for another start of its key, which is under way.
    Waits,
    /// The start's key is taken by another saga.
    Taken(ShardMessage, KeyHolder),
}

/// The starts of one shard that are under way, and keys that were taken lately.
#[derive(Default)]
pub(super) struct PendingStarts {
    under_way: HashMap<StartKey, VecDeque<ShardMessage>>,
    recent: RecentKeys,
}

impl PendingStarts {
    /// Hands `message` back if it may start now, or if its key is taken; keeps it if a start of the same key is under
    /// way.
    pub(super) fn begin(&mut self, key: StartKey, message: ShardMessage, now: Instant) -> StartAdmission {
        if let Some(waiting) = self.under_way.get_mut(&key) {
            waiting.push_back(message);
            return StartAdmission::Waits;
        }
        match self.recent.get(&key, now) {
            Some(holder) => StartAdmission::Taken(message, holder),
            None => {
                self.under_way.insert(key, VecDeque::new());
                StartAdmission::First(message)
            }
        }
    }

    /// The start of `key` came to nothing; what waited for it is handed back, to be tried in turn.
    pub(super) fn end(&mut self, key: &StartKey) -> VecDeque<ShardMessage> {
        self.under_way.remove(key).unwrap_or_default()
    }

    /// `key` is taken, by the start that was under way or by one before it; what waited is handed back, to be answered.
    pub(super) fn taken(&mut self, key: StartKey, holder: KeyHolder, now: Instant) -> VecDeque<ShardMessage> {
        let waiting = self.end(&key);
        self.recent.put(key, holder, now);
        waiting
    }

    /// Takes all messages that wait for a start with the same key.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = ShardMessage> {
        std::mem::take(&mut self.under_way).into_values().flatten()
    }
}

/// The last keys that were found taken: when the young ones are [`KNOWN`] they become the old ones, and the old ones
/// are forgotten.
#[derive(Default)]
struct RecentKeys {
    young: HashMap<StartKey, (KeyHolder, Instant)>,
    old: HashMap<StartKey, (KeyHolder, Instant)>,
}

impl RecentKeys {
    fn get(&mut self, key: &StartKey, now: Instant) -> Option<KeyHolder> {
        if let Some(again) = self.old.remove_entry(key) {
            self.keep(again.0, again.1);
        }
        let (holder, since) = self.young.get(key)?;
        if now.duration_since(*since) >= KNOWN_FOR {
            self.young.remove(key);
            return None;
        }
        Some(holder.clone())
    }

    fn put(&mut self, key: StartKey, holder: KeyHolder, now: Instant) {
        self.old.remove(&key);
        self.keep(key, (holder, now));
    }

    fn keep(&mut self, key: StartKey, known: (KeyHolder, Instant)) {
        if self.young.len() >= KNOWN {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::{id::SagaId, input::SagaInput};

    fn key(name: &str) -> StartKey {
        ("order".to_owned(), name.to_owned())
    }

    fn message() -> ShardMessage {
        ShardMessage::of(
            SagaId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000)).expect("an id"),
            SagaInput::TimeReached,
        )
    }

    fn holder() -> KeyHolder {
        KeyHolder { stream: Uuid::nil(), payload_hash: [7; 32], record: None }
    }

    #[test]
    fn what_waits_for_a_key_is_handed_back_at_once_when_it_is_taken() {
        let (mut starting, now) = (PendingStarts::default(), Instant::now());
        assert!(matches!(starting.begin(key("a"), message(), now), StartAdmission::First(_)));
        for _ in 0..3 {
            assert!(matches!(starting.begin(key("a"), message(), now), StartAdmission::Waits));
        }
        assert_eq!(starting.taken(key("a"), holder(), now).len(), 3);
        let StartAdmission::Taken(_, found) = starting.begin(key("a"), message(), now) else { panic!("it is known") };
        assert_eq!(found, holder());
        assert!(matches!(starting.begin(key("b"), message(), now), StartAdmission::First(_)), "another key");
    }

    #[test]
    fn a_start_that_came_to_nothing_leaves_the_key_to_whoever_waited() {
        let (mut starting, now) = (PendingStarts::default(), Instant::now());
        assert!(matches!(starting.begin(key("a"), message(), now), StartAdmission::First(_)));
        assert!(matches!(starting.begin(key("a"), message(), now), StartAdmission::Waits));
        assert_eq!(starting.end(&key("a")).len(), 1);
        assert!(matches!(starting.begin(key("a"), message(), now), StartAdmission::First(_)));
    }

    #[test]
    fn a_key_is_known_for_a_while_and_not_for_ever() {
        let (mut starting, now) = (PendingStarts::default(), Instant::now());
        starting.taken(key("a"), holder(), now);
        let late = now + KNOWN_FOR;
        assert!(matches!(
            starting.begin(key("a"), message(), late - Duration::from_millis(1)),
            StartAdmission::Taken(..)
        ));
        assert!(matches!(starting.begin(key("a"), message(), late), StartAdmission::First(_)));
    }

    #[test]
    fn keys_that_come_again_stay_and_the_number_of_known_ones_is_bounded() {
        let (mut recent, now) = (RecentKeys::default(), Instant::now());
        recent.put(key("hot"), holder(), now);
        for number in 0..10 * KNOWN {
            recent.put(key(&number.to_string()), holder(), now);
            assert!(recent.get(&key("hot"), now).is_some(), "after {number}");
            assert!(recent.young.len() + recent.old.len() <= 2 * KNOWN + 1);
        }
        assert_eq!(recent.get(&key("0"), now), None);
    }
}
