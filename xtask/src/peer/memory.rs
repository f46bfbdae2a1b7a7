//! Peak memory of a training step with each option that lowers it, next to PyTorch's.

use std::fs;

use serde_json::{Value, json};

use super::{Bench, THEIRS, target, times};

const CASES: [&str; 3] = ["e2e-step", "soho-r18-step", "soho-r101-step"];
/// Steps: later ones may free less than the first.
const STEPS: usize = 4;

const BACKBONE: &str = "model.recompute=[\"backbone\"]";
const ENCODER: &str = "model.recompute=[\"encoder\"]";
const BOTH: &str = "model.recompute=[\"backbone\",\"encoder\"]";
const BF16_MOMENTS: &str = "train.optimizer.moment_dtype=bf16";

/// An option of a step.
struct Choice {
    name: &'static str,
    set: &'static [&'static str],
    precision: Option<&'static str>,
    /// Without a graph, on a GPU.
    eager: bool,
}

const fn choice(name: &'static str, set: &'static [&'static str]) -> Choice {
    Choice {
        name,
        set,
        precision: None,
        eager: false,
    }
}

const CHOICES: [Choice; 6] = [
    choice("as configured", &[]),
    choice("backbone recomputed", &[BACKBONE]),
    choice("encoder recomputed", &[ENCODER]),
    choice("both recomputed", &[BOTH]),
    choice("bf16 moments", &[BF16_MOMENTS]),
    choice("both recomputed, bf16 moments", &[BOTH, BF16_MOMENTS]),
];
/// On a GPU alone.
const GPU_CHOICES: [Choice; 2] = [
    Choice {
        eager: true,
        ..choice("without a graph", &[])
    },
    Choice {
        precision: Some("bf16"),
        ..choice("precision bf16", &[])
    },
];

/// Memory in bytes and the least time in seconds of a side.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Measured {
    memory: f64,
    seconds: f64,
    /// Fraction of the cores that other processes used.
    others: Option<f64>,
}

/// Measures every case and writes `docs/numbers/memory-PAGE.md`.
pub(super) fn run(bench: &Bench) -> Result<(), String> {
    let mut text = String::new();
    let mut versions = json!({});
    for case in CASES {
        let files = bench.ours()?.prepare(bench.root, case)?;
        let request = json!({"case": case, "weights": files["weights"], "inputs": files["inputs"], "repeats": STEPS});
        let theirs = measure(bench, THEIRS, request.clone(), &mut versions)?;
        let mut line = |name: &str, measured: Measured| {
            let line = line(case, name, measured, theirs);
            print!("{line}");
            text += &line;
        };
        line("PyTorch", theirs);
        let gpu = GPU_CHOICES.iter().filter(|_| bench.target.is_gpu());
        for choice in CHOICES.iter().chain(gpu) {
            let mut request = request.clone();
            request["set"] = json!(choice.set);
            if let Some(precision) = choice.precision {
                request["precision"] = json!(precision);
            }
            if choice.eager {
                request["eager"] = json!(true);
            }
            line(
                choice.name,
                measure(bench, super::OURS, request, &mut versions)?,
            );
        }
    }
    let simd = versions["simd"].as_str().unwrap_or("unknown");
    let page = bench.target.page(simd);
    let path = target::page_file(bench.root, &format!("memory-{page}"));
    let text = self::page(bench, &page, &text, &versions);
    fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
}

/// In a process of its own.
fn measure(
    bench: &Bench,
    side: &'static str,
    mut request: Value,
    versions: &mut Value,
) -> Result<Measured, String> {
    let mut worker = match side {
        super::OURS => bench.ours()?,
        side => bench.python(side)?,
    };
    worker.add_versions(versions)?;
    bench.target.complete(&mut request, side);
    let (others, answer) = worker.ask_watched(&request)?;
    let memory = match bench.target.gpu_memory(worker.process()) {
        Some(memory) => memory,
        None => answer["peak_rss"]
            .as_f64()
            .ok_or("a side reported no memory")?,
    };
    let seconds = times::seconds(&answer).into_iter();
    Ok(Measured {
        memory,
        seconds: seconds.fold(f64::INFINITY, f64::min),
        others,
    })
}

fn line(case: &str, name: &str, measured: Measured, theirs: Measured) -> String {
    format!(
        "| `{case}` | {name} | {:.0} | {:.2} | {:.0} | {} |\n",
        measured.memory / 1e6,
        measured.memory / theirs.memory,
        1e3 * measured.seconds,
        measured
            .others
            .map_or("–".into(), |others| format!("{:.0}", 1e2 * others))
    )
}

fn page(bench: &Bench, page: &str, rows: &str, versions: &Value) -> String {
    format!(
        "# Memory of a training step: {page}\n\n\
         Written by `{} memory`, never by hand; what a case is: [benches/peer](../../benches/peer/README.md).\n\
         Each row is a separate process that runs {STEPS} steps.\n\
         {}\n\
         PyTorch is eager; milliseconds are the shortest step.\n\
         `others` is the fraction of the cores, in percent, that other processes used meanwhile: with more than a few percent, times are not comparable.\n\n\
         | case | option | MB | / PyTorch | ms | others % |\n|---|---|---:|---:|---:|---:|\n{rows}{}",
        bench.target.command(),
        target::memory_note(page),
        bench.footer(versions),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_memory_next_to_pytorchs() {
        let of = |memory| Measured {
            memory,
            seconds: 0.25,
            others: Some(0.124),
        };
        assert_eq!(
            line("e2e-step", "bf16 moments", of(8e8), of(16e8)),
            "| `e2e-step` | bf16 moments | 800 | 0.50 | 250 | 12 |\n"
        );
    }
}
