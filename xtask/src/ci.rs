//! The stages of continuous integration, with their times and the tests that were skipped.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::names;

/// A stage: its name, the arguments of `cargo`, and environment variables.
struct Stage {
    name: &'static str,
    cargo: &'static str,
    env: &'static [(&'static str, &'static str)],
    /// Folders that it makes and no other stage reads. They are removed after it, unless they were there before.
    makes: &'static [&'static str],
}

/// Building stages first: the test stage's build serves the quick run.
const STAGES: [Stage; 14] = [
    Stage {
        name: "fmt",
        cargo: "fmt --all --check",
        env: &[],
        makes: &[],
    },
    Stage {
        name: "features",
        cargo: "run --quiet --package xtask -- features",
        env: &[],
        makes: &[],
    },
    Stage {
        name: "tidy",
        cargo: "run --quiet --package xtask -- tidy",
        env: &[],
        makes: &[],
    },
    Stage {
        name: "test",
        cargo: "test --workspace",
        // The same inputs of the property tests each time: a change is judged by itself. `cargo test`
        // by hand draws new ones.
        env: &[("PROPTEST_RNG_SEED", "2106018042104035")],
        makes: &[],
    },
    // The same tests where the processor had fewer vector instructions; what cannot run at all is printed as skipped.
    Stage {
        name: "avx2",
        cargo: "test --package vlp-ops",
        env: &[("VLP_SIMD", "avx2")],
        makes: &[],
    },
    Stage {
        name: "scalar",
        cargo: "test --package vlp-ops",
        env: &[("VLP_SIMD", "scalar")],
        makes: &[],
    },
    Stage {
        name: "golden-avx2",
        cargo: "test --package vlp --test golden",
        env: &[("VLP_SIMD", "avx2")],
        makes: &[],
    },
    Stage {
        name: "golden-scalar",
        cargo: "test --package vlp --test golden",
        env: &[("VLP_SIMD", "scalar")],
        makes: &[],
    },
    Stage {
        name: "quick",
        cargo: "run --package vlp -- pretrain --quick --out target/quick",
        env: &[],
        makes: &[],
    },
    Stage {
        name: "quick-soho",
        cargo: "run --package vlp -- pretrain --preset soho-tiny --quick --out target/quick",
        env: &[],
        makes: &[],
    },
    Stage {
        name: "clippy",
        cargo: "clippy --workspace --all-targets -- -D warnings",
        env: &[],
        makes: &[],
    },
    Stage {
        name: "cloud",
        cargo: "clippy --package vlp --features cloud --all-targets -- -D warnings",
        env: &[],
        makes: &[],
    },
    Stage {
        name: "doc",
        cargo: "doc --workspace --no-deps",
        env: &[("RUSTDOCFLAGS", "-D warnings")],
        makes: &["target/doc"],
    },
    Stage {
        name: "package",
        cargo: "run --quiet --package xtask -- publish --dry-run --no-build",
        env: &[],
        makes: &["target/publish", "target/publish-build"],
    },
];

/// Folder of the quick run, which must not exist when it starts.
const QUICK: &str = "target/quick";

/// Runs the named stages, or all, in order up to the first that fails; prints the time of each.
pub(crate) fn run(root: &Path, names: &[&str]) -> Result<(), String> {
    let stages = choose(names)?;
    let (mut times, mut skipped) = (Vec::new(), Vec::new());
    let mut failed = None;
    for stage in &stages {
        println!("== {}: cargo {}", stage.name, stage.cargo);
        let start = Instant::now();
        let result = execute(root, stage, &mut skipped);
        times.push((stage.name, start.elapsed()));
        if let Err(reason) = result {
            failed = Some(format!("{} failed: {reason}", stage.name));
            break;
        }
    }
    print!("\n{}{}", skips(&skipped), summary(&times));
    match failed {
        None => Ok(()),
        Some(message) => {
            let remaining = stages.len() - times.len();
            Err(if remaining > 0 {
                format!("{message}; {remaining} stages not run")
            } else {
                message
            })
        }
    }
}

/// The stages of these names in the order of the table, whatever the order of the names.
fn choose(names: &[&str]) -> Result<Vec<&'static Stage>, String> {
    names::check("stage", names, &STAGES.map(|stage| stage.name))?;
    Ok(STAGES
        .iter()
        .filter(|stage| names.is_empty() || names.contains(&stage.name))
        .collect())
}

/// Prefix of the line that a test prints if the machine lacks something that it needs.
const SKIPPED: &str = "SKIPPED: ";

/// Runs a stage; the tests that it skipped are added to `skipped`.
fn execute(root: &Path, stage: &Stage, skipped: &mut Vec<String>) -> Result<(), String> {
    let quick = root.join(QUICK);
    if stage.cargo.ends_with(QUICK) && quick.exists() {
        remove(&quick)?;
    }
    let folders = stage.makes.iter().map(|folder| root.join(folder));
    let folders: Vec<PathBuf> = folders.filter(|folder| !folder.exists()).collect();
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(stage.cargo.split(' '))
        .envs(stage.env.iter().copied())
        .current_dir(root);
    let is_test = stage.cargo.starts_with("test ");
    if is_test {
        // What passing tests print is shown too: it says what they skipped.
        command.args(["--", "--show-output"]).stdout(Stdio::piped());
    }
    let failed = |error| format!("cargo could not be started: {error}");
    let mut child = command.spawn().map_err(failed)?;
    for line in child
        .stdout
        .take()
        .into_iter()
        .flat_map(|out| BufReader::new(out).lines())
    {
        let line = line.map_err(|error| format!("output of cargo: {error}"))?;
        println!("{line}");
        if let Some(reason) = line.strip_prefix(SKIPPED) {
            skipped.push(format!("{}: {reason}", stage.name));
        }
    }
    let status = child.wait().map_err(failed)?;
    for folder in folders.iter().filter(|folder| folder.exists()) {
        remove(folder)?;
    }
    if status.success() {
        Ok(())
    } else {
        Err(status.to_string())
    }
}

fn remove(folder: &Path) -> Result<(), String> {
    std::fs::remove_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// The tests that were skipped, with their reasons.
fn skips(skipped: &[String]) -> String {
    let mut text = format!("{} tests skipped\n", skipped.len());
    text.extend(skipped.iter().map(|line| format!("  {line}\n")));
    text
}

fn summary(times: &[(&str, Duration)]) -> String {
    let line = |name: &str, time: Duration| format!("{name:<13}{:>8.1} s\n", time.as_secs_f64());
    let total = times.iter().map(|(_, time)| *time).sum();
    let mut text: String = times.iter().map(|(name, time)| line(name, *time)).collect();
    if times.len() > 1 {
        text += &line("total", total);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn stages_are_chosen_by_name_in_their_order() {
        let names = |chosen: &[&str]| {
            choose(chosen).map(|stages| stages.iter().map(|stage| stage.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["clippy", "fmt"]).unwrap(), ["fmt", "clippy"]);
        assert_eq!(names(&[]).unwrap().len(), STAGES.len());
        assert_eq!(
            names(&["lint"]).unwrap_err(),
            "no stage is named \"lint\"; there are fmt, features, tidy, test, avx2, scalar, golden-avx2, golden-scalar, quick, quick-soho, clippy, cloud, doc, package"
        );
    }

    #[test]
    fn times_are_listed_and_summed() {
        let times = [
            ("fmt", Duration::from_millis(1500)),
            ("test", Duration::from_secs(60)),
        ];
        assert_eq!(
            summary(&times),
            "fmt               1.5 s\ntest             60.0 s\ntotal            61.5 s\n"
        );
    }
}
