//! A participant that does what a test tells it, over HTTP and over Kafka, and remembers all that happened to it.
//!
//! It keeps the contract of participants: idempotent per command id over both transports, and with the barrier (an undo
//! that comes before its do is accepted, and the late do has no effect). Tests break the contract only where they say
//! so.

mod http;
mod kafka;
mod ledger;
mod script;

pub use http::HttpParticipant;
pub use kafka::KafkaParticipant;
pub use ledger::{EffectLedger, RecordedCall, RecordedEffect};
pub use script::{ParticipantScript, ScriptGate, ScriptedAnswer, ScriptedBehaviour, ScriptedDelivery};

use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard};

/// What both transports share: the script, and the ledger of what happened.
#[derive(Clone)]
pub struct TestParticipant {
    script: Arc<ParticipantScript>,
    ledger: Arc<Mutex<EffectLedger>>,
}

impl TestParticipant {
    /// A participant that follows `script`.
    #[must_use]
    pub fn new(script: ParticipantScript) -> TestParticipant {
        TestParticipant { script: Arc::new(script), ledger: Arc::default() }
    }

    /// A copy of what happened so far.
    #[must_use]
    pub fn ledger(&self) -> EffectLedger {
        self.book().clone()
    }

    /// Enters a call into the ledger, applies its effect if it is to have one, and says how to answer.
    fn perform(&self, call: RecordedCall) -> ScriptedBehaviour {
        let mut book = self.book();
        let nth = book.count(&call.command) + 1;
        let mut behaviour = self.script.behaviour(&call, nth);
        let command = call.command.clone();
        book.enter(call);
        if behaviour.effect && !book.apply(&command, &result_of(&behaviour)) {
            behaviour.answer =
                ScriptedAnswer::Failed { code: "already_undone".into(), message: String::new(), retryable: false };
        }
        if matches!(behaviour.answer, ScriptedAnswer::Succeeded(_)) {
            // A repeat gets the first answer, as the contract demands.
            behaviour.answer = ScriptedAnswer::Succeeded(book.result(&command));
        }
        behaviour
    }

    /// No code that can panic runs while the lock is held, and none that waits.
    fn book(&self) -> MutexGuard<'_, EffectLedger> {
        self.ledger.lock().expect("nobody panics while holding the ledger")
    }
}

fn result_of(behaviour: &ScriptedBehaviour) -> Value {
    match &behaviour.answer {
        ScriptedAnswer::Succeeded(result) => result.clone(),
        ScriptedAnswer::Failed { .. } | ScriptedAnswer::Status(_) | ScriptedAnswer::Ongoing => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(command: &str) -> RecordedCall {
        RecordedCall { command: command.into(), ..RecordedCall::default() }
    }

    #[test]
    fn a_repeat_has_no_second_effect_and_gets_the_first_answer() {
        let script =
            ParticipantScript::default().on("charge:do", |nth| ScriptedBehaviour::succeed(json!({"charge": nth})));
        let participant = TestParticipant::new(script);
        for _ in 0..3 {
            let behaviour = participant.perform(call("s:charge:do"));
            assert_eq!(behaviour.answer, ScriptedAnswer::Succeeded(json!({"charge": 1})));
        }
        assert_eq!(participant.ledger().effects().len(), 1);
        assert_eq!(participant.ledger().count("s:charge:do"), 3);
    }

    #[test]
    fn a_do_after_its_undo_has_no_effect() {
        let participant = TestParticipant::new(ParticipantScript::default());
        assert_eq!(participant.perform(call("s:charge:undo")).answer, ScriptedAnswer::Succeeded(json!({})));
        assert!(matches!(participant.perform(call("s:charge:do")).answer, ScriptedAnswer::Failed { .. }));
        assert!(!participant.ledger().is_applied("s:charge"));
    }

    #[test]
    fn an_error_can_hide_an_effect() {
        let script = ParticipantScript::default().on("charge:do", |_| ScriptedBehaviour::status(500).with_effect());
        let participant = TestParticipant::new(script);
        assert_eq!(participant.perform(call("s:charge:do")).answer, ScriptedAnswer::Status(500));
        assert!(participant.ledger().is_applied("s:charge"));
    }
}
