//! What a participant does when it is asked.

use super::Call;
use serde_json::{Value, json};
use tokio::sync::watch;

/// What it says.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
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
pub enum Delivery {
    /// At once, once.
    Once,
    /// Over Kafka two replies; over HTTP there can be only one.
    Twice,
    /// Not at all: the caller waits until its timeout.
    Never,
    /// When the test opens the gate.
    Held(Gate),
}

/// What happens to one call.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Whether the participant's world changes, whatever it says about that.
    pub effect: bool,
    /// What it says.
    pub answer: Answer,
    /// How often and when.
    pub delivery: Delivery,
}

impl Behaviour {
    /// Does it and says so.
    #[must_use]
    pub fn succeed(result: Value) -> Behaviour {
        Behaviour { effect: true, answer: Answer::Succeeded(result), delivery: Delivery::Once }
    }

    /// Refuses for good, without effect.
    #[must_use]
    pub fn fail(code: &str) -> Behaviour {
        Behaviour::refuse(code, false)
    }

    /// Refuses this time, without effect.
    #[must_use]
    pub fn fail_retryably(code: &str) -> Behaviour {
        Behaviour::refuse(code, true)
    }

    /// Answers with an HTTP status, without effect.
    #[must_use]
    pub fn status(status: u16) -> Behaviour {
        Behaviour { effect: false, answer: Answer::Status(status), delivery: Delivery::Once }
    }

    /// Neither does nor says anything.
    #[must_use]
    pub fn silence() -> Behaviour {
        Behaviour { effect: false, answer: Answer::Succeeded(json!({})), delivery: Delivery::Never }
    }

    /// Has not finished.
    #[must_use]
    pub fn ongoing() -> Behaviour {
        Behaviour { effect: false, answer: Answer::Ongoing, delivery: Delivery::Once }
    }

    /// The same, but its world changes: what an unknown outcome can hide.
    #[must_use]
    pub fn with_effect(self) -> Behaviour {
        Behaviour { effect: true, ..self }
    }

    /// The same, delivered as `delivery` says.
    #[must_use]
    pub fn delivered(self, delivery: Delivery) -> Behaviour {
        Behaviour { delivery, ..self }
    }

    fn refuse(code: &str, retryable: bool) -> Behaviour {
        let answer = Answer::Failed { code: code.into(), message: format!("refused: {code}"), retryable };
        Behaviour { effect: false, answer, delivery: Delivery::Once }
    }
}

/// Holds answers back until the test lets them go.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Gate {
        Gate(watch::Sender::new(false))
    }
}

impl Gate {
    /// Lets all go that wait, and all that come later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn pass(&self) {
        let mut opened = self.0.subscribe();
        opened.wait_for(|open| *open).await.expect("the gate holds the sender itself");
    }
}

type Rule = Box<dyn Fn(&Call, u32) -> Option<Behaviour> + Send + Sync>;

/// Rules, first that applies; without one every call succeeds with `{}`.
#[derive(Default)]
pub struct Script {
    rules: Vec<Rule>,
}

impl Script {
    /// For commands whose id ends in `:<command>`, such as `charge:do`: what happens at the nth call (1, 2, …) of each.
    #[must_use]
    pub fn on(self, command: &str, behaviour: impl Fn(u32) -> Behaviour + Send + Sync + 'static) -> Script {
        let ending = format!(":{command}");
        self.when(move |call, nth| call.command.ends_with(&ending).then(|| behaviour(nth)))
    }

    /// For the calls that `rule` wants, each with its number (1, 2, …) among those of its command.
    #[must_use]
    pub fn when(mut self, rule: impl Fn(&Call, u32) -> Option<Behaviour> + Send + Sync + 'static) -> Script {
        self.rules.push(Box::new(rule));
        self
    }

    pub(super) fn behaviour(&self, call: &Call, nth: u32) -> Behaviour {
        self.rules.iter().find_map(|rule| rule(call, nth)).unwrap_or_else(|| Behaviour::succeed(json!({})))
    }
}
