//! Time in which answers could be read, added up by the judge himself: nothing is given up in any other.

use super::spec::{Kind, Spec};
use crate::given::seconds;
use saga_core::{
    answerable::{AnswerWatermark, OutageLog, OutagePeriod},
    command::{CommandAnswer, CommandDirection},
    event::{CompensationCause, SagaDecision, SagaEvent},
    input::SagaInput,
    time::Timestamp,
};
use std::{collections::BTreeMap, time::Duration};

#[derive(Debug)]
pub(super) struct Hours {
    /// By step and direction: from when the time of the attempt that is out runs.
    since: BTreeMap<(usize, CommandDirection), Timestamp>,
    /// The same by what is on record, and whether the participant is on record to work on it: what another owner knows.
    recorded: BTreeMap<(usize, CommandDirection), (Timestamp, bool)>,
    started_at: Option<Timestamp>,
    cut_off_since: Option<Timestamp>,
    cuts: Vec<(Timestamp, Timestamp)>,
    /// What the owner knows.
    pub(super) answerable: AnswerWatermark,
}

impl Hours {
    pub(super) fn new() -> Hours {
        let answerable = AnswerWatermark { until: Timestamp::MAX, outages: OutageLog::NONE };
        Hours {
            since: BTreeMap::new(),
            recorded: BTreeMap::new(),
            started_at: None,
            cut_off_since: None,
            cuts: Vec::new(),
            answerable,
        }
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off_since.is_some()
    }

    pub(super) fn cut_off(&mut self, now: Timestamp) {
        self.cut_off_since.get_or_insert(now);
        self.answerable.until = self.answerable.until.min(now);
    }

    /// The owner learns it when all that waited has been read.
    pub(super) fn reached(&mut self, now: Timestamp) {
        let Some(began) = self.cut_off_since.take() else { return };
        self.cuts.push((began, now));
        self.answerable.outages.add(OutagePeriod { began, ended: now });
        self.answerable.until = Timestamp::MAX;
    }

    pub(super) fn hears(&mut self, spec: &Spec, decision: &SagaDecision) {
        for event in &decision.events {
            self.hears_event(spec, event, decision.at);
        }
    }

    /// A participant at work has its whole time from what it said last, on record or not.
    pub(super) fn notes(&mut self, input: &SagaInput, now: Timestamp) {
        if let SagaInput::Answered { command, answer: CommandAnswer::Ongoing { ask_after, .. }, .. } = input {
            let since = now.plus(ask_after.unwrap_or_default());
            self.since.insert((command.step.at(), command.direction), since);
        }
    }

    /// What was only noted is lost with its owner. The next one asks after what is acknowledged, which has its whole
    /// time from then.
    pub(super) fn changes_owner(&mut self, now: Timestamp) {
        let from = |(since, acknowledged): &(Timestamp, bool)| if *acknowledged { now.max(*since) } else { *since };
        self.since = self.recorded.iter().map(|(command, recorded)| (*command, from(recorded))).collect();
    }

    fn runs_from(&mut self, command: (usize, CommandDirection), since: Timestamp, acknowledged: bool) {
        self.since.insert(command, since);
        self.recorded.insert(command, (since, acknowledged));
    }

    fn hears_event(&mut self, spec: &Spec, event: &SagaEvent, at: Timestamp) {
        match event {
            SagaEvent::SagaStarted { .. } => self.started_at = Some(at),
            SagaEvent::StepStarted { step, direction, .. } | SagaEvent::AttemptStarted { step, direction, .. } => {
                self.runs_from((step.at(), *direction), at, false);
            }
            SagaEvent::AttemptExtended { step, direction, ask_at, .. } => {
                self.runs_from((step.at(), *direction), ask_at.unwrap_or(at), true);
            }
            SagaEvent::AttemptFailed { step, direction, failure, .. } if failure.code == "timeout" => {
                let since = self.since[&(step.at(), *direction)];
                self.counted("an attempt", since, at, shortest(spec.steps[step.at()].kind));
            }
            SagaEvent::CompensationStarted { cause: CompensationCause::Timeout } | SagaEvent::SagaOverdue => {
                self.counted("the saga", self.started_at.expect("it started"), at, seconds(300));
            }
            _ => {}
        }
    }

    fn counted(&self, what: &str, from: Timestamp, to: Timestamp, least: Duration) {
        let now = self.cut_off_since.map(|began| (began, to));
        let cuts = self.cuts.iter().copied().chain(now);
        let lost: Duration = cuts.map(|(began, ended)| ended.min(to).since(began.max(from))).sum();
        let counted = to.since(from).saturating_sub(lost);
        assert!(counted >= least, "{what} is given up after {counted:?} of {least:?}, {lost:?} of outages aside");
    }
}

fn shortest(kind: Kind) -> Duration {
    match kind {
        Kind::Http => seconds(5),
        Kind::Kafka | Kind::Publish | Kind::Wait => seconds(30),
    }
}
