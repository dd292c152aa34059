//! Which step follows which, and where each stands relative to the pivot.

use super::{
    diagnostic::{Code, FindingCollector, did_you_mean},
    draft::StepDraft,
    model::PivotSide,
};

/// The order of the steps, by position.
pub(crate) struct StepGraph {
    /// The direct predecessors of each step.
    pub(crate) after: Vec<Vec<usize>>,
    /// `ancestors[a][b]`: step `b` is settled before step `a` starts.
    ancestors: Vec<Vec<bool>>,
    /// All steps; each comes after all of its predecessors.
    pub(crate) order: Vec<usize>,
    pub(crate) pivot: Option<usize>,
}

impl StepGraph {
    /// The graph of `drafts`; `None` if it has a cycle, which is reported.
    pub(crate) fn of(drafts: &[StepDraft], report: &mut FindingCollector) -> Option<StepGraph> {
        refuse_duplicates(drafts, report);
        let after: Vec<Vec<usize>> = (0..drafts.len()).map(|at| predecessors(drafts, at, report)).collect();
        let pivot = pivot(drafts, report);
        let Some(order) = order(&after) else {
            refuse_cycle(drafts, &after, report);
            return None;
        };
        let ancestors = ancestors(&after, &order);
        Some(StepGraph { after, ancestors, order, pivot })
    }

    /// Whether `earlier` is settled before `later` starts.
    pub(crate) fn precedes(&self, earlier: usize, later: usize) -> bool {
        self.ancestors[later][earlier]
    }

    /// Where `step` stands relative to the pivot; `None` for beside it.
    pub(crate) fn side(&self, step: usize) -> Option<PivotSide> {
        match self.pivot {
            None => Some(PivotSide::Before),
            Some(pivot) if pivot == step => Some(PivotSide::Pivot),
            Some(pivot) if self.precedes(step, pivot) => Some(PivotSide::Before),
            Some(pivot) if self.precedes(pivot, step) => Some(PivotSide::After),
            Some(_) => None,
        }
    }
}

fn refuse_duplicates(drafts: &[StepDraft], report: &mut FindingCollector) {
    for (at, draft) in drafts.iter().enumerate() {
        if let Some(first) = drafts[..at].iter().find(|other| other.name.value == draft.name.value) {
            let message = format!("there are two steps `{}`", draft.name.value);
            let finding = report.error(Code::DuplicateStep, draft.name.span, message);
            finding.related(first.name.span, "the first").help("give this one another name");
        }
    }
}

fn predecessors(drafts: &[StepDraft], at: usize, report: &mut FindingCollector) -> Vec<usize> {
    let draft = &drafts[at];
    let Some(names) = &draft.after else {
        let previous = drafts.iter().map(|other| other.item).filter(|item| *item < draft.item).max();
        return (0..drafts.len()).filter(|other| Some(drafts[*other].item) == previous).collect();
    };
    let mut found = Vec::new();
    for name in names {
        match drafts.iter().position(|other| other.name.value == name.value) {
            Some(other) => found.push(other),
            None => {
                let help = did_you_mean(&name.value, drafts.iter().map(|other| other.name.value.as_str()));
                let message = format!("there is no step `{}`", name.value);
                report
                    .error(Code::UnknownStep, name.span, message)
                    .help(help.unwrap_or_else(|| "name a step of this saga".into()));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// All steps, each after what it follows; `None` if there is a cycle.
fn order(after: &[Vec<usize>]) -> Option<Vec<usize>> {
    Some(outside_cycles(after)).filter(|order| order.len() == after.len())
}

/// All that is neither in a cycle nor behind one, each after what it follows.
fn outside_cycles(after: &[Vec<usize>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(after.len());
    let mut settled = vec![false; after.len()];
    let ready = |settled: &[bool], at: &usize| !settled[*at] && after[*at].iter().all(|other| settled[*other]);
    while let Some(next) = (0..after.len()).find(|at| ready(&settled, at)) {
        settled[next] = true;
        order.push(next);
    }
    order
}

fn ancestors(after: &[Vec<usize>], order: &[usize]) -> Vec<Vec<bool>> {
    let mut all = vec![vec![false; after.len()]; after.len()];
    for step in order {
        for direct in &after[*step] {
            let inherited = all[*direct].clone();
            let mine = &mut all[*step];
            mine.iter_mut().zip(inherited).for_each(|(mine, theirs)| *mine |= theirs);
            mine[*direct] = true;
        }
    }
    all
}

fn refuse_cycle(drafts: &[StepDraft], after: &[Vec<usize>], report: &mut FindingCollector) {
    let cycle = find_cycle(after);
    let Some(first) = cycle.first() else { return };
    let names = cycle.iter().chain([first]).map(|step| drafts[*step].name.value.as_str());
    let circle = names.collect::<Vec<_>>().join(" → ");
    let message = format!("the steps wait for each other: {circle}");
    let help = "change an `after`, or move a step: a step without `after` follows the item above it";
    report.error(Code::Cycle, drafts[*first].name.span, message).help(help);
}

/// One cycle of what follows what, each before the one that follows it; empty if there is none.
pub(crate) fn find_cycle(after: &[Vec<usize>]) -> Vec<usize> {
    let mut settled = vec![false; after.len()];
    outside_cycles(after).into_iter().for_each(|at| settled[at] = true);
    let Some(start) = settled.iter().position(|settled| !settled) else { return Vec::new() };
    let mut path = vec![start];
    loop {
        let last = path[path.len() - 1];
        let Some(next) = after[last].iter().copied().find(|other| !settled[*other]) else { return Vec::new() };
        if let Some(begin) = path.iter().position(|step| *step == next) {
            let mut cycle = path.split_off(begin);
            cycle.reverse();
            let smallest = cycle.iter().enumerate().min_by_key(|(_, step)| **step).map_or(0, |(at, _)| at);
            cycle.rotate_left(smallest);
            return cycle;
        }
        path.push(next);
    }
}

/// The pivot; more than one is reported.
fn pivot(drafts: &[StepDraft], report: &mut FindingCollector) -> Option<usize> {
    let pivots: Vec<usize> = (0..drafts.len()).filter(|at| drafts[*at].pivot.is_some()).collect();
    for second in pivots.iter().skip(1) {
        let (first, second) = (&drafts[pivots[0]], &drafts[*second]);
        let message = format!("`{}` is a second pivot", second.name.value);
        let finding = report.error(Code::TwoPivots, second.pivot.unwrap_or(second.name.span), message);
        finding
            .related(first.pivot.unwrap_or(first.name.span), "the first")
            .help("keep the one after whose success the saga only goes forward");
    }
    pivots.first().copied()
}
