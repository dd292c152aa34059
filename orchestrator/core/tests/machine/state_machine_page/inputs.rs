//! What can happen to a saga, as the page lists it.

/// An enum whose variants are all listed: each has a name in tables, a name on edges of diagrams, and a meaning.
macro_rules! listed {
    ($(#[$doc:meta])* $name:ident { $($variant:ident: $word:literal, $edge:literal, $meaning:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum $name { $($variant),+ }

        impl $name {
            pub(super) const ALL: &[$name] = &[$($name::$variant),+];

            pub(super) fn texts(self) -> [&'static str; 3] {
                match self { $($name::$variant => [$word, $edge, $meaning]),+ }
            }
        }
    };
}

listed! {
    /// An answer to the command that the case is about.
    Reply {
        Succeeded: "succeeded", "success",
            "The participant did it.";
        CheckRefuses: "succeeded, `check` refuses", "check refuses",
            "The participant did it, and the step's `check` is not true.";
        SucceededUnnamed: "succeeded, no attempt named", "success",
            "The participant did it. The answer does not name the attempt.";
        FailedRetryable: "failed, retryable", "failure",
            "The attempt certainly had no effect. Another attempt may help.";
        FailedDefinite: "failed, definite", "definite failure",
            "The attempt certainly had no effect. No other attempt helps.";
        FailedConflict: "failed, conflict", "definite failure",
            "A 409: definite, unless another sending of the command can still run.";
        FailedNeedsPerson: "failed, needs a person", "failure",
            "A 401, 403 or 407: retryable. An operator has to repair something.";
        FailedUnnamed: "failed, no attempt named", "failure",
            "Failed, retryable. The answer does not name the attempt.";
        FailedOther: "failed, another attempt", "failure",
            "Failed, retryable. The attempt that the answer names was never made.";
        UnknownRetryable: "unknown, retryable", "unknown",
            "The attempt may have had its effect. The policy decides on another attempt.";
        UnknownDefinite: "unknown, not retried", "unknown",
            "The attempt may have had its effect. A do gets no other attempt.";
        UnknownConflict: "unknown, conflict", "unknown",
            "The attempt may have had its effect, and it met another sending of the command.";
        UnknownNeedsPerson: "unknown, needs a person", "unknown",
            "The attempt may have had its effect. An operator has to repair something.";
        UnknownUnreadable: "unknown, the reply cannot be read", "unknown",
            "The participant's reply cannot be read: it is a dead letter. No other attempt helps.";
        Ongoing: "in progress", "in progress",
            "The participant works on the command and will report.";
        OngoingAsk: "in progress, to be asked", "in progress",
            "The participant works on the command. The engine asks later.";
        NotSent: "not sent", "not sent",
            "A guard or the transport did not send the attempt.";
    }
}

listed! {
    /// A point in time at which the engine looks at the saga.
    Timer {
        AttemptTime: "the attempt times out", "timer",
            "No answer came within the attempt's timeout.";
        AskTime: "time to ask", "timer",
            "The engine asks a participant that works on the command.";
        RetryTime: "the retry delay is over", "timer",
            "The next attempt is due.";
        GuardTime: "time to ask the guard", "timer",
            "The time that the guard named has come.";
        WaitTime: "the wait is over", "timer",
            "The time of a `wait` step is over.";
        StepTime: "the step times out", "step timeout",
            "The step's `timeout` is over.";
        SagaTime: "the saga times out", "saga timeout",
            "The saga's `timeout` is over.";
        NothingDue: "a stale timer", "timer",
            "The engine gives the time to the saga, and nothing is due.";
    }
}

listed! {
    /// What an operator does.
    Act {
        Retry: "retry", "retry", "An operator retries the saga.";
        RetryNamed: "retry, names the command", "retry", "An operator retries this command.";
        Skip: "skip", "skip", "An operator skips the command for which the saga is parked.";
        SkipNamed: "skip, names the command", "skip", "An operator skips this command.";
        Cancel: "cancel", "cancel", "An operator cancels the saga.";
        CancelNamed: "cancel, names the command", "cancel", "An operator cancels and names a step.";
        Abandon: "abandon", "abandon", "An operator abandons the saga.";
        Erase: "erase", "erase", "An operator erases the saga.";
        Repeated: "the same act again", "act again", "The journal has the same act with the same id.";
        TakenId: "another act, same id", "act again", "The journal has another act with the same id.";
        MendedOther: "retry, new definition", "new definition",
            "An operator retries by another text of the definition. Here the text has one comment more.";
        MendedSame: "retry, same definition", "new definition",
            "An operator retries by the text that the saga runs by.";
        MigratedOther: "migrate, new definition", "new definition",
            "An operator moves the saga to another text of the definition. Here the text has one comment more.";
        MigratedSame: "migrate, same definition", "new definition",
            "An operator moves the saga to the text that it runs by.";
    }
}

listed! {
    /// What happens beside the command.
    Beside {
        Released: "the guard admits it", "guard",
            "The guard that held the command back admits it.";
        OtherSucceeds: "another command succeeded", "another command",
            "The first other command that is out succeeded.";
        OtherFails: "another command failed, definite", "another command",
            "The first other command that is out failed permanently.";
        OtherGivesUp: "another command failed, retryable", "another command",
            "The first other command that is out failed, and another attempt may help.";
        Delivered: "the outcome event is delivered", "outcome event",
            "The broker has the outcome event.";
        Undelivered: "the outcome event is refused", "outcome event",
            "The broker does not accept the outcome event now.";
        Undeliverable: "the outcome event is impossible", "outcome event",
            "The broker will never accept the outcome event as it is.";
        KeyTaken: "a record under the same key", "key taken",
            "A record with another payload came under the saga's key.";
    }
}

listed! {
    /// What guards answer to a call that is about to be recorded.
    Gate {
        Admits: "", "", "The guards admit the call.";
        Probes: ", as a probe", "probe",
            "The guards admit the call as a probe. A probe is not counted as an attempt.";
        Refuses: ", a guard refuses", "guard refuses",
            "A guard does not admit the call now.";
        Gone: ", no such participant", "no such participant",
            "`participants.yaml` no longer has the participant.";
    }
}

impl Gate {
    /// What it adds to the name of an input in a table.
    pub(super) fn word(self) -> &'static str {
        self.texts()[0]
    }

    /// Its name on an edge of a diagram.
    pub(super) fn edge(self) -> &'static str {
        self.texts()[1]
    }

    /// What it means.
    pub(super) fn meaning(self) -> &'static str {
        self.texts()[2]
    }
}
