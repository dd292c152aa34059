//! Names in filters that nothing here has: an empty list says nothing of a slip.

use super::{
    PlanCache,
    reading::{SagaQuery, filter},
};
use saga_core::definition::{OutcomeEvent, ParticipantSelector, SagaDefinition, StepAction, did_you_mean};
use saga_event_store::{EventStore, StoreError, StreamDimension, StreamFilter};
use std::collections::BTreeSet;

/// The newest sagas that are looked at for names, and groups of those that go on: what is not among them has not been
/// used lately.
const LOOKED_AT: u32 = 1000;
/// Definitions that are read for their names.
const MOST_DEFINITIONS: usize = 100;

/// A filter names what nothing here is called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}", .guess.as_deref().map(|guess| format!("; {guess}")).unwrap_or_default())]
pub struct UnknownFilterName {
    what: String,
    guess: Option<String>,
}

impl UnknownFilterName {
    /// Whether a name that is known is near it.
    #[must_use]
    pub fn has_guess(&self) -> bool {
        self.guess.is_some()
    }
}

/// The known names that a query can mention.
#[derive(Debug, Default)]
struct KnownNames {
    sagas: BTreeSet<String>,
    steps: BTreeSet<String>,
    participants: BTreeSet<String>,
    codes: BTreeSet<String>,
    definitions: BTreeSet<String>,
    /// Those that triggers read.
    topics: BTreeSet<String>,
    /// Participants are chosen by what they can do: not all of them are named.
    by_capability: bool,
}

/// Names that are known beside those of sagas.
#[derive(Debug)]
pub(crate) struct KnownBeside<'a> {
    /// Of definitions.
    pub(crate) sagas: BTreeSet<String>,
    /// Of participants.
    pub(crate) participants: &'a [String],
}

/// As [`crate::naming::misnamed`], with what is known `beside` the sagas of the store.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn misnamed(
    store: &dyn EventStore,
    plans: &PlanCache,
    wanted: &SagaQuery,
    beside: &KnownBeside<'_>,
) -> Result<Option<UnknownFilterName>, StoreError> {
    if names_nothing(wanted) {
        return Ok(None);
    }
    let mut known = known(store, plans).await?;
    known.participants.extend(beside.participants.iter().cloned());
    known.sagas.extend(beside.sagas.iter().cloned());
    Ok(known.misses(wanted))
}

/// The name of an act's target, if no definition and no participant has it, and it is none of `beside`.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn unknown_target(
    store: &dyn EventStore,
    plans: &PlanCache,
    name: &str,
    beside: BTreeSet<String>,
) -> Result<Option<UnknownFilterName>, StoreError> {
    let KnownNames { sagas, participants, .. } = known(store, plans).await?;
    let all: BTreeSet<String> = sagas.into_iter().chain(participants).chain(beside).collect();
    Ok(missing(&all, Some(name), "no saga, no participant and no definition is called"))
}

/// What of `wanted` is known by no letter, no definition, and not `beside` them.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn misnamed_letters(
    store: &dyn EventStore,
    plans: &PlanCache,
    wanted: &LetterNames<'_>,
    mut beside: LettersBeside,
) -> Result<Option<UnknownFilterName>, StoreError> {
    let KnownNames { sagas, topics, .. } = known(store, plans).await?;
    beside.sagas.extend(sagas);
    beside.topics.extend(topics);
    let LettersBeside { sagas, topics, causes } = beside;
    Ok(missing(&sagas, wanted.saga, NO_DEFINITION)
        .or_else(|| missing(&topics, wanted.topic, "no dead letter came from the topic"))
        .or_else(|| missing(&causes, wanted.cause, "no dead letter has the cause")))
}

/// Names in a question about dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetterNames<'a> {
    /// A definition.
    pub saga: Option<&'a str>,
    /// The topic of originals.
    pub topic: Option<&'a str>,
    /// The fingerprint of a cause.
    pub cause: Option<&'a str>,
}

/// Names that letters can have, as far as they are known beside definitions.
#[derive(Clone, Debug, Default)]
pub(crate) struct LettersBeside {
    pub(crate) sagas: BTreeSet<String>,
    pub(crate) topics: BTreeSet<String>,
    pub(crate) causes: BTreeSet<String>,
}

fn names_nothing(wanted: &SagaQuery) -> bool {
    let participant = wanted.waiting_on.as_ref().and_then(|waiting| waiting.participant.as_ref());
    [&wanted.saga, &wanted.step, &wanted.code, &wanted.definition].into_iter().all(Option::is_none)
        && participant.is_none()
}

async fn known(store: &dyn EventStore, plans: &PlanCache) -> Result<KnownNames, StoreError> {
    let mut known = KnownNames::default();
    let newest = filter(&SagaQuery { limit: LOOKED_AT, ..SagaQuery::default() });
    for line in store.list(&newest).await? {
        known.sagas.insert(line.category);
        known.definitions.insert(line.document);
        known.codes.extend(line.code);
    }
    let by = [StreamDimension::Category, StreamDimension::Document, StreamDimension::Code, StreamDimension::WaitsOn];
    for group in store.tally(&StreamFilter { only_open: true, ..newest }, &by).await? {
        known.sagas.extend(group.category);
        known.definitions.extend(group.document);
        known.codes.extend(group.code);
        known.participants.extend(group.waits_on.iter().map(|it| it.name().to_owned()));
    }
    let live = plans.all().into_iter().map(|plan| plan.definition.hash.clone());
    known.definitions.extend(live);
    for hash in known.definitions.clone().iter().take(MOST_DEFINITIONS) {
        // One that this build cannot read has no names for it.
        if let Ok(definition) = plans.definition(store, hash).await {
            known.names_of(&definition);
        }
    }
    Ok(known)
}

