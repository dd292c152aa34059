//! The generated parts of the page, by name.

use super::{
    cases::{self, Case},
    diagram::{self, Edges},
    facts,
    happens::Happens,
    inputs::Gate,
    meanings::{self, Chapter},
    observe::{Seen, observe},
    overview::overview,
    table::{About, table},
};
use crate::transitions::{COURSES, PHASES, Phase, never};
use saga_core::{command::CommandDirection, state::SagaStatus};
use std::collections::BTreeSet;

/// Cases, and what followed in them.
pub(super) struct Part {
    pub(super) cases: Vec<Case>,
    pub(super) seen: Vec<Seen>,
}

impl Part {
    fn of(cases: Vec<Case>) -> Part {
        let seen = observe(&cases);
        Part { cases, seen }
    }

    /// The places of cases that `is` takes.
    fn places(&self, is: impl Fn(&Case) -> bool) -> Vec<usize> {
        (0..self.cases.len()).filter(|place| is(&self.cases[*place])).collect()
    }

    fn table(&self, about: About, places: &[usize]) -> String {
        table(about, &self.cases, places, &self.seen)
    }
}

/// All that the page is made of.
pub(super) struct Page {
    dos: Part,
    undos: Part,
    ended: Part,
    sagas: Part,
}

impl Page {
    /// Asks the core everything.
    pub(super) fn new() -> Page {
        let (dos, undos) = (cases::dos(), cases::undos());
        let ended = cases::ended(&dos).into_iter().chain(cases::ended(&undos)).collect();
        Page { ended: Part::of(ended), dos: Part::of(dos), undos: Part::of(undos), sagas: Part::of(cases::sagas()) }
    }

    /// The part of the page that is called `name`.
    pub(super) fn render(&self, name: &str) -> String {
        match name {
            "inputs" => inputs(),
            "statuses" => statuses(),
            "starts" => starts(),
            "saga diagram" => self.saga_diagram(),
            "saga tables" => self.saga_tables(),
            "phases" => phases(),
            "saga overview" => self.saga_overview(),
            "do overview" => phase_overview(&self.dos, CommandDirection::Do),
            "undo overview" => phase_overview(&self.undos, CommandDirection::Undo),
            "do diagrams" => diagrams(&self.phases(CommandDirection::Do)),
            "do tables" => tables(&self.dos, CommandDirection::Do),
            "undo diagrams" => diagrams(&self.phases(CommandDirection::Undo)),
            "undo tables" => tables(&self.undos, CommandDirection::Undo),
            "after the end" => self.after_the_end(),
            other => panic!("the page has no part that is called {other}"),
        }
    }

    /// From which phase to which one a command can go.
    pub(super) fn phases(&self, direction: CommandDirection) -> Edges<Phase> {
        let part = if direction == CommandDirection::Do { &self.dos } else { &self.undos };
        let ended = self.ended.seen.iter().filter(|it| self.ended.cases[it.case].focus.direction == direction);
        diagram::between_phases(part.seen.iter().chain(ended))
    }

    /// Which input leads a command from which phase to which one.
    pub(super) fn moves(&self, direction: CommandDirection) -> BTreeSet<(Happens, Phase, Phase)> {
        let part = if direction == CommandDirection::Do { &self.dos } else { &self.undos };
        let ended = self.ended.seen.iter().filter(|it| self.ended.cases[it.case].focus.direction == direction);
        part.seen.iter().chain(ended).map(|it| (it.happens, it.phases.0, it.phases.1)).collect()
    }

    /// From which status to which one a saga can go, seen in every case.
    pub(super) fn statuses(&self) -> Edges<SagaStatus> {
        diagram::between_statuses(self.seen())
    }

    fn seen(&self) -> impl Iterator<Item = &Seen> {
        let parts = [&self.sagas, &self.dos, &self.undos, &self.ended];
        parts.into_iter().flat_map(|part| &part.seen)
    }

    fn saga_overview(&self) -> String {
        overview(&SagaStatus::ALL, |status| status.to_string(), self.seen(), |seen| seen.statuses)
    }

