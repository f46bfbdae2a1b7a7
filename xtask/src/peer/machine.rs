//! The machine, the date, and how busy the processor is.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Processor, cores and memory, as far as the system tells.
pub(crate) fn describe() -> String {
    let field = |file: &str, key: &str| {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.into());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|kib| kib.trim_end_matches(" kB").parse::<f64>().ok())
        .map_or(String::new(), |kib| {
            format!(", {:.0} GiB", kib / f64::from(1 << 20))
        });
    format!("{cpu}, {cores} cores{memory}, {}", std::env::consts::OS)
}

/// Ticks of all cores so far: those that ran something, and all. `None` if `/proc` is not there.
pub(super) fn ticks() -> Option<(f64, f64)> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    busy(text.lines().next()?)
}

/// user, nice, system, idle, iowait, irq, softirq, steal (`man 5 proc_stat`).
fn busy(line: &str) -> Option<(f64, f64)> {
    let numbers = line.split_whitespace().skip(1).take(8);
    let ticks: Vec<f64> = numbers.map(str::parse).collect::<Result<_, _>>().ok()?;
    let (all, idle) = (ticks.iter().sum::<f64>(), ticks.get(3)? + ticks.get(4)?);
    Some((all - idle, all))
}

/// Ticks of a process and its ended children so far.
pub(super) fn ticks_of(process: u32) -> Option<f64> {
    process_ticks(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// utime, stime, cutime, cstime; the second field, the name in brackets, may hold anything.
fn process_ticks(stat: &str) -> Option<f64> {
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ticks: Vec<f64> = fields
        .skip(11)
        .take(4)
        .filter_map(|f| f.parse().ok())
        .collect();
    (ticks.len() == 4).then(|| ticks.iter().sum())
}

/// Date and time, `2026-01-31T12:00:00Z`.
pub(crate) fn now() -> Result<String, String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(stamp(since.map_err(|e| e.to_string())?.as_secs()))
}

/// Seconds since 1970 as date and time (Howard Hinnant's `civil_from_days`).
fn stamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read() {
        let line = "cpu  10 1 5 100 20 2 3 4 0 0";
        assert_eq!(busy(line), Some((25.0, 145.0)));
        assert_eq!(busy("cpu 1 2"), None);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 40 2 300 8 20 0 1";
        assert_eq!(process_ticks(stat), Some(350.0));
        assert_eq!(process_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn seconds_become_dates() {
        assert_eq!(stamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(stamp(951_826_154), "2000-02-29T12:09:14Z");
        assert_eq!(stamp(1_798_761_599), "2026-12-31T23:59:59Z");
    }
}
