//! When a saga has to be looked at again.

use super::{CommandPhase, CommandState, InFlightAttempt, SagaPhase, SagaPlan, SagaState, SendTime};
use crate::{
    answerable::{ALWAYS, AnswerWatermark, OutageLog, OutagePeriod},
    command::{CommandDirection, CommandRef},
    definition::StepAction,
    policy::OutagePolicy,
    time::Timestamp,
};
use std::borrow::Cow;

/// The earliest points at which [`crate::input::SagaInput::TimeReached`] may change something; `None`: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SagaTimers {
    /// Something goes on then, whatever was answered.
    pub timer: Option<Timestamp>,
    /// Something is given up then, if it has not been answered by then: the shard may not look before the answers up to
    /// there have been taken.
    pub deadline: Option<Timestamp>,
}

impl SagaTimers {
    /// The earlier of both.
    #[must_use]
    pub fn first(self) -> Option<Timestamp> {
        self.timer.into_iter().chain(self.deadline).min()
    }

    fn or(self, other: SagaTimers) -> SagaTimers {
        let earlier = |one: Option<Timestamp>, other: Option<Timestamp>| one.into_iter().chain(other).min();
        SagaTimers { timer: earlier(self.timer, other.timer), deadline: earlier(self.deadline, other.deadline) }
    }
}

impl SagaState {
    /// When the saga has to be looked at again, as if answers could be read at all times, without what a guard holds:
    /// the wait queue of the guard lets that go on, by [`crate::input::SagaInput::Released`]. A parked saga's times do
    /// not fire.
    #[must_use]
    pub fn next_due_beside_guards(&self, plan: &SagaPlan) -> Option<Timestamp> {
        self.dues_beside_guards(plan, &ALWAYS, self.last_at).first()
    }

    /// When the saga has to be looked at again. An attempt that has not been sent by `now` has its whole time before
    /// it.
    #[must_use]
    pub fn dues(&self, plan: &SagaPlan, answerable: &AnswerWatermark, now: Timestamp) -> SagaTimers {
        self.dues_of(plan, answerable, now, |_| true)
    }

    /// The same beside what guards hold.
    #[must_use]
    pub fn dues_beside_guards(&self, plan: &SagaPlan, answerable: &AnswerWatermark, now: Timestamp) -> SagaTimers {
        self.dues_of(plan, answerable, now, |command| self.held_in_line_of(plan, command).is_none())
    }

    /// The same beside the attempts that have not been sent and `wait` in a guard's wait queue to be sent once more:
    /// their time does not run.
    #[must_use]
    pub fn dues_beside_lines(
        &self,
        plan: &SagaPlan,
        answerable: &AnswerWatermark,
        now: Timestamp,
        wait: impl Fn(CommandRef) -> bool,
    ) -> SagaTimers {
        self.dues_of(plan, answerable, now, |command| {
            self.held_in_line_of(plan, command).is_none() && !(self.has_not_left(command) && wait(command))
        })
    }

