//! The spans of a saga, as a trace shows them: each is told of by the row that ends it. Nothing is kept from its
//! beginning to its end, so a saga may live for days and change engines: when it began is in the state.

mod command;
mod course;
mod marks;

pub use marks::{SpanMarks, is_kept};

use crate::{
    definition::StepDefinition,
    event::SagaDecision,
    evolve::{self, FoldError},
    id::{SagaId, StepIndex},
    state::{SagaPlan, SagaState},
    time::Timestamp,
    trace::{SpanId, SpanKey, TraceContext},
};
use std::{borrow::Cow, sync::Arc};

/// One span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct SagaSpan {
    /// Its id, by [`SpanKey`].
    pub id: SpanId,
    /// The span that it is part of; `None`: it is the first one of its trace.
    pub parent: Option<SpanId>,
    /// Whether another program told of the parent: the saga is part of what its trigger was sent in.
    pub is_parent_remote: bool,
    /// Whether it calls somebody.
    pub kind: SpanKind,
    /// What it is, in few words that no data is in.
    pub name: String,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// The code of what failed; `None`: nothing.
    pub error: Option<String>,
    /// What else is said of it.
    pub attributes: Vec<SpanAttribute>,
    /// Other spans that it has to do with.
    pub links: Vec<SpanLink>,
}

/// Whether a span calls somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// It is the engine's own work, or waiting.
    Internal,
    /// A request over HTTP.
    Client,
    /// A record that is sent.
    Producer,
}

/// A name and what it has as value. Names are those of OpenTelemetry's semantic conventions 1.45 where they have one.
pub type SpanAttribute = (Cow<'static, str>, SpanValue);

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanValue {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

/// Another span, of the same trace or of another one.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanLink {
    /// The trace of that span.
    pub trace: TraceContext,
    /// The span.
    pub span: SpanId,
    /// What it has to do with this one.
    pub attributes: Vec<SpanAttribute>,
}

/// What has to be known beside the state.
#[derive(Clone, Copy)]
pub struct SpanScene<'a> {
    /// What the saga runs by.
    pub plan: &'a SagaPlan,
    /// Where a participant's commands go; `None`: not known.
    pub destination_of: &'a dyn Fn(&str) -> Option<CommandDestination>,
}

/// Where the commands of a participant go, as it is configured now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandDestination {
    /// To a topic.
    Topic(Arc<str>),
    /// To the one server of the participant.
    Server {
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// The spans that `decision` ended. `before` is how the saga stood when the decision was made, `state` what it is after
/// it.
#[must_use]
pub fn ended(scene: SpanScene<'_>, before: &SpanMarks, state: &SagaState, decision: &SagaDecision) -> Vec<SagaSpan> {
    let told = SpanTeller { scene, state, at: decision.at };
    let mut spans = Vec::new();
    // Another definition may have moved the steps: what is under way ends by a later row.
    if !evolve::changes_definition(decision) {
        told.commands(before, &mut spans);
    }
    told.course(before, &mut spans);
    spans
}

/// The spans of a saga by its journal, from its start on.
///
/// # Errors
/// When the rows do not fold.
pub fn of_journal(
    plan: &SagaPlan,
    saga: SagaId,
    decisions: &[SagaDecision],
    destination_of: &dyn Fn(&str) -> Option<CommandDestination>,
) -> Result<Vec<SagaSpan>, FoldError> {
    let (mut spans, mut marks) = (Vec::new(), SpanMarks::default());
    evolve::visit(plan, saga, decisions, |plan, state, decision| {
        spans.extend(ended(SpanScene { plan, destination_of }, &marks, state, decision));
        marks = SpanMarks::of(state);
    })?;
    Ok(spans)
}

/// The way of the row that `decision` is to the store, which ended at `now`.
#[must_use]
pub fn commit(state: &SagaState, decision: &SagaDecision, now: Timestamp) -> SagaSpan {
    let rows = i64::try_from(decision.events.len()).unwrap_or(i64::MAX);
    SagaSpan {
        id: SpanKey::Commit(decision.version).id(state.id),
        parent: Some(SpanKey::Saga.id(state.id)),
        is_parent_remote: false,
        kind: SpanKind::Internal,
        name: "commit".to_owned(),
        began: decision.at,
        ended: now.max(decision.at),
        error: None,
        attributes: vec![
            ("saga.id".into(), text(state.id.to_string())),
            ("saga.version".into(), SpanValue::Number(i64::from(decision.version))),
            ("saga.events".into(), SpanValue::Number(rows)),
        ],
        links: Vec::new(),
    }
}

/// Tells of the spans that ended at a row.
struct SpanTeller<'a> {
    scene: SpanScene<'a>,
    state: &'a SagaState,
    at: Timestamp,
}

impl SpanTeller<'_> {
    fn step(&self, index: StepIndex) -> &StepDefinition {
        self.scene.plan.definition.step(index)
    }

    /// Said of every span, so that one can be found without the others.
    fn identity(&self) -> Vec<SpanAttribute> {
        vec![
            ("saga.id".into(), text(self.state.id.to_string())),
            ("saga.name".into(), text(&self.scene.plan.definition.name)),
        ]
    }
}

fn text(value: impl Into<String>) -> SpanValue {
    SpanValue::Text(value.into())
}
