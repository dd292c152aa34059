//! Commands from topics: each is answered, the reply is acknowledged, then the offset moves.
//!
//! Commands of one saga are answered one after the other, in their order; those of different sagas side by side. What
//! was answered and not yet committed when the process dies comes again, which the barrier is for.

mod intake;
mod lane;
mod offsets;
mod record;
mod settings;

pub use record::{PoisonReason, PoisonRecord};
pub use settings::ListenerSettings;

use crate::participant::CommandService;
use intake::CommandIntake;
use std::{fmt, future::Future, sync::Arc};

/// The listener cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// The client refuses its settings.
    #[error("cannot create a client of Kafka")]
    Client(#[source] rdkafka::error::KafkaError),
    /// The client has met an error that it cannot get over: start anew.
    #[error("the client of Kafka cannot go on")]
    Fatal(#[source] rdkafka::error::KafkaError),
    /// Answering panicked. Nothing of that command was replied or committed: start anew.
    #[error("whoever answers commands has panicked")]
    Panicked,
}

/// How a run went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerStats {
    /// Commands that were answered, and whose replies were acknowledged.
    pub replied: u64,
    /// Commands of which nothing could be said; they come again.
    pub unsettled: u64,
    /// Records that were skipped.
    pub poison: u64,
}

type PoisonCallback = Arc<dyn Fn(&PoisonRecord) + Send + Sync>;

/// Takes commands from topics and has them answered.
pub struct CommandListener<A> {
    settings: ListenerSettings,
    answering: Arc<A>,
    on_poison: PoisonCallback,
}

impl<A> fmt::Debug for CommandListener<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandListener").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<A: CommandService> CommandListener<A> {
    /// Does nothing before [`CommandListener::run`].
    #[must_use]
    pub fn new(settings: ListenerSettings, answering: A) -> CommandListener<A> {
        CommandListener { settings, answering: Arc::new(answering), on_poison: Arc::new(|_| ()) }
    }

    /// Called for every record that is skipped, besides the log and [`ListenerStats::poison`]: to write it to a dead
    /// letter topic, say. Its offset moves when this returns.
    #[must_use]
    pub fn on_poison(self, called: impl Fn(&PoisonRecord) + Send + Sync + 'static) -> CommandListener<A> {
        CommandListener { on_poison: Arc::new(called), ..self }
    }

    /// Serves until `stop`; then takes no more, finishes what it has within [`ListenerSettings::grace`], commits and
    /// leaves the group.
    ///
    /// # Errors
    /// The client refuses its settings or cannot go on; answering panicked. That the broker is away is no error: it is
    /// waited for.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<ListenerStats, ListenerError> {
        let mut intake = CommandIntake::start(&self.settings, &self.answering, &self.on_poison)?;
        let ended = intake.take_until(stop).await;
        let served = intake.end(self.settings.grace).await;
        ended.map(|()| served)
    }
}
