//! What a shard's task holds of one saga.

use crate::{
    committed_state::LiveState,
    journal::RecordedSaga,
    load_permits::WorkingPermit,
    message::{MessageReceipt, ShardMessage},
    permit_table::PermitTable,
    row::ReadModelState,
    send_time::SendTimeCell,
    traces::TraceMark,
};
use saga_base::panics::caught;
use saga_core::{
    answerable::{ALWAYS, AnswerWatermark},
    command::{CommandAnswer, CommandRef, ErrorClass},
    event::SagaDecision,
    input::{PublicationRef, SagaInput},
    react::{SagaEffect, react},
    state::{CommandOutcome, CommandPhase, SagaPhase, SagaPlan, SagaState},
    time::Timestamp,
};
use saga_resilience::transport::DispatchKind;
use std::{collections::VecDeque, sync::Arc};
use uuid::Uuid;

/// The place of a saga in the shard's memory.
pub(super) enum SagaSlot {
    /// The saga's journal is being read.
    Loading {
        /// The messages that came in the meantime.
        waiting: VecDeque<ShardMessage>,
    },
    /// The saga is in memory and can decide.
    Ready(Box<LiveSaga>),
}

/// A saga that can decide.
pub(super) struct LiveSaga {
    pub(super) plan: Arc<SagaPlan>,
    /// One decision ahead of the store while an append is in flight; dropped if the append is not committed.
    pub(super) state: LiveState,
    /// What the read model shows once the append in flight is committed.
    pub(super) shown: Option<ReadModelState>,
    pub(super) append: Option<InFlightAppend>,
    /// How it stood before the decision that is made, for its trace.
    pub(super) mark: TraceMark,
    /// How it stood before the act that is decided about, for the audit.
    pub(super) before_act: Option<String>,
    /// The messages that came while an append was in flight.
    pub(super) waiting: VecDeque<ShardMessage>,
    /// The effects that this process has sent and that are still outstanding.
    pub(super) sent: Vec<SentEffect>,
    /// The effects that were outstanding when the saga was read: an earlier owner may have sent them.
    sent_by_previous_owner: Vec<SentEffect>,
    /// When this process sent its effects, for those whose timeout runs from then.
    pub(super) send_times: Vec<(SentEffect, SendTimeCell)>,
    /// The permits of its calls, from admission until the answer.
    pub(super) permits: PermitTable,
    /// Its turn to be in memory because its time had come.
    turn: Option<WorkingPermit>,
    /// A decision or its effects panicked with this: the state is not to be trusted.
    pub(super) panic_message: Option<String>,
}

/// A decision that is on its way to the store.
pub(super) struct InFlightAppend {
    pub(super) message: ShardMessage,
    pub(super) decision: SagaDecision,
    /// The id of its row.
    pub(super) append_id: Uuid,
    /// Of the event that the saga starts with; only a start has one.
    pub(super) payload_hash: Option<[u8; 32]>,
    /// How the saga stood before, for its trace.
    pub(super) mark: TraceMark,
}

/// Identity of an effect that has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SentEffect {
    Call { command: CommandRef, attempt: u32, asked: u32 },
    Publish(PublicationRef, u32),
}

impl LiveSaga {
    /// What was decided by another definition is recorded, and gone on with, by that.
    pub(super) fn switch_definition(&mut self, input: &SagaInput) {
        if let SagaInput::Mended { plan, .. } = input {
            self.plan = Arc::new(plan.after(Arc::clone(&self.plan)));
            // A list shows the definition, whatever the status.
            self.shown = None;
        }
    }
}

impl SentEffect {
    /// `None` of what waits: nothing of it leaves.
    pub(super) fn of(effect: &SagaEffect) -> Option<SentEffect> {
        match effect {
            SagaEffect::Call(call) => {
                Some(SentEffect::Call { command: call.command, attempt: call.attempt, asked: call.asked })
            }
            SagaEffect::Publish(publish) => Some(SentEffect::Publish(publish.publication, publish.attempt)),
            SagaEffect::Wait(_) => None,
        }
    }
}

