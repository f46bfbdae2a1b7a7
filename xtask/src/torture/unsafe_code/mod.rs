//! `unsafe` in this workspace: where it is, and what tests of it find under Miri and the address sanitizer.

mod check;
mod count;

use std::fmt::Write as _;

use super::lab::Lab;
use super::options::UNSAFE;
use super::page;
use crate::processes::scenario::{Failure, Outcome};
use check::{CHECKS, Tool};

/// Why parts of `vlp-ops` are run by no check, by the start of their names.
const REASONS: [(&str, &str); 6] = [
    ("allocator.rs", "no: a call of the C library"),
    ("capture", "no: needs a GPU"),
    ("cube", "no: needs a GPU"),
    ("cpu/bf16/x86/amx", "no: needs AMX"),
    ("cpu/conv/amx", "no: needs AMX"),
    ("cpu/bf16", "no: not of this architecture"),
];

pub(super) fn run(lab: &Lab) -> Outcome<String> {
    if !lab.options.names.iter().any(|name| name == UNSAFE) {
        return Err(Failure::Skipped(
            "its programs build for many minutes: `cargo xtask torture unsafe`".into(),
        ));
    }
    let counts = count::by_folder(&lab.root)?;
    let (allowed, others) = count::allowed(&lab.root)?;
    if let Some(((name, _), _)) = counts.iter().find(|((name, _), _)| !allowed.contains(name)) {
        return Err(format!("{name} has `unsafe`, and the compiler is to forbid it").into());
    }
    let mut results = vec![];
    for check in &CHECKS {
        // Burn is built anew for the sanitizer, with its optimizations.
        let is_left_out =
            check.tool == Tool::AddressSanitizer && (!lab.options.long || lab.options.no_burn);
        let reason = match is_left_out {
            true => Some("needs --long without --no-burn"),
            false => check::missing(check.tool),
        };
        let result = match reason {
            Some(reason) => {
                println!("  {}: SKIPPED, {reason}", check.name);
                None
            }
            None => {
                let count = check.run(&lab.root)?;
                println!("  {}: {count} tests, no findings", check.name);
                Some(count)
            }
        };
        results.push((check, result));
    }
    let total: usize = counts.values().sum();
    let ran = results.iter().filter_map(|(check, result)| {
        let count = (*result)?;
        Some(format!("{}: {count} tests", check.name))
    });
    let ran: Vec<String> = ran.collect();
    if lab.options.long {
        let mut table =
            String::from("| crate | folder | uses | checked by |\n|---|---|---:|---|\n");
        for ((name, folder), uses) in &counts {
            let checks = results.iter().filter(|(check, _)| check.covers(folder));
            let by = checks.clone().filter(|(_, result)| result.is_some());
            let by: Vec<&str> = by.map(|(check, _)| check.name).collect();
            let mut reasons = REASONS
                .iter()
                .filter(|(start, _)| folder.starts_with(start));
            let by = match (by.is_empty(), checks.count(), reasons.next()) {
                (false, ..) => by.join("; "),
                (true, 0, Some((_, reason))) => (*reason).to_owned(),
                (true, ..) => "not run".to_owned(),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(table, "| `{name}` | `{folder}` | {uses} | {by} |");
        }
        page::write_unsafe(&lab.root, &table)?;
    }
    Ok(format!(
        "{total} uses of `unsafe` in {}; the compiler forbids it in the {others} other crates; no findings, {}",
        allowed.join(", "),
        match ran.is_empty() {
            true => "but nothing was run".to_owned(),
            false => ran.join("; "),
        }
    ))
}
