//! The schema registry that records wait for, as JSON.

use saga_core::time::rfc3339;
use saga_engine::RegistryOutage;
use serde_json::{Value, json};

/// The registry in the answer of `/health/ready`.
pub(super) fn shown(outage: &RegistryOutage) -> Value {
    json!({"registry": outage.registry, "since": rfc3339(outage.since), "reason": outage.reason})
}
