//! What an act leads to, as it is told before it is given.

use crate::given::{Saga, busy, declined, done, given, lost};
use saga_core::{describe::ActPreview, event::OperatorAction, state::SagaStatus};

const SHOP: &str = "
retry: {attempts: 1}
onExhausted: park
steps:
  - {step: reserve, do: stock.Reserve, undo: stock.Release}
  - {step: tell, do: stock.Tell, irreversible: true}
  - {step: charge, do: POST bank/charges, undo: POST bank/refunds}
";

impl Saga {
    fn leads_to(self, action: OperatorAction) -> ActPreview {
        let after = self.when_operator(action);
        ActPreview::of(&after.plan, &after.state, after.journal.last().expect("it is decided"))
    }
}

fn parked() -> Saga {
    given(SHOP).when("reserve", done()).when("tell", done()).when("charge", busy()).then_status(SagaStatus::Parked)
}

#[test]
fn a_retry_says_what_it_starts() {
    let led = parked().leads_to(OperatorAction::Retry);
    // It has failed before, so it counts as waiting for its answer.
    assert_eq!((led.status, led.starts), (SagaStatus::Waiting, vec!["charge".to_owned()]));
    assert!(led.undoes.is_empty() && led.leaves.is_empty());
}

#[test]
fn a_skip_says_where_the_saga_ends() {
    let led = parked().leads_to(OperatorAction::Skip);
    assert_eq!((led.status, led.starts.len(), led.undoes.len()), (SagaStatus::Completed, 0, 0));
}

#[test]
fn a_cancel_says_what_is_undone_and_what_cannot_be() {
    let led = parked().leads_to(OperatorAction::Cancel);
    assert_eq!(led.status, SagaStatus::Compensating);
    assert_eq!((led.undoes, led.leaves), (vec!["reserve".to_owned()], vec!["tell".to_owned()]));
    // An attempt that is out is awaited: it may succeed, and is undone then.
    let out = given(SHOP).when("reserve", done()).when("tell", done()).leads_to(OperatorAction::Cancel);
    assert_eq!((out.status, out.undoes), (SagaStatus::Compensating, vec!["reserve".to_owned(), "charge".to_owned()]));
}

#[test]
fn an_abandon_says_what_it_leaves() {
    let led = parked().leads_to(OperatorAction::Abandon);
    assert_eq!((led.status, led.undoes.len()), (SagaStatus::Abandoned, 0));
    assert_eq!(led.leaves, ["reserve", "tell"]);
}

#[test]
fn only_where_the_saga_is_parked_again_or_ends_otherwise_an_act_was_not_wanted() {
    let led = given(SHOP).when("reserve", declined()).then_status(SagaStatus::Compensated);
    assert!(!led.state.status().is_wanted_by(OperatorAction::Abandon));
    let again = given(SHOP).when("reserve", lost()).when_operator(OperatorAction::Retry).when("reserve", lost());
    // A saga that is moved to another text stays where it is.
    let others = OperatorAction::ALL.into_iter().filter(|action| *action != OperatorAction::Migrate);
    assert!(others.into_iter().all(|action| !again.state.status().is_wanted_by(action)));
}
