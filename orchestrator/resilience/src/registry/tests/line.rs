//! Who waits for a guard is called when it has room, undos and the oldest first, and never all at once.

use super::*;
use saga_core::{command::CommandRef, id::StepIndex};
use saga_guards::PriorityLane;
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TryRecvError};

const UNDO: PermitRequest =
    PermitRequest { lane: PriorityLane::Undo, attempt: AttemptKind::First, arrival: CallArrival::New };
const FURTHER: PermitRequest =
    PermitRequest { lane: PriorityLane::Do, attempt: AttemptKind::Retry, arrival: CallArrival::New };

/// A participant and the commands that wait for it.
struct WaitingCommands {
    guarded: Arc<GuardRegistry>,
    calls: Sender<WakeSignal>,
    called: Receiver<WakeSignal>,
    places: Vec<WaitQueueHandle>,
}

impl WaitingCommands {
    fn with(gate: GateSettings) -> WaitingCommands {
        let (calls, called) = channel(1024);
        let guarded = GuardRegistry::new(&[settings(kafka(), gate)]).expect("settings that can be called");
        let guarded = Arc::new(guarded);
        tokio::spawn(Arc::clone(&guarded).run_wait_scheduler());
        WaitingCommands { guarded, calls, called, places: Vec::new() }
    }

    /// Command `number` waits since then.
    fn join(&mut self, number: u64, direction: CommandDirection, guard: GuardKind) {
        let saga = SagaId::new(Timestamp(1), ShardId(0), number << 2);
        let command = CommandRef { step: StepIndex(u16::try_from(number).expect("few")), direction };
        let since = WaitRequest {
            guard,
            since_ms: i64::try_from(number).expect("few"),
            not_before: Duration::ZERO,
            after_failed_probe: false,
        };
        let waiter = SagaWaiter { wake_sender: self.calls.clone(), saga, command: Some(command) };
        self.places.push(self.guarded.enqueue("payments", since, waiter));
    }

    /// Who has been called by now; they have not asked yet.
    async fn called(&mut self) -> Vec<WakeSignal> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut called = Vec::new();
        loop {
            match self.called.try_recv() {
                Ok(wake) => called.push(wake),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return called,
            }
        }
    }

    /// Who is called when the breaker's time is over, which is drawn: 8 to 12 s.
    async fn first_called(&mut self) -> Vec<WakeSignal> {
        for _ in 0..300 {
            let called = self.called().await;
            if !called.is_empty() {
                return called;
            }
        }
        panic!("nobody is called within 15 s");
    }

    fn ask(&self, asking: PermitRequest) -> Result<CallPermit, GuardKind> {
        match self.guarded.admit("payments", asking) {
            GuardAdmission::Admitted(permit) => Ok(permit),
            GuardAdmission::Refused { guard, .. } => Err(guard),
            GuardAdmission::NotConfigured => panic!("it is configured"),
        }
    }

    fn open(&self) {
        for _ in 0..2 {
            self.ask(FIRST).expect("closed").settle(FAILED);
        }
        assert_eq!(only(&self.guarded).breaker, BreakerState::Open);
    }
}

fn numbers(called: &[WakeSignal]) -> Vec<u16> {
    called.iter().filter_map(|wake| wake.command).map(|command| command.step.0).collect()
}

fn succeeded() -> CallSignal {
    CallSignal::from_answer(&CommandAnswer::Succeeded { result: Value::Null })
}

#[tokio::test(start_paused = true)]
async fn nobody_is_called_while_the_breaker_is_open_and_then_as_many_as_it_has_probes() {
    let mut waiting = WaitingCommands::with(gate(64));
    waiting.open();
    for number in 1..=1_000 {
        waiting.join(number, CommandDirection::Do, GuardKind::Breaker);
    }
    assert_eq!(numbers(&waiting.called().await), [0u16; 0]);
    let probe = waiting.first_called().await;
    assert_eq!(numbers(&probe), [1]);
    assert_eq!(numbers(&waiting.called().await), [0u16; 0], "the one that was called has not asked yet");
}

