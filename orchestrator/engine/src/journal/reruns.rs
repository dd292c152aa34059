//! Which saga runs an ended saga again. The store holds it as a key of that saga's first row, in a category beside the
//! business keys of the definition: so an ended saga is run again once.

use saga_core::{describe::SagaView, id::SagaId};
use saga_event_store::{EventStore, NewStreamKey, StoreError, StreamKeyHolder};
use sha2::{Digest, Sha256};

/// The saga that runs another one again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SagaRerun {
    /// Its id.
    pub id: SagaId,
    act_hash: [u8; 32],
}

impl SagaRerun {
    /// Whether the act with this id started it.
    #[must_use]
    pub fn is_by(&self, act: &str) -> bool {
        self.act_hash == act_hash(act)
    }
}

/// The saga of the definition `name` that runs `saga` again; `None`: none does.
///
/// # Errors
/// When the store does not answer.
pub async fn of(store: &dyn EventStore, name: &str, saga: SagaId) -> Result<Option<SagaRerun>, StoreError> {
    let holder = store.key_holder(&category(name), &saga.to_string()).await?;
    Ok(holder.and_then(rerun))
}

/// The saga with the id of the one that runs it again, if one does.
///
/// # Errors
/// When the store does not answer.
pub async fn told(store: &dyn EventStore, saga: SagaView) -> Result<SagaView, StoreError> {
    let Some(id) = saga.id.parse().ok().filter(|_| saga.status.is_terminal()) else { return Ok(saga) };
    let rerun = of(store, &saga.saga, id).await?;
    Ok(SagaView { rerun_as: rerun.map(|rerun| rerun.id.to_string()), ..saga })
}

fn rerun(holder: StreamKeyHolder) -> Option<SagaRerun> {
    SagaId::from_uuid(holder.stream).map(|id| SagaRerun { id, act_hash: holder.payload_hash })
}

/// The key that the rerun of `saga` takes, which `act` asked for.
pub(crate) fn key(name: &str, saga: SagaId, act: &str) -> NewStreamKey {
    NewStreamKey::new(category(name), saga.to_string(), act_hash(act))
}

/// No definition's name has a slash.
fn category(name: &str) -> String {
    format!("{name}/rerun")
}

pub(crate) fn act_hash(act: &str) -> [u8; 32] {
    Sha256::digest(act).into()
}
