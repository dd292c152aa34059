//! What a decision is given beside state and input. A test says what it is about; the rest is as usual.

use saga_core::{
    answerable::{ALWAYS, AnswerWatermark},
    command::CommandRequest,
    decide::{AdmissionRequest, AdmissionVerdict, CapabilityRequest, DecisionContext, JitterSource, PreviousAnswer},
    time::Timestamp,
};

/// Around one decision.
pub(crate) struct Surroundings<'a> {
    now: Timestamp,
    answerable: &'a AnswerWatermark,
    random: u64,
    gate: AdmissionVerdict,
    chosen: Option<&'a str>,
    known: Option<PreviousAnswer>,
    room: Option<usize>,
}

impl Surroundings<'_> {
    /// It is `now`; every guard admits, nobody has a capability, and no answer is remembered.
    pub(crate) fn at(now: Timestamp) -> Surroundings<'static> {
        Surroundings {
            now,
            answerable: &ALWAYS,
            random: 1,
            gate: AdmissionVerdict::Admitted,
            chosen: None,
            known: None,
            room: None,
        }
    }
}

impl<'a> Surroundings<'a> {
    /// Only then could answers be read.
    pub(crate) fn answerable(self, answerable: &'a AnswerWatermark) -> Surroundings<'a> {
        Surroundings { answerable, ..self }
    }

    /// The seed of the jitter.
    pub(crate) fn random(self, random: u64) -> Surroundings<'a> {
        Surroundings { random, ..self }
    }

    /// What the guard of every participant answers.
    pub(crate) fn gate(self, gate: AdmissionVerdict) -> Surroundings<'a> {
        Surroundings { gate, ..self }
    }

    /// Who is chosen by capability, whichever.
    pub(crate) fn chosen(self, chosen: Option<&'a str>) -> Surroundings<'a> {
        Surroundings { chosen, ..self }
    }

    /// The last answer to every request of a read-only step.
    pub(crate) fn known(self, known: Option<PreviousAnswer>) -> Surroundings<'a> {
        Surroundings { known, ..self }
    }

    /// What commands to `stock` may have.
    pub(crate) fn room(self, room: Option<usize>) -> Surroundings<'a> {
        Surroundings { room, ..self }
    }

    /// `act` decides.
    pub(crate) fn decide<T>(self, act: impl FnOnce(&mut DecisionContext<'_>) -> T) -> T {
        let Surroundings { now, answerable, random, gate, chosen, known, room } = self;
        act(&mut DecisionContext {
            now,
            answerable,
            random: JitterSource::Seed(random),
            admission: &mut |_: AdmissionRequest<'_>| gate,
            room: &|participant| room.filter(|_| participant == "stock"),
            choose: &mut |_: CapabilityRequest<'_>| chosen.map(str::to_owned),
            recall: &mut |_: &CommandRequest| known.clone(),
        })
    }
}
