//! The breaker beside a naive one, written down from its description and sharing none of its code.

use super::*;
use proptest::prelude::*;

const SLOW: Duration = Duration::from_millis(500);

/// What may happen around a breaker. Tickets are taken from those that are out, modulo their number.
#[derive(Clone, Debug)]
enum Act {
    Rest(u16),
    Ask,
    Settle { which: usize, verdict: Verdict, slow: bool },
    Lose(usize),
    Pause(u16),
    Mode(Mode),
    Reset,
}

fn act() -> impl Strategy<Value = Act> {
    let verdict = prop_oneof![
        4 => Just(Verdict::Succeeded),
        4 => Just(Verdict::Failed),
        1 => Just(Verdict::Throttled),
        1 => Just(Verdict::Neutral),
    ];
    let mode = prop_oneof![
        3 => Just(Mode::Automatic),
        1 => Just(Mode::ForcedOpen),
        1 => Just(Mode::ForcedClosed),
        1 => Just(Mode::MetricsOnly),
    ];
    prop_oneof![
        20 => (0u16..4_000).prop_map(Act::Rest),
        60 => Just(Act::Ask),
        60 => (any::<usize>(), verdict, prop::bool::weighted(0.2))
            .prop_map(|(which, verdict, slow)| Act::Settle { which, verdict, slow }),
        10 => any::<usize>().prop_map(Act::Lose),
        1 => (0u16..9_000).prop_map(Act::Pause),
        2 => mode.prop_map(Act::Mode),
        1 => Just(Act::Reset),
    ]
}

/// A call that counts in the present era.
#[derive(Clone, Copy)]
struct Made {
    at_ms: u64,
    verdict: Verdict,
    slow: bool,
}

struct Model {
    settings: Settings,
    now_ms: u64,
    era: u32,
    mode: Mode,
    state: State,
    open_until_ms: u64,
    asked_until_ms: u64,
    openings: u32,
    calls: Vec<Made>,
    in_a_row: u32,
    /// (id, until when) of the slots of this era.
    slots: Vec<(usize, u64)>,
    succeeded: u32,
    /// (calls at once, until when)
    ramp: Option<(u32, u64)>,
}

