//! The figures as a table.

use super::{
    figures::{Figures, PhaseFigures},
    shop::Kind,
};
use std::fmt::{Display, Formatter, Result};

impl Display for Figures {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(
            f,
            "\nphase         |  sec | placed | ended | calls to payments |    parcels (Kafka), ms |        trips (HTTP), ms | waiting at its end"
        )?;
        writeln!(
            f,
            "              |      |        |       |    all     failed |   p50    p99  by calm |   p50    p99  by calm | sagas, rows of each"
        )?;
        for phase in &self.phases {
            self.line(f, phase)?;
        }
        self.sums(f)
    }
}

impl Figures {
    fn line(&self, f: &mut Formatter<'_>, it: &PhaseFigures) -> Result {
        let placed = self.sagas.iter().filter(|saga| saga.phase == it.phase).count();
        let ended = self.sagas.iter().filter(|saga| (it.from..it.to).contains(&saga.ended_at)).count();
        let seconds = (it.to - it.from) / 1_000;
        write!(f, "{:13} | {seconds:4} | {placed:6} | {ended:5} | ", it.phase.name())?;
        write!(f, "{:6} {:10} ", it.calls.all, it.calls.failed)?;
        for kind in Kind::GOOD {
            let (p50, p99) = (self.quantile(kind, it.phase, 0.5), self.quantile(kind, it.phase, 0.99));
            write!(f, "| {p50:5} {p99:6} {:8.2} ", self.slowdown(kind, it.phase))?;
        }
        let waiting: Vec<String> = it.waiting.iter().map(|(guard, sagas)| format!("{guard} {sagas}")).collect();
        let (least, most) = (it.rows.values().min(), it.rows.values().max());
        let rows = least.zip(most).map_or(String::new(), |(least, most)| format!(" ({least}-{most})"));
        writeln!(f, "| {}{rows}", waiting.join(", "))
    }

    fn sums(&self, f: &mut Formatter<'_>) -> Result {
        for kind in Kind::ALL {
            let of_kind = || self.sagas.iter().filter(move |saga| saga.kind == kind);
            let well = of_kind().filter(|saga| saga.status.as_deref() == Some(kind.end())).count();
            writeln!(f, "{}: {} placed, {well} {}", kind.name(), of_kind().count(), kind.end())?;
        }
        writeln!(f, "dead letters: {}", self.dead_letters)
    }
}
