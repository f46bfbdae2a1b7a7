//! docs/reliability.md: a line for each test, from its last long run.

use std::fs;
use std::path::Path;

use super::options::Options;
use crate::peer::machine;
use crate::processes::scenario::Run;

const START: &str = "# Reliability, measured

Each line is what the command in it printed: on that processor, on that date.
`cargo xtask torture` runs a short form of all of them but `fuzz`, as continuous integration does, in 16 s on an AMD EPYC (Zen 5, 2 cores); with `--long` it renews this page.
The tests start the program itself, `target/debug/vlp`, and compare files.
What a disk or a kernel does to a process is done to it by a library that is loaded before the C library (`xtask/src/torture/shim.c`); Linux only.

| test | figure | command | processor | date |
|---|---|---|---|---|
";

/// Replaces the lines of the tests that have passed.
pub(super) fn write(
    root: &Path,
    names: &[&str],
    runs: &[Run<String>],
    options: &Options,
) -> Result<(), String> {
    let path = root.join("docs/reliability.md");
    let failed = |e| format!("{}: {e}", path.display());
    let old = fs::read_to_string(&path).unwrap_or_default();
    let processor = machine::describe();
    let now = machine::now()?;
    let date = now.split('T').next().unwrap_or_default();
    let new: Vec<(&str, String)> = runs
        .iter()
        .filter_map(|run| {
            let figure = run.outcome.as_ref().ok()?;
            let name = run.name;
            let less = options.of_fuzz_targets(name);
            let minutes = run.time.as_secs_f64() / 60.0;
            let line = format!(
                "| `{name}` | {figure} | `cargo xtask torture {name} --long{less}` ({minutes:.1} min) | {processor} | {date} |\n"
            );
            Some((name, line))
        })
        .collect();
    fs::write(&path, text(&old, names, &new)).map_err(failed)
}

/// The page with new lines, and the old ones of other tests, in the order of `names`.
fn text(old: &str, names: &[&str], new: &[(&str, String)]) -> String {
    let mut page = START.to_owned();
    for name in names {
        let start = format!("| `{name}` |");
        let old_line = old.lines().find(|line| line.starts_with(&start));
        match new.iter().find(|(new_name, _)| new_name == name) {
            Some((_, line)) => page += line,
            None => page.extend(old_line.map(|line| format!("{line}\n"))),
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_was_not_run_keeps_its_line() {
        let old = format!("{START}| `kill` | 5 |\n| `gone` | 1 |\n| `power` | 6 |\n");
        let new = [("kill", "| `kill` | 7 |\n".to_owned())];
        let page = text(&old, &["kill", "faults", "power"], &new);
        assert_eq!(page, format!("{START}| `kill` | 7 |\n| `power` | 6 |\n"));
    }
}
