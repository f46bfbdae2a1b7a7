//! The page of an ablation: a pure function of its runs, and the charts next to it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use vlp_draw::{Curve, comparison_svg};

use super::comparisons::{Comparison, Comparisons, comparisons};
use super::order;
use super::plan::{Plan, Task, View};
use super::progress::duration;
use super::scores::Scores;
use crate::files::read_if_there;
use crate::mean::cell;
use crate::results::replace;

/// Below it a corrected p-value is marked.
const SIGNIFICANT: f64 = 0.05;

/// Writes the results between the markers of `page`, or a new page; the charts next to it.
pub(super) fn write(
    page: &Path,
    plan: &Plan,
    scores: &Scores,
    command: &str,
) -> Result<(), String> {
    let stem = page.file_stem().unwrap_or_default().to_string_lossy();
    let parent = page.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(parent).map_err(|e| format!("{}: {e}", parent.display()))?;
    let mut links = String::new();
    for (name, svg) in charts(plan, scores) {
        let file = format!("{stem}-{}.svg", name.replace('/', "-"));
        write_file(&parent.join(&file), &svg)?;
        _ = writeln!(links, "![{name} by step]({file})");
    }
    let results = results(plan, scores, command, &links)?;
    let text = match read_if_there(page)? {
        Some(old) => replace(&old, &results)
            .ok_or_else(|| format!("{}: no markers of results", page.display()))?,
        None => format!(
            "# {}\n\n{}\n\n<!-- results -->\n{results}<!-- /results -->\n",
            plan.title, plan.claim
        ),
    };
    write_file(page, &text)
}

