use super::*;
use saga_core::act_author::ActOrigin;
use saga_core::definition::participants;
use saga_event_store::StoreAccess;
use saga_guards::breaker::BreakerMode;
use saga_resilience::{
    overrides::{GuardAction, ManualLimits},
    registry::GuardAdmission,
};
use std::num::NonZeroU32;

/// A store in a folder that goes with it.
struct OverrideTestStore {
    _folder: tempfile::TempDir,
    store: Arc<dyn EventStore>,
}

impl OverrideTestStore {
    async fn new() -> OverrideTestStore {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("sqlite:{}", folder.path().join("saga.db").display());
        let store = saga_event_store::open(&address, StoreAccess::Write { shards: 1 }).await.expect("a store");
        OverrideTestStore { _folder: folder, store }
    }

    /// An engine that has read nothing yet.
    fn engine(&self) -> OverrideLog {
        let text = "participants: {payments: {kafka: {commands: payments.commands}}}";
        let participants = participants::parse("participants.yaml", text, &|_| None).expect("a valid file");
        let guarded = GuardRegistry::from_participants(&participants).expect("they can be guarded");
        OverrideLog::new(Arc::clone(&self.store), Arc::new(guarded))
    }
}

const ASKING: saga_resilience::gate::PermitRequest = saga_resilience::gate::PermitRequest {
    lane: saga_guards::PriorityLane::Do,
    attempt: saga_resilience::gate::AttemptKind::First,
    arrival: saga_resilience::gate::CallArrival::New,
};

fn act(action: GuardAction) -> OverrideRequest {
    OverrideRequest {
        participant: "payments".into(),
        action,
        who: "anna".into(),
        reason: "they migrate".into(),
        until: None,
        origin: ActOrigin::default(),
    }
}

async fn does(acts: &OverrideLog, action: GuardAction) -> (i64, bool) {
    acts.act(Uuid::new_v4(), &act(action), Timestamp(1_000)).await.expect("recorded")
}

fn lets_through(acts: &OverrideLog) -> bool {
    matches!(acts.guarded.admit("payments", ASKING), GuardAdmission::Admitted(_))
}

#[tokio::test]
async fn an_act_is_on_record_and_in_effect_here_and_elsewhere() {
    let place = OverrideTestStore::new().await;
    let (here, elsewhere) = (place.engine(), place.engine());
    elsewhere.catch_up().await.expect("the store answers");
    assert_eq!(does(&here, GuardAction::Open).await, (1, true));
    assert!(!lets_through(&here));
    assert!(lets_through(&elsewhere));
    elsewhere.catch_up().await.expect("the store answers");
    assert!(!lets_through(&elsewhere));
    let listed = elsewhere.list(None, 10).await.expect("the store answers");
    assert_eq!(
        (listed.len(), &listed[0].act, listed[0].at.as_str()),
        (1, &act(GuardAction::Open), "1970-01-01T00:00:01.000Z")
    );
    does(&here, GuardAction::Close).await;
    assert!(lets_through(&here));
}

#[tokio::test]
async fn what_is_in_force_survives_a_restart() {
    let place = OverrideTestStore::new().await;
    let before = place.engine();
    let given = ManualLimits { bulkhead: NonZeroU32::new(3), ..ManualLimits::default() };
    does(&before, GuardAction::Set(given)).await;
    does(&before, GuardAction::Open).await;
    let after = place.engine();
    after.catch_up().await.expect("the store answers");
    let in_force = after.in_force("payments").expect("two acts");
    assert_eq!((in_force.given.mode, in_force.given.bulkhead), (BreakerMode::ForcedOpen, NonZeroU32::new(3)));
    assert_eq!((in_force.by.number, in_force.by.act.who.as_str()), (2, "anna"));
    assert!(!lets_through(&after));
    does(&after, GuardAction::Reset).await;
    assert!(after.in_force("payments").is_none() && lets_through(&after));
}

