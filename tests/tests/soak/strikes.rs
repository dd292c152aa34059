//! How faults of engines, of the database and of the broker are made, and ended.

use super::{
    faults::Fault,
    trial::{Trial, lasting},
};
use anyhow::Result;
use saga_tests::{control::ServerAction, engine::Engine, network_path::PathPassage};
use sqlx::Connection as _;

/// Shards are locked under their number and this one.
const SHARD_LOCK: i32 = 1_396_786_001;

impl Trial {
    /// Breaks it, waits, and makes it whole.
    pub(crate) async fn strike(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::KillEngine => self.kill_engine().await,
            Fault::KillAllEngines => self.kill_all_engines().await,
            Fault::PauseEngine => self.pause_engines(1).await,
            Fault::RollOut => self.roll_out().await,
            Fault::Operators => self.operators_act().await,
            Fault::CutDatabase => self.break_path(PathPassage::Closed).await,
            Fault::SilentDatabase => self.break_path(PathPassage::Silent).await,
            Fault::ForgetConnections => {
                self.path.forget();
                Ok(())
            }
            Fault::SilentAnswers => self.break_path(PathPassage::SilentBack).await,
            Fault::KillDatabase => self.database(ServerAction::Kill, ServerAction::Start).await,
            Fault::PauseDatabase => self.database(ServerAction::Pause, ServerAction::Unpause).await,
            Fault::ReadOnlyDatabase => self.read_only_database().await,
            Fault::LockShard => self.lock_shard().await,
            Fault::KillBroker => {
                self.world.kafka.perform(ServerAction::Kill).await?;
                self.world.kafka.perform(ServerAction::Start).await
            }
            Fault::PauseBroker => {
                self.world.kafka.perform(ServerAction::Pause).await?;
                lasting(self.broken).await;
                self.world.kafka.perform(ServerAction::Unpause).await
            }
            Fault::ForeignMember => self.foreign_member().await,
            Fault::OpenTransaction => self.open_transaction().await,
            Fault::MorePartitions => self.world.kafka.add_partition(&self.world.orders).await,
            Fault::SmallBatches => self.small_batches().await,
            Fault::CommandsRefused => self.refused(self.world.inventory.topic()).await,
            Fault::OutcomesRefused => self.refused(&self.outcomes).await,
            Fault::OutcomesDeleted => self.outcomes_deleted().await,
        }
    }

    async fn kill_engine(&mut self) -> Result<()> {
        self.engines.remove(0).kill().await?;
        self.engines.push(Engine::spawn(self.version())?);
        Ok(())
    }

    async fn kill_all_engines(&mut self) -> Result<()> {
        for engine in std::mem::take(&mut self.engines) {
            engine.kill().await?;
        }
        lasting(self.broken).await;
        for _ in 0..2 {
            self.engines.push(Engine::spawn(self.version())?);
        }
        Ok(())
    }

    /// So many of them stand still for a while.
    pub(crate) async fn pause_engines(&self, count: usize) -> Result<()> {
        for engine in self.engines.iter().take(count) {
            engine.pause().await?;
        }
        lasting(self.broken).await;
        for engine in self.engines.iter().take(count) {
            engine.unpause().await?;
        }
        Ok(())
    }

    async fn break_path(&self, passage: PathPassage) -> Result<()> {
        self.path.set(passage);
        lasting(self.broken).await;
        self.path.set(PathPassage::Open);
        Ok(())
    }

    async fn database(&self, breaks: ServerAction, mends: ServerAction) -> Result<()> {
        self.world.postgres.perform(breaks).await?;
        lasting(self.broken).await;
        self.world.postgres.perform(mends).await
    }

    async fn read_only_database(&self) -> Result<()> {
        self.world.database.becomes_read_only().await?;
        lasting(self.broken).await;
        self.world.database.takes_writes().await
    }

    async fn lock_shard(&self) -> Result<()> {
        let mut connection = self.world.database.pool().await?.acquire().await?;
        let mut transaction = connection.begin().await?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1, 0)").bind(SHARD_LOCK);
        lock.execute(&mut *transaction).await?;
        lasting(self.broken).await;
        Ok(transaction.rollback().await?)
    }
}