#[tokio::test(start_paused = true)]
async fn a_line_without_room_is_looked_at_when_there_may_be_some_and_not_all_the_time() {
    let mut waiting = WaitingCommands::with(gate(64));
    waiting.open();
    waiting.join(1, CommandDirection::Do, GuardKind::Breaker);
    let next = waiting.guarded.notify_waiters().expect("somebody waits");
    assert!(next >= Duration::from_secs(7), "the breaker is open for longer than {next:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_probe_succeeded_they_come_back_along_a_ramp() {
    let mut waiting = WaitingCommands::with(gate(64));
    waiting.open();
    for number in 1..=500 {
        waiting.join(number, CommandDirection::Do, GuardKind::Breaker);
    }
    let mut called = waiting.first_called().await;
    let (mut at_once, mut ended) = (Vec::new(), 0);
    for _ in 0..5 {
        at_once.push(called.len());
        for wake in called {
            let permit = waiting
                .ask(PermitRequest { arrival: CallArrival::Notified, ..FIRST })
                .expect("who is called is admitted");
            drop(wake);
            permit.settle(succeeded());
            ended += 1;
        }
        called = waiting.called().await;
    }
    assert_eq!(at_once[0], 1);
    assert!(at_once.windows(2).all(|two| two[1] <= 3 * two[0] + 1), "no herd: {at_once:?}");
    assert!(ended > 10, "and they do come back: {at_once:?}");
}

#[tokio::test(start_paused = true)]
async fn undos_are_called_before_dos_and_the_oldest_of_each_first() {
    let mut waiting = WaitingCommands::with(gate(64));
    waiting.open();
    for (number, direction) in
        [(3, CommandDirection::Do), (2, CommandDirection::Do), (9, CommandDirection::Undo), (8, CommandDirection::Undo)]
    {
        waiting.join(number, direction, GuardKind::Breaker);
    }
    waiting.guarded.apply_override(
        "payments",
        ManualOverride { mode: breaker::BreakerMode::ForcedClosed, ..ManualOverride::default() },
    );
    assert_eq!(numbers(&waiting.called().await), [8, 9, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_reset_lets_those_who_waited_out_along_a_ramp() {
    let mut waiting = WaitingCommands::with(gate(64));
    waiting.open();
    for number in 1..=50 {
        waiting.join(number, CommandDirection::Do, GuardKind::Breaker);
    }
    waiting.guarded.apply_override("payments", ManualOverride { resets: 1, ..ManualOverride::default() });
    assert_eq!(numbers(&waiting.called().await), [1]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_later_waits_behind_but_for_an_undo() {
    let mut waiting = WaitingCommands::with(GateSettings { bulkhead: no_queue(1), ..gate(1) });
    let only = waiting.ask(FIRST).expect("a place");
    waiting.join(1, CommandDirection::Do, GuardKind::Bulkhead);
    assert_eq!(numbers(&waiting.called().await), [0u16; 0], "there is no place");
    assert_eq!(waiting.ask(FIRST).err(), Some(GuardKind::Bulkhead), "it would overtake");
    drop(only);
    assert!(waiting.ask(UNDO).is_ok(), "an undo goes before a do that waits");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_behind_others_where_there_is_room_for_all() {
    let mut waiting = WaitingCommands::with(gate(64));
    waiting.guarded.apply_override(
        "payments",
        ManualOverride { mode: breaker::BreakerMode::ForcedOpen, ..ManualOverride::default() },
    );
    waiting.join(1, CommandDirection::Do, GuardKind::Breaker);
    waiting.guarded.apply_override(
        "payments",
        ManualOverride { mode: breaker::BreakerMode::ForcedClosed, ..ManualOverride::default() },
    );
    assert!(waiting.ask(FIRST).is_ok());
    assert_eq!(numbers(&waiting.called().await), [1]);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_decided_on_and_have_not_left_take_their_room() {
    let waiting = WaitingCommands::with(GateSettings { bulkhead: no_queue(3), ..gate(3) });
    let permits: Vec<_> = (0..3).map(|_| waiting.ask(FIRST).expect("a place")).collect();
    assert_eq!(waiting.ask(FIRST).err(), Some(GuardKind::Bulkhead));
    drop(permits);
    assert!(waiting.ask(FIRST).is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_look_at_its_calls_holds_nobody_back_for_long() {
    let mut waiting = WaitingCommands::with(gate(64));
    waiting.open();
    waiting.join(1, CommandDirection::Do, GuardKind::Breaker);
    waiting.join(2, CommandDirection::Do, GuardKind::Breaker);
    let unheard = waiting.first_called().await;
    assert_eq!(numbers(&unheard), [1]);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(numbers(&waiting.called().await), [2]);
    drop(unheard);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_did_not_leave_costs_the_budget_nothing() {
    let budget = saga_guards::budget::RetryBudgetConfig { share: 0.0, reserve_per_second: 1 };
    let waiting = WaitingCommands::with(GateSettings { budget, ..gate(64) });
    for _ in 0..100 {
        drop(waiting.ask(FURTHER).expect("the one before was given back"));
    }
}

#[tokio::test(start_paused = true)]
async fn further_attempts_that_wait_for_the_budget_are_called_as_it_allows_them() {
    let budget = saga_guards::budget::RetryBudgetConfig { share: 0.0, reserve_per_second: 1 };
    let mut waiting = WaitingCommands::with(GateSettings { budget, ..gate(64) });
    let mut taken = Vec::new();
    while let Ok(permit) = waiting.ask(FURTHER) {
        taken.push(permit);
    }
    taken.into_iter().for_each(|permit| permit.settle(succeeded()));
    for number in 1..=100 {
        waiting.join(number, CommandDirection::Do, GuardKind::RetryBudget);
    }
    assert_eq!(numbers(&waiting.called().await), [0u16; 0]);
    tokio::time::sleep(Duration::from_secs(12)).await;
    let called = waiting.called().await;
    assert!((1..=10).contains(&called.len()), "as many as there is budget for: {}", called.len());
}

fn no_queue(places: u32) -> saga_core::definition::participants::BulkheadConfig {
    let places = NonZeroU32::new(places).expect("not zero");
    saga_core::definition::participants::BulkheadConfig {
        max_waiting: Some(0),
        ..GateSettings::of_limit(places).bulkhead
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_called_and_does_not_ask_gives_its_turn_to_the_next() {
    let mut waiting = WaitingCommands::with(gate(64));
    waiting.open();
    waiting.join(1, CommandDirection::Do, GuardKind::Breaker);
    waiting.join(2, CommandDirection::Do, GuardKind::Breaker);
    let first = waiting.first_called().await;
    assert_eq!(numbers(&first), [1]);
    drop(first);
    assert_eq!(numbers(&waiting.called().await), [2]);
}

#[tokio::test(start_paused = true)]
async fn who_left_the_line_is_not_called() {
    let mut waiting = WaitingCommands::with(gate(64));
    waiting.open();
    waiting.join(1, CommandDirection::Do, GuardKind::Breaker);
    waiting.join(2, CommandDirection::Do, GuardKind::Breaker);
    waiting.places.remove(0);
    tokio::time::sleep(Duration::from_secs(13)).await;
    assert_eq!(numbers(&waiting.called().await), [2]);
}

#[tokio::test(start_paused = true)]
async fn further_attempts_wait_for_the_budget_and_hold_nobody_else_back() {
    let budget = saga_guards::budget::RetryBudgetConfig { share: 0.0, reserve_per_second: 1 };
    let mut waiting = WaitingCommands::with(GateSettings { budget, ..gate(64) });
    let mut taken = 0;
    while let Ok(permit) = waiting.ask(FURTHER) {
        permit.settle(succeeded());
        taken += 1;
        assert!(taken <= 11, "a second's reserve for ten seconds is the most");
    }
    assert_eq!(waiting.ask(FURTHER).err(), Some(GuardKind::RetryBudget));
    waiting.join(1, CommandDirection::Do, GuardKind::RetryBudget);
    assert!(waiting.ask(FIRST).is_ok(), "a first attempt is no retry");
}

#[tokio::test(start_paused = true)]
async fn those_whom_the_rate_lets_pass_are_called_and_no_more() {
    let rate = |calls| NonZeroU32::new(calls).expect("not zero");
    let rate = saga_guards::rate::CallRate { calls: rate(10), per: Duration::from_secs(1), burst: rate(1) };
    let mut waiting = WaitingCommands::with(GateSettings { rate: Some(rate), ..gate(64) });
    for number in 1..=100 {
        waiting.join(number, CommandDirection::Do, GuardKind::RateLimit);
    }
    let called = waiting.called().await;
    assert!((10..=12).contains(&called.len()), "a second's worth: {}", called.len());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_sent_into_a_queue_that_is_slower_than_its_patience() {
    let waiting = WaitingCommands::with(gate(1));
    let mut first = waiting.ask(FIRST).expect("a place");
    first.acquire().await.expect("a place");
    let mut second = waiting.ask(FIRST).expect("room to wait");
    assert!(second.acquire().await.is_err(), "the first takes its time");
    drop(second);
    assert_eq!(waiting.ask(FIRST).err(), Some(GuardKind::Bulkhead));
    tokio::time::advance(Duration::from_secs(10)).await;
    let third = waiting.ask(FIRST).expect("it is tried again");
    drop((first, third));
    drop(waiting.ask(FIRST).expect("a place"));
}

#[tokio::test(start_paused = true)]
async fn the_rate_holds_among_calls_that_leave_together() {
    let rate = |calls| NonZeroU32::new(calls).expect("not zero");
    let rate = saga_guards::rate::CallRate { calls: rate(10), per: Duration::from_secs(1), burst: rate(2) };
    let waiting = WaitingCommands::with(GateSettings { rate: Some(rate), ..gate(64) });
    let mut permits: Vec<_> = (0..8).map(|_| waiting.ask(FIRST).expect("within the wait in memory")).collect();
    let began = tokio::time::Instant::now();
    let passed = futures_util::future::join_all(permits.iter_mut().map(|permit| permit.acquire())).await;
    assert!(passed.iter().all(Result::is_ok), "{passed:?}");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(590) && took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_participant_that_asks_for_a_pause_gets_it_from_everybody() {
    let waiting = WaitingCommands::with(gate(64));
    let failure = saga_core::command::CommandFailure::new("http.429", "")
        .of_origin(saga_core::command::FailureOrigin::answer(429))
        .of_class(saga_core::command::ErrorClass::RateLimit);
    let retry_after = Some(Duration::from_secs(20));
    let busy = CommandAnswer::Failed { failure, retry: saga_core::command::RetryAdvice::Yes, retry_after };
    waiting.ask(FIRST).expect("closed").settle(CallSignal::from_answer(&busy));
    assert_eq!(waiting.ask(FIRST).err(), Some(GuardKind::Breaker));
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert!(waiting.ask(FIRST).is_ok());
}
