use super::*;
use proptest::prelude::*;
use std::num::NonZeroU32;

const HOLD: Duration = Duration::from_secs(5);
const OPEN_FOR: Duration = Duration::from_secs(10);

fn at(seconds: f64) -> Monotonic {
    Monotonic::since_origin(Duration::from_secs_f64(seconds))
}

/// A configuration in the tests' own words.
#[derive(Clone, Debug)]
struct Settings {
    failure_rate: f64,
    minimum_calls: u32,
    window: Duration,
    open_for: Duration,
    probes: u32,
    consecutive_failures: Option<u32>,
}

impl Settings {
    fn config(&self) -> Config {
        let settings = super::Settings {
            failure_rate: self.failure_rate,
            minimum_calls: self.minimum_calls,
            window: super::config::Window::Time(self.window),
            open_for: self.open_for,
            max_open_for: self.open_for,
            probes: self.probes,
            consecutive_failures: self.consecutive_failures.and_then(NonZeroU32::new),
            ..super::Settings::default()
        };
        Config::new(settings).expect("the test's settings are valid")
    }
}

fn config(change: impl FnOnce(&mut Settings)) -> Config {
    let mut settings = Settings {
        failure_rate: 0.5,
        minimum_calls: 10,
        window: Duration::from_secs(30),
        open_for: OPEN_FOR,
        probes: 3,
        consecutive_failures: None,
    };
    change(&mut settings);
    settings.config()
}

fn breaker() -> Breaker {
    Breaker::new(config(|_| {}), at(0.0))
}

#[track_caller]
fn admitted(breaker: &mut Breaker, now: Monotonic) -> Ticket {
    match breaker.admit(now, HOLD) {
        Admission::Admitted(ticket) => ticket,
        Admission::Refused { retry_after } => panic!("refused for {retry_after:?}"),
    }
}

#[track_caller]
fn refused(breaker: &mut Breaker, now: Monotonic) -> Duration {
    match breaker.admit(now, HOLD) {
        Admission::Admitted(ticket) => panic!("admitted: {ticket:?}"),
        Admission::Refused { retry_after } => retry_after,
    }
}

fn call(breaker: &mut Breaker, now: Monotonic, verdict: Verdict) -> Settled {
    let ticket = admitted(breaker, now);
    breaker.settle(ticket, verdict, now)
}

/// A breaker that opened at `now`, by ten failures.
fn opened(now: Monotonic) -> Breaker {
    let mut breaker = breaker();
    let last = (0..10).map(|_| call(&mut breaker, now, Verdict::Failed)).last();
    assert_eq!(last, Some(Settled::Opened(Trip::FailureRate)));
    breaker
}

#[test]
fn it_opens_when_half_of_ten_calls_failed_and_not_below_ten() {
    let mut breaker = breaker();
    for _ in 0..5 {
        assert_eq!(call(&mut breaker, at(1.0), Verdict::Failed), Settled::Kept);
    }
    for _ in 0..4 {
        assert_eq!(call(&mut breaker, at(1.0), Verdict::Succeeded), Settled::Kept);
    }
    assert_eq!(call(&mut breaker, at(1.0), Verdict::Succeeded), Settled::Opened(Trip::FailureRate));
    assert_eq!(refused(&mut breaker, at(1.0)), OPEN_FOR);
}

#[test]
fn failures_that_left_the_window_do_not_count() {
    let mut breaker = breaker();
    for _ in 0..9 {
        assert_eq!(call(&mut breaker, at(1.0), Verdict::Failed), Settled::Kept);
    }
    assert_eq!(call(&mut breaker, at(32.0), Verdict::Failed), Settled::Kept);
    assert_eq!(breaker.snapshot(at(32.0)).calls, 1);
}

#[test]
fn failures_in_a_row_open_it_before_there_are_calls_enough_for_a_rate() {
    let mut breaker = Breaker::new(config(|it| it.consecutive_failures = Some(3)), at(0.0));
    call(&mut breaker, at(1.0), Verdict::Failed);
    call(&mut breaker, at(1.0), Verdict::Failed);
    call(&mut breaker, at(1.0), Verdict::Succeeded);
    call(&mut breaker, at(1.0), Verdict::Failed);
    call(&mut breaker, at(1.0), Verdict::Failed);
    assert_eq!(call(&mut breaker, at(1.0), Verdict::Failed), Settled::Opened(Trip::ConsecutiveFailures));
}

