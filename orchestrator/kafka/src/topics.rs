//! What must exist at the broker before anything starts: topics, their limits, and the proof that they, the consumer group and
//! the store belong together.

mod admin;
mod error;
mod installation;
mod keeper;
mod limits;
mod needs;
mod trim;

pub use error::{Error, Missing};
pub use keeper::{Keeper, Odd};
pub use limits::{keep_limits, limits};
pub use needs::{LONGEST_OWN_TOPIC, Needs};
pub use trim::{Trimmed, trim};

use super::{
    producer::Limits,
    settings::{Broker, LARGEST_BATCH, Settings, USUAL_BATCH},
};
use admin::{Admin, Existing, Kept, Limit};
use installation::Marks;
use needs::{Need, mark_of};
use std::{
    collections::BTreeSet,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// How long topics that were just created may take to be known: a cluster tells its members one by one.
const KNOWN_WITHIN: Duration = Duration::from_secs(15);

/// How often it is looked whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the inbox must be able to take: a record of 1 MiB and what forwarding adds.
const INBOX_RECORD: usize = 1024 * 1024 + 64 * 1024;

/// What was found and made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Topics that did not exist and were created.
    pub created: Vec<Arc<str>>,
    /// The largest `max.message.bytes` of the topics that are read; goes into [`super::consumer::Plan`].
    pub largest_batch: usize,
    /// Those of them that drop records which newer ones of their key replace; goes there, too.
    pub compacted: BTreeSet<Arc<str>>,
    /// The largest batch that each of the topics takes that are written to; goes into [`super::Producer::learn`].
    pub limits: Limits,
    /// What a person should know and that does not hinder the start.
    pub warnings: Vec<String>,
    /// Which kind of broker answered.
    pub broker: Broker,
}

/// Sees to it that all topics exist as they have to, and that inbox, replies, DLQ and consumer group belong to the installation
/// `installation`, which is the store's own name for itself. Safe to repeat, and for several instances at once.
///
/// # Errors
/// The broker cannot be reached ([`Error::is_transient`]); a topic is missing and may not be created; the inbox has another
/// number of partitions than there are shards; something belongs to another store, or a topic of others is an internal one of some
/// installation; a topic allows larger records than can be read.
pub async fn ensure(settings: &Settings, needs: &Needs, installation: &str) -> Result<Ready, Error> {
    let (settings, needs, installation) = (settings.clone(), needs.clone(), installation.to_owned());
    let work = move || match settings.broker {
        Broker::Real => ensure_either(&settings, &needs, &installation),
        Broker::Mock => ensure_mock(&Admin::connect(&settings)?, &needs),
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(Error::Panicked(panic.to_string())))
}

/// Whoever was told of a broker need not know that `saga dev` started it.
fn ensure_either(settings: &Settings, needs: &Needs, installation: &str) -> Result<Ready, Error> {
    let admin = Admin::connect(settings)?;
    let existing = admin.existing()?;
    if !admin.is_mock() {
        return ensure_real(&admin, existing, settings, needs, installation);
    }
    if let Some((topic, key)) = needs.of_dev() {
        return Err(Error::OfDev { topic, key });
    }
    make_at_mock(settings, needs, &existing)?;
    ensure_mock(&admin, needs)
}

fn ensure_real(
    admin: &Admin,
    existing: Existing,
    settings: &Settings,
    needs: &Needs,
    installation: &str,
) -> Result<Ready, Error> {
    let absent: Vec<Need> = needs.all().into_iter().filter(|need| !existing.has(&need.topic)).collect();
    let inbox_is_gone = !existing.has(&needs.inbox) && existing.has(&mark_of(&needs.inbox));
    admin.create(&absent)?;
    let existing = if absent.is_empty() { existing } else { known(admin, &absent)? };
    check_shards(&existing, needs)?;
    let mut ready = check_limits(admin, settings, needs)?;
    let marks = Marks::connect(settings)?;
    marks.require_foreign(&existing, &needs.foreign())?;
    marks.claim(&needs.owned(), installation)?;
    if inbox_is_gone {
        ready.warnings.push(format!(
            "the inbox {} had been deleted and is made anew: triggers, replies and acts that were handed on in it and not taken yet are lost",
            needs.inbox
        ));
    }
    ready.limits = admin.largest_batches(&needs.written_to())?;
    ready.created = absent.into_iter().map(|need| need.topic).collect();
    Ok(ready)
}

