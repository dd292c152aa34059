//! The judge: knows the definition as it was drawn and hears every fact, and asks neither decide nor evolve what is
//! right.

use super::spec::{Effects, Kind, Side, Spec, name};
use saga_core::{
    command::{CommandDirection, CommandRef, RetryAdvice},
    event::{
        AttemptOutcome, CompensationCause, OperatorAction, ParkReason, SagaDecision, SagaEnd, SagaEvent,
        SubstituteAnswer,
    },
    id::StepIndex,
    time::Timestamp,
};
use std::{collections::BTreeSet, time::Duration};

/// The time of sagas that have one.
const TIME: Duration = Duration::from_secs(300);

/// What the journal said of one command.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// The attempt that is out.
    pub(super) out: Option<u32>,
    /// Attempts since an operator granted fresh ones.
    counted: u32,
    /// Askings that met an earlier sending which could still run: they cost no attempt.
    conflicts: u32,
    /// Attempts that left and are not known to have failed.
    doubts: BTreeSet<u32>,
    began: bool,
    pub(super) ended: Option<Ended>,
    /// Something else answered, with a result.
    pub(super) answered_for: bool,
    /// A fallback said that it failed for good.
    declared_failed: bool,
    /// A success was reported, in time or late.
    reported: bool,
    /// Why it was given up.
    why: Option<Why>,
    /// What the last answer said of trying again.
    last_said: Option<RetryAdvice>,
}

/// Why a do was given up, by what the participants said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Refused,
    UsedUp,
    /// Either, by how long ago an earlier attempt was given up.
    Conflict,
    /// A person can mend it.
    Mendable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Succeeded,
    Rejected,
    Failed,
    Unknown,
    Skipped,
}

#[derive(Debug)]
pub(super) struct Judge {
    spec: Spec,
    pub(super) forward: Vec<Heard>,
    pub(super) undo: Vec<Heard>,
    version: u32,
    goes_back: bool,
    parked: bool,
    pub(super) end: Option<SagaEnd>,
    end_decided: bool,
    /// An operator took the step's do as settled.
    pub(super) declared: Vec<bool>,
    /// An operator answers for what the step left behind: its undo was done by hand, or it did not happen.
    pub(super) answered_by_hand: Vec<bool>,
    /// An operator cancelled it: where it goes back after that, this is why.
    is_cancelled: bool,
    /// The answer that is being decided on.
    said: Option<(CommandRef, RetryAdvice)>,
    began_at: Option<Timestamp>,
    now: Timestamp,
    parked_at: Timestamp,
    stood_still: Duration,
}

impl Judge {
    pub(super) fn new(spec: Spec) -> Judge {
        let commands = vec![Heard::default(); spec.steps.len()];
        let declared = vec![false; spec.steps.len()];
        Judge {
            forward: commands.clone(),
            undo: commands,
            version: 0,
            goes_back: false,
            parked: false,
            end: None,
            end_decided: false,
            answered_by_hand: declared.clone(),
            declared,
            is_cancelled: false,
            said: None,
            began_at: None,
            now: Timestamp(0),
            parked_at: Timestamp(0),
            stood_still: Duration::ZERO,
            spec,
        }
    }

    /// What is about to be decided on: what an answer says of trying again.
    pub(super) fn is_told(&mut self, said: Option<(CommandRef, RetryAdvice)>) {
        self.said = said;
    }

    pub(super) fn hears(&mut self, decision: &SagaDecision) {
        if self.end.is_some() {
            self.hears_after_the_end(decision);
        }
        assert_eq!(decision.version, self.version + 1, "versions have no gaps");
        assert!(!decision.events.is_empty(), "a row records something");
        self.version = decision.version;
        self.now = decision.at;
        self.began_at.get_or_insert(decision.at);
        let none = Vec::new();
        let events = if self.end.is_none() { &decision.events } else { &none };
        events.iter().for_each(|event| self.hears_event(event));
    }

    /// A terminal saga is final: it only learns that a command succeeded of which its end could not say so. Only a
    /// person can end a saga, or take a step as settled, while it is not known what became of the step.
    fn hears_after_the_end(&mut self, decision: &SagaDecision) {
        let (step, direction) = match decision.events.as_slice() {
            [SagaEvent::ResultArrived { step, .. }, SagaEvent::IncidentOpened { .. }] => {
                (step.at(), CommandDirection::Do)
            }
            [SagaEvent::StepSucceeded { step, direction, .. }, SagaEvent::IncidentOpened { .. }] => {
                (step.at(), *direction)
            }
            _ => panic!("a terminal saga is final: {decision:?}"),
        };
        let by_a_person = matches!(self.end, Some(SagaEnd::Abandoned { .. })) || self.declared[step];
        assert!(by_a_person, "the saga ended and {direction} {} happened: {:?}", name(step), self.end);
        let command = self.command(step, direction);
        assert!(!command.reported, "{direction} {} is told twice", name(step));
        command.reported = true;
    }

