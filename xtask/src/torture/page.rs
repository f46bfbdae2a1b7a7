//! docs/reliability.md: a line for each test, from its last long run.

use std::fs;
use std::path::Path;

use super::options::Options;
use crate::files::read_if_there;
use crate::peer::machine;
use crate::processes::scenario::Run;

const START: &str = "# Reliability, measured

Each line is what the command in it printed: on that processor, on that date.
`cargo xtask torture` runs a short form of all of them but `fuzz` and `unsafe`, as continuous integration does; `--long` updates this page.
The tests start the program itself, `target/debug/vlp`, and compare files; `stores` starts one that is built with `--features cloud`.
Failures of disk and kernel are injected by a preloaded library (`LD_PRELOAD`, `xtask/src/torture/shim.c`); Linux only.

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
    let old = read_if_there(&path)?.unwrap_or_default();
    let processor = machine::describe();
    let now = machine::now()?;
    let date = now.split('T').next().unwrap_or_default();
    let new: Vec<(&str, String)> = runs
        .iter()
        .filter_map(|run| {
            let figure = run.outcome.as_ref().ok()?;
            let name = run.name;
            let less = options.words_of(name);
            let minutes = run.time.as_secs_f64() / 60.0;
            let line = format!(
                "| `{name}` | {figure} | `cargo xtask torture {name} --long{less}` ({minutes:.1} min) | {processor} | {date} |\n"
            );
            Some((name, line))
        })
        .collect();
    fs::write(&path, text(&old, names, &new)).map_err(failed)
}

/// Replaces the table of `unsafe`.
pub(super) fn write_unsafe(root: &Path, table: &str) -> Result<(), String> {
    let path = root.join("docs/reliability.md");
    let failed = |e| format!("{}: {e}", path.display());
    let old = fs::read_to_string(&path).map_err(failed)?;
    let start = old.split(UNSAFE_START).next().unwrap_or_default();
    fs::write(&path, format!("{start}{UNSAFE_START}{table}")).map_err(failed)
}

const UNSAFE_START: &str = "
## `unsafe`

The compiler forbids it in all crates but `vlp-ops`, whose kernels write through pointers.
Miri interprets tests of these kernels on small shapes, without vector instructions, and finds undefined behavior and data races.
The address sanitizer finds accesses outside of allocations while all tests of the crate run with the instructions of the processor.
`cargo xtask torture unsafe` runs Miri, with `--long` the sanitizer as well, which rebuilds burn; kernels for GPUs are only compared with the CPU ([speed.md](speed.md)).

";

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
    if let Some((_, table)) = old.split_once(UNSAFE_START) {
        page += UNSAFE_START;
        page += table;
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
        let names = ["kill", "faults", "power"];
        let expected = format!("{START}| `kill` | 7 |\n| `power` | 6 |\n");
        assert_eq!(text(&old, &names, &new), expected);
        // The table after them stays.
        let table = format!("{UNSAFE_START}| a | 1 |\n");
        let page = text(&format!("{old}{table}"), &names, &new);
        assert_eq!(page, expected + &table);
    }
}
