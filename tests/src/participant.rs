//! A participant that does what a test tells it, over HTTP and over Kafka, and remembers all that happened to it.
//!
//! It keeps the contract of participants: idempotent per command id over both transports, and with the barrier (an undo that
//! comes before its do is accepted, and the late do has no effect). Tests break the contract only where they say so.

mod http;
mod kafka;
mod ledger;
mod script;

pub use http::HttpParticipant;
pub use kafka::KafkaParticipant;
pub use ledger::{Call, Effect, Ledger};
pub use script::{Answer, Behaviour, Delivery, Gate, Script};

use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard};

/// What both transports share: the script, and the ledger of what happened.
#[derive(Clone)]
pub struct Participant {
    script: Arc<Script>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Participant {
    /// A participant that follows `script`.
    #[must_use]
    pub fn new(script: Script) -> Participant {
        Participant { script: Arc::new(script), ledger: Arc::default() }
    }

    /// A copy of what happened so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.book().clone()
    }

    /// Enters a call into the ledger, applies its effect if it is to have one, and says how to answer.
    fn perform(&self, call: Call) -> Behaviour {
        let mut book = self.book();
        let nth = book.count(&call.command) + 1;
        let mut behaviour = self.script.behaviour(&call, nth);
        let command = call.command.clone();
        book.enter(call);
        if behaviour.effect && !book.apply(&command, &result_of(&behaviour)) {
            behaviour.answer =
                Answer::Failed { code: "already_undone".into(), message: String::new(), retryable: false };
        }
        if matches!(behaviour.answer, Answer::Succeeded(_)) {
            // A repeat gets the first answer, as the contract demands.
            behaviour.answer = Answer::Succeeded(book.result(&command));
        }
        behaviour
    }

    /// No code that can panic runs while the lock is held, and none that waits.
    fn book(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("nobody panics while holding the ledger")
    }
}

fn result_of(behaviour: &Behaviour) -> Value {
    match &behaviour.answer {
        Answer::Succeeded(result) => result.clone(),
        Answer::Failed { .. } | Answer::Status(_) | Answer::Ongoing => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(command: &str) -> Call {
        Call { command: command.into(), ..Call::default() }
    }

    #[test]
    fn a_repeat_has_no_second_effect_and_gets_the_first_answer() {
        let script = Script::default().on("charge:do", |nth| Behaviour::succeed(json!({"charge": nth})));
        let participant = Participant::new(script);
        for _ in 0..3 {
            let behaviour = participant.perform(call("s:charge:do"));
            assert_eq!(behaviour.answer, Answer::Succeeded(json!({"charge": 1})));
        }
        assert_eq!(participant.ledger().effects().len(), 1);
        assert_eq!(participant.ledger().count("s:charge:do"), 3);
    }

    #[test]
    fn a_do_after_its_undo_has_no_effect() {
        let participant = Participant::new(Script::default());
        assert_eq!(participant.perform(call("s:charge:undo")).answer, Answer::Succeeded(json!({})));
        assert!(matches!(participant.perform(call("s:charge:do")).answer, Answer::Failed { .. }));
        assert!(!participant.ledger().is_applied("s:charge"));
    }

    #[test]
    fn an_error_can_hide_an_effect() {
        let script = Script::default().on("charge:do", |_| Behaviour::status(500).with_effect());
        let participant = Participant::new(script);
        assert_eq!(participant.perform(call("s:charge:do")).answer, Answer::Status(500));
        assert!(participant.ledger().is_applied("s:charge"));
    }
}