    fn has_not_left(&self, command: CommandRef) -> bool {
        match &self.command(command).phase {
            CommandPhase::Attempting(attempting) => attempting.departure == SendTime::NotYet,
            CommandPhase::Idle
            | CommandPhase::Held { .. }
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. }
            | CommandPhase::Settled(_) => false,
        }
    }

    fn dues_of(
        &self,
        plan: &SagaPlan,
        answerable: &AnswerWatermark,
        now: Timestamp,
        own: impl Fn(CommandRef) -> bool,
    ) -> SagaTimers {
        let outages = &answerable.outages;
        let pauses = &*self.pauses(outages, now);
        let commands = || {
            self.commands().fold(SagaTimers::default(), |dues, (command, state)| {
                let step = SagaTimers { timer: None, deadline: self.step_ends(plan, command, outages) };
                let state = if own(command) { state.dues(pauses, now) } else { SagaTimers::default() };
                dues.or(step).or(state)
            })
        };
        match &self.course {
            SagaPhase::Forward => commands().or(SagaTimers { timer: None, deadline: self.deadline_due(plan, outages) }),
            SagaPhase::Compensating { .. } => commands(),
            SagaPhase::Parked { .. } | SagaPhase::OutcomeDue { .. } | SagaPhase::Ended(_) => SagaTimers::default(),
        }
    }

    /// When the time of the attempt of `command` that is out is over, whatever the saga's course; `None`: none is out,
    /// or its time does not run yet.
    #[must_use]
    pub fn attempt_ends(&self, command: CommandRef, outages: &OutageLog) -> Option<Timestamp> {
        match &self.command(command).phase {
            CommandPhase::Attempting(attempting) => attempting.ends(outages),
            CommandPhase::Idle
            | CommandPhase::Held { .. }
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. }
            | CommandPhase::Settled(_) => None,
        }
    }

    /// When the saga's time ends; of a parked saga, as if it were moved on at `now`.
    #[must_use]
    pub fn deadline(&self, plan: &SagaPlan, outages: &OutageLog, now: Timestamp) -> Option<Timestamp> {
        let timeout = plan.policies.timeout?;
        let pauses = self.pauses(that_extend(plan.policies.on_outage, outages), now);
        Some(pauses.end_of(self.started_at, timeout))
    }

    /// When its deadlines stand still: in `outages`, and as long as it was parked, up to `now` if it is.
    pub(crate) fn pauses<'a>(&self, outages: &'a OutageLog, now: Timestamp) -> Cow<'a, OutageLog> {
        let parked = match &self.course {
            SagaPhase::Parked { since, .. } => Some(OutagePeriod { began: *since, ended: now }),
            SagaPhase::Forward
            | SagaPhase::Compensating { .. }
            | SagaPhase::OutcomeDue { .. }
            | SagaPhase::Ended(_) => None,
        };
        let mut pauses = Cow::Borrowed(outages);
        for span in self.parked.as_slice().iter().copied().chain(parked) {
            pauses.to_mut().add(span);
        }
        pauses
    }

    /// When the whole time of the step ends that `command` performs. It ends to matter when the saga goes back, and a
    /// wait has none: its own time is what it waits.
    pub(crate) fn step_ends(&self, plan: &SagaPlan, command: CommandRef, outages: &OutageLog) -> Option<Timestamp> {
        let is_wait = matches!(plan.definition.step(command.step).action, StepAction::Wait(_));
        let it = self.command(command);
        if command.direction == CommandDirection::Undo
            || is_wait
            || !matches!(self.course, SagaPhase::Forward)
            || !it.is_open()
        {
            return None;
        }
        let policy = plan.policies.step(command.step);
        let pauses = self.pauses(that_extend(policy.on_outage, outages), self.last_at);
        Some(pauses.end_of(it.began_at?, policy.timeout?))
    }

    /// The saga's own deadline matters until it is overdue. While the pivot is out its answer is awaited.
    pub(crate) fn deadline_due(&self, plan: &SagaPlan, outages: &OutageLog) -> Option<Timestamp> {
        if self.overdue || self.pivot_is_out(plan) {
            return None;
        }
        self.deadline(plan, outages, self.last_at)
    }

    /// Whether an attempt of the pivot is unanswered.
    pub(crate) fn pivot_is_out(&self, plan: &SagaPlan) -> bool {
        self.pivot(plan).is_some_and(|pivot| matches!(self.step(pivot).forward.phase, CommandPhase::Attempting(_)))
    }
}

fn that_extend(on_outage: OutagePolicy, outages: &OutageLog) -> &OutageLog {
    match on_outage {
        OutagePolicy::Extend => outages,
        OutagePolicy::Count => &ALWAYS.outages,
    }
}

impl InFlightAttempt {
    /// When its time is over; `None`: that does not run yet.
    pub(crate) fn ends(&self, outages: &OutageLog) -> Option<Timestamp> {
        match self.departure {
            SendTime::NotYet => None,
            SendTime::AsDecided => Some(outages.end_of(self.since(), self.time)),
            SendTime::At(at) => Some(outages.end_of(self.since().max(at), self.time)),
        }
    }
}

impl CommandState {
    /// When the command itself has to be looked at, as if answers could be read at all times but `pauses`.
    pub(crate) fn due(&self, pauses: &OutageLog) -> Option<Timestamp> {
        self.dues(pauses, Timestamp::MAX).first()
    }

    fn dues(&self, outages: &OutageLog, now: Timestamp) -> SagaTimers {
        match &self.phase {
            CommandPhase::Idle | CommandPhase::Settled(_) => SagaTimers::default(),
            CommandPhase::Held { not_before: at, .. }
            | CommandPhase::Resting { until: at }
            | CommandPhase::Sleeping { until: at } => SagaTimers { timer: Some(*at), deadline: None },
            CommandPhase::Attempting(attempting) => {
                let earliest = || outages.end_of(now, attempting.time);
                let deadline = Some(attempting.ends(outages).unwrap_or_else(earliest));
                SagaTimers { timer: attempting.ask_at(), deadline }
            }
        }
    }
}
