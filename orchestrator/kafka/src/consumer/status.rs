//! How intake is doing, for health checks and metrics.

use super::group::GroupCoverage;
use saga_core::time::Timestamp;
use saga_wire::record::TopicPartition;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long no read may succeed: four checks, each of which a slow broker may delay.
const MAX_SILENCE: Duration = Duration::from_secs(20);

/// How long intake may be hindered. A rolling restart of the brokers and an election take less.
const MAX_TROUBLE: Duration = Duration::from_secs(30);

/// How long partitions may have no member, or one that is no engine. A rebalance takes less.
const MAX_UNSETTLED: Duration = Duration::from_secs(20);

/// How long an open transaction may hold back the next record: as long as Kafka's own producers wait by default before
/// a transaction is aborted.
const MAX_HELD_BACK: Duration = Duration::from_secs(60);

/// How long the client may read nothing although there is something to read.
const MAX_STALL: Duration = Duration::from_secs(30);

/// A snapshot of intake, published a few times a second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// Name of the consumer: [`ConsumerSettings::name`](super::ConsumerSettings::name).
    pub name: &'static str,
    /// The topics that it reads.
    pub topics: Vec<Arc<str>>,
    /// When the thread last polled. An old time means that the thread is stuck, whatever the group believes.
    pub polled: Option<Instant>,
    /// When the thread began.
    pub started: Option<Instant>,
    /// Number of partitions that are read here.
    pub assigned: usize,
    /// Number of these that are paused now.
    pub paused: usize,
    /// Records that were delivered and are not finished, over all partitions.
    pub unfinished_records: usize,
    /// Bytes of these records.
    pub unfinished_bytes: usize,
    /// When a check last read every assigned partition with success. With no partition assigned: when the broker last
    /// described the topics. Checks run every five seconds.
    pub last_read: Option<Instant>,
    /// One entry for each partition that is read here.
    pub partitions: Vec<PartitionStatus>,
    /// Which partitions the other members of the group read.
    pub coverage: GroupCoverage,
    /// What hinders intake now. `None`: nothing does.
    pub trouble: Option<String>,
    /// Since when intake is hindered, whatever the reasons were.
    pub troubled_since: Option<Instant>,
}

/// A snapshot of one partition that is read here. Offsets are those of Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// The topic and the number of the partition.
    pub partition: TopicPartition,
    /// Offset of the record that is delivered next.
    pub next: i64,
    /// Offset of the oldest record that is not finished; `next` if there is none.
    pub finished: i64,
    /// Offset after the last record that could be read at the last check.
    pub end: i64,
    /// Records after `end` that open transactions hold back.
    pub held_back: u64,
    /// Whether everything before `end` was delivered and is finished.
    pub caught_up: bool,
    /// Why it is not read at the moment. `None`: it is read.
    pub pause: Option<PauseReason>,
    /// Since when an open transaction holds back the next record.
    pub held_since: Option<Instant>,
    /// Since when there is something to read and the client does not read it.
    pub stalled_since: Option<Instant>,
    /// Timestamp of the oldest record that was read and is not finished; `None`: there is none.
    pub oldest_written_at: Option<Timestamp>,
}

/// Why a partition is not read at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseReason {
    /// The limit of unfinished records is reached, of this partition or of all.
    Unfinished,
    /// The engine holds the partition: its poison record cannot be dead-lettered.
    Held,
    /// Its records are about to be read again from the oldest unfinished one.
    ReadAgain,
}

/// A reason for which intake is not healthy. Each has lasted for longer than it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerProblem {
    /// No read has succeeded for this long.
    NoProgress(Duration),
    /// Kafka refuses something, or cannot be reached, for this long.
    Trouble(Duration, String),
    /// A member of the consumer group that is no engine holds partitions of our topics.
    Foreign {
        /// Client id and host of the member.
        who: String,
        /// Number of our partitions that it holds.
        partitions: usize,
    },
    /// No member of the group holds partitions of our topics.
    Unassigned {
        /// Number of these partitions.
        partitions: usize,
        /// How long this has lasted.
        lasts: Duration,
    },
    /// An open transaction of a producer holds back the next record.
    HeldBack {
        /// The partition that is held back.
        partition: TopicPartition,
        /// Offset from which on its records are held back.
        offset: i64,
        /// How long this has lasted.
        lasts: Duration,
    },
    /// There are records to read, and the client does not read them.
    Stalled {
        /// The partition that is not read.
        partition: TopicPartition,
        /// How long this has lasted.
        lasts: Duration,
    },
}

