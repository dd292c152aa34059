//! Detection of a database whose state is older than what it had confirmed.

use crate::{AppendOutcome, StreamAppend};
use uuid::Uuid;

/// What a process knows to be committed. The caller keeps it outside of the database: if all processes stop while a
/// standby takes over that lagged, no process remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitConfirmation {
    /// Id of the process that wrote the heartbeats; on SQLite, where only one process can write, the id of the file.
    pub writer: Uuid,
    /// Number of its last heartbeat. If the database has this heartbeat, it has all that was confirmed before it was
    /// sent.
    pub number: i64,
    /// When the process sent that heartbeat, by its clock, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The last append that was confirmed after that heartbeat, if there was one.
    pub append: Option<ConfirmedAppend>,
}

/// A confirmed append, by which the database is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfirmedAppend {
    /// The stream of the append: [`crate::StreamAppend::stream`].
    pub stream: Uuid,
    /// The version of the row: [`crate::StreamAppend::version`].
    pub version: i32,
    /// The id of the append: [`crate::StreamAppend::append_id`].
    pub append_id: Uuid,
    /// When the writer decided the row: [`crate::StreamAppend::recorded_at_ms`].
    pub at_ms: i64,
}

impl ConfirmedAppend {
    /// The first append of a batch that was committed. One of a batch is enough: a batch is one transaction.
    pub(crate) fn first_of(batch: &[StreamAppend], answers: &[AppendOutcome]) -> Option<ConfirmedAppend> {
        let (append, _) = batch.iter().zip(answers).find(|(_, answer)| **answer == AppendOutcome::Committed)?;
        Some(ConfirmedAppend {
            stream: append.stream,
            version: append.version.cast_signed(),
            append_id: append.append_id,
            at_ms: append.recorded_at_ms,
        })
    }
}

impl CommitConfirmation {
    /// When the latest of heartbeat and append was written, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn last_ms(&self) -> i64 {
        self.append.map_or(self.at_ms, |append| append.at_ms.max(self.at_ms))
    }
}

/// The part of one [`CommitConfirmation`] that a database has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfirmationEvidence {
    /// Number and time of the writer's last heartbeat in the database.
    pub(crate) beat: Option<(i64, i64)>,
    /// Whether the database has the append. True if [`CommitConfirmation`] names none.
    pub(crate) append: bool,
}

impl ConfirmationEvidence {
    fn lacks(&self, confirmed: &CommitConfirmation) -> bool {
        self.beat.is_none_or(|(number, _)| number < confirmed.number) || !self.append
    }

    /// When the latest part was written that the database has.
    fn kept_ms(&self, confirmed: &CommitConfirmation) -> Option<i64> {
        let append = confirmed.append.filter(|_| self.append).map(|append| append.at_ms);
        self.beat.map(|(_, at_ms)| at_ms).into_iter().chain(append).max()
    }
}

/// The loss of a database, compared with what earlier processes knew.
#[derive(Debug)]
pub(crate) struct MissingConfirmations {
    /// Positions of the missing ones in the slice that was compared.
    pub(crate) positions: Vec<usize>,
    pub(crate) told: StepBack,
}

/// Compares; `None`: nothing is missing. `number` becomes [`StepBack::number`].
pub(crate) fn missing(
    number: u64,
    all: &[CommitConfirmation],
    has: &[ConfirmationEvidence],
) -> Option<MissingConfirmations> {
    let both = || all.iter().zip(has);
    let lacking = || both().enumerate().filter(|(_, (confirmed, has))| has.lacks(confirmed));
    let lost_until_ms = lacking().map(|(_, (confirmed, _))| confirmed.last_ms()).max()?;
    let told = StepBack {
        number,
        // A later heartbeat or append was written after the loss, and does not show what the database kept.
        kept_until_ms: both().filter_map(|(one, has)| has.kept_ms(one)).filter(|kept| *kept <= lost_until_ms).max(),
        lost_until_ms,
        missing_appends: lacking().filter(|(_, (_, has))| !has.append).count(),
        missing_claims: Vec::new(),
        timelines: None,
    };
    Some(MissingConfirmations { positions: lacking().map(|(position, _)| position).collect(), told })
}

/// The database lost what it had confirmed: a standby that lagged took over, or an operator restored an older state.
///
/// When the store reports it, all epochs that this process had claimed are fenced, so that no decision from lost rows
/// is committed. The process has to claim its shards and read their streams again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepBack {
    /// 1 for the first step back that this process saw, 2 for the next.
    pub number: u64,
    /// When the latest heartbeat or append was written that the database still has, by the caller's clock, in
    /// milliseconds since the Unix epoch. The database has all that was written before. `None`: it has nothing of what
    /// this process remembers.
    pub kept_until_ms: Option<i64>,
    /// When the latest heartbeat or append was written that is missing or may be missing, by the same clock and unit.
    pub lost_until_ms: i64,
    /// How many of the remembered appends are missing. The database may have lost more.
    pub missing_appends: usize,
    /// The shards whose last claim by this process is missing.
    pub missing_claims: Vec<u16>,
    /// The timeline of the server before and now, if the server reports it.
    pub timelines: Option<(i64, i64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: i64 = 10_000;

    fn confirmed(number: i64, append_at_ms: Option<i64>) -> CommitConfirmation {
        let append = |at_ms| ConfirmedAppend { stream: Uuid::nil(), version: 1, append_id: Uuid::nil(), at_ms };
        CommitConfirmation { writer: Uuid::nil(), number, at_ms: OLD + number, append: append_at_ms.map(append) }
    }

    const fn has(number: i64, append: bool) -> ConfirmationEvidence {
        ConfirmationEvidence { beat: Some((number, OLD + number)), append }
    }

    #[test]
    fn nothing_is_missing_while_all_is_there_or_more() {
        let all = [confirmed(7, None), confirmed(7, Some(OLD + 9))];
        assert!(missing(1, &all, &[has(7, true), has(9, true)]).is_none());
        assert!(missing(1, &[], &[]).is_none());
    }

    #[test]
    fn the_time_that_is_missing_lies_between_what_is_there_and_what_was_known() {
        let all = [confirmed(7, None), confirmed(90, Some(OLD + 95))];
        let missing = missing(1, &all, &[has(7, true), has(60, false)]).expect("30 heartbeats and an append");
        assert_eq!(missing.positions, [1]);
        let told = missing.told;
        assert_eq!((told.kept_until_ms, told.lost_until_ms), (Some(OLD + 60), OLD + 95));
        assert_eq!(told.missing_appends, 1);
    }

    #[test]
    fn a_writer_of_whom_nothing_is_there_is_missing() {
        let nothing = ConfirmationEvidence { beat: None, append: true };
        let missing = missing(1, &[confirmed(3, None)], &[nothing]).expect("a heartbeat");
        assert_eq!((missing.told.kept_until_ms, missing.told.lost_until_ms), (None, OLD + 3));
    }

    #[test]
    fn whoever_wrote_after_the_loss_does_not_say_what_was_kept() {
        let all = [confirmed(5, None), confirmed(900, None)];
        let missing = missing(1, &all, &[has(4, true), has(900, true)]).expect("a heartbeat");
        assert_eq!(missing.told.kept_until_ms, Some(OLD + 4));
    }
}