impl Model {
    fn new(settings: Settings) -> Model {
        Model {
            settings,
            now_ms: 0,
            era: 0,
            mode: Mode::Automatic,
            state: State::Closed,
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

    fn change(&mut self, state: State) {
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
        self.change(State::Open);
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
            Mode::ForcedOpen => return false,
            Mode::ForcedClosed | Mode::MetricsOnly => return true,
            Mode::Automatic => {}
        }
        if self.now_ms < self.asked_until_ms || (self.state == State::Open && self.now_ms < self.open_until_ms) {
            return false;
        }
        if self.state == State::Open {
            self.change(State::HalfOpen);
        }
        let now_ms = self.now_ms;
        self.slots.retain(|(_, until)| *until > now_ms);
        self.ramp = self.ramp.filter(|(_, until)| now_ms < *until);
        let at_once = match (self.state, self.ramp) {
            (State::HalfOpen, _) => self.settings.probes.min(self.successes() - self.succeeded),
            (_, Some((at_once, _))) => at_once,
            (_, None) => return true,
        };
        let admits = (self.slots.len() as u32) < at_once;
        if admits {
            self.slots.push((id, now_ms + millis(HOLD.min(self.settings.probe_timeout))));
        }
        admits
    }

    fn settle(&mut self, id: usize, era: u32, made: Made) {
        if era != self.era || self.mode == Mode::ForcedClosed {
            return;
        }
        let had_slot_of_ramp = self.state == State::Closed && id >= RAMP;
        self.slots.retain(|(slot, _)| *slot != id);
        if made.verdict == Verdict::Neutral {
            return;
        }
        self.in_a_row = match made.verdict {
            Verdict::Failed => self.in_a_row + 1,
            Verdict::Succeeded => 0,
            Verdict::Throttled | Verdict::Neutral => self.in_a_row,
        };
        if self.state == State::HalfOpen {
            return self.probed(made);
        }
        if let (true, Verdict::Succeeded, Some((at_once, _))) = (had_slot_of_ramp, made.verdict, &mut self.ramp) {
            *at_once += 1;
        }
        self.calls.push(made);
        if self.mode == Mode::Automatic && self.trips() {
            self.open();
        }
    }

    fn probed(&mut self, made: Made) {
        if made.verdict != Verdict::Succeeded || made.slow {
            return self.open();
        }
        self.succeeded += 1;
        if self.succeeded == self.successes() {
            self.openings = 0;
            self.change(State::Closed);
            self.start_ramp(self.now_ms);
        }
    }

    fn counted(&self) -> Vec<Made> {
        match self.settings.window {
            Window::Calls(calls) => self.calls.iter().rev().take(calls as usize).copied().collect(),
            Window::Time(span) => {
                let bucket = millis(span) / 10;
                let young = |made: &&Made| made.at_ms / bucket + 10 > self.now_ms / bucket;
                self.calls.iter().filter(young).copied().collect()
            }
        }
    }

    fn trips(&self) -> bool {
        let counted = self.counted();
        let share =
            |what: fn(&Made) -> bool| counted.iter().filter(|made| what(made)).count() as f64 / counted.len() as f64;
        let rates = counted.len() as u32 >= self.settings.minimum_calls
            && (share(|made| made.verdict != Verdict::Succeeded) >= self.settings.failure_rate
                || share(|made| made.slow) >= self.settings.slow_call_rate);
        rates || self.settings.consecutive_failures.is_some_and(|most| self.in_a_row >= most.get())
    }

    fn pause(&mut self, millis: u64) {
        if self.now_ms + millis > self.asked_until_ms.max(self.now_ms) {
            self.asked_until_ms = self.now_ms + millis;
            if self.mode != Mode::ForcedOpen && self.state == State::Closed {
                self.start_ramp(self.asked_until_ms);
            }
        }
    }

    fn set_mode(&mut self, mode: Mode) {
        if mode == self.mode {
            return;
        }
        let state = match (self.mode, mode) {
            (Mode::ForcedOpen, Mode::Automatic) => State::HalfOpen,
            _ => State::Closed,
        };
        self.mode = mode;
        (self.openings, self.in_a_row) = (0, 0);
        self.change(state);
    }

    fn reset(&mut self) {
        (self.mode, self.openings, self.in_a_row, self.asked_until_ms) = (Mode::Automatic, 0, 0, 0);
        self.change(State::Closed);
    }

    /// What the breaker is to show.
    fn shown(&self) -> State {
        match self.mode {
            Mode::Automatic => self.state,
            Mode::ForcedOpen => State::ForcedOpen,
            Mode::ForcedClosed => State::ForcedClosed,
            Mode::MetricsOnly => State::MetricsOnly,
        }
    }
}

/// Tickets of the ramp are told from others by their numbers.
const RAMP: usize = 1 << 32;

fn millis(span: Duration) -> u64 {
    span.as_millis() as u64
}

fn settings() -> impl Strategy<Value = Settings> {
    let rate = || prop_oneof![Just(0.25), Just(0.5), Just(0.75), Just(1.0)];
    let window = prop_oneof![
        (1u64..10).prop_map(|seconds| Window::Time(Duration::from_secs(seconds))),
        (8u32..20).prop_map(Window::Calls),
    ];
    let closing = (1u32..5, prop::option::of(1u32..5), 0u64..8);
    (rate(), rate(), 1u32..8, window, 1u64..10, closing, prop::option::of(1u32..6)).prop_map(
        |(failure_rate, slow_call_rate, minimum_calls, window, open, (probes, successes, ramp), in_a_row)| Settings {
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
        },
    )
}

fn now(model: &Model) -> Monotonic {
    Monotonic::since_origin(Duration::from_millis(model.now_ms))
}

/// Both are asked; what is out afterwards with its ticket.
fn ask(
    breaker: &mut Breaker,
    model: &mut Model,
    id: usize,
    out: &mut Vec<(usize, u32, Ticket)>,
) -> Result<(), TestCaseError> {
    let room = breaker.room(now(model));
    let on_ramp = model.ramp.is_some_and(|(_, until)| model.now_ms < until);
    let id = if on_ramp { id + RAMP } else { id };
    match (breaker.admit(now(model), HOLD, MIDDLE), model.admits(id)) {
        (Admission::Admitted(ticket), true) => {
            prop_assert!(room.calls > 0);
            out.push((id, model.era, ticket));
        }
        (Admission::Refused { retry_after, .. }, false) => {
            prop_assert_eq!(room.calls, 0);
            prop_assert!(room.look_again.is_some_and(|rest| rest > Duration::ZERO));
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
        let mut model = Model::new(settings);
        let config = Config::new(settings).expect("the test's settings are valid");
        let mut breaker = Breaker::new(config, now(&model));
        let mut out: Vec<(usize, u32, Ticket)> = Vec::new();
        for (id, act) in acts.into_iter().enumerate() {
            match act {
                Act::Rest(millis) => model.now_ms += u64::from(millis),
                Act::Ask => ask(&mut breaker, &mut model, id, &mut out)?,
                Act::Settle { which, verdict, slow } if !out.is_empty() => {
                    let (id, era, ticket) = out.swap_remove(which % out.len());
                    let took = if slow { SLOW * 2 } else { SLOW };
                    breaker.settle(ticket, verdict, took, now(&model), MIDDLE);
                    model.settle(id, era, Made { at_ms: model.now_ms, verdict, slow });
                }
                Act::Lose(which) if !out.is_empty() => drop(out.swap_remove(which % out.len())),
                Act::Settle { .. } | Act::Lose(_) => {}
                Act::Pause(millis) => {
                    breaker.open_for_at_least(Duration::from_millis(millis.into()), now(&model));
                    model.pause(millis.into());
                }
                Act::Mode(mode) => {
                    breaker.set_mode(mode, now(&model));
                    model.set_mode(mode);
                }
                Act::Reset => {
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
        // Whatever was lost on the way, it lets somebody out again when every span it knows has passed.
        breaker.set_mode(Mode::Automatic, now(&model));
        model.now_ms += 40_000;
        prop_assert!(matches!(breaker.admit(now(&model), HOLD, MIDDLE), Admission::Admitted(_)));
    }
}
