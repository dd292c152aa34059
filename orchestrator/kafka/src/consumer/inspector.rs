//! The thread beside intake that asks the broker what takes time: where partitions begin, and whether the log that is
//! read is still the same and can still be read. Intake goes on polling; requests and responses pass through two
//! channels.

use super::{
    AssignmentMode, ConsumerSettings, TopicStart,
    continuity::{ClaimedPosition, ContinuityVerdict, OffsetRange},
    fingerprint::RecordFingerprint,
    group::{self, CoverageSample},
    log_reader::{LogReader, is_of_connection},
    start_positions::{self, CompactedTopics, StartPosition},
};
use crate::settings::KafkaSettings;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use saga_wire::record::TopicPartition;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, mpsc},
    thread,
};

/// Requests that are open at a time, and so the bound of both queues: neither side ever waits for room.
const OPEN_REQUESTS: usize = 1;

/// What intake wants to know. The next is made when the last is answered.
#[derive(Debug)]
pub(super) enum InspectionRequest {
    /// Where these partitions begin.
    StartPositions { wanted: Vec<TopicPartition>, topics: Vec<TopicStart> },
    /// Whether these positions are still valid. With no position: only whether the broker describes `topics`.
    Check { subjects: Vec<InspectedPartition>, topics: Vec<Arc<str>> },
}

/// The answer to a request.
#[derive(Debug)]
pub(super) enum InspectionResponse {
    StartPositions {
        wanted: Vec<TopicPartition>,
        positions: KafkaResult<Vec<StartPosition>>,
    },
    /// `group`: who reads what, if that was asked and the group is settled.
    Checked {
        checked: Result<Vec<InspectionResult>, InspectionError>,
        /// Which member reads what. `None`: this was not asked, or the group is rebalancing.
        group: Option<CoverageSample>,
    },
}

/// Something that is assigned here cannot be read.
#[derive(Debug)]
pub(super) struct InspectionError {
    /// The topic that cannot be read. `None`: the connection to the broker is at fault.
    topic: Option<Arc<str>>,
    error: KafkaError,
}

impl fmt::Display for InspectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.topic {
            Some(topic) => write!(f, "topic {topic} cannot be read: {}", self.error),
            None => write!(f, "what is assigned here cannot be read: {}", self.error),
        }
    }
}

/// How much of a partition a check compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InspectionDepth {
    /// One record that was there at the last check.
    Newest,
    /// Everything that is known of the partition; asked when there is doubt.
    Whole,
}

/// A partition that is read, in one assignment.
#[derive(Clone, Debug)]
pub(super) struct InspectedPartition {
    pub(super) partition: TopicPartition,
    pub(super) generation: u64,
    pub(super) claim: ClaimedPosition,
    /// The last record that was delivered. If this check finds the same log, the next check compares this record.
    pub(super) newest: Option<RecordFingerprint>,
}

/// What was found of a [`InspectedPartition`].
#[derive(Debug)]
pub(super) struct InspectionResult {
    pub(super) subject: InspectedPartition,
    pub(super) verdict: ContinuityVerdict,
    pub(super) extent: OffsetRange,
}

/// Handle of the thread, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct LogInspector {
    requests: mpsc::SyncSender<InspectionRequest>,
    responses: mpsc::Receiver<InspectionResponse>,
    pending: bool,
}

impl LogInspector {
    pub(super) fn start(
        name: &str,
        reader: LogReader,
        compacted: CompactedTopics,
        membership: Option<GroupMembership>,
    ) -> std::io::Result<LogInspector> {
        let (requests, requested) = mpsc::sync_channel(OPEN_REQUESTS);
        let (responded, responses) = mpsc::sync_channel(OPEN_REQUESTS);
        let worker = InspectorWorker { reader, compacted, membership };
        thread::Builder::new().name(format!("kafka-{name}-look")).spawn(move || worker.run(&requested, &responded))?;
        Ok(LogInspector { requests, responses, pending: false })
    }

    /// Whether a request is open. The next one has to wait.
    pub(super) fn is_pending(&self) -> bool {
        self.pending
    }

    /// To be called only while no request is open. Does not wait. A thread that has ended does not respond, which
    /// readiness shows.
    pub(super) fn request(&mut self, request: InspectionRequest) {
        self.pending = self.requests.try_send(request).is_ok();
    }

    pub(super) fn take_response(&mut self) -> Option<InspectionResponse> {
        let answer = self.responses.try_recv().ok()?;
        self.pending = false;
        Some(answer)
    }
}

/// How the group is recognised that shares the partitions.
#[derive(Debug)]
pub(super) struct GroupMembership {
    group: String,
    client_id: String,
}