impl SentEffect {
    /// The attempt that is sent; `None` for the outcome event.
    pub(super) fn attempt(&self) -> Option<(CommandRef, u32)> {
        match self {
            SentEffect::Call { command, attempt, .. } | SentEffect::Publish(PublicationRef::Step(command), attempt) => {
                Some((*command, *attempt))
            }
            SentEffect::Publish(PublicationRef::Outcome, _) => None,
        }
    }
}

impl LiveSaga {
    /// A saga that starts here.
    pub(super) fn new(plan: Arc<SagaPlan>, state: SagaState) -> LiveSaga {
        LiveSaga::with(plan, LiveState::starting(state), None, Vec::new())
    }

    /// A saga that was read: what is outstanding may have left before.
    pub(super) fn restored(recorded: RecordedSaga, answerable: &AnswerWatermark) -> LiveSaga {
        let shown = ReadModelState::of(&recorded.plan, &recorded.state);
        // What holds it, and its incidents, may have been recorded by a build that did not show them.
        let is_plain = shown.held_by.is_empty() && shown.incidents.is_empty();
        let shown = is_plain.then_some(shown);
        let outstanding = caught(|| react(&recorded.plan, &recorded.state));
        let before =
            outstanding.as_ref().map(|effects| effects.iter().filter_map(SentEffect::of).collect()).unwrap_or_default();
        let (plan, state) = LiveState::read(recorded, answerable);
        let mut live = LiveSaga::with(plan, state, shown, before);
        live.panic_message = outstanding.err();
        live
    }

    /// Whether `sent` may have left in the life of an earlier owner.
    pub(super) fn dispatch_of(&self, sent: &SentEffect) -> DispatchKind {
        if self.sent_by_previous_owner.contains(sent) { DispatchKind::Repeated } else { DispatchKind::First }
    }

    fn with(plan: Arc<SagaPlan>, state: LiveState, shown: Option<ReadModelState>, before: Vec<SentEffect>) -> LiveSaga {
        LiveSaga {
            plan,
            state,
            shown,
            append: None,
            mark: TraceMark::Off,
            before_act: None,
            waiting: VecDeque::new(),
            sent: Vec::new(),
            sent_by_previous_owner: before,
            send_times: Vec::new(),
            permits: PermitTable::default(),
            turn: None,
            panic_message: None,
        }
    }

    /// Something is recorded. The turn is kept while the saga is in memory: others come when it has left.
    pub(super) fn keep_turn(&mut self, receipt: &mut MessageReceipt) {
        match std::mem::replace(receipt, MessageReceipt::None) {
            MessageReceipt::Turn(turn) => self.turn = Some(turn.into_working()),
            other @ (MessageReceipt::None
            | MessageReceipt::Offset(_)
            | MessageReceipt::Reply(_)
            | MessageReceipt::Woken(_)) => *receipt = other,
        }
    }

    /// Notes in the state when its attempts were sent, and whether its outcome event is on its way.
    pub(super) fn record_send_times(&mut self) {
        let is_outcome = |sent: &SentEffect| matches!(sent, SentEffect::Publish(PublicationRef::Outcome, _));
        self.state.note_outcome_sent(self.sent.iter().any(is_outcome));
        for (sent, send_time) in &self.send_times {
            if let Some((command, attempt)) = sent.attempt() {
                self.state.note_send_time(command, attempt, send_time.sent_at());
            }
        }
    }

    /// Nothing of it is under way: it can be read again when something happens to it.
    pub(super) fn is_evictable(&self) -> bool {
        self.append.is_none() && self.waiting.is_empty() && self.sent.is_empty()
    }

    /// Its outcome event waits for its topic, and the saga need not be in memory for that.
    pub(super) fn mark_outcome_unsent(&mut self) {
        self.sent.retain(|sent| !matches!(sent, SentEffect::Publish(PublicationRef::Outcome, _)));
    }

