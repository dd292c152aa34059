//! Starts under way, by business key: a second start with the same key waits until the first one's fate is known.

use super::message::Message;
use std::collections::{HashMap, VecDeque, hash_map::Entry};

/// Definition name and business key.
pub(super) type Key = (String, String);

/// The starts of one shard that are under way.
#[derive(Default)]
pub(super) struct Starting(HashMap<Key, VecDeque<Message>>);

impl Starting {
    /// Hands `message` back if it may start now; keeps it if a start of the same key is under way.
    pub(super) fn begin(&mut self, key: Key, message: Message) -> Option<Message> {
        match self.0.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(VecDeque::new());
                Some(message)
            }
            Entry::Occupied(mut occupied) => {
                occupied.get_mut().push_back(message);
                None
            }
        }
    }

    /// The start of `key` is decided; what waited for it is handed back, to be tried in turn.
    pub(super) fn end(&mut self, key: &Key) -> VecDeque<Message> {
        self.0.remove(key).unwrap_or_default()
    }

    /// Everything that waits.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Message> {
        std::mem::take(&mut self.0).into_values().flatten()
    }
}
