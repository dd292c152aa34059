//! How topics are made to take little or nothing, and what strangers do to those that engines read.

use super::trial::{RATE, Trial, lasting};
use anyhow::{Result, ensure};
use rdkafka::{
    ClientConfig,
    consumer::{Consumer, StreamConsumer},
    producer::{BaseProducer, BaseRecord, Producer},
};
use saga_tests::unique;
use std::time::Duration;
use tokio::{task::spawn_blocking, time::timeout};

/// A few commands; a batch of what is due after a standstill is larger.
const SMALL: &str = "4096";
/// What a topic takes that nobody has set.
const USUAL: &str = "1048588";
/// How old a record may be when it comes.
const LATEST: &str = "message.timestamp.before.max.ms";
/// Any age, as by default.
const ALWAYS: &str = "9223372036854775807";
/// A setting reaches the broker's logs a moment after it is acknowledged, and what is on its way arrives.
const SETTLES: Duration = Duration::from_secs(1);
/// Of one step of a transaction.
const TRANSACTION: Duration = Duration::from_secs(30);

impl Trial {
    /// Topics that take small batches only, while much is due, and a while longer.
    pub(crate) async fn small_batches(&self) -> Result<()> {
        let topics = [self.world.inventory.topic(), self.outcomes.as_str()];
        for topic in topics {
            self.world.kafka.alter_topic(topic, "max.message.bytes", SMALL).await?;
        }
        self.pause_engines(self.engines.len()).await?;
        lasting(self.broken).await;
        for topic in topics {
            self.world.kafka.alter_topic(topic, "max.message.bytes", USUAL).await?;
        }
        Ok(())
    }

    /// A topic to which every record comes too late. A broker alone cannot be short of replicas.
    pub(crate) async fn refused(&self, topic: &str) -> Result<()> {
        let kafka = &self.world.kafka;
        kafka.alter_topic(topic, LATEST, "0").await?;
        lasting(SETTLES).await;
        let before = kafka.count(topic).await?;
        lasting(self.broken).await;
        let taken = kafka.count(topic).await? - before;
        kafka.alter_topic(topic, LATEST, ALWAYS).await?;
        // One that comes within its millisecond is in time.
        ensure!(taken < 2 * i64::from(RATE), "the topic took {taken} records");
        Ok(())
    }

    /// Nothing that was acknowledged is lost with the topic: nobody writes to it when it is read for the last time.
    pub(crate) async fn outcomes_deleted(&mut self) -> Result<()> {
        for engine in &self.engines {
            engine.pause().await?;
        }
        lasting(SETTLES).await;
        self.read_outcomes().await?;
        self.world.kafka.delete_topic(&self.outcomes).await?;
        for engine in &self.engines {
            engine.unpause().await?;
        }
        lasting(self.broken).await;
        self.world.kafka.create_topic(&self.outcomes, 1, &[]).await
    }

    /// Joins the groups of the engines, takes what it is given and does nothing with it.
    pub(crate) async fn foreign_member(&self) -> Result<()> {
        let installation = &self.world.installation;
        let (intake, shards) = (installation.group().to_owned(), format!("{}.shards", installation.group()));
        let members =
            [(intake, self.world.orders.as_str()), (shards, installation.inbox())].map(|(group, topic)| -> Result<_> {
                let member: StreamConsumer = self.stranger().set("group.id", group).create()?;
                member.subscribe(&[topic])?;
                Ok(member)
            });
        let [intake, shards] = members;
        let (intake, shards) = (intake?, shards?);
        let reading = async { tokio::join!(read(&intake), read(&shards)) };
        drop(timeout(self.broken, reading).await);
        let taken = intake.assignment()?.count() + shards.assignment()?.count();
        ensure!(self.is_brief() || taken > 0, "the stranger was given nothing");
        // Leaving a group blocks until the broker knows.
        Ok(spawn_blocking(move || drop((intake, shards))).await?)
    }

    fn stranger(&self) -> ClientConfig {
        let mut config = self.world.kafka.client();
        config
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "10000")
            .set("enable.auto.commit", "false");
        config
    }

    /// Neither the transaction's records nor those behind them can be read until it is over; its own never.
    pub(crate) async fn open_transaction(&self) -> Result<()> {
        let producer: BaseProducer = self.world.kafka.client().set("transactional.id", unique("stranger")).create()?;
        let installation = &self.world.installation;
        let topics = [&*self.world.orders, installation.replies(), installation.inbox()].map(str::to_owned);
        let producer = spawn_blocking(move || -> Result<_> {
            producer.init_transactions(TRANSACTION)?;
            producer.begin_transaction()?;
            for topic in &topics {
                for partition in 0..2 {
                    let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).partition(partition).payload("{}");
                    producer.send(record).map_err(|(error, _)| error)?;
                }
            }
            producer.flush(TRANSACTION)?;
            Ok(producer)
        })
        .await??;
        lasting(self.broken).await;
        Ok(spawn_blocking(move || producer.abort_transaction(TRANSACTION)).await??)
    }
}

/// Whatever comes.
async fn read(member: &StreamConsumer) {
    loop {
        drop(member.recv().await);
    }
}
