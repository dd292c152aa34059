//! A decision in the making: what it has recorded so far, and the state that this leads to.

use super::{DecisionContext, HISTORY_LIMIT, IgnoreReason, JitterSource};
use crate::{
    command::{CommandDirection, CommandRef},
    event::{ParkReason, SagaDecision, SagaEvent},
    evolve,
    id::StepIndex,
    policy::RetryPolicy,
    state::{EventPosition, SagaPhase, SagaPlan, SagaState},
    time::Timestamp,
};
use std::time::Duration;

pub(super) struct DecisionDraft<'a, 'c> {
    pub(super) plan: &'a SagaPlan,
    pub(super) state: &'a mut SagaState,
    pub(super) context: &'a mut DecisionContext<'c>,
    /// Never before the row above: a clock that went back does not reorder a journal.
    pub(super) now: Timestamp,
    /// The command that its guard may let be sent now.
    pub(super) released: Option<CommandRef>,
    /// What the guard says that refuses it still.
    pub(super) still_held: Option<IgnoreReason>,
    /// Something was noted that is not recorded.
    pub(super) noted: bool,
    events: Vec<SagaEvent>,
}

impl<'a, 'c> DecisionDraft<'a, 'c> {
    pub(super) fn new(
        plan: &'a SagaPlan,
        state: &'a mut SagaState,
        context: &'a mut DecisionContext<'c>,
    ) -> DecisionDraft<'a, 'c> {
        let now = context.now.max(state.last_at);
        DecisionDraft { plan, state, context, now, released: None, still_held: None, noted: false, events: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// How many facts are recorded.
    pub(super) fn recorded(&self) -> usize {
        self.events.len()
    }

    /// Records a fact and applies it.
    pub(super) fn emit(&mut self, event: SagaEvent) {
        let index = u16::try_from(self.events.len()).unwrap_or(u16::MAX);
        let name = EventPosition { version: self.state.version + 1, index };
        evolve::apply(self.plan, self.state, &event, name, self.now);
        self.events.push(event);
    }

    /// The row; `None` if nothing was recorded.
    pub(super) fn finish(mut self) -> Option<SagaDecision> {
        if self.events.is_empty() {
            return None;
        }
        self.hold_history_limit();
        let decision = SagaDecision { version: self.state.version + 1, at: self.now, events: self.events };
        evolve::close(self.state, &decision);
        Some(decision)
    }

    /// What is recorded at a bounded rate is no loop: a participant may be away, or at work, for days, and nothing
    /// follows from that.
    fn hold_history_limit(&mut self) {
        let on_its_way = matches!(self.state.course, SagaPhase::Forward | SagaPhase::Compensating { .. });
        let rows = self.state.counted_rows.saturating_add(1);
        if on_its_way && evolve::counts(&self.events) && rows.is_multiple_of(HISTORY_LIMIT) {
            let message = format!("the journal has {rows} rows beside those of waiting, the limit is {HISTORY_LIMIT}");
            self.emit(SagaEvent::SagaParked { reason: ParkReason::Limit { message } });
        }
    }

    /// The delay that `policy` has for `command` before its attempt number `attempt`, as [`RetryPolicy::delay_before`]
    /// says.
    pub(super) fn delay(
        &mut self,
        command: CommandRef,
        policy: &RetryPolicy,
        attempt: u32,
        previous: Option<Duration>,
    ) -> Duration {
        match &mut self.context.random {
            JitterSource::Seed(seed) => policy.delay_before(attempt, previous, next_random(seed)),
            JitterSource::Recorded(ends) => {
                // Jitter grows with its random number.
                let [shortest, longest] = [0, u64::MAX].map(|random| policy.delay_before(attempt, previous, random));
                ends(command).map_or(shortest, |end| end.since(self.now).clamp(shortest, longest))
            }
        }
    }
}

/// Different for each use within a decision, so that parallel steps do not have the same retry delay.
fn next_random(seed: &mut u64) -> u64 {
    // SplitMix64's increment and finalizer (Steele, Lea, Flood 2014): one seed gives a sequence.
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub(super) fn forward(step: StepIndex) -> CommandRef {
    CommandRef { step, direction: CommandDirection::Do }
}

pub(super) fn undo(step: StepIndex) -> CommandRef {
    CommandRef { step, direction: CommandDirection::Undo }
}
