//! One input of whichever kind, as a row of the page.

use super::inputs::{Act, Beside, Reply, Timer};

/// One input, as a row of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happens {
    Reply(Reply),
    Beside(Beside),
    Timer(Timer),
    Act(Act),
}

impl Happens {
    /// All rows, in the order of the page.
    pub(super) fn all() -> Vec<Happens> {
        let replies = Reply::ALL.iter().copied().map(Happens::Reply);
        let beside = Beside::ALL.iter().copied().map(Happens::Beside);
        let timers = Timer::ALL.iter().copied().map(Happens::Timer);
        let acts = Act::ALL.iter().copied().map(Happens::Act);
        replies.chain(beside).chain(timers).chain(acts).collect()
    }

    fn texts(self) -> [&'static str; 3] {
        match self {
            Happens::Reply(reply) => reply.texts(),
            Happens::Beside(beside) => beside.texts(),
            Happens::Timer(timer) => timer.texts(),
            Happens::Act(act) => act.texts(),
        }
    }

    /// Whether it is about the saga, and not about one of its commands.
    pub(super) fn is_of_saga(self) -> bool {
        match self {
            Happens::Act(_) | Happens::Timer(Timer::SagaTime) => true,
            Happens::Beside(Beside::Delivered | Beside::Undelivered | Beside::Undeliverable | Beside::KeyTaken) => true,
            Happens::Beside(Beside::Released | Beside::OtherSucceeds | Beside::OtherFails | Beside::OtherGivesUp) => {
                false
            }
            Happens::Reply(_) | Happens::Timer(_) => false,
        }
    }

    /// Whether a call usually begins with it, so that tables tell what guards answer.
    pub(super) fn begins_calls(self) -> bool {
        match self {
            Happens::Reply(Reply::Succeeded) | Happens::Timer(Timer::RetryTime | Timer::GuardTime) => true,
            Happens::Beside(Beside::Released | Beside::OtherSucceeds) | Happens::Act(Act::Retry) => true,
            Happens::Reply(_) | Happens::Beside(_) | Happens::Timer(_) | Happens::Act(_) => false,
        }
    }

    /// Its name in a table.
    pub(super) fn word(self) -> &'static str {
        self.texts()[0]
    }

    /// Its name on an edge between phases.
    pub(super) fn edge(self) -> &'static str {
        self.texts()[1]
    }

    /// Its name on an edge between statuses, where fewer words do.
    pub(super) fn rough_edge(self) -> &'static str {
        match self.edge() {
            "definite failure" | "unknown" | "check refuses" => "failure",
            "step timeout" | "saga timeout" => "timeout",
            "another command" => {
                if matches!(self, Happens::Beside(Beside::OtherSucceeds)) {
                    "success"
                } else {
                    "failure"
                }
            }
            "new definition" => "retry",
            "not sent" => "guard",
            same => same,
        }
    }

    /// What it means, in a sentence.
    pub(super) fn meaning(self) -> &'static str {
        self.texts()[2]
    }
}
