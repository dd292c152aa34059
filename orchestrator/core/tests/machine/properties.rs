//! What must hold whatever happens: random definitions in a world that loses, repeats, delays and refuses, with a judge
//! who knows the rules by himself.

mod hours;
mod judge;
mod participants;
mod spec;
mod world;

use proptest::prelude::*;
use spec::Spec;
use world::World;

/// How many sagas are run unless `PROPTEST_CASES` says another number: what keeps a debug build within some ten
/// seconds.
const SAGAS: u32 = 1000;
/// The most events of a saga's life that are drawn; after them the world is kind.
const MOST_EVENTS: usize = 60;

proptest! {
    #![proptest_config(ProptestConfig { cases: sagas(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_saga_ends_as_its_definition_promises(
        spec in spec::definitions(),
        events in prop::collection::vec(any::<u16>(), 0..MOST_EVENTS),
    ) {
        live(&spec, &events);
    }
}

/// Lives that once were judged wrongly, or ended wrongly. They are drawn seldom.
#[test]
fn a_pivot_in_doubt_is_skipped_while_the_saga_is_parked_for_something_else() {
    for kind in [spec::Kind::Kafka, spec::Kind::Http, spec::Kind::Publish] {
        let spec = spec::a_firm_pivot(kind, 2);
        live(&spec, &[42820, 10943, 22584, 47935, 38268, 43283, 12698, 45474]);
    }
}

#[test]
fn a_step_that_was_declared_failed_is_tried_again_and_its_participant_is_gone() {
    live(&spec::a_look_that_fails_at_last(), &[62394, 17614, 11359, 25759, 50779, 59063]);
}

#[test]
fn what_a_participant_said_last_is_lost_with_the_owner_that_noted_it() {
    live(&spec::two_of_one_attempt(), &[57717, 5860, 26, 8570, 37138, 61728, 38600, 43010]);
}

fn sagas() -> u32 {
    std::env::var_os("PROPTEST_CASES").map_or(SAGAS, |_| ProptestConfig::default().cases)
}

fn live(spec: &Spec, events: &[u16]) {
    let mut world = World::new(spec.clone());
    for event in events {
        world.happens(*event);
    }
    world.is_kind();
    world.is_judged();
    world.is_safe_to_run_again();
}
