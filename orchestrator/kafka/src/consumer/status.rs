//! How intake is doing, for health checks and metrics.

use super::group::GroupCoverage;
use saga_wire::record::TopicPartition;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// For how long nothing may have been read successfully: four looks, each of which a slow broker may delay.
const MAX_SILENCE: Duration = Duration::from_secs(20);

/// For how long intake may be hindered: brokers that restart one after the other, and an election, are over sooner.
const MAX_TROUBLE: Duration = Duration::from_secs(30);

/// For how long partitions may be held by nobody, or by a program that is none of ours: a group settles sooner.
const MAX_UNSETTLED: Duration = Duration::from_secs(20);

/// For how long an open transaction may hold back what is next: as long as Kafka's own producers take by default,
/// before it is aborted.
const MAX_HELD_BACK: Duration = Duration::from_secs(60);

/// For how long there may be something to read and nothing is read.
const MAX_STALL: Duration = Duration::from_secs(30);

/// How intake is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// The plan's name.
    pub name: &'static str,
    /// What it is to read.
    pub topics: Vec<Arc<str>>,
    /// When the thread last polled; old means wedged, whatever the group believes.
    pub polled: Option<Instant>,
    /// When intake began.
    pub started: Option<Instant>,
    /// Partitions that are read here.
    pub assigned: usize,
    /// Those of them that are paused now.
    pub paused: usize,
    /// Records that were delivered and are not finished.
    pub unfinished_records: usize,
    /// Their bytes.
    pub unfinished_bytes: usize,
    /// When it was last found that all that is assigned here can be read, by reading it; with nothing assigned, that
    /// the broker tells of the topics. Looked at every five seconds.
    pub last_read: Option<Instant>,
    /// Each partition that is read here.
    pub partitions: Vec<PartitionStatus>,
    /// Who of the group reads what is not read here.
    pub coverage: GroupCoverage,
    /// What hinders intake now.
    pub trouble: Option<String>,
    /// Since when something has.
    pub troubled_since: Option<Instant>,
}

/// How reading of a partition goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Which.
    pub partition: TopicPartition,
    /// The record that is delivered next.
    pub next: i64,
    /// The oldest record that is not finished.
    pub finished: i64,
    /// After the last record that could be read at the last look.
    pub end: i64,
    /// Records after `end` that open transactions hold back.
    pub held_back: u64,
    /// Whether everything before `end` was delivered and is finished.
    pub caught_up: bool,
    /// Why it is not read at the moment.
    pub pause: Option<PauseReason>,
    /// Since when an open transaction holds back what is next.
    pub held_since: Option<Instant>,
    /// Since when there is something to read, and nothing is read.
    pub stalled_since: Option<Instant>,
}

/// Why a partition is not read at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseReason {
    /// As many records as may be are unfinished.
    Unfinished,
    /// The engine holds it: its poison record cannot be dead-lettered.
    Held,
    /// It is about to be read again from its oldest unfinished record.
    ReadAgain,
}

/// Why intake is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerProblem {
    /// Nothing could be read for so long.
    NoProgress(Duration),
    /// Kafka refuses something, or cannot be reached.
    Trouble(Duration, String),
    /// A program that is none of ours holds partitions of our topics.
    Foreign {
        /// Its client id and host.
        who: String,
        /// Partitions of ours that it holds.
        partitions: usize,
    },
    /// Partitions of our topics are held by nobody.
    Unassigned {
        /// How many.
        partitions: usize,
        /// For so long.
        lasts: Duration,
    },
    /// An open transaction of a producer holds back what is next.
    HeldBack {
        /// Where.
        partition: TopicPartition,
        /// From this offset on.
        offset: i64,
        /// For so long.
        lasts: Duration,
    },
    /// There is something to read, and the client does not read it.
    Stalled {
        /// Where.
        partition: TopicPartition,
        /// For so long.
        lasts: Duration,
    },
}

/// What hinders the consumers of one engine. What is the matter with Kafka is one reason, whichever of them noticed it,
/// and however long each has.
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
    /// Whether `other` is the same one, which has lasted as long as the longer of both.
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
                "{who} is a member of the consumer group, is no engine, and holds {partitions} partitions that nobody works on: stop it, or give it another group"
            ),
            ConsumerProblem::Unassigned { partitions, lasts } => {
                write!(f, "no member of the consumer group holds {partitions} partitions for {} s", lasts.as_secs())
            }
            ConsumerProblem::HeldBack { partition, offset, lasts } => write!(
                f,
                "a producer's open transaction holds back {partition} from offset {offset} on for {} s: `kafka-transactions.sh find-hanging` and `abort` end one that hangs",
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
