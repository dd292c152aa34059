//! How endpoints stand, for people.

use crate::json_format::millis;
use saga_guards::balancer::BalancedEndpointSnapshot;
use serde::Serialize;
use url::Url;

/// One endpoint at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointStateView {
    /// Base URL of the endpoint, as configured.
    pub url: String,
    /// Its share of the calls, relative to the others.
    pub weight: u32,
    /// Number of its calls that are not answered yet.
    pub in_flight: u32,
    /// What its health checks say; true until one says no.
    pub healthy: bool,
    /// Failures in a row.
    pub failures: u32,
    /// How much longer it is left out because it failed again and again; absent: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ejected_for_ms: Option<u64>,
    /// How often it was left out.
    pub ejections: u32,
    /// Calls that were given to it.
    pub calls: u64,
    /// How many of them failed.
    pub failed: u64,
}

impl EndpointStateView {
    pub(super) fn of(base: &Url, known: &BalancedEndpointSnapshot) -> EndpointStateView {
        EndpointStateView {
            url: base.to_string(),
            weight: known.weight.get(),
            in_flight: known.in_flight,
            healthy: known.healthy,
            failures: known.failures,
            ejected_for_ms: known.ejected_for.map(millis),
            ejections: known.ejections,
            calls: known.picked,
            failed: known.failed,
        }
    }
}
