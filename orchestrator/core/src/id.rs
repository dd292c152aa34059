//! Identities: sagas, shards, steps and commands.

use crate::time::Timestamp;
pub use saga_contract::CommandIdError;
use saga_contract::CommandIdentity;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Identity of one saga: a UUIDv7 whose 12 `rand_a` bits are the saga's shard, so that a reply finds the writer by the
/// id alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SagaId(Uuid);

/// A slice of all sagas; a partition of the inbox topic; at most 4,096 of them because an id carries 12 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u16);

/// The most shards that an installation can have: what 12 bits hold.
pub const MAX_SHARDS: u16 = 4096;

impl ShardId {
    /// The shard of a business key: `xxh3_64(name, 0x00, key) mod shards`. Never changes for an installation.
    #[must_use]
    pub fn of(definition_name: &str, key: &str, shards: u16) -> ShardId {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        hasher.update(definition_name.as_bytes());
        hasher.update(&[0]);
        hasher.update(key.as_bytes());
        let index = hasher.digest() % u64::from(shards.clamp(1, MAX_SHARDS));
        ShardId(u16::try_from(index).expect("a remainder by at most 4,096 fits 16 bits"))
    }
}

impl SagaId {
    /// A new id at `now` on `shard`; `random` supplies the 62 random bits.
    #[must_use]
    pub fn new(now: Timestamp, shard: ShardId, random: u64) -> SagaId {
        let millis = u128::from(now.0.max(0).unsigned_abs()) & 0xffff_ffff_ffff;
        let value = (millis << 80)
            | (0x7u128 << 76)
            | (u128::from(shard.0 & 0xfff) << 64)
            | (0b10u128 << 62)
            | u128::from(random >> 2);
        SagaId(Uuid::from_u128(value))
    }

    /// The shard that owns this saga.
    #[must_use]
    pub fn shard(self) -> ShardId {
        let bits = (self.0.as_u128() >> 64) & 0xfff;
        ShardId(u16::try_from(bits).expect("12 bits fit 16"))
    }

    /// When the id was made, which is when the saga started.
    #[must_use]
    pub fn started_at(self) -> Timestamp {
        let millis = (self.0.as_u128() >> 80) & 0xffff_ffff_ffff;
        Timestamp(i64::try_from(millis).expect("48 bits fit 63"))
    }

    /// The id as a plain UUID, as the event store keeps it.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// The id that a stored UUID stands for; `None` unless it is of version 7.
    #[must_use]
    pub fn from_uuid(uuid: Uuid) -> Option<SagaId> {
        (uuid.get_version_num() == 7).then_some(SagaId(uuid))
    }
}

impl fmt::Display for SagaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.hyphenated())
    }
}

impl fmt::Debug for SagaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text is not the id of a saga.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a saga id: expected a UUID of version 7")]
pub struct SagaIdError(pub String);

impl FromStr for SagaId {
    type Err = SagaIdError;

    fn from_str(text: &str) -> Result<SagaId, SagaIdError> {
        let uuid = Uuid::parse_str(text).map_err(|_| SagaIdError(text.to_owned()))?;
        SagaId::from_uuid(uuid).ok_or_else(|| SagaIdError(text.to_owned()))
    }
}

/// Position of a step in its definition. Stable, because a saga is pinned to the definition's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepIndex(pub u16);

impl StepIndex {
    /// The position as an index into a list of steps.
    #[must_use]
    pub fn at(self) -> usize {
        usize::from(self.0)
    }
}

/// The identity of a command for ever, whatever the attempt.
pub type CommandId = CommandIdentity<SagaId>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::CommandDirection;

    #[test]
    fn the_shard_of_a_key_never_changes() {
        assert_eq!(ShardId::of("order-fulfillment", "4711", 64), ShardId::of("order-fulfillment", "4711", 64));
        let golden = ["4711", "4712", "a", ""].map(|key| ShardId::of("order-fulfillment", key, 64).0);
        assert_eq!(golden, GOLDEN_SHARDS);
    }

    /// Recorded once, and what the reference implementation of XXH3 (the C library) computes too; a change would send
    /// every open saga to a wrong writer.
    const GOLDEN_SHARDS: [u16; 4] = [11, 20, 8, 10];

    #[test]
    fn an_id_carries_its_shard_and_sorts_by_time() {
        let earlier = SagaId::new(Timestamp(1_000), ShardId(4095), u64::MAX);
        let later = SagaId::new(Timestamp(1_001), ShardId(0), 0);
        assert_eq!(earlier.shard(), ShardId(4095));
        assert_eq!(later.shard(), ShardId(0));
        assert!(earlier < later);
        assert_eq!(earlier.to_string().parse(), Ok(earlier));
        assert_eq!(earlier.uuid().get_variant(), uuid::Variant::RFC4122);
    }

    #[test]
    fn a_command_id_reads_back() {
        let saga = SagaId::new(Timestamp(1_000), ShardId(7), 42);
        let id = CommandId { saga, step: "reserve".into(), direction: CommandDirection::Undo };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("x:reserve:do".parse::<CommandId>().is_err());
        assert!(format!("{saga}:reserve:redo").parse::<CommandId>().is_err());
    }
}