    fn saga_diagram(&self) -> String {
        let mut around = String::new();
        for status in SagaStatus::ALL {
            let begins = cases::starts().iter().any(|case| case.status() == status);
            around += &if begins { format!("    [*] --> {status}\n") } else { String::new() };
            around += &if status.is_terminal() { format!("    {status} --> [*]\n") } else { String::new() };
        }
        diagram::diagram(&self.statuses(), |status| status.to_string(), |_| true, &around)
    }

    fn saga_tables(&self) -> String {
        let table = |status: SagaStatus| {
            let places = self.sagas.places(|case| case.status() == status);
            assert!(!places.is_empty(), "no case of a saga that is {status}");
            format!("### Saga: `{status}`\n\n{}\n", self.sagas.table(About::Statuses, &places))
        };
        SagaStatus::ALL.map(table).concat()
    }

    fn after_the_end(&self) -> String {
        let table = |direction: CommandDirection| {
            let places = self.ended.places(|case| case.focus.direction == direction);
            format!("The {direction}:\n\n{}\n", self.ended.table(About::Phases, &places))
        };
        [CommandDirection::Do, CommandDirection::Undo].map(table).concat()
    }
}

fn tables(part: &Part, direction: CommandDirection) -> String {
    let title = if direction == CommandDirection::Do { "Do" } else { "Undo" };
    let table = |phase: Phase| {
        let places = part.places(|case| case.phase() == phase);
        assert_ne!(places.is_empty(), !impossible(direction, phase), "cases of {direction} {phase:?}");
        format!("### {title}: `{phase:?}`\n\n{}\n", part.table(About::Phases, &places))
    };
    PHASES.into_iter().filter(|phase| !impossible(direction, *phase)).map(table).collect()
}

fn phase_overview(part: &Part, direction: CommandDirection) -> String {
    let reached: Vec<Phase> = PHASES.into_iter().filter(|phase| !impossible(direction, *phase)).collect();
    overview(&reached, |phase| format!("{phase:?}"), part.seen.iter(), |seen| seen.phases)
}

/// Whether a command of this direction is never in the phase.
fn impossible(direction: CommandDirection, phase: Phase) -> bool {
    COURSES.into_iter().all(|course| never(course, direction, phase).is_some())
}

fn diagrams(edges: &Edges<Phase>) -> String {
    let diagram = |chapter: Chapter| {
        let begins = |phase| meanings::chapter(phase) == chapter;
        format!("{}:\n\n{}\n", chapter.title(), diagram::diagram(edges, |phase| format!("{phase:?}"), begins, ""))
    };
    Chapter::ALL.map(diagram).concat()
}

fn phases() -> String {
    let line = |phase| format!("| `{phase:?}` | {} |\n", meanings::phase(phase));
    format!("| phase | meaning |\n|---|---|\n{}", PHASES.map(line).concat())
}

fn statuses() -> String {
    let line = |status: SagaStatus| format!("| `{status}` | {} |\n", meanings::status(status));
    format!("| status | meaning |\n|---|---|\n{}", SagaStatus::ALL.map(line).concat())
}

fn inputs() -> String {
    let line = |happens: Happens| format!("| {} | {} |\n", happens.word(), happens.meaning());
    let lines: String = Happens::all().into_iter().map(line).collect();
    let gate = |gate: &Gate| format!("| …{} | {} |\n", gate.word(), gate.meaning());
    let gates: String = Gate::ALL.iter().filter(|gate| !gate.word().is_empty()).map(gate).collect();
    format!("| input | meaning |\n|---|---|\n{lines}{gates}")
}

fn starts() -> String {
    let line = |case: &Case| {
        let first = case.saga.journal.first().expect("a saga begins with a row");
        format!("| {} | {} | `{}` |\n", case.name, facts::facts(case, &first.events), case.status())
    };
    let lines: String = cases::starts().iter().map(line).collect();
    format!("| case | what is recorded | saga |\n|---|---|---|\n{lines}")
}