    fn hears_event(&mut self, event: &SagaEvent) {
        match event {
            SagaEvent::StepStarted { step, direction, .. } => self.sent(step.at(), *direction, 1),
            SagaEvent::AttemptStarted { step, direction, attempt, .. } => self.sent(step.at(), *direction, *attempt),
            SagaEvent::WaitStarted { step, .. } => {
                self.may_begin(step.at());
                self.forward[step.at()].began = true;
            }
            SagaEvent::AttemptFailed { step, direction, attempt, outcome, failure, .. } => {
                let said = self.said_of(step.at(), *direction);
                let command = self.command(step.at(), *direction);
                command.conflicts += u32::from(failure.code == "http.409");
                command.attempt_failed(*attempt, *outcome);
                command.last_said = said;
            }
            SagaEvent::StepWaiting { step, direction, .. } => self.held(step.at(), *direction),
            SagaEvent::StepSucceeded { step, direction, .. } => {
                self.ended(step.at(), *direction, Ended::Succeeded);
                self.command(step.at(), *direction).reported = true;
            }
            SagaEvent::StepRejected { step, .. } => {
                self.ended(step.at(), CommandDirection::Do, Ended::Rejected);
                self.forward[step.at()].reported = true;
            }
            SagaEvent::StepFailed { step, direction, outcome, failure, ending: _ } => {
                self.failed(step.at(), *direction, *outcome, &failure.code);
                let why = self.why(step.at(), *direction, &failure.code);
                self.command(step.at(), *direction).why = Some(why);
            }
            SagaEvent::ResultArrived { step, .. } => self.forward[step.at()].reported = true,
            SagaEvent::StepAnswered { step, by, .. } => self.answered_for(step.at(), by),
            SagaEvent::StepSkipped { step, direction, in_doubt: _ } => self.skipped(step.at(), *direction),
            SagaEvent::CompensationStarted { cause } => {
                self.may_go_back(cause);
                assert!(!self.pivot_passed(), "after the pivot the saga only goes forward");
                assert!(!self.goes_back, "a saga goes back once");
                self.goes_back = true;
            }
            SagaEvent::SagaParked { reason } => self.parked_for(reason),
            SagaEvent::SagaResumed => self.moves_on(),
            SagaEvent::OperatorActed { action, command, .. } => self.operator(*action, *command),
            SagaEvent::SagaOverdue => self.time_is_over(),
            SagaEvent::OutcomeDue { end, .. } => {
                self.ends(end);
                self.end_decided = true;
            }
            SagaEvent::SagaEnded { end } => {
                self.ends(end);
                self.end = Some(end.clone());
            }
            SagaEvent::SagaStarted { .. }
            | SagaEvent::StepTakenOver { .. }
            | SagaEvent::DefinitionChanged { .. }
            | SagaEvent::AttemptExtended { .. }
            | SagaEvent::OutcomeWaiting { .. }
            | SagaEvent::OutcomeShortened { .. }
            | SagaEvent::IncidentOpened { .. } => {}
        }
    }

    pub(super) fn command(&mut self, step: usize, direction: CommandDirection) -> &mut Heard {
        match direction {
            CommandDirection::Do => &mut self.forward[step],
            CommandDirection::Undo => &mut self.undo[step],
        }
    }

    fn sent(&mut self, step: usize, direction: CommandDirection, attempt: u32) {
        assert!(!self.parked, "{direction} {} leaves while the saga is parked", name(step));
        match direction {
            CommandDirection::Do => self.may_begin(step),
            CommandDirection::Undo => self.may_undo(step),
        }
        let most = match direction {
            CommandDirection::Do => self.spec.steps[step].attempts,
            CommandDirection::Undo => Some(self.spec.steps[step].undo_attempts),
        };
        let command = self.command(step, direction);
        assert!(!command.answered_for, "{direction} {} leaves though it is answered for", name(step));
        command.began = true;
        command.ended = None;
        command.declared_failed = false;
        command.out = Some(attempt);
        command.counted += 1;
        command.doubts.insert(attempt);
        let counted = command.counted.saturating_sub(command.conflicts);
        assert!(most.is_none_or(|most| counted <= most), "{direction} {}: {counted} attempts of {most:?}", name(step));
    }