impl GroupMembership {
    /// `None` where partitions are assigned by hand.
    pub(super) fn of(settings: &KafkaSettings, plan: &ConsumerSettings) -> Option<GroupMembership> {
        match plan.mode {
            AssignmentMode::Group => {
                Some(GroupMembership { group: plan.group.clone(), client_id: settings.client_id().to_owned() })
            }
            AssignmentMode::Manual => None,
        }
    }
}

struct InspectorWorker {
    reader: LogReader,
    compacted: CompactedTopics,
    membership: Option<GroupMembership>,
}

impl InspectorWorker {
    fn run(self, requests: &mpsc::Receiver<InspectionRequest>, responses: &mpsc::SyncSender<InspectionResponse>) {
        let mut last_failed = false;
        for request in requests {
            self.reader.check_brokers();
            let answer = self.answer(request);
            last_failed = answer.failed();
            if responses.send(answer).is_err() {
                break;
            }
        }
        if last_failed {
            self.reader.abandon();
        }
    }

    fn answer(&self, request: InspectionRequest) -> InspectionResponse {
        match request {
            InspectionRequest::StartPositions { wanted, topics } => {
                let positions = start_positions::positions(&self.reader, &wanted, &topics, &self.compacted);
                InspectionResponse::StartPositions { wanted, positions }
            }
            InspectionRequest::Check { subjects, topics } => {
                let read = subjects.len();
                let checked = self.partitions(&topics).and_then(|all| Ok((all, self.check_all(subjects)?)));
                match checked {
                    Ok((all, checked)) => {
                        InspectionResponse::Checked { checked: Ok(checked), group: self.sample_coverage(&all, read) }
                    }
                    Err(error) => InspectionResponse::Checked { checked: Err(error), group: None },
                }
            }
        }
    }

    fn partitions(&self, topics: &[Arc<str>]) -> Result<BTreeSet<(Arc<str>, i32)>, InspectionError> {
        let mut all = BTreeSet::new();
        for topic in topics {
            let partitions = self.reader.partitions_of(topic).map_err(|error| unreadable(topic, error))?;
            all.extend(partitions.into_iter().map(|one| (one.topic, one.partition)));
        }
        Ok(all)
    }

    /// All at once. Where that fails, topic by topic, to find out whose matter it is.
    fn check_all(&self, subjects: Vec<InspectedPartition>) -> Result<Vec<InspectionResult>, InspectionError> {
        let error = match self.check(subjects.clone()) {
            Ok(checked) => return Ok(checked),
            Err(error) => error,
        };
        let mut topics: BTreeMap<Arc<str>, Vec<InspectedPartition>> = BTreeMap::new();
        // A broker that cannot be reached says nothing of any topic, and asking for each topic would take long.
        for subject in subjects.into_iter().filter(|_| !is_of_connection(&error)) {
            topics.entry(subject.partition.topic.clone()).or_default().push(subject);
        }
        let mut failed =
            topics.into_iter().filter_map(|(topic, of_it)| Some(unreadable(&topic, self.check(of_it).err()?)));
        Err(failed.next().unwrap_or(InspectionError { topic: None, error }))
    }

    fn check(&self, subjects: Vec<InspectedPartition>) -> KafkaResult<Vec<InspectionResult>> {
        let claims: Vec<(TopicPartition, ClaimedPosition)> =
            subjects.iter().map(|subject| (subject.partition.clone(), subject.claim.clone())).collect();
        let verdicts = start_positions::check(&self.reader, &claims, &self.compacted).or_else(|error| match error {
            // The beginning was removed between two of the requests.
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) => {
                start_positions::check(&self.reader, &claims, &self.compacted)
            }
            error => Err(error),
        })?;
        let checked = subjects.into_iter().zip(verdicts);
        Ok(checked.map(|(subject, (verdict, extent))| InspectionResult { subject, verdict, extent }).collect())
    }

    /// Asked only where other members read, because every broker is asked for it. A group that cannot be described is
    /// asked for again at the next check.
    fn sample_coverage(&self, all: &BTreeSet<(Arc<str>, i32)>, read: usize) -> Option<CoverageSample> {
        let membership = self.membership.as_ref()?;
        if read >= all.len() {
            return Some(CoverageSample::default());
        }
        let groups = self.reader.group(&membership.group);
        let described = groups.inspect_err(|error| tracing::debug!(%error, "the group cannot be described")).ok()?;
        let found = described.groups().iter().find(|one| one.name() == membership.group)?;
        group::read(found, &membership.client_id, all)
    }
}

fn unreadable(topic: &Arc<str>, error: KafkaError) -> InspectionError {
    let topic = (!is_of_connection(&error)).then(|| topic.clone());
    InspectionError { topic, error }
}

impl InspectionResponse {
    fn failed(&self) -> bool {
        match self {
            InspectionResponse::StartPositions { positions, .. } => positions.is_err(),
            InspectionResponse::Checked { checked, .. } => checked.is_err(),
        }
    }
}
