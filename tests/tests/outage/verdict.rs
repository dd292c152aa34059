//! What the figures have to be.

use super::{
    Phase,
    figures::{Figures, PhaseFigures},
    shop::Kind,
};

/// Set where nothing else is at work: only then do the phases compare. The figures are printed in any case.
const JUDGE_SPEED: &str = "SAGA_TEST_JUDGE_SPEED";
/// By how much the others may be slower than in calm times.
const SLOWDOWN: f64 = 1.2;
/// Of the stored times, in milliseconds: what is measured at both ends may be off by so much.
const RESOLUTION: i64 = 1;
/// Three probes at most, each time that the breaker's time is over: for 2 s and up to 8 s, less a fifth that is drawn.
/// While it has been dead for a while the time is the longest.
const PROBES: u64 = 3 * (45 * 10 / 64 + 2);
/// Of a call that is made and fails: it begins, it ends, it waits again.
const ROWS_OF_A_CALL: u64 = 3;

/// All that is not as it has to be.
pub(super) fn faults(figures: &Figures) -> Vec<String> {
    let mut faults = lost(figures);
    if std::env::var_os(JUDGE_SPEED).is_some() {
        faults.extend(slow(figures));
    }
    faults.extend(figures.phase(Phase::Dead).map(waits).unwrap_or_default());
    faults.extend(rows(figures));
    faults
}

fn lost(figures: &Figures) -> Vec<String> {
    let mut faults = Vec::new();
    for saga in &figures.sagas {
        if saga.status.as_deref() != Some(saga.kind.end()) {
            faults.push(format!("a saga did not end as it has to: {saga:?}"));
        }
    }
    let trips = figures.sagas.iter().filter(|saga| saga.kind == Kind::Trip).count();
    if figures.trip_effects != 2 * trips {
        faults.push(format!("{} effects of {trips} trips", figures.trip_effects));
    }
    if figures.strangers > 0 || figures.dead_letters > 0 {
        faults.push(format!("{} sagas of no trigger, {} dead letters", figures.strangers, figures.dead_letters));
    }
    faults
}

fn slow(figures: &Figures) -> Vec<String> {
    let mut faults = Vec::new();
    for kind in Kind::GOOD {
        for phase in Phase::BAD {
            let (median, by_calm) = (figures.quantile(kind, phase, 0.5), figures.slowdown(kind, phase));
            #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
            let within_resolution = (median - RESOLUTION) as f64 <= median as f64 / by_calm * SLOWDOWN;
            if by_calm > SLOWDOWN && !within_resolution {
                faults.push(format!("{} in `{}`: {median} ms, {by_calm:.2} of calm", kind.name(), phase.name()));
            }
        }
    }
    faults
}

/// Nobody can be held back but by the breaker, and only probes are made.
fn waits(dead: &PhaseFigures) -> Vec<String> {
    let mut faults = Vec::new();
    if dead.waiting.keys().any(|guard| guard != "breaker:payments") || dead.waiting.is_empty() {
        faults.push(format!("other guards hold sagas back than the breaker: {:?}", dead.waiting));
    }
    if dead.calls.all > PROBES {
        faults.push(format!("{} calls to a dead participant, not {PROBES} at most", dead.calls.all));
    }
    faults
}

/// Waiting writes nothing: only a call does.
fn rows(figures: &Figures) -> Vec<String> {
    let Some((dying, dead)) = figures.phase(Phase::Dying).zip(figures.phase(Phase::Dead)) else {
        return vec!["the participant never died".to_owned()];
    };
    let grown = dead.rows.iter().filter_map(|(saga, rows)| Some(rows - dying.rows.get(saga)?)).sum::<i64>();
    let allowed = i64::try_from(dead.calls.all * ROWS_OF_A_CALL).unwrap_or(i64::MAX);
    if grown > allowed {
        return vec![format!("{grown} rows were written for {} sagas that only waited", dying.rows.len())];
    }
    Vec::new()
}
