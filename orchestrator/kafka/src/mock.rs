//! The broker of `saga dev` and of tests: librdkafka's mock cluster, in this process, for any client that can reach it.
//!
//! It keeps at most 5 MiB or 100,000 records of a partition and forgets everything when it ends. It makes the first
//! member of a group wait for three seconds; consumers that are assigned by hand
//! ([`super::consumer::AssignmentMode::Manual`]) do not wait.

use rdkafka::{error::KafkaError, mocking::MockCluster, producer::DefaultProducerContext};
use std::{io, sync::mpsc, thread};

/// Partitions of topics that a client makes by asking for them.
pub const PARTITIONS: u16 = 4;

/// A running mock cluster of one broker. Dropping it ends it.
#[derive(Debug)]
pub struct MockBroker {
    bootstrap_servers: String,
    commands: Option<mpsc::SyncSender<MockBrokerCommand>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// The mock broker cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MockBrokerError {
    /// The operating system refused a thread.
    #[error("cannot start the thread of the mock broker")]
    Thread(#[from] io::Error),
    /// librdkafka cannot start or control the mock broker.
    #[error("the mock broker failed")]
    Cluster(#[from] KafkaError),
    /// Its thread has ended.
    #[error("the mock broker has ended")]
    Ended,
}

/// One at a time: the caller waits until the thread takes it, and for the answer.
#[derive(Debug)]
enum MockBrokerCommand {
    Create { topic: String, partitions: i32, done: mpsc::SyncSender<Result<(), KafkaError>> },
    Reach { reachable: bool, done: mpsc::SyncSender<Result<(), KafkaError>> },
}

impl MockBroker {
    /// Starts a cluster. Topics are made by [`MockBroker::create_topic`]; those that a client asks for appear with four
    /// partitions.
    ///
    /// # Errors
    /// No thread, or no port on this machine's loopback.
    pub fn start() -> Result<MockBroker, MockBrokerError> {
        let (commands, received) = mpsc::sync_channel(0);
        let (started, address) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("kafka-mock".into()).spawn(move || match MockCluster::new(1) {
            Ok(cluster) => {
                let _ = started.send(Ok(cluster.bootstrap_servers()));
                serve(&cluster, &received);
            }
            Err(error) => drop(started.send(Err(error))),
        })?;
        let bootstrap_servers = address.recv().map_err(|_| MockBrokerError::Ended)??;
        Ok(MockBroker { bootstrap_servers, commands: Some(commands), thread: Some(thread) })
    }

    /// `host:port`, for any client on this machine.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// It exists, or the name is refused.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), MockBrokerError> {
        self.command(|done| MockBrokerCommand::Create { topic: topic.to_owned(), partitions, done })
    }

    /// Takes the broker off the network, or puts it back. What it holds stays.
    ///
    /// # Errors
    /// The cluster has ended.
    pub fn set_reachable(&self, reachable: bool) -> Result<(), MockBrokerError> {
        self.command(|done| MockBrokerCommand::Reach { reachable, done })
    }

    fn command(
        &self,
        command: impl FnOnce(mpsc::SyncSender<Result<(), KafkaError>>) -> MockBrokerCommand,
    ) -> Result<(), MockBrokerError> {
        let (done, answer) = mpsc::sync_channel(1);
        let commands = self.commands.as_ref().ok_or(MockBrokerError::Ended)?;
        commands.send(command(done)).map_err(|_| MockBrokerError::Ended)?;
        Ok(answer.recv().map_err(|_| MockBrokerError::Ended)??)
    }
}

impl Drop for MockBroker {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed; there is nothing left to end.
            let _ = thread.join();
        }
    }
}

/// The cluster may only be touched by the thread that made it.
fn serve(cluster: &MockCluster<'static, DefaultProducerContext>, commands: &mpsc::Receiver<MockBrokerCommand>) {
    for command in commands {
        let (answer, done) = match command {
            MockBrokerCommand::Create { topic, partitions, done } => {
                (cluster.create_topic(&topic, partitions, 1), done)
            }
            MockBrokerCommand::Reach { reachable: true, done } => (cluster.broker_up(-1), done),
            MockBrokerCommand::Reach { reachable: false, done } => (cluster.broker_down(-1), done),
        };
        let _ = done.send(answer);
    }
}