/// The mock has no topic configuration to check and no past that could belong to somebody else.
fn ensure_mock(admin: &Admin, needs: &Needs) -> Result<Ready, Error> {
    check_shards(&admin.existing()?, needs)?;
    Ok(Ready { largest_batch: USUAL_BATCH, broker: Broker::Mock, ..Ready::default() })
}

/// The mock creates no topics on request, but makes those that a client asks about which wants that.
fn make_at_mock(settings: &Settings, needs: &Needs, existing: &Existing) -> Result<(), Error> {
    let mut config = settings.client();
    config.set("allow.auto.create.topics", "true");
    let asking = Admin::of(settings, &config)?;
    let mut absent = needs.all().into_iter().map(|need| need.topic).filter(|topic| !existing.has(topic));
    absent.try_for_each(|topic| asking.partitions(&topic).map(drop))
}

fn known(admin: &Admin, absent: &[Need]) -> Result<Existing, Error> {
    let give_up = Instant::now() + KNOWN_WITHIN;
    loop {
        let existing = admin.existing()?;
        let Some(late) = absent.iter().find(|need| !existing.has(&need.topic)) else { return Ok(existing) };
        if Instant::now() >= give_up {
            return Err(Error::NotKnown { topic: late.topic.clone() });
        }
        pause(LOOK_EVERY);
    }
}

/// On a thread for blocking work, where nobody's saga waits.
#[allow(clippy::disallowed_methods, reason = "this code runs in `spawn_blocking` only")]
fn pause(span: Duration) {
    thread::sleep(span);
}

fn check_shards(existing: &Existing, needs: &Needs) -> Result<(), Error> {
    match existing.partitions(&needs.inbox) {
        Some(partitions) if partitions == usize::from(needs.shards) => Ok(()),
        Some(partitions) => Err(Error::Shards { inbox: needs.inbox.clone(), partitions, shards: needs.shards }),
        None => Err(Error::NotKnown { topic: needs.inbox.clone() }),
    }
}

fn check_limits(admin: &Admin, settings: &Settings, needs: &Needs) -> Result<Ready, Error> {
    let mut ready = Ready { largest_batch: USUAL_BATCH, ..Ready::default() };
    for topic in needs.read() {
        match admin.limit(&topic)? {
            Limit::Known { max_message_bytes, .. } if max_message_bytes > LARGEST_BATCH => {
                return Err(Error::LimitTooHigh { topic, limit: max_message_bytes });
            }
            Limit::Known { max_message_bytes, compacted, kept } => {
                ready.largest_batch = ready.largest_batch.max(max_message_bytes);
                if compacted {
                    ready.compacted.insert(topic.clone());
                }
                if topic == needs.inbox {
                    check_inbox(settings, &topic, max_message_bytes, compacted)?;
                }
                if needs.keeps(&topic) {
                    check_kept(settings, &topic, kept)?;
                }
            }
            Limit::Hidden(reason) => {
                ready.largest_batch = LARGEST_BATCH;
                ready
                    .warnings
                    .push(format!("the configuration of topic {topic} may not be read ({reason}); assuming 128 MiB"));
            }
        }
    }
    Ok(ready)
}

/// Such a topic was made by the broker itself, or by somebody who could not know.
fn check_kept(settings: &Settings, topic: &Arc<str>, kept: Kept) -> Result<(), Error> {
    let Some(key) = kept.limited_by() else { return Ok(()) };
    let servers = &settings.bootstrap_servers;
    Err(Error::Inbox {
        inbox: topic.clone(),
        wrong: format!(
            "drops records before they are read ({key}). If others use it, name another topic in the configuration; if it is for this installation alone"
        ),
        command: format!("kafka-configs.sh --bootstrap-server {servers} --alter --topic {topic} --add-config {key}=-1"),
    })
}

fn check_inbox(settings: &Settings, inbox: &Arc<str>, limit: usize, compacted: bool) -> Result<(), Error> {
    let servers = &settings.bootstrap_servers;
    let alter = format!("kafka-configs.sh --bootstrap-server {servers} --alter --topic {inbox} --add-config");
    if compacted {
        let command = format!("{alter} cleanup.policy=delete");
        return Err(Error::Inbox {
            inbox: inbox.clone(),
            wrong: "is compacted, which would drop inputs".into(),
            command,
        });
    }
    if limit < INBOX_RECORD {
        let command = format!("{alter} max.message.bytes={USUAL_BATCH}");
        let wrong =
            format!("takes records of at most {limit} bytes (max.message.bytes), expected {INBOX_RECORD} or more");
        return Err(Error::Inbox { inbox: inbox.clone(), wrong, command });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