    fn may_begin(&self, step: usize) {
        let spec = &self.spec.steps[step];
        assert_ne!(spec.condition, Some(false), "{} has to be skipped", name(step));
        assert!(!self.goes_back, "{} begins on the way back", name(step));
        assert!(!self.undo[step].began, "{} is done after its undo was sent", name(step));
        let has_to_wait = spec.side == Side::After && !self.pivot_passed();
        assert!(!has_to_wait, "{} begins and the pivot is not passed", name(step));
        for before in &spec.after {
            let passes = match self.forward[*before].ended {
                Some(Ended::Succeeded | Ended::Skipped) => true,
                Some(Ended::Rejected | Ended::Failed | Ended::Unknown) => {
                    self.spec.steps[*before].optional || self.forward[*before].answered_for
                }
                None => false,
            };
            assert!(passes, "{} begins before {} let it", name(step), name(*before));
        }
    }

    fn may_undo(&self, step: usize) {
        assert_eq!(self.spec.steps[step].effects, Effects::Undo, "{} has no undo", name(step));
        assert!(self.may_be_applied(step), "{} was certainly not done", name(step));
        let regretted = self.spec.steps[step].optional
            && !self.forward[step].answered_for
            && matches!(self.forward[step].ended, Some(Ended::Rejected | Ended::Failed | Ended::Unknown));
        assert!(self.goes_back || regretted, "{} is undone on the way forward", name(step));
        if regretted {
            return;
        }
        assert!(!self.pivot_passed(), "{} is undone after the pivot", name(step));
        for later in self.spec.dependents(step) {
            let forward = &self.forward[later];
            assert!(
                !forward.began || forward.ended.is_some(),
                "{} is undone before {} is settled",
                name(step),
                name(later)
            );
            let needs = self.spec.steps[later].effects == Effects::Undo && self.may_be_applied(later);
            let undone = matches!(self.undo[later].ended, Some(Ended::Succeeded | Ended::Skipped));
            assert!(!needs || undone, "{} is undone before {}", name(step), name(later));
        }
    }

    /// Whether nobody can say that it has no effect.
    pub(super) fn may_be_applied(&self, step: usize) -> bool {
        let forward = &self.forward[step];
        match forward.ended {
            Some(Ended::Succeeded | Ended::Rejected) => true,
            // That a person skips it says nothing of whether it happened.
            Some(Ended::Failed | Ended::Unknown | Ended::Skipped) | None => {
                !forward.doubts.is_empty() || forward.reported
            }
        }
    }

    fn pivot_passed(&self) -> bool {
        let pivot = self.spec.steps.iter().position(|step| step.side == Side::Pivot);
        pivot.is_some_and(|pivot| matches!(self.forward[pivot].ended, Some(Ended::Succeeded | Ended::Skipped)))
    }

    fn held(&mut self, step: usize, direction: CommandDirection) {
        let command = self.command(step, direction);
        if let Some(attempt) = command.out.take() {
            command.counted = command.counted.saturating_sub(1);
            command.doubts.remove(&attempt);
        }
        command.began = true;
        command.ended = None;
    }

    fn ended(&mut self, step: usize, direction: CommandDirection, ended: Ended) {
        let command = self.command(step, direction);
        command.out = None;
        command.ended = Some(ended);
        // What ends anew has not been answered for.
        command.declared_failed = false;
    }

    fn failed(&mut self, step: usize, direction: CommandDirection, outcome: AttemptOutcome, code: &str) {
        let is_known =
            direction == CommandDirection::Do && self.spec.steps[step].checked && self.forward[step].reported;
        assert!(!is_known || code != "participant_gone", "{} is known to be applied, and nobody was asked", name(step));
        let certain = self.command(step, direction).doubts.is_empty();
        let ended = match outcome {
            AttemptOutcome::Failed => Ended::Failed,
            AttemptOutcome::Unknown => Ended::Unknown,
        };
        assert_eq!(ended == Ended::Failed, certain, "{direction} {}: a failure is certain without doubts", name(step));
        self.ended(step, direction, ended);
    }