#[test]
fn neutral_calls_say_nothing() {
    let mut breaker = breaker();
    for _ in 0..9 {
        call(&mut breaker, at(1.0), Verdict::Failed);
    }
    assert_eq!(call(&mut breaker, at(1.0), Verdict::Neutral), Settled::Kept);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot(at(1.0)).failures_in_a_row, 9);
}

#[test]
fn an_open_breaker_says_how_long_and_then_lets_probes_out() {
    let mut breaker = opened(at(1.0));
    assert_eq!(refused(&mut breaker, at(4.0)), Duration::from_secs(7));
    let probes: Vec<Ticket> = (0..3).map(|_| admitted(&mut breaker, at(11.0))).collect();
    assert!(probes.iter().all(Ticket::is_probe));
    assert_eq!(refused(&mut breaker, at(11.0)), OPEN_FOR / 4);
    assert_eq!(breaker.snapshot(at(11.0)).probes_out, 3);
}

#[test]
fn it_closes_with_an_empty_window_when_all_probes_succeeded() {
    let mut breaker = opened(at(1.0));
    let settled: Vec<Settled> = (0..3).map(|_| call(&mut breaker, at(11.0), Verdict::Succeeded)).collect();
    assert_eq!(settled, [Settled::Kept, Settled::Kept, Settled::Closed]);
    assert_eq!(breaker.snapshot(at(11.0)).calls, 0);
    assert_eq!(call(&mut breaker, at(11.0), Verdict::Failed), Settled::Kept);
}

#[test]
fn a_probe_that_succeeded_is_not_replaced_by_another() {
    let mut breaker = opened(at(1.0));
    call(&mut breaker, at(11.0), Verdict::Succeeded);
    let _second = admitted(&mut breaker, at(11.0));
    let _third = admitted(&mut breaker, at(11.0));
    refused(&mut breaker, at(11.0));
}

