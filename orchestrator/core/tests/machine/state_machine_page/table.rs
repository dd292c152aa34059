//! A table: what follows from each input, by case.

use super::{
    blocks::{Block, Group, blocks},
    cases::Case,
    inputs::Gate,
    observe::Seen,
};

/// What a table is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The phases of a step's command, and the saga's status beside them.
    Phases,
    /// The statuses of sagas.
    Statuses,
}

/// Nothing changes.
const SAME: &str = "·";

impl About {
    fn head(self) -> &'static str {
        match self {
            About::Phases => "| input | case | what is recorded | next phase | saga |\n|---|---|---|---|---|\n",
            About::Statuses => "| input | case | what is recorded | saga |\n|---|---|---|---|\n",
        }
    }

    /// The cells after the case. The other kind of table tells what its inputs record where they change nothing here.
    pub(super) fn follows(self, seen: &Seen) -> Vec<String> {
        let told = seen.told.replace('|', "\\|");
        let phase = changed(&format!("{:?}", seen.phases.1), seen.phases.0 == seen.phases.1);
        let status = changed(&seen.statuses.1.to_string(), seen.statuses.0 == seen.statuses.1);
        let is_own = seen.happens.is_of_saga() == (self == About::Statuses);
        match self {
            About::Phases if !is_own && phase == SAME => vec!["the phase stays".into(), phase, SAME.into()],
            About::Phases => vec![told, phase, status],
            About::Statuses if !is_own && status == SAME => vec!["the status stays".into(), status],
            About::Statuses => vec![told, status],
        }
    }

    /// The cells of a case in which the same follows as from another input.
    fn as_other(self, input: &str) -> String {
        match self {
            About::Phases => format!("as *{input}* | | |"),
            About::Statuses => format!("as *{input}* | |"),
        }
    }

    /// Whether it has a row. The answer of a guard has one where an input usually begins a call, and leads elsewhere.
    pub(super) fn tells(self, seen: &Seen) -> bool {
        let moves = match self {
            About::Phases => seen.guard_moves_phase(),
            About::Statuses => seen.guard_moves_status(),
        };
        seen.gate == Gate::Admits || moves && seen.happens.begins_calls()
    }
}

fn changed(to: &str, same: bool) -> String {
    if same { SAME.to_owned() } else { format!("`{to}`") }
}

/// The table of `places` among the cases.
pub(super) fn table(about: About, cases: &[Case], places: &[usize], seen: &[Seen]) -> String {
    let mut text = format!("Cases: {}.\n\n{}", names(cases, places), about.head());
    for block in blocks(about, places, seen) {
        text.push_str(&lines(about, &block, cases));
    }
    text
}

/// A line for each group. The largest one is what holds otherwise, if there are many cases.
fn lines(about: About, block: &Block, cases: &[Case]) -> String {
    let inputs = block.inputs.join("; ");
    let otherwise = otherwise(block);
    let mut text = String::new();
    for group in block.groups.iter().filter(|group| Some(*group) != otherwise) {
        let is_only = block.groups.len() == 1 && block.like.is_none();
        let name = if is_only { "any".to_owned() } else { names(cases, &group.cases) };
        text += &format!("| {inputs} | {name} | {} |\n", group.follows.join(" | "));
    }
    if let Some(group) = otherwise {
        text += &format!("| {inputs} | otherwise | {} |\n", group.follows.join(" | "));
    }
    if let Some(like) = &block.like {
        text += &format!("| {inputs} | otherwise | {}\n", about.as_other(like));
    }
    text
}

fn otherwise(block: &Block) -> Option<&Group> {
    let largest = block.groups.iter().max_by_key(|group| group.cases.len())?;
    (block.like.is_none() && block.groups.len() > 1 && largest.cases.len() > 2).then_some(largest)
}

fn names(cases: &[Case], places: &[usize]) -> String {
    places.iter().map(|place| cases[*place].name.as_str()).collect::<Vec<_>>().join("; ")
}
