//! What a trial says of itself.

use super::faults::Fault;
use std::{
    collections::BTreeMap,
    fmt::{Display, Formatter, Result},
    time::Duration,
};

/// All that is counted.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// By fault: how often, and how long each time from its end until a saga ended again.
    pub(crate) back: BTreeMap<Fault, Vec<Duration>>,
    /// Orders whose records the broker has acknowledged.
    pub(crate) placed: usize,
    /// Sagas by status, when last looked at.
    pub(crate) by_status: BTreeMap<String, usize>,
    /// Times that everything was awaited and judged.
    pub(crate) judged: usize,
    /// The longest time from the last fault until all had ended.
    pub(crate) settled: Duration,
    /// Requests that participants got, repeats included.
    pub(crate) calls: usize,
    /// Changes in the participants' worlds.
    pub(crate) effects: usize,
    /// Records on the DLQ topic.
    pub(crate) dead_letters: i64,
    /// How long it took in all.
    pub(crate) length: Duration,
}

impl Display for Figures {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "\n{:42} | times | s until sagas end again: median, longest", "fault")?;
        for (fault, times) in &self.back {
            let mut times = times.clone();
            times.sort_unstable();
            let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
            let (median, longest) = (median.as_secs_f64(), longest.as_secs_f64());
            writeln!(f, "{:42} | {:5} | {median:6.1} {longest:6.1}", fault.name(), times.len())?;
        }
        let faults: usize = self.back.values().map(Vec::len).sum();
        writeln!(
            f,
            "{faults} faults in {:.0} s; {} orders placed; sagas: {:?}",
            self.length.as_secs_f64(),
            self.placed,
            self.by_status
        )?;
        writeln!(
            f,
            "judged {} times, all ended at most {:.0} s after the last fault; {} calls, {} effects, {} dead letters",
            self.judged,
            self.settled.as_secs_f64(),
            self.calls,
            self.effects,
            self.dead_letters
        )
    }
}