    fn answered_for(&mut self, step: usize, by: &SubstituteAnswer) {
        let spec = &self.spec.steps[step];
        assert!(!self.goes_back, "{} is answered for on the way back", name(step));
        assert!(spec.fallback.may_say(by), "{}: {by:?} of {:?}", name(step), spec.fallback);
        let forward = &mut self.forward[step];
        match by {
            SubstituteAnswer::Cache { .. } => {
                assert!(!forward.began || forward.counted == 0, "the cache answers before a call");
                self.may_begin(step);
                self.ended(step, CommandDirection::Do, Ended::Succeeded);
            }
            SubstituteAnswer::Fallback { .. } => {
                // One that was rejected is answered for where it was to be tried again and could not be sent.
                let failed = match forward.ended {
                    Some(Ended::Failed | Ended::Unknown) => true,
                    Some(Ended::Rejected) => forward.counted == 0,
                    Some(Ended::Succeeded | Ended::Skipped) | None => false,
                };
                assert!(failed, "{} did not fail", name(step));
            }
        }
        self.forward[step].answered_for = by.failure().is_none();
        self.forward[step].declared_failed = by.failure().is_some();
    }

    fn skipped(&mut self, step: usize, direction: CommandDirection) {
        let by_condition = direction == CommandDirection::Do && self.spec.steps[step].condition == Some(false);
        assert!(by_condition || self.declared[step], "{} is skipped without a reason", name(step));
        if direction == CommandDirection::Undo {
            self.answered_by_hand[step] = true;
        }
        self.ended(step, direction, Ended::Skipped);
    }

    fn parked_for(&mut self, reason: &ParkReason) {
        assert!(!self.parked, "a parked saga parks again");
        self.parked = true;
        self.parked_at = self.now;
        match reason {
            ParkReason::PivotUnknown { step, .. } => assert!(self.is_pivot_in_doubt(step.at()), "{}", name(step.at())),
            ParkReason::StepFailed { step, .. } => self.may_park_for(step.at()),
            ParkReason::UndoFailed { .. } | ParkReason::Output { .. } | ParkReason::Limit { .. } => {}
        }
        if let ParkReason::UndoFailed { .. } = reason {
            let open = self.undo.iter().chain(&self.forward).any(|command| command.began && command.ended.is_none());
            assert!(!open, "the rest finishes before the saga parks for an undo");
        }
    }

    /// `on`: the command that the act is about; of a retry, `None` is all.
    fn operator(&mut self, action: OperatorAction, on: Option<CommandRef>) {
        match action {
            OperatorAction::Retry => {
                self.moves_on();
                match on {
                    Some(on) => self.command(on.step.at(), on.direction).counted = 0,
                    None => self.forward.iter_mut().chain(&mut self.undo).for_each(|command| command.counted = 0),
                }
            }
            OperatorAction::Skip => {
                let on = on.map(|on| on.step);
                // Whatever the saga is parked for: to skip a pivot in doubt that has no undo says that it did not
                // happen.
                if let Some(pivot) = on.map(StepIndex::at).filter(|step| self.is_pivot_in_doubt(*step)) {
                    self.answered_by_hand[pivot] = true;
                }
                self.moves_on();
                if let Some(step) = on.map(StepIndex::at) {
                    let gave_up = |heard: &Heard| matches!(heard.ended, Some(Ended::Failed | Ended::Unknown));
                    let rejected = self.forward[step].ended == Some(Ended::Rejected);
                    self.declared[step] |= rejected || gave_up(&self.forward[step]) || gave_up(&self.undo[step]);
                }
            }
            OperatorAction::Cancel => {
                self.moves_on();
                self.is_cancelled = true;
            }
            OperatorAction::Abandon | OperatorAction::Migrate | OperatorAction::Erase => {}
        }
    }

    fn ends(&self, end: &SagaEnd) {
        let all = || 0..self.spec.steps.len();
        match end {
            SagaEnd::Completed { .. } => {
                for step in all().filter(|step| !self.spec.steps[*step].optional) {
                    let forward = &self.forward[step];
                    let done = matches!(forward.ended, Some(Ended::Succeeded | Ended::Skipped));
                    assert!(done || forward.answered_for, "completed without {}", name(step));
                }
            }
            SagaEnd::Compensated { .. } => {
                assert!(self.goes_back, "compensated without a cause");
                let undone = |step: usize| matches!(self.undo[step].ended, Some(Ended::Succeeded | Ended::Skipped));
                let left = |step: &usize| {
                    self.spec.steps[*step].effects == Effects::Undo && self.may_be_applied(*step) && !undone(*step)
                };
                // What is reported once the end is decided can only be told.
                let left = all().find(left).filter(|_| !self.end_decided);
                assert_eq!(left.map(name), None, "compensated, and it may have happened and is not undone");
            }
            SagaEnd::Abandoned { .. } => return,
        }
        let open = self.undo.iter().chain(&self.forward).any(|command| command.began && command.ended.is_none());
        assert!(!open, "ended while something is under way");
    }

