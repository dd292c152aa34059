//! Memory of this process, from the kernel's own account.

use anyhow::Context;

/// The memory of this process according to /proc, in MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ProcessMemory {
    /// Resident memory now.
    pub(super) now: f64,
    /// Peak of the resident memory since [`forget_the_peak`].
    pub(super) peak: f64,
}

impl ProcessMemory {
    pub(super) fn of_this_process() -> anyhow::Result<ProcessMemory> {
        let status = std::fs::read_to_string("/proc/self/status").context("memory is read from /proc")?;
        Ok(ProcessMemory { now: mebibytes(&status, "VmRSS:"), peak: mebibytes(&status, "VmHWM:") })
    }
}

/// Resets the peak, so that it counts from this call on.
pub(super) fn forget_the_peak() -> anyhow::Result<()> {
    /// Resets the peak of the resident set: see proc(5).
    const RESET_PEAK: &str = "5";
    std::fs::write("/proc/self/clear_refs", RESET_PEAK).context("the peak of memory is reset in /proc")
}

fn mebibytes(status: &str, field: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kibibytes.unwrap_or_default() / 1024.0
}

#[cfg(test)]
mod tests {
    use super::mebibytes;

    #[test]
    fn fields_of_the_kernel_are_kibibytes() {
        let status = "VmPeak:\t  999 kB\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!(
            (mebibytes(status, "VmHWM:"), mebibytes(status, "VmRSS:"), mebibytes(status, "Vm:")),
            (2.0, 1.0, 0.0)
        );
    }
}
