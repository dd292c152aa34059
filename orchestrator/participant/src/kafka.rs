//! Commands from topics: each is answered, then the broker acknowledges the reply, then the offset moves.
//!
//! Commands of one saga are answered one after the other, in their order; those of different sagas at the same time. If
//! the process dies, commands that were answered and not committed yet come again; the barrier answers them without
//! repeating their effect.

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
    /// The client has an error that it cannot recover from: start the listener again.
    #[error("the client of Kafka cannot go on")]
    Fatal(#[source] rdkafka::error::KafkaError),
    /// The service panicked while it answered. Nothing was replied or committed for that command: start the listener
    /// again.
    #[error("the service panicked while it answered a command")]
    Panicked,
}

/// What a run of the listener did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerStats {
    /// Commands that were answered, and whose replies were acknowledged.
    pub replied: u64,
    /// Commands whose result is not known. They come again.
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

    /// Serves until `stop`. Then it takes no more commands, finishes those that are being worked on within
    /// [`ListenerSettings::grace`], commits and leaves the group.
    ///
    /// # Errors
    /// The client refuses its settings or cannot go on, or the service panicked. An unreachable broker is no error: the
    /// listener waits for it.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<ListenerStats, ListenerError> {
        let mut intake = CommandIntake::start(&self.settings, &self.answering, &self.on_poison)?;
        let ended = intake.take_until(stop).await;
        let served = intake.end(self.settings.grace).await;
        ended.map(|()| served)
    }
}
