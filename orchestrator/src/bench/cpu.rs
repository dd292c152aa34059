//! CPU time of a process, from the kernel's own account.

use anyhow::Context;

/// Clock ticks a second of /proc on Linux: `USER_HZ`, 100 on every architecture that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct CpuTime {
    pub(super) seconds: f64,
}

impl CpuTime {
    pub(super) fn of_this_process() -> anyhow::Result<CpuTime> {
        CpuTime::of(std::process::id())
    }

    pub(super) fn of(process: u32) -> anyhow::Result<CpuTime> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).context("CPU time is read from /proc")?;
        // The name in parentheses may hold spaces; the fields after it are numbers, user and system time the 12th and
        // 13th.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
        let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(CpuTime { seconds: ticks / TICKS_PER_SECOND })
    }
}
