//! Our own topics are looked at while the engine runs.

use crate::kafka::{
    Broker, Settings,
    topics::{self, Keeper, Needs, Odd},
};
use std::{future, time::Duration};
use tokio::task::JoinHandle;
use tracing::{debug, error};

/// How often: a deleted inbox stops the engine after the second look.
const EVERY: Duration = Duration::from_secs(3);

/// Looks until the inbox is gone or somebody else's; then nothing may be worked on any more.
pub(super) fn start(kafka: &Settings, needs: Needs) -> Result<JoinHandle<topics::Error>, topics::Error> {
    // The mock broker deletes nothing.
    if kafka.broker == Broker::Mock {
        return Ok(tokio::spawn(future::pending()));
    }
    Ok(tokio::spawn(watch(Keeper::new(kafka, needs)?)))
}

async fn watch(keeper: Keeper) -> topics::Error {
    let mut told: Vec<Odd> = Vec::new();
    loop {
        tokio::time::sleep(EVERY).await;
        match keeper.look().await {
            Ok(odd) => {
                odd.iter().filter(|one| !told.contains(one)).for_each(tell);
                told = odd;
            }
            Err(error) if error.stops_work() => return error,
            Err(error) => debug!(%error, "our own topics cannot be looked at"),
        }
    }
}

fn tell(odd: &Odd) {
    match odd {
        Odd::MadeAnew(topic) => {
            metrics::counter!("saga_topics_made_anew_total", "topic" => topic.to_string()).increment(1);
            error!(%topic, "the topic was deleted while engines run and was made anew: what was in it and not read yet is lost");
        }
        Odd::Foreign { topic, partitions, expected } => error!(
            %topic, partitions, expected,
            "the topic was made anew by somebody else, with fewer partitions than ours: check its retention.ms, or delete it, and it is made as it has to be"
        ),
    }
}