    /// A success that is reported of a step which a person skipped, and of which none was reported before, has to be
    /// told, unless its undo is under way or done.
    pub(super) fn has_to_tell_of(&self, step: usize) -> bool {
        let forward = &self.forward[step];
        let skipped = forward.ended == Some(Ended::Skipped) && self.declared[step];
        skipped && !forward.reported && !self.undo[step].began && self.undo[step].ended.is_none() && self.end.is_none()
    }

    fn said_of(&self, step: usize, direction: CommandDirection) -> Option<RetryAdvice> {
        let (command, said) = self.said?;
        (command.step.at() == step && command.direction == direction).then_some(said)
    }

    fn why(&self, step: usize, direction: CommandDirection, code: &str) -> Why {
        let heard = match direction {
            CommandDirection::Do => &self.forward[step],
            CommandDirection::Undo => &self.undo[step],
        };
        match (code, heard.last_said) {
            ("participant_gone", _) | ("timeout", Some(RetryAdvice::ThenPark | RetryAdvice::Park)) => Why::Mendable,
            ("timeout", _) => Why::UsedUp,
            ("refused", _) | (_, Some(RetryAdvice::No)) => Why::Refused,
            (_, Some(RetryAdvice::ThenPark | RetryAdvice::Park)) => Why::Mendable,
            (_, Some(RetryAdvice::Conflict)) => Why::Conflict,
            (_, Some(RetryAdvice::Yes) | None) => Why::UsedUp,
        }
    }

    fn may_go_back(&self, cause: &CompensationCause) {
        match cause {
            CompensationCause::Timeout => self.time_is_over(),
            CompensationCause::Cancelled { .. } => assert!(self.is_cancelled, "nobody cancelled the saga"),
            CompensationCause::Step { step, .. } => {
                assert!(!self.is_cancelled, "a cancel waited, and {} is named as the cause", name(step.at()));
                let (spec, forward) = (&self.spec.steps[step.at()], &self.forward[step.at()]);
                let refused = forward.ended == Some(Ended::Rejected) || self.answered_by_hand[step.at()];
                let fits = match forward.why {
                    _ if refused || forward.declared_failed => true,
                    Some(Why::Refused | Why::Conflict) => true,
                    Some(Why::UsedUp) => !spec.parks,
                    Some(Why::Mendable) | None => false,
                };
                assert!(fits, "the saga is undone because of {}: {:?}", name(step.at()), forward);
            }
        }
    }

    fn may_park_for(&self, step: usize) {
        let (spec, forward) = (&self.spec.steps[step], &self.forward[step]);
        let fits = match forward.why {
            _ if spec.side == Side::After => true,
            Some(Why::Mendable | Why::Conflict) => true,
            Some(Why::UsedUp) => spec.parks,
            Some(Why::Refused) | None => false,
        };
        let has_to_go_back = forward.declared_failed && spec.side != Side::After;
        assert!(fits && !has_to_go_back, "the saga parks for {}: {forward:?}", name(step));
    }

    fn time_is_over(&self) {
        let began_at = self.began_at.expect("it began");
        let counted = self.now.since(began_at).saturating_sub(self.stood_still);
        assert!(counted >= TIME, "the saga's time is over after {counted:?} beside what it was parked");
    }

    fn moves_on(&mut self) {
        if std::mem::take(&mut self.parked) {
            self.stood_still += self.now.since(self.parked_at);
        }
    }

    /// Whether nobody knows if the pivot happened, and it has no undo.
    fn is_pivot_in_doubt(&self, step: usize) -> bool {
        let spec = &self.spec.steps[step];
        let unknown = self.forward[step].ended == Some(Ended::Unknown);
        spec.side == Side::Pivot && spec.effects != Effects::Undo && unknown
    }

    /// What is out, by what the journal said.
    pub(super) fn out(&self) -> BTreeSet<(usize, CommandDirection, u32)> {
        let forward =
            self.forward.iter().enumerate().filter_map(|(step, heard)| Some((step, CommandDirection::Do, heard.out?)));
        let undo =
            self.undo.iter().enumerate().filter_map(|(step, heard)| Some((step, CommandDirection::Undo, heard.out?)));
        if self.end.is_some() { BTreeSet::new() } else { forward.chain(undo).collect() }
    }

    pub(super) fn is_wait(&self, step: usize) -> bool {
        self.spec.steps[step].kind == Kind::Wait
    }
}

impl Heard {
    fn attempt_failed(&mut self, attempt: u32, outcome: AttemptOutcome) {
        if outcome == AttemptOutcome::Failed {
            assert!(self.doubts.remove(&attempt), "a failure counts once, for an attempt that was out");
        }
        if self.out == Some(attempt) {
            self.out = None;
        }
    }
}
