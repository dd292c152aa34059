//! The breaker beside a naive one, written down from its description and sharing none of its code.

use super::*;
use proptest::prelude::*;

const SLOW: Duration = Duration::from_millis(500);

/// What may happen around a breaker. Tickets are taken from those that are out, modulo their number.
#[derive(Clone, Debug)]
enum BreakerOperation {
    Rest(u16),
    Ask,
    Settle { which: usize, verdict: CallVerdict, slow: bool },
    Lose(usize),
    Pause(u16),
    Mode(BreakerMode),
    Reset,
}

fn act() -> impl Strategy<Value = BreakerOperation> {
    let verdict = prop_oneof![
        4 => Just(CallVerdict::Succeeded),
        4 => Just(CallVerdict::Failed),
        1 => Just(CallVerdict::Throttled),
        1 => Just(CallVerdict::Neutral),
    ];
    let mode = prop_oneof![
        3 => Just(BreakerMode::Automatic),
        1 => Just(BreakerMode::ForcedOpen),
        1 => Just(BreakerMode::ForcedClosed),
        1 => Just(BreakerMode::MetricsOnly),
    ];
    prop_oneof![
        20 => (0u16..4_000).prop_map(BreakerOperation::Rest),
        60 => Just(BreakerOperation::Ask),
        60 => (any::<usize>(), verdict, prop::bool::weighted(0.2))
            .prop_map(|(which, verdict, slow)| BreakerOperation::Settle { which, verdict, slow }),
        10 => any::<usize>().prop_map(BreakerOperation::Lose),
        1 => (0u16..9_000).prop_map(BreakerOperation::Pause),
        2 => mode.prop_map(BreakerOperation::Mode),
        1 => Just(BreakerOperation::Reset),
    ]
}

/// A call that counts in the present era.
#[derive(Clone, Copy)]
struct ModelCall {
    at_ms: u64,
    verdict: CallVerdict,
    slow: bool,
}

struct BreakerModel {
    settings: BreakerParameters,
    now_ms: u64,
    era: u32,
    mode: BreakerMode,
    state: BreakerState,
    open_until_ms: u64,
    asked_until_ms: u64,
    openings: u32,
    calls: Vec<ModelCall>,
    in_a_row: u32,
    /// (id, until when) of the slots of this era.
    slots: Vec<(usize, u64)>,
    succeeded: u32,
    /// (calls at once, until when)
    ramp: Option<(u32, u64)>,
}

impl BreakerModel {
    fn new(settings: BreakerParameters) -> BreakerModel {
        BreakerModel {
            settings,
            now_ms: 0,
            era: 0,
            mode: BreakerMode::Automatic,
            state: BreakerState::Closed,
            open_until_ms: 0,
            asked_until_ms: 0,
            openings: 0,
            calls: Vec::new(),
            in_a_row: 0,
            slots: Vec::new(),
            succeeded: 0,
            ramp: None,
        }
    }

    fn change(&mut self, state: BreakerState) {
        self.era += 1;
        self.state = state;
        self.calls.clear();
        self.slots.clear();
        self.succeeded = 0;
        self.ramp = None;
    }

    fn open(&mut self) {
        let doubled = millis(self.settings.open_for) << self.openings.min(20);
        self.openings += 1;
        self.open_until_ms = self.now_ms + doubled.min(millis(self.settings.max_open_for));
        self.change(BreakerState::Open);
    }

    fn start_ramp(&mut self, from_ms: u64) {
        let at_once = self.settings.probes.max(self.successes());
        let span = millis(self.settings.ramp);
        self.ramp = (span > 0).then_some((at_once, from_ms + span));
    }

    fn successes(&self) -> u32 {
        self.settings.successes.unwrap_or(self.settings.probes)
    }

    fn admits(&mut self, id: usize) -> bool {
        match self.mode {
            BreakerMode::ForcedOpen => return false,
            BreakerMode::ForcedClosed | BreakerMode::MetricsOnly => return true,
            BreakerMode::Automatic => {}
        }
        if self.now_ms < self.asked_until_ms || (self.state == BreakerState::Open && self.now_ms < self.open_until_ms) {
            return false;
        }
        if self.state == BreakerState::Open {
            self.change(BreakerState::HalfOpen);
        }
        let now_ms = self.now_ms;
        self.slots.retain(|(_, until)| *until > now_ms);
        self.ramp = self.ramp.filter(|(_, until)| now_ms < *until);
        let at_once = match (self.state, self.ramp) {
            (BreakerState::HalfOpen, _) => self.settings.probes.min(self.successes() - self.succeeded),
            (_, Some((at_once, _))) => at_once,
            (_, None) => return true,
        };
        let admits = (self.slots.len() as u32) < at_once;
        if admits {
            self.slots.push((id, now_ms + millis(HOLD.min(self.settings.probe_timeout))));
        }
        admits
    }

