//! What a table says of one input: the same is said once.

use super::{happens::Happens, inputs::Gate, observe::Seen, table::About};

/// What follows, and in which cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// The cells of the table.
    pub(super) follows: Vec<String>,
    /// Places among the cases.
    pub(super) cases: Vec<usize>,
}

/// Inputs from which the same follows in every case.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) inputs: Vec<String>,
    pub(super) groups: Vec<Group>,
    /// An input from which the same follows in the cases that no group has.
    pub(super) like: Option<String>,
}

/// A block may say that another one holds for the rest if it names so many cases at most.
const EXCEPTIONS: usize = 4;
/// And if that saves so many lines at least.
const SAVED: usize = 3;

/// The blocks of a table, inputs in order.
pub(super) fn blocks(about: About, places: &[usize], seen: &[Seen]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for happens in Happens::all() {
        for gate in Gate::ALL.iter().copied() {
            let groups = groups(about, &rows(about, happens, gate, places, seen));
            let input = format!("{}{}", happens.word(), gate.word());
            match blocks.iter_mut().find(|block| block.groups == groups) {
                _ if groups.is_empty() => {}
                Some(block) => block.inputs.push(input),
                None => blocks.push(Block { inputs: vec![input], groups, like: None }),
            }
        }
    }
    shortened(&blocks)
}

/// What was seen of an input; where guards do not admit, only of cases that end elsewhere by that.
fn rows<'s>(about: About, happens: Happens, gate: Gate, places: &[usize], seen: &'s [Seen]) -> Vec<&'s Seen> {
    let is_it = |it: &&Seen| it.happens == happens && it.gate == gate && places.contains(&it.case);
    seen.iter().filter(is_it).filter(|it| about.tells(it)).collect()
}

fn groups(about: About, rows: &[&Seen]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let follows = about.follows(row);
        match groups.iter_mut().find(|group| group.follows == follows) {
            Some(group) => group.cases.push(row.case),
            None => groups.push(Group { follows, cases: vec![row.case] }),
        }
    }
    groups
}

/// The blocks, with those shortened that hardly differ from one before.
fn shortened(blocks: &[Block]) -> Vec<Block> {
    let mut short: Vec<Block> = Vec::new();
    for block in blocks {
        let wholes = blocks.iter().zip(&short).filter(|(_, known)| known.like.is_none()).map(|(whole, _)| whole);
        let like = wholes.filter_map(|whole| but_for(block, whole)).min_by_key(|it| it.groups.len());
        short.push(like.unwrap_or_else(|| block.clone()));
    }
    short
}

/// `block` as what is different from `other`; `None`: that is too much.
fn but_for(block: &Block, other: &Block) -> Option<Block> {
    let cases = |block: &Block| -> usize { block.groups.iter().map(|group| group.cases.len()).sum() };
    let groups: Vec<Group> = block.groups.iter().filter_map(|group| difference(group, other)).collect();
    let exceptions: usize = groups.iter().map(|group| group.cases.len()).sum();
    let saved = block.groups.len().saturating_sub(groups.len() + 1);
    let is_short = cases(block) == cases(other) && exceptions <= EXCEPTIONS && saved >= SAVED;
    let like = other.inputs.first().cloned();
    is_short.then(|| Block { inputs: block.inputs.clone(), groups, like })
}

/// The cases of `group` in which something else follows from `other`.
fn difference(group: &Group, other: &Block) -> Option<Group> {
    let same = other.groups.iter().find(|known| known.follows == group.follows);
    let differs = |case: &usize| same.is_none_or(|same| !same.cases.contains(case));
    let cases: Vec<usize> = group.cases.iter().copied().filter(differs).collect();
    (!cases.is_empty()).then(|| Group { follows: group.follows.clone(), cases })
}