impl KnownNames {
    fn names_of(&mut self, definition: &SagaDefinition) {
        self.sagas.insert(definition.name.clone());
        self.topics.insert(definition.trigger.topic.clone());
        self.steps.extend(definition.steps.iter().map(|step| step.name.clone()));
        for whom in definition.called() {
            match whom {
                ParticipantSelector::Participant(name) => drop(self.participants.insert(name.clone())),
                ParticipantSelector::Capability(_) => self.by_capability = true,
            }
        }
        let topics = definition.steps.iter().filter_map(|step| match &step.action {
            StepAction::Publish { topic, .. } => Some(topic.clone()),
            StepAction::Call(_) | StepAction::Wait(_) => None,
        });
        let outcomes = [&definition.on_completed, &definition.on_compensated].into_iter().flatten();
        self.participants.extend(topics.chain(outcomes.map(|OutcomeEvent { topic, .. }| topic.clone())));
    }

    fn misses(&self, wanted: &SagaQuery) -> Option<UnknownFilterName> {
        let participant = wanted.waiting_on.as_ref().and_then(|waiting| waiting.participant.as_deref());
        self.misses_saga(wanted.saga.as_deref())
            .or_else(|| missing(&self.steps, wanted.step.as_deref(), "no step is called"))
            .or_else(|| self.misses_participant(participant))
            .or_else(|| self.misses_code(wanted.code.as_deref()))
            .or_else(|| self.misses_definition(wanted.definition.as_deref()))
    }

    fn misses_saga(&self, name: Option<&str>) -> Option<UnknownFilterName> {
        missing_saga(&self.sagas, name?)
    }

    fn misses_participant(&self, name: Option<&str>) -> Option<UnknownFilterName> {
        let name = name?;
        let misnamed = missing(&self.participants, Some(name), "no participant and no topic is called")?;
        if self.steps.contains(name) {
            return Some(UnknownFilterName { guess: Some(format!("it is a step: --step {name}")), ..misnamed });
        }
        (misnamed.guess.is_some() || !self.by_capability).then_some(misnamed)
    }

    /// A code that no saga has at the moment may be a right one.
    fn misses_code(&self, code: Option<&str>) -> Option<UnknownFilterName> {
        missing(&self.codes, code, "no saga has the code").filter(|misnamed| misnamed.guess.is_some())
    }

    fn misses_definition(&self, start: Option<&str>) -> Option<UnknownFilterName> {
        let start = start?;
        let is_known = self.definitions.is_empty() || self.definitions.iter().any(|hash| hash.starts_with(start));
        let what = || format!("no saga goes by a definition whose hash begins with `{start}`");
        (!is_known).then(|| UnknownFilterName { what: what(), guess: None })
    }
}

const NO_DEFINITION: &str = "no definition of sagas is called";

/// The name of a definition that is not among the known ones.
pub(crate) fn missing_saga(known: &BTreeSet<String>, name: &str) -> Option<UnknownFilterName> {
    missing(known, Some(name), NO_DEFINITION)
}

fn missing(known: &BTreeSet<String>, name: Option<&str>, what: &str) -> Option<UnknownFilterName> {
    let name = name?;
    if known.is_empty() || known.contains(name) {
        return None;
    }
    let guess = did_you_mean(name, known.iter().map(String::as_str));
    Some(UnknownFilterName { what: format!("{what} `{name}`"), guess })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> KnownNames {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        KnownNames {
            sagas: set(&["order"]),
            steps: set(&["charge", "ship"]),
            participants: set(&["payouts"]),
            codes: set(&["http.422"]),
            definitions: set(&["aa11"]),
            topics: set(&["shop.orders"]),
            by_capability: false,
        }
    }

    fn told(wanted: &SagaQuery) -> Option<String> {
        known().misses(wanted).map(|misnamed| misnamed.to_string())
    }

    #[test]
    fn a_slip_is_told_with_a_guess() {
        let step = |name: &str| told(&SagaQuery { step: Some(name.into()), ..SagaQuery::default() });
        assert_eq!(step("shrage").as_deref(), Some("no step is called `shrage`; did you mean `charge`?"));
        assert_eq!(step("charge"), None);
        let on = |name: &str| told(&SagaQuery { waiting_on: name.parse().ok(), ..SagaQuery::default() });
        let payout = "no participant and no topic is called `payout`; did you mean `payouts`?";
        assert_eq!(on("breaker:payout").as_deref(), Some(payout));
        let step = "no participant and no topic is called `ship`; it is a step: --step ship";
        assert_eq!((on("ship").as_deref(), on("breaker:")), (Some(step), None));
        let begins = |start: &str| told(&SagaQuery { definition: Some(start.into()), ..SagaQuery::default() });
        assert_eq!(begins("bb").as_deref(), Some("no saga goes by a definition whose hash begins with `bb`"));
        assert_eq!(begins("aa"), None);
    }

    #[test]
    fn a_code_that_nobody_has_is_no_slip_unless_it_looks_like_one() {
        let code = |code: &str| told(&SagaQuery { code: Some(code.into()), ..SagaQuery::default() });
        assert_eq!(code("htp.422").as_deref(), Some("no saga has the code `htp.422`; did you mean `http.422`?"));
        assert_eq!(code("out_of_stock"), None);
    }
}
