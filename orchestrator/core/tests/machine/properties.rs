//! What must hold whatever happens: random definitions in a world that loses, repeats, delays and refuses, with a judge who knows the
//! rules by himself.

mod hours;
mod judge;
mod participants;
mod spec;
mod world;

use proptest::prelude::*;
use spec::Spec;
use world::World;

/// How many sagas are run: what keeps a debug build within some ten seconds.
const SAGAS: u32 = 1000;
/// The most events of a saga's life that are drawn; after them the world is kind.
const MOST_EVENTS: usize = 60;

proptest! {
    #![proptest_config(ProptestConfig { cases: SAGAS, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_saga_ends_as_its_definition_promises(
        spec in spec::definitions(),
        events in prop::collection::vec(any::<u16>(), 0..MOST_EVENTS),
    ) {
        live(&spec, &events);
    }
}

fn live(spec: &Spec, events: &[u16]) {
    let mut world = World::new(spec.clone());
    for event in events {
        world.happens(*event);
    }
    world.is_kind();
    world.is_judged();
}