    fn settle(&mut self, id: usize, era: u32, made: ModelCall) {
        if era != self.era || self.mode == BreakerMode::ForcedClosed {
            return;
        }
        let had_slot_of_ramp = self.state == BreakerState::Closed && id >= RAMP;
        self.slots.retain(|(slot, _)| *slot != id);
        if made.verdict == CallVerdict::Neutral {
            return;
        }
        self.in_a_row = match made.verdict {
            CallVerdict::Failed => self.in_a_row + 1,
            CallVerdict::Succeeded => 0,
            CallVerdict::Throttled | CallVerdict::Neutral => self.in_a_row,
        };
        if self.state == BreakerState::HalfOpen {
            return self.probed(made);
        }
        if let (true, CallVerdict::Succeeded, Some((at_once, _))) = (had_slot_of_ramp, made.verdict, &mut self.ramp) {
            *at_once += 1;
        }
        self.calls.push(made);
        if self.mode == BreakerMode::Automatic && self.trips() {
            self.open();
        }
    }

    fn probed(&mut self, made: ModelCall) {
        if made.verdict != CallVerdict::Succeeded || made.slow {
            return self.open();
        }
        self.succeeded += 1;
        if self.succeeded == self.successes() {
            self.openings = 0;
            self.change(BreakerState::Closed);
            self.start_ramp(self.now_ms);
        }
    }

    fn counted(&self) -> Vec<ModelCall> {
        match self.settings.window {
            WindowConfig::Calls(calls) => self.calls.iter().rev().take(calls as usize).copied().collect(),
            WindowConfig::Time(span) => {
                let bucket = millis(span) / 10;
                let young = |made: &&ModelCall| made.at_ms / bucket + 10 > self.now_ms / bucket;
                self.calls.iter().filter(young).copied().collect()
            }
        }
    }

    fn trips(&self) -> bool {
        let counted = self.counted();
        let share = |what: fn(&ModelCall) -> bool| {
            counted.iter().filter(|made| what(made)).count() as f64 / counted.len() as f64
        };
        let rates = counted.len() as u32 >= self.settings.minimum_calls
            && (share(|made| made.verdict != CallVerdict::Succeeded) >= self.settings.failure_rate
                || share(|made| made.slow) >= self.settings.slow_call_rate);
        rates || self.settings.consecutive_failures.is_some_and(|most| self.in_a_row >= most.get())
    }

    fn pause(&mut self, millis: u64) {
        if self.now_ms + millis > self.asked_until_ms.max(self.now_ms) {
            self.asked_until_ms = self.now_ms + millis;
            if self.mode != BreakerMode::ForcedOpen && self.state == BreakerState::Closed {
                self.start_ramp(self.asked_until_ms);
            }
        }
    }

    fn set_mode(&mut self, mode: BreakerMode) {
        if mode == self.mode {
            return;
        }
        let state = match (self.mode, mode) {
            (BreakerMode::ForcedOpen, BreakerMode::Automatic) => BreakerState::HalfOpen,
            _ => BreakerState::Closed,
        };
        self.mode = mode;
        (self.openings, self.in_a_row) = (0, 0);
        self.change(state);
    }

    fn reset(&mut self) {
        (self.mode, self.openings, self.in_a_row, self.asked_until_ms) = (BreakerMode::Automatic, 0, 0, 0);
        self.change(BreakerState::Closed);
    }

    /// What the breaker is to show.
    fn shown(&self) -> BreakerState {
        match self.mode {
            BreakerMode::Automatic => self.state,
            BreakerMode::ForcedOpen => BreakerState::ForcedOpen,
            BreakerMode::ForcedClosed => BreakerState::ForcedClosed,
            BreakerMode::MetricsOnly => BreakerState::MetricsOnly,
        }
    }
}

/// Added to the ids of the ramp's tickets, so that they differ from the ids of other tickets.
const RAMP: usize = 1 << 32;

fn millis(span: Duration) -> u64 {
    span.as_millis() as u64
}

