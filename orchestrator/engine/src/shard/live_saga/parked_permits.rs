//! A parked saga keeps no permit of a command without an answer, whatever becomes of its owners.

use super::{
    LiveSaga, SentEffect,
    tests::{NOW, admit, parked_saga, stock},
};
use crate::journal::RecordedSaga;
use futures_util::FutureExt as _;
use proptest::prelude::*;
use saga_core::{
    answerable::{AnswerWatermark, OutageLog},
    react::react,
    state::{CommandPhase, SagaPlan, SagaState, SendTime},
    time::Timestamp,
};
use saga_resilience::registry::GuardRegistry;
use std::{sync::Arc, time::Duration};

/// As many as the participant takes at a time: one permit that is kept stops a call.
const SAGAS: usize = 3;
/// The timeout of one attempt.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
enum PermitEvent {
    Passes(u64),
    /// Another owner takes all sagas over.
    TakenOver,
}

fn happens() -> impl Strategy<Value = PermitEvent> {
    prop_oneof![2 => (0..50u64).prop_map(PermitEvent::Passes), 1 => Just(PermitEvent::TakenOver)]
}

struct ParkedSagaModel {
    plan: Arc<SagaPlan>,
    recorded: SagaState,
    live: LiveSaga,
    took_place: Timestamp,
}

impl ParkedSagaModel {
    /// What a shard does with a saga that it has taken up.
    fn perform(&mut self, guarded: &GuardRegistry, now: Timestamp) {
        for effect in react(&self.plan, &self.live.state) {
            let sent = SentEffect::of(&effect).expect("a parked saga waits for nothing");
            let (command, attempt) = sent.attempt().expect("a command");
            if self.live.sent.contains(&sent) || self.live.is_over(&sent, now) {
                continue;
            }
            let CommandPhase::Attempting(attempting) = &self.live.state.command(command).phase else { continue };
            if attempting.departure == SendTime::NotYet {
                self.live.state.note_send_time(command, attempt, SendTime::At(now));
            }
            let mut permit = admit(guarded).expect("nobody is refused");
            permit.acquire().now_or_never().expect("a place is free").expect("nobody is refused");
            self.live.sent.push(sent);
            self.live.permits.hold(command, attempt, permit);
            self.took_place = now;
        }
    }
}

struct PermitModel {
    guarded: GuardRegistry,
    sagas: Vec<ParkedSagaModel>,
    now: Timestamp,
}

impl PermitModel {
    fn new() -> PermitModel {
        let said = stock(SAGAS);
        let parked = |number| {
            let (plan, recorded) = parked_saga(&said, number);
            let live = LiveSaga::new(Arc::clone(&plan), recorded.clone());
            ParkedSagaModel { plan, recorded, live, took_place: NOW }
        };
        let sagas = (0..SAGAS as u64).map(parked).collect();
        let mut world =
            PermitModel { guarded: GuardRegistry::from_participants(&said).expect("guards"), sagas, now: NOW };
        world.perform();
        world
    }

    fn perform(&mut self) {
        self.sagas.iter_mut().for_each(|saga| saga.perform(&self.guarded, self.now));
    }

    fn happens(&mut self, what: PermitEvent) {
        match what {
            PermitEvent::Passes(seconds) => self.passes(Duration::from_secs(seconds)),
            PermitEvent::TakenOver => {
                let known = AnswerWatermark { until: self.now, outages: OutageLog::NONE };
                for saga in &mut self.sagas {
                    saga.live = LiveSaga::restored(
                        RecordedSaga {
                            plan: Arc::clone(&saga.plan),
                            state: saga.recorded.clone(),
                            decisions: Vec::new(),
                        },
                        &known,
                    );
                }
                self.perform();
            }
        }
    }

    /// Places are given back when they say so.
    fn passes(&mut self, span: Duration) {
        let end = self.now.plus(span);
        while let Some(next) = self.sagas.iter().filter_map(|saga| saga.live.next_permit_expiry()).min() {
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            self.sagas.iter_mut().for_each(|saga| saga.live.release_expired_permits(self.now));
        }
        self.now = end;
    }

    fn holds(&self) {
        for saga in &self.sagas {
            let lasts = self.now.since(saga.took_place);
            assert!(saga.live.permits.is_empty() || lasts < TIMEOUT, "a place is held for {lasts:?}");
        }
    }

    /// Every other caller of the participant gets a permit.
    fn all_are_free(&self) {
        let mut permits: Vec<_> = (0..SAGAS).map(|_| admit(&self.guarded).expect("nobody is refused")).collect();
        for permit in &mut permits {
            assert!(permit.acquire().now_or_never().is_some_and(|passed| passed.is_ok()), "a place is not given back");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parked_sagas_keep_no_place_longer_than_an_attempt_whoever_owns_them(
        life in prop::collection::vec(happens(), 0..20)
    ) {
        let mut world = PermitModel::new();
        for what in life {
            world.happens(what);
            world.holds();
        }
        world.passes(TIMEOUT);
        world.all_are_free();
    }
}
