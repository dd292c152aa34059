//! Events on their way to the engine.

use crate::consumer::ConsumerEvent;
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// The channel to the engine, and the events for which it has no room yet. The records in them are unfinished, so the
/// limit of unfinished records bounds what waits here.
#[derive(Debug)]
pub(in crate::consumer) struct EventOutbox {
    events: mpsc::Sender<ConsumerEvent>,
    waiting: VecDeque<ConsumerEvent>,
}

impl EventOutbox {
    pub(in crate::consumer) fn new(events: mpsc::Sender<ConsumerEvent>) -> EventOutbox {
        EventOutbox { events, waiting: VecDeque::new() }
    }

    pub(super) fn sender(&self) -> mpsc::Sender<ConsumerEvent> {
        self.events.clone()
    }

    pub(super) fn push(&mut self, event: ConsumerEvent) {
        self.waiting.push_back(event);
    }

    /// Sends what the channel has room for, in order. Does not wait. False: the engine does not receive any more.
    pub(super) fn flush(&mut self) -> bool {
        while let Some(event) = self.waiting.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event)) => {
                    self.waiting.push_front(event);
                    return true;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_channel_has_no_room_for_waits_in_its_order() {
        let (sender, mut received) = mpsc::channel(2);
        let mut outbox = EventOutbox::new(sender);
        (0..5).for_each(|number| outbox.push(ConsumerEvent::Trouble(number.to_string())));
        let mut seen = Vec::new();
        while seen.len() < 5 {
            assert!(outbox.flush());
            while let Ok(ConsumerEvent::Trouble(number)) = received.try_recv() {
                seen.push(number);
            }
        }
        assert_eq!(seen, ["0", "1", "2", "3", "4"]);
        drop(received);
        outbox.push(ConsumerEvent::Recovered);
        assert!(!outbox.flush(), "nobody receives");
    }
}
