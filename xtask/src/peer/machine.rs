//! Where and when figures were taken.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Processor, cores and memory, as far as the system tells.
pub(super) fn describe() -> String {
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

/// Date and time, `2026-01-31T12:00:00Z`.
pub(super) fn now() -> Result<String, String> {
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
    fn seconds_become_dates() {
        assert_eq!(stamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(stamp(951_826_154), "2000-02-29T12:09:14Z");
        assert_eq!(stamp(1_798_761_599), "2026-12-31T23:59:59Z");
    }
}