    /// Returns the permit of the attempt that `input` answers.
    pub(super) fn settle_permit(&mut self, input: &SagaInput) {
        if let SagaInput::Answered { command, attempt, answer } = input {
            self.permits.settle(self.state.id, *command, *attempt, answer);
        }
    }

    /// Whose command succeeds although its attempts had been given up; whether a repeated answer says so does not tell
    /// how the participant is.
    pub(super) fn late_success(&self, input: &SagaInput) -> Option<String> {
        let SagaInput::Answered { command, attempt, answer: CommandAnswer::Succeeded { .. } } = input else {
            return None;
        };
        let it = self.state.command(*command);
        let is_out =
            matches!(it.phase, CommandPhase::Attempting(_)) && attempt.is_none_or(|attempt| attempt == it.attempt);
        let is_news =
            !matches!(it.phase, CommandPhase::Settled(CommandOutcome::Succeeded | CommandOutcome::Rejected(_)));
        let in_doubt = attempt.map_or(!it.in_doubt.is_empty(), |attempt| it.in_doubt.contains(&attempt));
        let given_up = is_news && in_doubt && !is_out;
        it.request.as_ref().filter(|_| given_up).and_then(|request| request.participant().map(str::to_owned))
    }

    /// Whether an attempt is over because the participant did not answer in time, and for no other reason: only then
    /// does the attempt say something about the participant.
    fn is_late(&self, command: CommandRef) -> bool {
        let failure = self.state.command(command).last_failure.as_ref();
        failure.is_some_and(|failure| failure.class == Some(ErrorClass::Timeout))
    }

    /// The timers of a parked saga do not fire. Still, an attempt without an answer in its time neither holds a permit
    /// nor is sent again.
    pub(super) fn is_over(&self, sent: &SentEffect, now: Timestamp) -> bool {
        self.permit_expiry(sent).is_some_and(|end| end <= now)
    }

    /// When a parked saga's call gives its permit back.
    fn permit_expiry(&self, sent: &SentEffect) -> Option<Timestamp> {
        let SentEffect::Call { command, .. } = sent else { return None };
        let is_parked = matches!(self.state.course, SagaPhase::Parked { .. });
        is_parked.then(|| self.state.attempt_ends(*command, &ALWAYS.outages)).flatten()
    }

    /// When the next place has to be given back.
    pub(super) fn next_permit_expiry(&self) -> Option<Timestamp> {
        self.sent.iter().filter_map(|sent| self.permit_expiry(sent)).min()
    }

    /// Gives back the places of attempts whose time was over in a parked saga, as if that had been recorded.
    pub(super) fn release_expired_permits(&mut self, now: Timestamp) {
        let (over, sent): (Vec<SentEffect>, Vec<SentEffect>) =
            std::mem::take(&mut self.sent).into_iter().partition(|sent| self.is_over(sent, now));
        self.sent = sent;
        for over in over {
            let SentEffect::Call { command, attempt, .. } = over else { continue };
            self.permits.expire(self.state.id, command, attempt);
        }
    }

    /// Forgets what is no longer outstanding. A permit that is still held for it belongs to an attempt that the
    /// participant did not answer in time.
    pub(super) fn retain_outstanding(&mut self, effects: &[SagaEffect]) {
        let outstanding: Vec<SentEffect> = effects.iter().filter_map(SentEffect::of).collect();
        self.send_times.retain(|(sent, _)| outstanding.contains(sent));
        for over in self.sent.extract_if(.., |sent| !outstanding.contains(sent)).collect::<Vec<_>>() {
            let SentEffect::Call { command, attempt, .. } = over else { continue };
            let goes_on = outstanding
                .iter()
                .any(|sent| matches!(sent, SentEffect::Call { command: other, .. } if *other == command));
            match (goes_on, self.is_late(command)) {
                (true, _) => {}
                (false, true) => self.permits.expire(self.state.id, command, attempt),
                (false, false) => self.permits.release(command, attempt),
            }
        }
    }
}

