//! What the audit keeps of an act on a saga beside who, what and why: from where it came, and how the saga stood before
//! and after.

use crate::message::MessageContent;
use saga_core::{
    act_author::ActOrigin,
    input::SagaInput,
    state::{SagaPlan, SagaState},
};
use saga_event_store::{ActSource, StreamAct};
use serde_json::{Map, Value};

/// From where an act came, as the store takes it.
pub(crate) fn source(origin: &ActOrigin) -> ActSource {
    let ActOrigin { subject, token, address, request } = origin.bounded();
    ActSource { subject, token, address, request }
}

/// How a saga stands, in JSON: its status, the step that it waits or is parked for, the definition that it runs by, and
/// whether its content is erased.
pub(crate) fn standing(plan: &SagaPlan, state: &SagaState) -> String {
    let step = state.stands().step.map(|step| plan.definition.step(step).name.clone());
    let definition = Some(plan.definition.hash.as_str());
    told((state.status().as_str(), step.as_deref(), definition), state.erased.is_some())
}

/// The same of a saga that cannot be read, by its row in the read model.
pub(crate) fn told((status, step, definition): (&str, Option<&str>, Option<&str>), is_erased: bool) -> String {
    let texts = [("status", Some(status)), ("step", step), ("definition", definition)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?))));
    let erased = is_erased.then(|| ("erased".to_owned(), Value::Bool(true)));
    Value::Object(texts.chain(erased).collect::<Map<String, Value>>()).to_string()
}

/// How the saga stands before an act; `None`: the input is no act of a person, and nothing is kept of it.
pub(crate) fn before(input: &SagaInput, plan: &SagaPlan, state: &SagaState) -> Option<String> {
    matches!(input, SagaInput::Operator(_) | SagaInput::Mended { .. }).then(|| standing(plan, state))
}

/// From where the act in a message came.
pub(crate) fn source_of(message: &MessageContent) -> ActSource {
    match message {
        MessageContent::Rerun { order, .. } => source(&order.origin),
        MessageContent::Input { input: SagaInput::Operator(act) | SagaInput::Mended { act, .. }, .. } => {
            source(&act.origin)
        }
        MessageContent::Start { .. }
        | MessageContent::ReadUntil(_)
        | MessageContent::Reply(_)
        | MessageContent::Input { .. } => ActSource::default(),
    }
}

/// The act without what is not in the saga's journal.
pub(crate) fn as_in_journal(act: &StreamAct) -> StreamAct {
    StreamAct { source: ActSource::default(), before: None, after: None, ..act.clone() }
}
