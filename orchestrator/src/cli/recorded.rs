//! Acts of commands that change something past the API: they are on record in the store, like acts through it.

use super::who;
use anyhow::Context;
use saga_base::clock::EngineClock;
use saga_core::act_author::{ActAuthor, ActOrigin};
use saga_engine::act_log::{ActedPart, PartAct};
use saga_event_store::EventStore;

/// Puts on record what the command is about to do, as the user of this machine.
pub(super) async fn act(store: &dyn EventStore, action: &str, kind: ActedPart, name: &str) -> anyhow::Result<()> {
    let by = ActAuthor { who: who::name(), reason: String::new(), origin: ActOrigin::default() };
    let act = PartAct::new(&by, action, kind, name).record(store, EngineClock::Wall.now()).await;
    act.map(drop).context("the event store did not take the record of this command, so nothing was done")
}
