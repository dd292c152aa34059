//! What journals tell, added up: by command (participant, definition, step, do or undo) and by participant over time.

use super::{latency::LatencyHistogram, series::ParticipantSeries};
use saga_core::{
    command::{CommandDirection, ErrorClass, GuardKind},
    time::Timestamp,
};
use std::collections::BTreeMap;

/// Most attempts that are counted by number; later ones count as the last of these.
pub(super) const NUMBERED_ATTEMPTS: usize = 20;

/// A command of a definition, as one participant performs it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ObservedCommand {
    pub(super) participant: String,
    pub(super) definition: String,
    pub(super) step: String,
    pub(super) direction: CommandDirection,
}

/// Attempts with one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AttemptCounts {
    pub(super) made: u64,
    pub(super) succeeded: u64,
}

/// What was observed of a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct CommandObservations {
    /// Attempts that were made.
    pub(super) attempts: u64,
    /// Commands that succeeded.
    pub(super) succeeded: u64,
    /// Attempts that succeeded, where no other attempt could have been the one that was answered.
    pub(super) latency: LatencyHistogram,
    /// Attempts that failed, by class.
    pub(super) failures: BTreeMap<ErrorClass, u64>,
    /// Attempts to which no answer came in time.
    pub(super) timeouts: u64,
    /// Of these, those whose command succeeded all the same, at a later attempt or late.
    pub(super) timeouts_rescued: u64,
    /// Commands that were answered when no attempt was awaited: from the beginning of the first one in doubt.
    pub(super) late: LatencyHistogram,
    /// The first attempt has the index 0.
    pub(super) by_number: Vec<AttemptCounts>,
    /// From a command's first failure to its success.
    pub(super) recovery: LatencyHistogram,
    /// Commands that ended because their attempts, or their time, were used up.
    pub(super) exhausted: u64,
    /// How long guards held commands back, by guard.
    pub(super) waits: BTreeMap<GuardKind, LatencyHistogram>,
    /// Sagas that were undone because of it.
    pub(super) compensated: u64,
    /// Sagas that were parked because of it.
    pub(super) parked: u64,
}

impl CommandObservations {
    /// The counts of attempts with this number, which begins at 1.
    pub(super) fn numbered(&mut self, attempt: u32) -> &mut AttemptCounts {
        let index = usize::try_from(attempt.max(1) - 1).unwrap_or(usize::MAX).min(NUMBERED_ATTEMPTS - 1);
        if self.by_number.len() <= index {
            self.by_number.resize(index + 1, AttemptCounts::default());
        }
        &mut self.by_number[index]
    }

    pub(super) fn merge(&mut self, other: &CommandObservations) {
        self.attempts += other.attempts;
        self.succeeded += other.succeeded;
        self.timeouts += other.timeouts;
        self.timeouts_rescued += other.timeouts_rescued;
        self.exhausted += other.exhausted;
        self.compensated += other.compensated;
        self.parked += other.parked;
        self.latency.merge(&other.latency);
        self.late.merge(&other.late);
        self.recovery.merge(&other.recovery);
        for (class, count) in &other.failures {
            *self.failures.entry(*class).or_default() += count;
        }
        for (guard, waits) in &other.waits {
            self.waits.entry(*guard).or_default().merge(waits);
        }
        for (attempt, counts) in (1..).zip(&other.by_number) {
            let known = self.numbered(attempt);
            known.made += counts.made;
            known.succeeded += counts.succeeded;
        }
    }
}

/// A journal that was passed over, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SkippedJournal {
    /// The saga's id.
    pub saga: String,
    /// Why its journal cannot be read.
    pub reason: String,
}

/// Most skipped journals that are named; all are counted.
const NAMED_JOURNALS: usize = 20;

/// Everything that was observed. As large as the names of participants and steps are many, and as the past is long up
/// to the bounds of the series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ObservedPast {
    pub(super) commands: BTreeMap<ObservedCommand, CommandObservations>,
    pub(super) series: BTreeMap<String, ParticipantSeries>,
    /// The newest definition and policies of each name, by the hashes of both, with the start of the saga that has it.
    pub(super) newest: BTreeMap<String, (Timestamp, String, String)>,
    pub(super) sagas: u64,
    pub(super) events: u64,
    /// The earliest and the latest time on record.
    pub(super) span: Option<(Timestamp, Timestamp)>,
    pub(super) skipped: u64,
    pub(super) skipped_named: Vec<SkippedJournal>,
}

impl ObservedPast {
    pub(super) fn command(&mut self, command: &ObservedCommand) -> &mut CommandObservations {
        self.commands.entry(command.clone()).or_default()
    }

    pub(super) fn series_of(&mut self, participant: &str) -> &mut ParticipantSeries {
        self.series.entry(participant.to_owned()).or_default()
    }

    pub(super) fn skip(&mut self, journal: SkippedJournal) {
        self.skipped += 1;
        if self.skipped_named.len() < NAMED_JOURNALS {
            self.skipped_named.push(journal);
        }
    }

    pub(super) fn saw(&mut self, at: Timestamp) {
        let (from, to) = self.span.unwrap_or((at, at));
        self.span = Some((from.min(at), to.max(at)));
    }

    pub(super) fn merge(&mut self, other: ObservedPast) {
        for (command, observations) in &other.commands {
            self.command(command).merge(observations);
        }
        for (participant, series) in other.series {
            self.series.entry(participant).or_default().merge(series);
        }
        for (name, newest) in other.newest {
            let known = self.newest.entry(name).or_insert_with(|| newest.clone());
            *known = newest.max(known.clone());
        }
        self.sagas += other.sagas;
        self.events += other.events;
        other.span.into_iter().for_each(|(from, to)| [from, to].into_iter().for_each(|at| self.saw(at)));
        let named = other.skipped_named.len() as u64;
        self.skipped += other.skipped - named;
        other.skipped_named.into_iter().for_each(|journal| self.skip(journal));
    }
}