/// The problems of all consumers of one engine. A problem of Kafka that several consumers notice is listed once, with
/// the longest time that one of them has it.
#[must_use]
pub fn problems<'a>(statuses: impl IntoIterator<Item = &'a ConsumerStatus>, now: Instant) -> Vec<ConsumerProblem> {
    let mut all: Vec<ConsumerProblem> = Vec::new();
    for one in statuses.into_iter().flat_map(|status| status.problems(now)) {
        if !all.iter_mut().any(|known| known.merge(&one)) {
            all.push(one);
        }
    }
    all
}

impl ConsumerProblem {
    /// Whether `other` is the same problem; if it is, `self` keeps the longer of both times.
    fn merge(&mut self, other: &ConsumerProblem) -> bool {
        match (&mut *self, other) {
            (ConsumerProblem::NoProgress(lasts), ConsumerProblem::NoProgress(others)) => *lasts = (*others).max(*lasts),
            (ConsumerProblem::Trouble(lasts, what), ConsumerProblem::Trouble(others, it)) if what == it => {
                *lasts = (*others).max(*lasts);
            }
            (
                ConsumerProblem::NoProgress(_)
                | ConsumerProblem::Trouble(..)
                | ConsumerProblem::Foreign { .. }
                | ConsumerProblem::Unassigned { .. }
                | ConsumerProblem::HeldBack { .. }
                | ConsumerProblem::Stalled { .. },
                _,
            ) => return self == other,
        }
        true
    }
}

impl ConsumerStatus {
    /// Everything that has lasted for longer than it may.
    #[must_use]
    pub fn problems(&self, now: Instant) -> Vec<ConsumerProblem> {
        let lasts = |since: Option<Instant>, at_most| {
            since.map(|since| now.saturating_duration_since(since)).filter(|lasts| *lasts >= at_most)
        };
        let mut all = Vec::new();
        match (lasts(self.troubled_since, MAX_TROUBLE), lasts(self.last_read.or(self.started), MAX_SILENCE)) {
            (_, Some(silent)) if self.trouble.is_none() => all.push(ConsumerProblem::NoProgress(silent)),
            (Some(lasts), _) | (None, Some(lasts)) => {
                all.push(ConsumerProblem::Trouble(lasts, self.trouble.clone().unwrap_or_default()));
            }
            (None, None) => {}
        }
        if lasts(self.coverage.foreign_since, MAX_UNSETTLED).is_some() {
            all.extend(self.coverage.foreign.iter().map(|one| ConsumerProblem::Foreign {
                who: format!("{} at {}", one.client_id, one.host),
                partitions: one.partitions,
            }));
        }
        all.extend(
            lasts(self.coverage.unassigned_since, MAX_UNSETTLED)
                .map(|lasts| ConsumerProblem::Unassigned { partitions: self.coverage.unassigned, lasts }),
        );
        for one in &self.partitions {
            let of = || one.partition.clone();
            all.extend(lasts(one.held_since, MAX_HELD_BACK).map(|lasts| ConsumerProblem::HeldBack {
                partition: of(),
                offset: one.end,
                lasts,
            }));
            all.extend(
                lasts(one.stalled_since, MAX_STALL).map(|lasts| ConsumerProblem::Stalled { partition: of(), lasts }),
            );
        }
        all
    }
}

impl PartitionStatus {
    /// Offsets that are not finished.
    #[must_use]
    pub fn lag(&self) -> u64 {
        if self.caught_up { 0 } else { u64::try_from(self.end - self.finished).unwrap_or(0) }
    }
}

