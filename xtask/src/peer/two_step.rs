//! vlp's inference next to a pipeline of two steps in PyTorch: the regions of a detector, then a transformer over them.

use std::fs;

use serde_json::{Value, json};

use super::times::{Times, seconds};
use super::{Bench, ROUNDS, THEIRS, target};

/// What is compared with one system.
struct System {
    name: &'static str,
    /// Its inference, which both vlp and PyTorch have.
    pair: &'static str,
    /// PyTorch's worker alone has these.
    two_step: &'static str,
    regions: &'static str,
    sizes: &'static str,
}

const SYSTEMS: [System; 2] = [
    System {
        name: "E2E-VLP",
        pair: "e2e-pair-800x1333",
        two_step: "two-step-e2e",
        regions: "regions-e2e",
        sizes: "800 x 1333 pixels, 40 tokens, ResNet-50, 6 layers of width 256",
    },
    System {
        name: "SOHO",
        pair: "soho-pair-608x1024",
        two_step: "two-step-soho",
        regions: "regions-soho",
        sizes: "600 x 1000 pixels (padded to 608 x 1024), 16 tokens, ResNet-101, 12 layers of width 768",
    },
];
/// What the detector takes of its proposals; with fewer it would be faster than one that is trained.
const PROPOSALS: f64 = 1000.0;
/// Timed runs of a side in each turn.
const REPEATS: usize = 3;

/// vlp, the same model in PyTorch, the two steps, and the first of them.
type Row = [Times; 4];

/// Measures both systems and writes `docs/numbers/two-step-PAGE.md`.
pub(super) fn run(bench: &Bench) -> Result<(), String> {
    let (mut rows, mut versions) = (vec![], json!({}));
    for system in &SYSTEMS {
        let row = measure(bench, system, &mut versions)?;
        println!("{}", line(system, &row).trim_end());
        rows.push(row);
    }
    let simd = versions["simd"].as_str().unwrap_or("unknown");
    let name = format!("two-step-{}", bench.target.page(simd));
    let path = target::page_file(bench.root, &name);
    let text = page(bench, &rows, &versions);
    fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
}

/// All sides in turns.
fn measure(bench: &Bench, system: &System, versions: &mut Value) -> Result<Row, String> {
    let files = bench.ours()?.prepare(bench.root, system.pair)?;
    let mut sides = [
        (bench.ours()?, system.pair),
        (bench.python(THEIRS)?, system.pair),
        (bench.python(THEIRS)?, system.two_step),
        (bench.python(THEIRS)?, system.regions),
    ];
    for (worker, _) in &mut sides {
        worker.add_versions(versions)?;
    }
    let mut times: [Vec<f64>; 4] = Default::default();
    // The first turn warms up.
    for turn in 0..=ROUNDS {
        for ((worker, case), times) in sides.iter_mut().zip(&mut times) {
            let repeats = if turn == 0 { 1 } else { REPEATS };
            let mut request = json!({"case": case, "inputs": files["inputs"], "repeats": repeats});
            if *case == system.pair {
                request["weights"] = files["weights"].clone();
            }
            bench.target.complete(&mut request, worker.name());
            let answer = worker.ask(&request)?;
            if let Some(proposals) = answer["losses"]["proposals"].as_f64()
                && proposals != PROPOSALS
            {
                return Err(format!(
                    "{case}: {proposals} proposals instead of {PROPOSALS}"
                ));
            }
            if turn > 0 {
                times.extend(seconds(&answer));
            }
        }
    }
    let [ours, theirs, two_step, regions] = times.map(Times::of);
    match (ours, theirs, two_step, regions) {
        (Some(ours), Some(theirs), Some(two_step), Some(regions)) => {
            Ok([ours, theirs, two_step, regions])
        }
        _ => Err(format!("{}: a side gave no times", system.name)),
    }
}

fn line(system: &System, row: &Row) -> String {
    let [ours, theirs, two_step, regions] = row;
    let text = |times: &Times| format!("{:.0} ({:.0})", 1e3 * times.least, 1e3 * times.median);
    format!(
        "| {} | {} | {} | {} | {} | {} | {:.1} | {:.1} |\n",
        system.name,
        system.sizes,
        text(ours),
        text(theirs),
        text(two_step),
        text(regions),
        two_step.least / ours.least,
        two_step.least / theirs.least
    )
}

fn page(bench: &Bench, rows: &[Row], versions: &Value) -> String {
    let device = bench.target.command().replace("cargo xtask peer", "");
    let mut text = format!(
        "# Against two steps: regions, then a transformer\n\n\
         Written by `cargo xtask peer{device} two-step`, never by hand; what is compared: [benches/peer](../../benches/peer/README.md#two-steps).\n\n\
         Milliseconds for one image and one text, from normalized pixels to the logits of matching: the minimum of {} runs, the median in brackets.\n\
         The two steps are torchvision's Faster R-CNN with 100 regions and the same transformer over them, in eager PyTorch; the detector alone is their first step.\n\
         A ratio is the time of the two steps over that of the model without regions, so above 1 the model without regions is faster.\n\
         SOHO says that it is about 10 times as fast as region-based systems, E2E-VLP that it is faster.\n\n\
         | system | sizes | vlp | PyTorch | two steps | detector alone | two steps / vlp | two steps / PyTorch |\n\
         |---|---|---:|---:|---:|---:|---:|---:|\n",
        ROUNDS * REPEATS
    );
    for (system, row) in SYSTEMS.iter().zip(rows) {
        text += &line(system, row);
    }
    text + &bench.footer(versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_ratios_to_both() {
        let times = |least| Times {
            least,
            median: 1.5 * least,
        };
        let row = [times(0.5), times(1.0), times(4.0), times(3.0)];
        let line = line(&SYSTEMS[1], &row);
        assert!(line.starts_with("| SOHO | 600 x 1000 pixels"), "{line}");
        let end = "| 500 (750) | 1000 (1500) | 4000 (6000) | 3000 (4500) | 8.0 | 4.0 |\n";
        assert!(line.ends_with(end), "{line}");
    }
}
