//! Why sagas do not go on: groups of sagas with one cause.

use super::census::StoreCount;
use saga_core::state::SagaStatus;
use saga_engine::{
    QueryHandle,
    journal::{
        counts::{CountDimension, SagaGroup},
        reading::SagaQuery,
    },
};
use saga_event_store::StoreError;

/// Open sagas that are parked, wait or compensate, in groups by what they have in common; the largest group first.
#[derive(Debug)]
pub(crate) struct DelayCauses(pub(super) Vec<SagaGroup>);

impl StoreCount for DelayCauses {
    async fn count(query: &QueryHandle, _: Option<&DelayCauses>) -> Result<DelayCauses, StoreError> {
        let statuses = vec![SagaStatus::Parked, SagaStatus::Waiting, SagaStatus::Compensating];
        let by = [
            CountDimension::Status,
            CountDimension::Saga,
            CountDimension::Step,
            CountDimension::Code,
            CountDimension::WaitingOn,
        ];
        query.count(&SagaQuery { statuses, ..SagaQuery::default() }, &by).await.map(DelayCauses)
    }
}
