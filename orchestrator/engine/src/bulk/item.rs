//! What came of one saga of a job.

use super::{BulkJobContext, BulkJobRequest, targets::BulkTarget};
use crate::{
    act_preview::ActPreviewOutcome,
    act_result,
    act_sender::OperatorActOutcome,
    archiving::erasing::{RewriteWait, reaches_archives},
    journal::{self, reading::SagaLine},
};
use saga_core::{describe::ActPreview, event::OperatorAction, id::SagaId, input::OperatorAct, state::SagaPlan};
use serde::Serialize;
use std::sync::Arc;

/// What came of an act, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BulkItemResult {
    /// The act is in the journal, and led where it was meant to; of a dry run: it would.
    Applied,
    /// The act was in the journal before: nothing was done again.
    #[serde(rename = "before")]
    AlreadyApplied,
    /// The act is in the journal, and the saga is not where it was meant to be: parked again, mostly.
    #[serde(rename = "elsewhere")]
    OffTarget,
    /// The act is on its way to the saga's owner.
    Accepted,
    /// The saga's state does not allow the act.
    Refused,
    /// There is no such saga, or it cannot be read.
    Failed,
}

/// One saga of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkItem {
    /// The saga's id, or what was given in place of it.
    pub id: String,
    /// The result of the act on this saga.
    pub result: BulkItemResult,
    /// Why the act was refused, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where the saga was when it was looked at after the act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Box<SagaLine>>,
    /// Of a dry run: where the saga would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leads_to: Option<Box<ActPreview>>,
}

impl BulkItem {
    fn new(saga: SagaId, result: BulkItemResult) -> BulkItem {
        BulkItem { id: saga.to_string(), result, message: None, now: None, leads_to: None }
    }

    fn saying(self, message: impl Into<String>) -> BulkItem {
        BulkItem { message: Some(message.into()), ..self }
    }
}

pub(super) async fn of(context: &BulkJobContext, order: &BulkJobRequest, target: BulkTarget) -> BulkItem {
    let saga = match target {
        BulkTarget::Saga(saga) => saga,
        BulkTarget::Unknown { name, why } => {
            return BulkItem {
                id: name,
                result: BulkItemResult::Failed,
                message: Some(why),
                now: None,
                leads_to: None,
            };
        }
    };
    let act = OperatorAct {
        id: format!("{}:{saga}", order.id),
        who: order.who.clone(),
        reason: order.reason.clone(),
        action: order.action,
        about: order.about.clone(),
        origin: Box::new(order.origin.clone()),
    };
    let plan = match plan(context, order, saga).await {
        Ok(GoesBy::Plan(plan)) => plan,
        Ok(GoesBy::Already) => {
            return BulkItem::new(saga, BulkItemResult::AlreadyApplied).saying("it runs by this definition already");
        }
        Err(unknown) => return BulkItem::new(saga, BulkItemResult::Refused).saying(unknown),
    };
    if order.dry_run {
        foretold(context, saga, &act, plan).await
    } else {
        performed(context, order, saga, act, plan).await
    }
}

/// What the act lets a saga go by.
enum GoesBy {
    /// This, or what it goes by now.
    Plan(Option<Arc<SagaPlan>>),
    /// A migration has nothing to do.
    Already,
}

async fn plan(context: &BulkJobContext, order: &BulkJobRequest, saga: SagaId) -> Result<GoesBy, String> {
    let Some(definition) = &order.definition else { return Ok(GoesBy::Plan(None)) };
    let summary = context.journal.store().summary(saga.uuid()).await.map_err(|error| error.to_string())?;
    let summary = summary.ok_or("no such saga")?;
    let found = context.definitions.plan_of(&summary.category, definition).await;
    let plan = found.map_err(|unknown| unknown.to_string())?;
    if order.action == OperatorAction::Migrate && summary.document == plan.definition.hash {
        return Ok(GoesBy::Already);
    }
    Ok(GoesBy::Plan(Some(plan)))
}

async fn foretold(context: &BulkJobContext, saga: SagaId, act: &OperatorAct, plan: Option<Arc<SagaPlan>>) -> BulkItem {
    match context.acts.preview(saga, act, plan.as_ref()).await {
        Ok(Some(ActPreviewOutcome::Applied { leads_to, .. })) => {
            let came = if leads_to.status.is_wanted_by(act.action) {
                BulkItemResult::Applied
            } else {
                BulkItemResult::OffTarget
            };
            BulkItem { leads_to: Some(leads_to), ..BulkItem::new(saga, came) }
        }
        Ok(Some(ActPreviewOutcome::Nothing)) => BulkItem::new(saga, BulkItemResult::AlreadyApplied),
        Ok(Some(ActPreviewOutcome::Refused { reason })) => BulkItem::new(saga, BulkItemResult::Refused).saying(reason),
        Ok(None) => BulkItem::new(saga, BulkItemResult::Failed).saying("no such saga"),
        Err(error) => BulkItem::new(saga, BulkItemResult::Failed).saying(journal::shown::unreadable(&error)),
    }
}

async fn performed(
    context: &BulkJobContext,
    order: &BulkJobRequest,
    saga: SagaId,
    act: OperatorAct,
    plan: Option<Arc<SagaPlan>>,
) -> BulkItem {
    let item = acted(context, order, saga, act, plan).await;
    if reaches_archives(order.action) { with_reruns(context, saga, item).await } else { item }
}

/// Names the sagas that have a copy of what was erased.
async fn with_reruns(context: &BulkJobContext, saga: SagaId, item: BulkItem) -> BulkItem {
    let reruns = match context.acts.eraser().reruns_of(saga).await {
        Ok(reruns) if reruns.is_empty() => return item,
        Ok(reruns) => reruns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Err(error) => format!("not known: {error}"),
    };
    let before = item.message.as_ref().map(|message| format!("{message}; ")).unwrap_or_default();
    item.saying(format!("{before}sagas that run it again, with copies of their own: {reruns}"))
}

async fn acted(
    context: &BulkJobContext,
    order: &BulkJobRequest,
    saga: SagaId,
    act: OperatorAct,
    plan: Option<Arc<SagaPlan>>,
) -> BulkItem {
    match context.acts.send(saga, act, plan, RewriteWait::Later).await {
        OperatorActOutcome::Applied { .. } => {
            let now = act_result::of(&context.journal, saga, order.wait).await;
            let is_wanted = now.as_ref().and_then(|now| now.is_wanted_by(order.action));
            let came = if is_wanted == Some(false) { BulkItemResult::OffTarget } else { BulkItemResult::Applied };
            BulkItem { now: now.map(Box::new), ..BulkItem::new(saga, came) }
        }
        OperatorActOutcome::ErasedFromArchive { left } => {
            BulkItem { message: left, ..BulkItem::new(saga, BulkItemResult::Applied) }
        }
        OperatorActOutcome::Repeated { .. } => BulkItem::new(saga, BulkItemResult::AlreadyApplied),
        OperatorActOutcome::Refused { reason } => BulkItem::new(saga, BulkItemResult::Refused).saying(reason),
        OperatorActOutcome::Accepted { .. } => BulkItem::new(saga, BulkItemResult::Accepted),
        OperatorActOutcome::UnknownSaga => BulkItem::new(saga, BulkItemResult::Failed).saying("no such saga"),
        OperatorActOutcome::TooMany => BulkItem::new(saga, BulkItemResult::Failed)
            .saying("too many acts are on their way to shards that do not take them"),
    }
}