#[cfg(test)]
mod parked_permits;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unguarded::decided_at;
    use saga_core::{
        decide::{self, AdmissionVerdict},
        definition::{self, ParticipantCatalog, participants},
        event::TriggerRecord,
        id::{SagaId, ShardId},
        input::SagaStart,
        policy::SagaPolicies,
    };
    use saga_guards::PriorityLane;
    use saga_resilience::{
        gate::{AttemptKind, CallArrival, PermitRequest},
        permit::CallPermit,
        registry::{GuardAdmission, GuardRegistry},
    };

    pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);

    /// A saga whose command over Kafka is unanswered, parked, and the guards of its participant, which takes one
    /// command at a time.
    fn parked() -> (LiveSaga, GuardRegistry) {
        let said = stock(1);
        let (plan, state) = parked_saga(&said, 7);
        (LiveSaga::new(plan, state), GuardRegistry::from_participants(&said).expect("guards"))
    }

    /// A participant that takes so many commands at a time.
    pub(super) fn stock(places: usize) -> ParticipantCatalog {
        let said =
            format!("participants:\n  stock: {{kafka: {{commands: stock}}, timeout: 30s, bulkhead: {places}}}\n");
        participants::parse("participants.yaml", &said, &|_| None).expect("participants")
    }

    pub(super) fn parked_saga(said: &ParticipantCatalog, number: u64) -> (Arc<SagaPlan>, SagaState) {
        let text =
            "saga: s\ntrigger: {topic: t, key: \"${ event.id }\"}\nsteps: [{step: a, do: stock.A, undo: stock.B}]\n";
        let parsed = definition::parse("s.saga.yaml", text, Some(said), None).expect("a definition");
        let policies = SagaPolicies::resolve(&parsed.definition, said);
        let plan = Arc::new(SagaPlan::new(Arc::new(parsed.definition), Arc::new(policies)));
        let trigger = TriggerRecord {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            key: None,
            timestamp: NOW,
            headers: std::collections::BTreeMap::new(),
            event: serde_json::json!({"id": "1"}),
        };
        let start = SagaStart { key: "1".into(), trigger, traceparent: None };
        let id = SagaId::new(NOW, ShardId(0), number);
        let (_, mut state) =
            decided_at(NOW, 1, AdmissionVerdict::Admitted, |context| decide::start(&plan, id, start, context));
        decided_at(NOW, 1, AdmissionVerdict::Admitted, |context| {
            decide::park(&plan, &mut state, "a person has to look".into(), context)
        });
        (plan, state)
    }

    pub(super) fn admit(guarded: &GuardRegistry) -> Option<CallPermit> {
        match guarded.admit(
            "stock",
            PermitRequest { lane: PriorityLane::Do, attempt: AttemptKind::First, arrival: CallArrival::New },
        ) {
            GuardAdmission::Admitted(permit) => Some(permit),
            GuardAdmission::Refused { .. } | GuardAdmission::NotConfigured => None,
        }
    }

    #[tokio::test]
    async fn a_parked_saga_gives_its_place_back_when_the_attempt_s_time_is_over() {
        let (mut live, guarded) = parked();
        let effects = react(&live.plan, &live.state);
        let sent = effects.first().and_then(SentEffect::of).expect("the command is outstanding");
        let SentEffect::Call { command, attempt, .. } = sent else { panic!("a call") };
        let mut permit = admit(&guarded).expect("there is room");
        permit.acquire().await.expect("a place is free");
        live.permits.hold(command, attempt, permit);
        live.sent.push(sent.clone());

        let end = NOW.plus(std::time::Duration::from_secs(30));
        assert_eq!(live.next_permit_expiry(), Some(end));
        live.release_expired_permits(end.minus(std::time::Duration::from_millis(1)));
        assert!(!live.permits.is_empty(), "its time is not over");
        live.release_expired_permits(end);
        assert!(live.permits.is_empty() && live.is_evictable());
        assert!(live.is_over(&sent, end), "it is not sent again");
        assert_eq!(live.next_permit_expiry(), None);
        let mut next = admit(&guarded).expect("the place is free");
        assert!(next.acquire().await.is_ok());
    }
}