fn settings() -> impl Strategy<Value = BreakerParameters> {
    let rate = || prop_oneof![Just(0.25), Just(0.5), Just(0.75), Just(1.0)];
    let window = prop_oneof![
        (1u64..10).prop_map(|seconds| WindowConfig::Time(Duration::from_secs(seconds))),
        (8u32..20).prop_map(WindowConfig::Calls),
    ];
    let closing = (1u32..5, prop::option::of(1u32..5), 0u64..8);
    (rate(), rate(), 1u32..8, window, 1u64..10, closing, prop::option::of(1u32..6)).prop_map(
        |(failure_rate, slow_call_rate, minimum_calls, window, open, (probes, successes, ramp), in_a_row)| {
            BreakerParameters {
                window,
                minimum_calls,
                failure_rate,
                slow_call: Some(SLOW),
                slow_call_rate,
                consecutive_failures: in_a_row.and_then(NonZeroU32::new),
                open_for: Duration::from_secs(open),
                max_open_for: Duration::from_secs(open * 3),
                probes,
                successes,
                probe_timeout: Duration::from_secs(4),
                ramp: Duration::from_secs(ramp),
                shed_above: None,
            }
        },
    )
}

fn now(model: &BreakerModel) -> MonotonicTime {
    MonotonicTime::since_origin(Duration::from_millis(model.now_ms))
}

/// Both are asked; what is out afterwards with its ticket.
fn ask(
    breaker: &mut CircuitBreaker,
    model: &mut BreakerModel,
    id: usize,
    out: &mut Vec<(usize, u32, BreakerTicket)>,
) -> Result<(), TestCaseError> {
    let room = breaker.room(now(model));
    let on_ramp = model.ramp.is_some_and(|(_, until)| model.now_ms < until);
    let id = if on_ramp { id + RAMP } else { id };
    match (breaker.admit(now(model), HOLD, MIDDLE), model.admits(id)) {
        (BreakerAdmission::Admitted(ticket), true) => {
            prop_assert!(room.calls > 0);
            out.push((id, model.era, ticket));
        }
        (BreakerAdmission::Refused { retry_after, .. }, false) => {
            prop_assert_eq!(room.calls, 0);
            prop_assert!(room.check_again_in.is_some_and(|rest| rest > Duration::ZERO));
            prop_assert!(retry_after > Duration::ZERO);
            prop_assert!(retry_after <= Duration::from_secs(30), "{:?}", retry_after);
        }
        (admission, expected) => prop_assert!(false, "{admission:?}, the model admits: {expected}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_model_does(settings in settings(), acts in prop::collection::vec(act(), 0..200)) {
        let mut model = BreakerModel::new(settings);
        let config = BreakerConfig::new(settings).expect("the test's settings are valid");
        let mut breaker = CircuitBreaker::new(config, now(&model));
        let mut out: Vec<(usize, u32, BreakerTicket)> = Vec::new();
        for (id, act) in acts.into_iter().enumerate() {
            match act {
                BreakerOperation::Rest(millis) => model.now_ms += u64::from(millis),
                BreakerOperation::Ask => ask(&mut breaker, &mut model, id, &mut out)?,
                BreakerOperation::Settle { which, verdict, slow } if !out.is_empty() => {
                    let (id, era, ticket) = out.swap_remove(which % out.len());
                    let took = if slow { SLOW * 2 } else { SLOW };
                    breaker.settle(ticket, verdict, took, now(&model), MIDDLE);
                    model.settle(id, era, ModelCall { at_ms: model.now_ms, verdict, slow });
                }
                BreakerOperation::Lose(which) if !out.is_empty() => drop(out.swap_remove(which % out.len())),
                BreakerOperation::Settle { .. } | BreakerOperation::Lose(_) => {}
                BreakerOperation::Pause(millis) => {
                    breaker.open_for_at_least(Duration::from_millis(millis.into()), now(&model));
                    model.pause(millis.into());
                }
                BreakerOperation::Mode(mode) => {
                    breaker.set_mode(mode, now(&model));
                    model.set_mode(mode);
                }
                BreakerOperation::Reset => {
                    breaker.reset(now(&model));
                    model.reset();
                }
            }
            let snapshot = breaker.snapshot(now(&model));
            prop_assert_eq!(snapshot.state, model.shown());
            prop_assert!(snapshot.probes_out <= settings.probes);
            prop_assert_eq!(snapshot.failures_in_a_row, model.in_a_row);
            prop_assert_eq!(snapshot.calls as usize, model.counted().len());
        }
        // Whatever was lost on the way, the breaker admits a call again when every span it knows has passed.
        breaker.set_mode(BreakerMode::Automatic, now(&model));
        model.now_ms += 40_000;
        prop_assert!(matches!(breaker.admit(now(&model), HOLD, MIDDLE), BreakerAdmission::Admitted(_)));
    }
}
