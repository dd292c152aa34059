//! What came of one saga of a job.

use super::{Order, targets::Target};
use crate::{
    Parts,
    journal::{self, reading::SagaLine},
    mending,
    operate::{self, Operated},
    prospect::{self, Prospect},
    sequel,
};
use saga_core::{
    id::SagaId,
    input::OperatorAct,
    state::{Plan, view::ProspectView},
};
use serde::Serialize;
use std::sync::Arc;

/// What came of an act, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Came {
    /// It is in the journal, and led where it was meant to; of a dry run: it would.
    Applied,
    /// It was in the journal before: nothing was done again.
    Before,
    /// It is in the journal, and the saga is not where it was meant to be: parked again, mostly.
    Elsewhere,
    /// On the way to the saga's owner.
    Accepted,
    /// The saga does not allow it.
    Refused,
    /// There is no such saga, or it cannot be read.
    Failed,
}

/// One saga of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// The saga's id, or what was given in place of it.
    pub id: String,
    /// What came of it.
    pub result: Came,
    /// Why it was refused, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where the saga was when it was looked at after the act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Box<SagaLine>>,
    /// Of a dry run: where the saga would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leads_to: Option<Box<ProspectView>>,
}

impl Item {
    fn new(saga: SagaId, result: Came) -> Item {
        Item { id: saga.to_string(), result, message: None, now: None, leads_to: None }
    }

    fn saying(self, message: impl Into<String>) -> Item {
        Item { message: Some(message.into()), ..self }
    }
}

pub(super) async fn of(parts: &Arc<Parts>, order: &Order, target: Target) -> Item {
    let saga = match target {
        Target::Saga(saga) => saga,
        Target::Unknown { name, why } => {
            return Item { id: name, result: Came::Failed, message: Some(why), now: None, leads_to: None };
        }
    };
    let act = OperatorAct {
        id: format!("{}:{saga}", order.id),
        who: order.who.clone(),
        reason: order.reason.clone(),
        action: order.action,
        about: order.about.clone(),
    };
    let plan = match plan(parts, order, saga).await {
        Ok(plan) => plan,
        Err(unknown) => return Item::new(saga, Came::Refused).saying(unknown),
    };
    if order.dry_run { foretold(parts, saga, &act, plan).await } else { performed(parts, order, saga, act, plan).await }
}

/// What a retry is to go by, where it says so.
async fn plan(parts: &Parts, order: &Order, saga: SagaId) -> Result<Option<Arc<Plan>>, String> {
    let Some(definition) = &order.definition else { return Ok(None) };
    let summary = parts.store.summary(saga.uuid()).await.map_err(|error| error.to_string())?;
    let name = summary.map(|summary| summary.category).ok_or("no such saga")?;
    mending::plan_of(parts, &name, definition).await.map(Some).map_err(|unknown| unknown.to_string())
}

async fn foretold(parts: &Parts, saga: SagaId, act: &OperatorAct, plan: Option<Arc<Plan>>) -> Item {
    match prospect::of(parts, saga, act, plan.as_ref()).await {
        Ok(Some(Prospect::Applied { leads_to, .. })) => {
            let came = if leads_to.status.is_wanted_by(act.action) { Came::Applied } else { Came::Elsewhere };
            Item { leads_to: Some(leads_to), ..Item::new(saga, came) }
        }
        Ok(Some(Prospect::Nothing)) => Item::new(saga, Came::Before),
        Ok(Some(Prospect::Refused { reason })) => Item::new(saga, Came::Refused).saying(reason),
        Ok(None) => Item::new(saga, Came::Failed).saying("no such saga"),
        Err(error) => Item::new(saga, Came::Failed).saying(journal::shown::unreadable(&error)),
    }
}

async fn performed(parts: &Arc<Parts>, order: &Order, saga: SagaId, act: OperatorAct, plan: Option<Arc<Plan>>) -> Item {
    match operate::operate(parts, saga, act, plan).await {
        Operated::Applied { .. } => {
            let now = sequel::of(parts, saga, order.wait).await;
            let is_wanted = now.as_ref().and_then(|now| now.is_wanted_by(order.action));
            let came = if is_wanted == Some(false) { Came::Elsewhere } else { Came::Applied };
            Item { now: now.map(Box::new), ..Item::new(saga, came) }
        }
        Operated::Repeated { .. } => Item::new(saga, Came::Before),
        Operated::Refused { reason } => Item::new(saga, Came::Refused).saying(reason),
        Operated::Accepted { .. } => Item::new(saga, Came::Accepted),
        Operated::UnknownSaga => Item::new(saga, Came::Failed).saying("no such saga"),
        Operated::TooMany => {
            Item::new(saga, Came::Failed).saying("too many acts are on their way to shards that do not take them")
        }
    }
}
