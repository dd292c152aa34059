//! The lives of sagas whose journals are kept: between them they record every kind of event.

use crate::given::{Saga, busy, declined, done, given, given_gate, given_known, lost, ongoing, result, seconds};
use saga_core::{
    act_author::ActOrigin,
    command::{CommandFailure, GuardKind},
    decide::{AdmissionVerdict, PreviousAnswer},
    event::OperatorAction::{Abandon, Cancel, Retry, Skip},
    id::{SagaId, ShardId},
    input::{OutcomeDelivery, SagaInput},
    rerun::{self, RerunOrder},
    state::SagaStatus::{self, Compensated, Completed, Parked},
    time::Timestamp,
};
use serde_json::json;

/// A life, and the name of its file.
pub(crate) struct RecordedLife {
    pub(crate) name: &'static str,
    pub(crate) saga: Saga,
}

const ORDER: &str = "
timeout: 15m
retry: {attempts: 3, delay: 2s, backoff: constant, jitter: none}
steps:
  - {step: reserve, do: stock.Reserve, with: {id: \"${ event.id }\"}, undo: stock.Release}
  - {step: cool, wait: 10s}
  - {step: charge, do: POST bank/charges, undo: POST bank/refunds, pivot: true}
  - {step: tell, publish: news, type: Told, with: {id: \"${ event.id }\"}}
output: {reservation: \"${ steps.reserve.id }\"}
onCompleted: {publish: outcomes, type: Done}
onCompensated: {publish: outcomes, type: Undone}
";

/// `score` may be answered for, and what it decides is checked.
const SCORED: &str = "
retry: {attempts: 1}
steps:
  - {step: score, do: POST bank/scores, readOnly: true, cache: 10m, fallback: [{value: {score: 50}}]}
  - {step: hold, do: stock.Hold, undo: stock.Free, if: \"steps.score.score > 10\"}
  - {step: audit, do: stock.Audit, undo: stock.Unaudit, check: result.fine}
";

const DOUBTFUL: &str = "
timeout: 1m
onExhausted: park
retry: {attempts: 1}
steps:
  - {step: pay, do: POST bank/charges, irreversible: true, pivot: true}
  - {step: ship, do: stock.Ship, with: {to: \"${ event.adress }\"}}
";

pub(crate) fn all() -> Vec<RecordedLife> {
    let life = |name, saga: Saga, status: SagaStatus| RecordedLife { name, saga: saga.then_status(status) };
    vec![
        life("completed", completed(), Completed),
        life("compensated", compensated(), Compensated),
        life("guarded-and-rejected", guarded_and_rejected(), Compensated),
        life("answered-for", answered_for(), Completed),
        life("in-doubt-then-mended", in_doubt_then_mended(), Completed),
        life("cancelled-and-skipped", cancelled_and_skipped(), Compensated),
        life("late-result", late_result(), Compensated),
        life("abandoned", given(ORDER).when("reserve", lost()).when_operator(Abandon), SagaStatus::Abandoned),
        life("run-again", run_again(), Compensated),
        life("parked", given(DOUBTFUL).when("pay", lost()), Parked),
    ]
}

fn refused() -> CommandFailure {
    CommandFailure::new("broker", "the topic takes nothing now")
}

/// Runs an abandoned saga again behind its first step, whose outcome is taken over, and is undone.
fn run_again() -> Saga {
    let mut first = given(ORDER).when("reserve", result(json!({"id": "r-1"}))).when_operator(Abandon);
    first.state.id = SagaId::new(Timestamp(1_699_999_000_000), ShardId(3), 41);
    let (from, who, reason) = (Some("cool".to_owned()), "ada".to_owned(), "the bank is back".to_owned());
    let order = RerunOrder { id: "act".to_owned(), who, reason, from, force: false, origin: ActOrigin::default() };
    let fork = rerun::fork((&first.plan, &first.state), &first.plan, &order).expect("nothing else stands");
    Saga::forked(&first.plan, crate::saga_id(), rerun::start_of(&first.state), fork)
        .when_due()
        .when("charge", declined())
        .when("undo reserve", done())
        .when_outcome(OutcomeDelivery::Acknowledged)
}

/// A retry, a wait, a published step, an outcome event that waits and is shortened.
fn completed() -> Saga {
    given(ORDER)
        .when("reserve", busy())
        .when_due()
        .when("reserve", ongoing())
        .when("reserve", result(json!({"id": "r".repeat(5_000), "amount": 1.5})))
        .when_due()
        .when("charge", done())
        .when("tell", done())
        .when_outcome(OutcomeDelivery::Refused { failure: refused(), retry_after: seconds(5) })
        .when_outcome(OutcomeDelivery::Impossible { failure: refused() })
        .when_outcome(OutcomeDelivery::Acknowledged)
}

/// Undone because the charge was declined; the undo needs a second attempt.
fn compensated() -> Saga {
    given(ORDER)
        .when("reserve", result(json!({"id": "r-1"})))
        .when_due()
        .when("charge", declined())
        .when("undo reserve", busy())
        .when_due()
        .when("undo reserve", done())
        .when_outcome(OutcomeDelivery::Acknowledged)
        .input(&SagaInput::KeyTaken { record: "orders/0/9".into(), payload: "cafe".into() })
}

/// Held back by an open breaker, then answered, and refused by a `check`.
fn guarded_and_rejected() -> Saga {
    let until = crate::given::START.plus(seconds(10));
    let open = AdmissionVerdict::Refused { guard: GuardKind::Breaker, not_before: until };
    given_gate(SCORED, json!({"id": "4711"}), open)
        .while_gate(AdmissionVerdict::Probe)
        .when_passed(seconds(11))
        .when("score", result(json!({"score": 60})))
        .while_gate(AdmissionVerdict::Admitted)
        .when("hold", done())
        .when("audit", result(json!({"fine": false})))
        .when("undo audit", done())
        .when("undo hold", done())
}

/// The cache answers for `score`, and `hold` is passed over.
fn answered_for() -> Saga {
    let known = PreviousAnswer { at: crate::given::START, result: json!({"score": 5}) };
    given_known(SCORED, json!({"id": "4711"}), AdmissionVerdict::Admitted, Some(known))
        .when("audit", result(json!({"fine": true})))
}

/// A pivot in doubt resolves itself, the saga is overdue, and a mended definition goes on.
fn in_doubt_then_mended() -> Saga {
    let mended = DOUBTFUL.replace("event.adress", "event.id");
    given(DOUBTFUL)
        .when("pay", lost())
        .when_attempt(Some(1), "pay", done())
        .when_mended(&mended)
        .when_passed(seconds(90))
        .when("ship", busy())
        .when_operator(Retry)
        .when("ship", done())
}

/// An undo that gives up is taken as done by hand.
fn cancelled_and_skipped() -> Saga {
    given(ORDER)
        .when("reserve", result(json!({"id": "r-1"})))
        .when_operator(Cancel)
        .when("undo reserve", declined())
        .when_operator(Skip)
        .when_outcome(OutcomeDelivery::Acknowledged)
}

/// A fallback answered for a call in doubt, whose own answer comes late.
fn late_result() -> Saga {
    given(&SCORED.replace("readOnly: true, cache: 10m", "undo: POST bank/forget"))
        .when("score", lost())
        .when_attempt(Some(1), "score", result(json!({"score": 70})))
        .when("hold", done())
        .when("audit", declined())
        .when("undo hold", done())
        .when("undo score", done())
}
