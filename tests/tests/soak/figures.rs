//! What a trial says of itself.

use super::faults::Fault;
use std::{
    collections::BTreeMap,
    fmt::{Display, Formatter, Result},
    time::Duration,
};

/// How long after its end a fault was over for the sagas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    /// Until one ended again.
    pub(crate) again: Duration,
    /// Until all that had been placed by then had ended.
    pub(crate) all: Duration,
}

/// All that is counted.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// By fault, each time that it struck.
    pub(crate) recoveries: BTreeMap<Fault, Vec<Recovery>>,
    /// Orders whose records the broker has acknowledged.
    pub(crate) placed: usize,
    /// Sagas by status, when last looked at.
    pub(crate) by_status: BTreeMap<String, usize>,
    /// Sagas on which operators acted.
    pub(crate) acted: usize,
    /// Ends that were told.
    pub(crate) outcomes: usize,
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
        writeln!(f, "\n{:42} | times | s until one ends again | s until all have ended", "")?;
        writeln!(f, "{:42} |       |    median    longest   |    median    longest", "fault")?;
        for (fault, recoveries) in &self.recoveries {
            let again = spread(recoveries, |recovery| recovery.again);
            let all = spread(recoveries, |recovery| recovery.all);
            writeln!(f, "{:42} | {:5} | {again}   | {all}", fault.name(), recoveries.len())?;
        }
        let faults: usize = self.recoveries.values().map(Vec::len).sum();
        let seconds = self.length.as_secs_f64();
        writeln!(f, "{faults} faults in {seconds:.0} s; {} orders placed; sagas: {:?}", self.placed, self.by_status)?;
        writeln!(f, "operators acted on {}; {} ends were told", self.acted, self.outcomes)?;
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

/// The median and the longest.
fn spread(recoveries: &[Recovery], length: fn(&Recovery) -> Duration) -> String {
    let mut lengths: Vec<Duration> = recoveries.iter().map(length).collect();
    lengths.sort_unstable();
    let (median, longest) = (lengths[lengths.len() / 2], lengths[lengths.len() - 1]);
    format!("{:9.1}  {:9.1}", median.as_secs_f64(), longest.as_secs_f64())
}