impl fmt::Display for ConsumerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConsumerProblem::NoProgress(lasts) => {
                write!(f, "nothing could be read from Kafka for {} s", lasts.as_secs())
            }
            ConsumerProblem::Trouble(lasts, trouble) => {
                write!(f, "Kafka has not answered as it should for {} s: {trouble}", lasts.as_secs())
            }
            ConsumerProblem::Foreign { who, partitions } => write!(
                f,
                "{who} is a member of the consumer group, is no engine, and holds {partitions} partitions that no \
                 engine works on: stop it, or give it another group"
            ),
            ConsumerProblem::Unassigned { partitions, lasts } => {
                write!(f, "no member of the consumer group holds {partitions} partitions for {} s", lasts.as_secs())
            }
            ConsumerProblem::HeldBack { partition, offset, lasts } => write!(
                f,
                "a producer's open transaction holds back {partition} from offset {offset} on for {} s: \
                 `kafka-transactions.sh find-hanging` and `abort` end one that hangs",
                lasts.as_secs()
            ),
            ConsumerProblem::Stalled { partition, lasts } => {
                write!(f, "{partition} has records that are not read for {} s", lasts.as_secs())
            }
        }
    }
}

impl fmt::Display for PauseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PauseReason::Unfinished => "unfinished",
            PauseReason::Held => "held",
            PauseReason::ReadAgain => "readAgain",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(caught_up: bool) -> PartitionStatus {
        let partition = TopicPartition { topic: "saga.replies".into(), partition: 0 };
        let (held_since, stalled_since) = (None, None);
        PartitionStatus {
            partition,
            next: 7,
            finished: 5,
            end: 9,
            held_back: 0,
            caught_up,
            pause: None,
            held_since,
            stalled_since,
            oldest_written_at: None,
        }
    }

    #[test]
    fn only_what_lasts_is_a_hindrance() {
        let now = Instant::now();
        let away = ConsumerStatus {
            last_read: Some(now),
            trouble: Some("all brokers are down".into()),
            troubled_since: Some(now),
            ..ConsumerStatus::default()
        };
        assert_eq!(away.problems(now + MAX_SILENCE - Duration::from_millis(1)), []);
        let said = away.problems(now + MAX_TROUBLE)[0].to_string();
        assert!(said.contains("30 s") && said.contains("all brokers are down"), "{said}");
    }

    #[test]
    fn what_both_consumers_notice_is_one_reason() {
        let now = Instant::now();
        let troubled = |what: &str, since| ConsumerStatus {
            last_read: Some(now),
            trouble: Some(what.into()),
            troubled_since: Some(since),
            ..ConsumerStatus::default()
        };
        let later = now + MAX_TROUBLE + Duration::from_secs(1);
        let both =
            [troubled("topic a cannot be read", now), troubled("topic a cannot be read", now + Duration::from_secs(1))];
        let told = ConsumerProblem::Trouble(MAX_TROUBLE + Duration::from_secs(1), "topic a cannot be read".into());
        assert_eq!(problems(&both, later), std::slice::from_ref(&told));
        let other = ConsumerProblem::Trouble(MAX_TROUBLE + Duration::from_secs(1), "topic b cannot be read".into());
        assert_eq!(problems(both.iter().chain([&troubled("topic b cannot be read", now)]), later), [told, other]);
    }

    #[test]
    fn a_broker_that_says_nothing_at_all_is_a_hindrance_from_the_start_on() {
        let now = Instant::now();
        let status = ConsumerStatus { started: Some(now), ..ConsumerStatus::default() };
        assert_eq!(status.problems(now + MAX_SILENCE), [ConsumerProblem::NoProgress(MAX_SILENCE)]);
    }

    #[test]
    fn a_partition_that_a_transaction_holds_back_is_named() {
        let now = Instant::now();
        let held = PartitionStatus { held_since: Some(now), ..partition(true) };
        let status = ConsumerStatus {
            last_read: Some(now + MAX_HELD_BACK),
            partitions: vec![held],
            ..ConsumerStatus::default()
        };
        let said = status.problems(now + MAX_HELD_BACK)[0].to_string();
        assert!(said.contains("saga.replies/0 from offset 9"), "{said}");
    }
}