#[tokio::test]
async fn the_same_act_is_recorded_once() {
    let place = OverrideTestStore::new().await;
    let acts = place.engine();
    let id = Uuid::new_v4();
    for _ in 0..2 {
        let (number, _) = acts.act(id, &act(GuardAction::Open), Timestamp(1)).await.expect("recorded");
        assert_eq!(number, 1);
    }
    does(&acts, GuardAction::Close).await;
    let numbers = async |participant, limit| -> Vec<i64> {
        let listed = acts.list(participant, limit).await.expect("the store answers");
        listed.iter().map(|it| it.number).collect()
    };
    assert_eq!(numbers(None, 10).await, [2, 1]);
    assert_eq!(numbers(Some("payments"), 1).await, [2]);
    assert_eq!(numbers(Some("inventory"), 10).await, [0; 0]);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_and_not_recorded() {
    let place = OverrideTestStore::new().await;
    let acts = place.engine();
    let refused = async |act: OverrideRequest| {
        acts.act(Uuid::new_v4(), &act, Timestamp(1)).await.expect_err("it cannot be meant").to_string()
    };
    let typo = OverrideRequest { participant: "payment".into(), ..act(GuardAction::Open) };
    match acts.act(Uuid::new_v4(), &typo, Timestamp(1)).await {
        Err(OverrideError::NoParticipant { hint, .. }) => assert_eq!(hint.as_deref(), Some("did you mean `payments`?")),
        other => panic!("nobody is called payment: {other:?}"),
    }
    assert!(refused(OverrideRequest { reason: " ".into(), ..act(GuardAction::Open) }).await.contains("`reason`"));
    assert!(refused(OverrideRequest { who: String::new(), ..act(GuardAction::Open) }).await.contains("`who`"));
    assert!(refused(act(GuardAction::Set(ManualLimits::default()))).await.contains("nothing is set"));
    assert_eq!(acts.list(None, 10).await.expect("the store answers"), []);
}

#[tokio::test]
async fn an_act_of_a_newer_build_is_passed_by() {
    let place = OverrideTestStore::new().await;
    let body = r#"{"participant":"payments","action":"paint","who":"anna","reason":"blue"}"#.to_owned();
    let note = NewNote { id: Uuid::new_v4(), topic: TOPIC.into(), body, at_ms: 1 };
    place.store.add_note(&note).await.expect("kept");
    let acts = place.engine();
    assert_eq!(does(&acts, GuardAction::Open).await, (2, true));
    assert!(!lets_through(&acts));
}

#[tokio::test]
async fn what_the_store_lost_does_not_hold_and_what_comes_after_is_read() {
    let (place, older) = (OverrideTestStore::new().await, OverrideTestStore::new().await);
    let mut acts = place.engine();
    does(&acts, GuardAction::Close).await;
    does(&acts, GuardAction::Open).await;
    assert!(!lets_through(&acts));
    acts.store = Arc::clone(&older.store);
    acts.catch_up().await.expect("the store answers");
    assert!(lets_through(&acts) && acts.in_force("payments").is_none());
    let elsewhere = older.engine();
    does(&elsewhere, GuardAction::Open).await;
    acts.catch_up().await.expect("the store answers");
    assert!(!lets_through(&acts), "its number is below those that were read before");
}

#[tokio::test]
async fn a_pause_ends_at_its_time_on_every_engine_and_a_later_one_needs_another_act() {
    let place = OverrideTestStore::new().await;
    let here = place.engine();
    let pause = OverrideRequest { until: Some(rfc3339(Timestamp(5_000))), ..act(GuardAction::Open) };
    here.act(Uuid::new_v4(), &pause, Timestamp(1_000)).await.expect("recorded");
    here.end_pauses(Timestamp(4_999));
    assert!(!lets_through(&here));
    assert_eq!(here.in_force("payments").expect("a pause").until, pause.until);
    here.end_pauses(Timestamp(5_000));
    assert!(lets_through(&here) && here.in_force("payments").is_none());
    // What was set after the end does not bring it back, also where all is read at once.
    let given = ManualLimits { bulkhead: NonZeroU32::new(3), ..ManualLimits::default() };
    here.act(Uuid::new_v4(), &act(GuardAction::Set(given)), Timestamp(6_000)).await.expect("recorded");
    let later = place.engine();
    later.catch_up().await.expect("the store answers");
    assert!(lets_through(&here) && lets_through(&later));
    let mut in_force = BTreeMap::new();
    let acts = on_record(place.store.as_ref()).await.expect("the store answers");
    let changes: Vec<_> = acts.iter().map(|recorded| change(&mut in_force, recorded)).collect();
    assert_eq!(changes[1].0, changes[0].1.after_pause(), "the audit knows that the pause had ended");
    let without_end = OverrideRequest { until: pause.until.clone(), ..act(GuardAction::Close) };
    let refused = here.act(Uuid::new_v4(), &without_end, Timestamp(7_000)).await.expect_err("only a pause ends");
    assert!(refused.to_string().contains("only `open`"), "{refused}");
}
