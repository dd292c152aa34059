//! The whole machine in one table: where each input leads from each state, whatever the case.

use super::{happens::Happens, observe::Seen};
use std::collections::BTreeSet;

/// A row for each input, a column for each of `states`; inputs that lead to the same share a row.
pub(super) fn overview<'s, State: Copy + Ord>(
    states: &[State],
    name: impl Fn(State) -> String,
    seen: impl Iterator<Item = &'s Seen>,
    ends: impl Fn(&Seen) -> (State, State),
) -> String {
    let moves: BTreeSet<(Happens, (State, State))> = seen.map(|it| (it.happens, ends(it))).collect();
    let mut rows: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
    for happens in Happens::all() {
        let of = |from: State| {
            let is_it = move |(what, ends): &&(Happens, (State, State))| *what == happens && ends.0 == from;
            moves.iter().filter(is_it).map(|(_, ends)| ends.1)
        };
        let cells: Vec<String> = states.iter().map(|from| cell(*from, of(*from), &name)).collect();
        match rows.iter_mut().find(|(_, known)| *known == cells) {
            Some((inputs, _)) => inputs.push(happens.word()),
            None => rows.push((vec![happens.word()], cells)),
        }
    }
    let heads: Vec<String> = states.iter().map(|state| format!("`{}`", name(*state))).collect();
    let line =
        |(inputs, cells): (Vec<&str>, Vec<String>)| format!("| {} | {} |\n", inputs.join("; "), cells.join(" | "));
    let lines: String = rows.into_iter().map(line).collect();
    format!("| input | {} |\n|---|{}\n{lines}", heads.join(" | "), "---|".repeat(states.len()))
}

/// Where an input leads from one state. Empty: it cannot happen there.
fn cell<State: Copy + Ord>(from: State, to: impl Iterator<Item = State>, name: impl Fn(State) -> String) -> String {
    let to: BTreeSet<State> = to.collect();
    let word = |state: &State| if *state == from { "·".to_owned() } else { name(*state) };
    to.iter().map(word).collect::<Vec<_>>().join("<br>")
}