fn write_file(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

/// Name and chart of every curve.
fn charts(plan: &Plan, scores: &Scores) -> Vec<(String, String)> {
    let metrics = plan.curves.iter();
    let pretraining = metrics.map(|metric| (metric.clone(), "pretrain", vec![metric.clone()]));
    let tasks = plan.tasks.iter();
    let tasks = tasks.map(|task| (task.name.clone(), task.name.as_str(), task.metrics.clone()));
    let mut charts = vec![];
    for (name, run, metrics) in pretraining.chain(tasks) {
        let curves = plan.variants.iter().map(|variant| Curve {
            name: variant.name.clone(),
            points: scores.curve(variant, run, &metrics),
            ..Curve::default()
        });
        let curves: Vec<Curve> = curves.filter(|curve| !curve.points.is_empty()).collect();
        if !curves.is_empty() {
            charts.push((name, comparison_svg(&metrics.join(" and "), &curves)));
        }
    }
    charts
}

fn results(plan: &Plan, scores: &Scores, command: &str, charts: &str) -> Result<String, String> {
    let comparisons = comparisons(plan, scores);
    let mut text = facts(plan, scores, command)?;
    text += "\n### Variants\n\n";
    for variant in &plan.variants {
        _ = writeln!(text, "- `{}`: {}", variant.name, variant.about);
    }
    for view in &plan.views {
        let (name, about) = (&view.name, &view.about);
        _ = writeln!(
            text,
            "- *{name}*: {about}; *{name} minus usual*: how much larger a difference is there"
        );
    }
    text += "\n### Scores\n\nMean and standard deviation over the seeds; in parentheses, their number.\n\n";
    text += &score_table(plan, scores);
    text += &order::text(plan, scores);
    text += "\n### Differences\n\n";
    text += &differences(&comparisons);
    if !charts.is_empty() {
        _ = write!(
            text,
            "\n### Curves\n\nValidation metrics by step, mean over the seeds.\n\n{charts}"
        );
    }
    Ok(text)
}

/// Command, sizes, machines and time.
fn facts(plan: &Plan, scores: &Scores, command: &str) -> Result<String, String> {
    let runs = scores.runs();
    let seconds: f64 = runs.iter().map(|record| record.seconds).sum();
    let mut devices = BTreeMap::<&str, usize>::new();
    for record in &runs {
        *devices.entry(&record.device).or_default() += 1;
    }
    let devices: Vec<String> = match devices.len() {
        1 => devices.into_keys().map(str::to_owned).collect(),
        _ => {
            let devices = devices.into_iter();
            devices
                .map(|(device, runs)| format!("{runs} runs on {device}"))
                .collect()
        }
    };
    let pretraining = scores.sizes("pretrain").ok_or("nothing is finished yet")?;
    let tasks = plan.tasks.iter();
    let tasks = tasks.filter_map(|task| {
        let sizes = scores.sizes(&task.name)?;
        Some(format!("{}: {sizes}", task.name))
    });
    let rows = [
        ("command", format!("`{command}`")),
        ("pre-training", format!("`{}`: {pretraining}", plan.preset)),
        ("fine-tuning", tasks.collect::<Vec<_>>().join("; ")),
        ("device", devices.join("; ")),
        (
            "time",
            format!(
                "{} of {} runs, one after the other",
                duration(seconds),
                runs.len()
            ),
        ),
    ];
    let mut text = String::from("| | |\n|---|---|\n");
    for (name, value) in rows {
        _ = writeln!(text, "| {name} | {value} |");
    }
    Ok(text)
}

/// The columns of scores: each task, then each task in each view.
fn columns(plan: &Plan) -> Vec<(&Task, Option<&View>, String)> {
    let views = [None].into_iter().chain(plan.views.iter().map(Some));
    let columns = views.flat_map(|view| {
        plan.tasks.iter().map(move |task| {
            let place = view.map_or(String::new(), |view| format!(", {}", view.name));
            (task, view, format!("{}{place}", task.name))
        })
    });
    columns.collect()
}

fn score_table(plan: &Plan, scores: &Scores) -> String {
    let columns = columns(plan);
    let names = plan.curves.iter().cloned();
    let names = names.chain(columns.iter().map(|(_, _, name)| name.clone()));
    let names: Vec<String> = names.collect();
    let mut text = format!(
        "| variant | {} |\n|---|{}\n",
        names.join(" | "),
        "---:|".repeat(names.len())
    );
    for variant in &plan.variants {
        let pretraining = plan.curves.iter();
        let pretraining = pretraining.map(|metric| scores.of_pretraining(variant, metric));
        let tasks = columns.iter();
        let tasks = tasks.map(|(task, view, _)| scores.of(variant, task, *view));
        let cells: Vec<String> = pretraining
            .chain(tasks)
            .map(|values| cell(&values.into_values().collect::<Vec<_>>()))
            .collect();
        _ = writeln!(text, "| `{}` | {} |", variant.name, cells.join(" | "));
    }
    text
}

/// Both tables of differences, and how to read them.
fn differences(comparisons: &Comparisons) -> String {
    let counts = comparisons.primary.iter().chain(&comparisons.by_task);
    let Some(least) = counts.map(|comparison| comparison.count).min() else {
        return "Tests need two seeds of both variants.\n".into();
    };
    let mut text = format!(
        "The difference of the means of a variant and another one, paired by seed, with its 95 % confidence interval.\n\
         `p` is that of the two-sided paired t-test, `Holm` the same corrected over all comparisons of its table, those without two seeds yet included; below {SIGNIFICANT} it is bold.\n\
         `exact` is that of the permutation test which flips the signs of the differences in every way, not corrected.\n\
         It assumes nothing about their distribution, but with {least} seeds it cannot be below {:.3}, which is why the t-test decides.\n\
         The first table decides; the second shows where its differences come from.\n",
        2.0 / 2.0_f64.powi(least as i32)
    );
    for table in [&comparisons.primary, &comparisons.by_task] {
        text += &difference_table(table);
    }
    text
}

fn difference_table(comparisons: &[Comparison]) -> String {
    let mut text = String::from(
        "\n| variant | against | score | seeds | difference | p | Holm | exact |\n|---|---|---|---:|---:|---:|---:|---:|\n",
    );
    for comparison in comparisons {
        let mark = if comparison.holm < SIGNIFICANT {
            "**"
        } else {
            ""
        };
        _ = writeln!(
            text,
            "| `{}` | `{}` | {} | {} | {:+.3} ± {:.3} | {} | {mark}{}{mark} | {} |",
            comparison.variant,
            comparison.against,
            comparison.what,
            comparison.count,
            comparison.difference,
            comparison.half_width,
            probability(comparison.p),
            probability(comparison.holm),
            comparison.flips.map_or("–".into(), probability)
        );
    }
    text
}

/// Two significant digits; very small ones as a bound.
fn probability(p: f64) -> String {
    match p {
        _ if p < 1e-4 => "< 0.0001".into(),
        _ if p < 1e-3 => format!("{p:.4}"),
        _ if p < 1e-1 => format!("{p:.3}"),
        _ => format!("{p:.2}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ablation::records::{Record, Records};
    use crate::ablation::sizes::Sizes;

    const CONFIGURATION: &str = "[data]\nbatch_size = 16\ntexts_per_image = 1\n[data.scenes]\nresolution = 64\n[train]\naccumulate = 2\nsteps = 4\n[eval]\nexamples = 8\n";

    /// The record of a run with one metric.
    fn record(run: String, metric: &str, value: f64) -> Record {
        Record {
            sizes: Sizes::read(CONFIGURATION, run.ends_with("pretrain")),
            run,
            arguments: vec![],
            seconds: 30.0,
            device: "flex (avx2), a CPU".into(),
            metrics: [(metric.to_owned(), value)].into(),
            curves: [(metric.to_owned(), vec![(4, value)])].into(),
        }
    }

    #[test]
    fn the_page_has_scores_differences_and_charts() {
        let out = tempfile::tempdir().unwrap();
        let mut plan = Plan::named("e2e-vlp").unwrap();
        // The last one is not finished.
        let variants = ["full", "neither", "without-captioning"].map(str::to_owned);
        plan.choose(&variants, &["vqa".into()]).unwrap();
        let mut records = Records::open(&out.path().join("runs.jsonl")).unwrap();
        for (variant, values) in [("full", [0.7, 0.8, 0.75]), ("neither", [0.5, 0.61, 0.55])] {
            for (seed, value) in (1..).zip(values) {
                for (run, metric) in [("pretrain", "itm/accuracy"), ("vqa", "vqa/accuracy")] {
                    let run = format!("{variant}/{seed}/{run}");
                    records.add(record(run, metric, value)).unwrap();
                }
            }
        }
        let scores = Scores {
            records: &records,
            plan: &plan,
            seeds: 3,
        };
        let page = out.path().join("pages/result.md");
        write(&page, &plan, &scores, "cargo xtask ablation").unwrap();
        let text = fs::read_to_string(&page).unwrap();
        for part in [
            "# E2E-VLP: what each",
            "| pre-training | `e2e-vlp-tiny`: 4 steps of 32 examples, scored on 8, 64 x 64 pixels, one text an image |",
            "| device | flex (avx2), a CPU |",
            "| time | 6 min of 12 runs, one after the other |",
            "| `full` | 0.750 ± 0.050 (3) | – | 0.750 ± 0.050 (3) |",
            "with 3 seeds it cannot be below 0.250",
            // The differences are -0.2, -0.19, -0.2: t = -59, two degrees of freedom; of two comparisons that are planned.
            "| `neither` | `full` | vqa | 3 | -0.197 ± 0.014 | 0.0003 | **0.0006** | 0.25 |",
            "not finished: without-captioning",
            "![vqa by step](result-vqa.svg)",
            "![itm/accuracy by step](result-itm-accuracy.svg)",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
        assert!(out.path().join("pages/result-vqa.svg").is_file());
        // What people wrote around the results stays.
        fs::write(&page, text.replace("# E2E-VLP", "# Our words\n# E2E-VLP")).unwrap();
        write(&page, &plan, &scores, "another command").unwrap();
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains("# Our words") && text.contains("another command"));
        assert_eq!(text.matches("<!-- results -->").count(), 1);
    }

    #[test]
    fn probabilities_are_short() {
        let texts = [1e-9, 0.00034, 0.0123, 0.5].map(probability);
        assert_eq!(texts, ["< 0.0001", "0.0003", "0.012", "0.50"]);
    }
}
