//! What a participant does when it is asked.

use super::RecordedCall;
use serde_json::{Value, json};
use tokio::sync::watch;

/// What it says.
#[derive(Clone, Debug, PartialEq)]
pub enum ScriptedAnswer {
    /// HTTP 200 with this body; over Kafka `succeeded`.
    Succeeded(Value),
    /// HTTP 422, or 429 if retryable; over Kafka `failed`.
    Failed {
        /// `error_code`.
        code: String,
        /// `error_message`.
        message: String,
        /// `error_retryable`.
        retryable: bool,
    },
    /// This HTTP status with an empty body. Kafka has no such thing: nothing is answered.
    Status(u16),
    /// HTTP 425; over Kafka `ongoing`.
    Ongoing,
}

/// How often and when it says it.
#[derive(Clone, Debug)]
pub enum ScriptedDelivery {
    /// At once, once.
    Once,
    /// Over Kafka two replies; over HTTP there can be only one.
    Twice,
    /// Not at all: the caller waits until its timeout.
    Never,
    /// When the test opens the gate.
    Held(ScriptGate),
}

/// What happens to one call.
#[derive(Clone, Debug)]
pub struct ScriptedBehaviour {
    /// Whether the participant's world changes, whatever it says about that.
    pub effect: bool,
    /// What it says.
    pub answer: ScriptedAnswer,
    /// How often and when.
    pub delivery: ScriptedDelivery,
}

impl ScriptedBehaviour {
    /// Does it and says so.
    #[must_use]
    pub fn succeed(result: Value) -> ScriptedBehaviour {
        ScriptedBehaviour { effect: true, answer: ScriptedAnswer::Succeeded(result), delivery: ScriptedDelivery::Once }
    }

    /// Refuses for good, without effect.
    #[must_use]
    pub fn fail(code: &str) -> ScriptedBehaviour {
        ScriptedBehaviour::refuse(code, false)
    }

    /// Refuses this time, without effect.
    #[must_use]
    pub fn fail_retryably(code: &str) -> ScriptedBehaviour {
        ScriptedBehaviour::refuse(code, true)
    }

    /// Answers with an HTTP status, without effect.
    #[must_use]
    pub fn status(status: u16) -> ScriptedBehaviour {
        ScriptedBehaviour { effect: false, answer: ScriptedAnswer::Status(status), delivery: ScriptedDelivery::Once }
    }

    /// Neither does nor says anything.
    #[must_use]
    pub fn silence() -> ScriptedBehaviour {
        ScriptedBehaviour {
            effect: false,
            answer: ScriptedAnswer::Succeeded(json!({})),
            delivery: ScriptedDelivery::Never,
        }
    }

    /// Has not finished.
    #[must_use]
    pub fn ongoing() -> ScriptedBehaviour {
        ScriptedBehaviour { effect: false, answer: ScriptedAnswer::Ongoing, delivery: ScriptedDelivery::Once }
    }

    /// The same, but its world changes: what an unknown outcome can hide.
    #[must_use]
    pub fn with_effect(self) -> ScriptedBehaviour {
        ScriptedBehaviour { effect: true, ..self }
    }

    /// The same, delivered as `delivery` says.
    #[must_use]
    pub fn delivered(self, delivery: ScriptedDelivery) -> ScriptedBehaviour {
        ScriptedBehaviour { delivery, ..self }
    }

    fn refuse(code: &str, retryable: bool) -> ScriptedBehaviour {
        let answer = ScriptedAnswer::Failed { code: code.into(), message: format!("refused: {code}"), retryable };
        ScriptedBehaviour { effect: false, answer, delivery: ScriptedDelivery::Once }
    }
}

/// Holds answers back until the test lets them go.
#[derive(Clone, Debug)]
pub struct ScriptGate(watch::Sender<bool>);

impl Default for ScriptGate {
    fn default() -> ScriptGate {
        ScriptGate(watch::Sender::new(false))
    }
}

impl ScriptGate {
    /// Lets all go that wait, and all that come later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn pass(&self) {
        let mut opened = self.0.subscribe();
        opened.wait_for(|open| *open).await.expect("the gate holds the sender itself");
    }
}

type ScriptRule = Box<dyn Fn(&RecordedCall, u32) -> Option<ScriptedBehaviour> + Send + Sync>;

/// Rules, first that applies; without one every call succeeds with `{}`.
#[derive(Default)]
pub struct ParticipantScript {
    rules: Vec<ScriptRule>,
}

impl ParticipantScript {
    /// For commands whose id ends in `:<command>`, such as `charge:do`: what happens at the nth call (1, 2, …) of each.
    #[must_use]
    pub fn on(
        self,
        command: &str,
        behaviour: impl Fn(u32) -> ScriptedBehaviour + Send + Sync + 'static,
    ) -> ParticipantScript {
        let ending = format!(":{command}");
        self.when(move |call, nth| call.command.ends_with(&ending).then(|| behaviour(nth)))
    }

    /// For the calls that `rule` wants, each with its number (1, 2, …) among those of its command.
    #[must_use]
    pub fn when(
        mut self,
        rule: impl Fn(&RecordedCall, u32) -> Option<ScriptedBehaviour> + Send + Sync + 'static,
    ) -> ParticipantScript {
        self.rules.push(Box::new(rule));
        self
    }

    pub(super) fn behaviour(&self, call: &RecordedCall, nth: u32) -> ScriptedBehaviour {
        self.rules.iter().find_map(|rule| rule(call, nth)).unwrap_or_else(|| ScriptedBehaviour::succeed(json!({})))
    }
}