#[test]
fn one_failed_probe_opens_it_again_and_the_others_results_come_too_late() {
    let mut breaker = opened(at(1.0));
    let [first, second, third] = [(); 3].map(|()| admitted(&mut breaker, at(11.0)));
    assert_eq!(breaker.settle(first, Verdict::Failed, at(12.0)), Settled::Opened(Trip::Probe));
    assert_eq!(breaker.settle(second, Verdict::Succeeded, at(12.0)), Settled::Stale);
    assert_eq!(refused(&mut breaker, at(12.0)), OPEN_FOR);
    let _probe = admitted(&mut breaker, at(22.0));
    assert_eq!(breaker.settle(third, Verdict::Failed, at(22.0)), Settled::Stale);
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn a_call_begun_while_it_was_closed_neither_opens_nor_closes_it_later() {
    let mut breaker = breaker();
    let [early, also_early] = [(); 2].map(|()| admitted(&mut breaker, at(0.5)));
    for _ in 0..10 {
        call(&mut breaker, at(1.0), Verdict::Failed);
    }
    assert_eq!(breaker.settle(early, Verdict::Succeeded, at(2.0)), Settled::Stale);
    let _probe = admitted(&mut breaker, at(11.0));
    assert_eq!(breaker.settle(also_early, Verdict::Failed, at(11.0)), Settled::Stale);
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn a_neutral_probe_gives_its_slot_back_and_decides_nothing() {
    let mut breaker = opened(at(1.0));
    for _ in 0..20 {
        assert_eq!(call(&mut breaker, at(11.0), Verdict::Neutral), Settled::Kept);
    }
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(breaker.snapshot(at(11.0)).probes_out, 0);
}

#[test]
fn a_probe_that_vanished_keeps_its_slot_for_as_long_as_it_said_and_not_longer() {
    let mut breaker = opened(at(1.0));
    let _lost = [(); 3].map(|()| admitted(&mut breaker, at(11.0)));
    refused(&mut breaker, at(15.9));
    assert_eq!(refused(&mut breaker, at(15.0)), Duration::from_secs(1));
    let _probe = admitted(&mut breaker, at(16.0));
    assert_eq!(breaker.snapshot(at(16.0)).probes_out, 1);
}

#[test]
fn a_probe_that_outlived_its_slot_is_still_evidence() {
    let mut breaker = opened(at(1.0));
    let slow = [(); 3].map(|()| admitted(&mut breaker, at(11.0)));
    let replacement = admitted(&mut breaker, at(17.0));
    let settled = slow.map(|ticket| breaker.settle(ticket, Verdict::Succeeded, at(30.0)));
    assert_eq!(settled, [Settled::Kept, Settled::Kept, Settled::Closed]);
    assert_eq!(breaker.settle(replacement, Verdict::Failed, at(30.0)), Settled::Stale);
}

#[test]
fn a_new_configuration_keeps_the_state() {
    let mut breaker = opened(at(1.0));
    breaker.configure(config(|it| it.open_for = Duration::from_secs(60)), at(5.0));
    assert_eq!(refused(&mut breaker, at(11.0)), Duration::from_secs(50));
    breaker.configure(config(|it| it.open_for = Duration::from_secs(2)), at(11.0));
    call(&mut breaker, at(11.0), Verdict::Succeeded);
    breaker.configure(config(|it| it.probes = 1), at(11.0));
    assert_eq!(call(&mut breaker, at(11.0), Verdict::Succeeded), Settled::Closed);
}

#[test]
fn another_window_starts_to_count_anew() {
    let mut breaker = breaker();
    call(&mut breaker, at(1.0), Verdict::Failed);
    breaker.configure(config(|it| it.minimum_calls = 20), at(1.0));
    assert_eq!(breaker.snapshot(at(1.0)).calls, 1);
    breaker.configure(config(|it| it.window = Duration::from_secs(5)), at(1.0));
    assert_eq!(breaker.snapshot(at(1.0)).calls, 0);
}

#[test]
fn the_failure_rate_is_shown_from_the_first_call() {
    let mut breaker = breaker();
    assert_eq!(breaker.snapshot(at(0.0)).failure_rate(), None);
    call(&mut breaker, at(0.0), Verdict::Failed);
    call(&mut breaker, at(0.0), Verdict::Succeeded);
    assert_eq!(breaker.snapshot(at(0.0)).failure_rate(), Some(0.5));
}

/// What may happen around a breaker. Tickets are taken from those that are out, modulo their number.
#[derive(Clone, Debug)]
enum Act {
    Rest(u16),
    Ask,
    Settle(usize, Verdict),
    Lose(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let verdict = prop_oneof![
        2 => Just(Verdict::Succeeded),
        3 => Just(Verdict::Failed),
        1 => Just(Verdict::Neutral),
    ];
    prop_oneof![
        2 => (0u16..4_000).prop_map(Act::Rest),
        5 => Just(Act::Ask),
        5 => (any::<usize>(), verdict).prop_map(|(index, verdict)| Act::Settle(index, verdict)),
        1 => any::<usize>().prop_map(Act::Lose),
    ]
}

/// What a breaker has to keep to, written down from its description and sharing none of its code.
struct Model {
    settings: Settings,
    now_ms: u64,
    era: u32,
    state: State,
    opened_ms: u64,
    /// (when, failed) of the calls that count in this era.
    calls: Vec<(u64, bool)>,
    /// (id, until when) of the slots of this era.
    slots: Vec<(usize, u64)>,
    succeeded: u32,
}

impl Model {
    fn new(settings: Settings) -> Model {
        let (calls, slots) = (Vec::new(), Vec::new());
        Model { settings, now_ms: 0, era: 0, state: State::Closed, opened_ms: 0, calls, slots, succeeded: 0 }
    }

    fn change(&mut self, state: State) {
        self.era += 1;
        self.state = state;
        self.opened_ms = self.now_ms;
        self.calls.clear();
        self.slots.clear();
        self.succeeded = 0;
    }

    fn admits(&mut self, id: usize) -> bool {
        let open_ms = self.settings.open_for.as_millis() as u64;
        if self.state == State::Open && self.now_ms >= self.opened_ms + open_ms {
            self.change(State::HalfOpen);
        }
        let now_ms = self.now_ms;
        self.slots.retain(|(_, until)| *until > now_ms);
        let in_use = self.slots.len() as u32 + self.succeeded;
        let admits = match self.state {
            State::Closed => true,
            State::Open => false,
            State::HalfOpen => in_use < self.settings.probes,
        };
        if admits && self.state == State::HalfOpen {
            self.slots.push((id, now_ms + HOLD.as_millis() as u64));
        }
        admits
    }

    fn settle(&mut self, id: usize, era: u32, verdict: Verdict) {
        if era != self.era {
            return;
        }
        self.slots.retain(|(slot, _)| *slot != id);
        match (self.state, verdict) {
            (_, Verdict::Neutral) | (State::Open, _) => {}
            (State::Closed, verdict) => {
                self.calls.push((self.now_ms, verdict == Verdict::Failed));
                self.judge();
            }
            (State::HalfOpen, Verdict::Failed) => self.change(State::Open),
            (State::HalfOpen, Verdict::Succeeded) => {
                self.succeeded += 1;
                if self.succeeded == self.settings.probes {
                    self.change(State::Closed);
                }
            }
        }
    }

    fn judge(&mut self) {
        let bucket_ms = self.settings.window.as_millis() as u64 / 10;
        let oldest = (self.now_ms / bucket_ms).saturating_sub(9);
        let counted: Vec<bool> =
            self.calls.iter().filter(|(made, _)| made / bucket_ms >= oldest).map(|(_, failed)| *failed).collect();
        let failures = counted.iter().filter(|failed| **failed).count() as f64;
        let in_a_row = self.calls.iter().rev().take_while(|(_, failed)| *failed).count() as u32;
        let rate_trips = counted.len() as u32 >= self.settings.minimum_calls
            && failures / counted.len() as f64 >= self.settings.failure_rate;
        if rate_trips || self.settings.consecutive_failures.is_some_and(|most| in_a_row >= most) {
            self.change(State::Open);
        }
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let rates = prop_oneof![Just(0.25), Just(0.5), Just(0.75), Just(1.0)];
    let rows = prop::option::of(1u32..6);
    (rates, 1u32..8, 1u64..10, 1u64..10, 1u32..5, rows).prop_map(|(rate, minimum, window, open, probes, row)| {
        Settings {
            failure_rate: rate,
            minimum_calls: minimum,
            window: Duration::from_secs(window),
            open_for: Duration::from_secs(open),
            probes,
            consecutive_failures: row,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_model_does(settings in settings(), acts in prop::collection::vec(act(), 0..200)) {
        let now = |model: &Model| Monotonic::since_origin(Duration::from_millis(model.now_ms));
        let mut model = Model::new(settings.clone());
        let mut breaker = Breaker::new(settings.config(), now(&model));
        let mut out: Vec<(usize, u32, Ticket)> = Vec::new();
        for (id, act) in acts.into_iter().enumerate() {
            match act {
                Act::Rest(millis) => model.now_ms += u64::from(millis),
                Act::Ask => match (breaker.admit(now(&model), HOLD), model.admits(id)) {
                    (Admission::Admitted(ticket), true) => out.push((id, model.era, ticket)),
                    (Admission::Refused { retry_after }, false) => {
                        prop_assert!(retry_after > Duration::ZERO);
                        prop_assert!(retry_after <= breaker.config.open_for());
                    }
                    (admission, expected) => prop_assert!(false, "{admission:?}, the model admits: {expected}"),
                },
                Act::Settle(index, verdict) if !out.is_empty() => {
                    let (id, era, ticket) = out.swap_remove(index % out.len());
                    breaker.settle(ticket, verdict, now(&model));
                    model.settle(id, era, verdict);
                }
                Act::Lose(index) if !out.is_empty() => drop(out.swap_remove(index % out.len())),
                Act::Settle(..) | Act::Lose(_) => {}
            }
            prop_assert_eq!(breaker.state(), model.state);
        }
        // Whatever was lost on the way, it lets somebody out again when every span it knows has passed.
        model.now_ms += 20_000;
        prop_assert!(matches!(breaker.admit(now(&model), HOLD), Admission::Admitted(_)));
    }
}
