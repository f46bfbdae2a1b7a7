//! One sample of a hundred is bad, in twenty ways: exactly those are named, and the rest stays as it is.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::disk::{Disk, Loss};
use super::lab::Lab;
use super::png;
use super::tiny;
use crate::processes::random::Random;
use crate::processes::scenario::Outcome;

/// Number of ways.
const WAYS: usize = 20;
/// Distinct images of the good samples.
const IMAGES: usize = 200;

pub(super) fn run(lab: &Lab) -> Outcome<String> {
    let folder = lab.fresh("quarantine")?;
    let count = lab.count(2_000, 100_000);
    let path = |name: &str| folder.join(name).display().to_string();
    let scenes = path("scenes");
    let images = IMAGES.to_string();
    lab.vlp(&["scenes", "--count", &images, "--out", &scenes])
        .run()?
        .expect(0)?;
    let set = Set::write(lab, &folder, count)?;

    // All are named, with file and record.
    let (bad, report) = (path("bad/data/set.jsonl"), path("report.json"));
    let check = ["data", "check", &format!("json:{bad}"), "--json", &report];
    let images_folder = tiny::set(&[&format!("data.images={}", folder.display())]);
    let words = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        [words, images_folder.clone()].concat()
    };
    lab.vlp(&words(&check)).run()?.expect(1)?;
    let named = named(Path::new(&report))?;
    if named != set.bad {
        let missed: Vec<_> = set.bad.difference(&named).take(5).collect();
        let surplus: Vec<_> = named.difference(&set.bad).take(5).collect();
        return Err(
            format!("bad records not named: {missed:?}; good ones named: {surplus:?}").into(),
        );
    }

    // The rest is that of a set without them, in its order.
    let (good, packed_bad, packed_good) = (
        path("good/data/set.jsonl"),
        path("packed-bad"),
        path("packed-good"),
    );
    for (file, out) in [(&bad, &packed_bad), (&good, &packed_good)] {
        let source = format!("json:{file}");
        let pack = ["data", "pack", &source, "--out", out, "--shard-mb", "1"];
        lab.vlp(&words(&pack)).run()?.expect(0)?;
    }
    let tree = |folder: &str| Ok::<_, String>(Disk::of(Path::new(folder))?.after(Loss::Nothing));
    if tree(&packed_bad)? != tree(&packed_good)? {
        return Err(format!("{packed_bad} and {packed_good} differ").into());
    }
    Ok(format!(
        "{} of {count} samples bad in {WAYS} ways: those are named with file and record, no others; the rest is packed to the bytes of a set without them",
        set.bad.len()
    ))
}

/// Record numbers of what a report names.
fn named(report: &Path) -> Result<BTreeSet<usize>, String> {
    let failed = |why: String| format!("{}: {why}", report.display());
    let text = fs::read_to_string(report).map_err(|e| failed(e.to_string()))?;
    let report: Value = serde_json::from_str(&text).map_err(|e| failed(e.to_string()))?;
    let issues = report["issues"]
        .as_array()
        .ok_or_else(|| failed("no issues".into()))?;
    let mut numbers = BTreeSet::new();
    for issue in issues {
        let text = |key: &str| issue[key].as_str().unwrap_or_default();
        let of_record = text("record")
            .strip_prefix("record ")
            .filter(|_| text("file").ends_with("set.jsonl"));
        let of_image = Path::new(text("file"))
            .file_stem()
            .and_then(|stem| stem.to_str());
        let number = of_record
            .or(of_image)
            .and_then(|number| number.parse().ok());
        let number = number.ok_or_else(|| failed(format!("neither file nor record: {issue}")))?;
        if !numbers.insert(number) {
            return Err(failed(format!("named twice: {issue}")));
        }
    }
    Ok(numbers)
}

/// A set with bad samples, `bad/data/set.jsonl`, and the same without them, `good/data/set.jsonl`.
struct Set {
    /// Numbers of the bad records, from 1.
    bad: BTreeSet<usize>,
}

impl Set {
    fn write(lab: &Lab, folder: &Path, count: usize) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
        for name in ["bad/data", "good/data", "images"] {
            fs::create_dir_all(folder.join(name)).map_err(failed)?;
        }
        let png = fs::read(folder.join("scenes/train/000000000000.png")).map_err(failed)?;
        let mut random = Random(lab.options.seed);
        let mut bad = BTreeSet::new();
        while bad.len() < count / 100 {
            bad.insert(1 + random.below(count));
        }
        let (mut lines, mut good_lines) = (String::new(), String::new());
        let mut way = 0;
        for number in 1..=count {
            if bad.contains(&number) {
                lines += &bad_record(folder, number, way, &png).map_err(failed)?;
                way = (way + 1) % WAYS;
            } else {
                let image = random.below(IMAGES);
                let line = format!(
                    "{{\"image\": \"scenes/train/{image:012}.png\", \"caption\": \"sample {number}\"}}"
                );
                good_lines += &line;
                good_lines.push('\n');
                lines += &line;
            }
            lines.push('\n');
        }
        fs::write(folder.join("bad/data/set.jsonl"), lines).map_err(failed)?;
        fs::write(folder.join("good/data/set.jsonl"), good_lines).map_err(failed)?;
        Ok(Self { bad })
    }
}

/// The line of a bad record, whose image, if it has one, is `images/NUMBER.png`.
fn bad_record(folder: &Path, number: usize, way: usize, png: &[u8]) -> std::io::Result<String> {
    let image = format!("images/{number}.png");
    let file: PathBuf = folder.join(&image);
    let changed = |place: usize| {
        let mut bytes = png.to_vec();
        bytes[place] ^= 0x20;
        bytes
    };
    match way {
        // A missing image.
        0 => {}
        1 => fs::write(&file, "")?,
        2 => fs::write(&file, &png[..png.len() / 2])?,
        3 => fs::write(&file, &png[..png::HEADER_END])?,
        4 => fs::write(&file, changed(0))?,
        5 => fs::write(&file, "<html>404</html>")?,
        6 => fs::create_dir(&file)?,
        7 => fs::write(&file, changed(png::HEADER_END - 1))?,
        8 => fs::write(&file, changed(png.len() / 2))?,
        9 => fs::write(&file, png::with_size(png, 0, 64))?,
        10 => fs::write(&file, png::with_size(png, 0x7fff_ffff, 0x7fff_ffff))?,
        11 => fs::write(&file, b"GIF89a\x01\x00\x01\x00\x80\x00\x00")?,
        12 => symlink("nowhere.png", &file)?,
        13 => symlink(format!("{number}.png"), &file)?,
        _ => fs::write(&file, png)?,
    }
    let line = match way {
        14 => format!("{{\"image\": \"{image}\", \"caption\": \"cut"),
        15 => number.to_string(),
        16 => "{\"caption\": \"no image\"}".to_owned(),
        17 => format!("{{\"image\": \"{image}\", \"caption\": 7}}"),
        18 => format!("{{\"image\": \"{image}\", \"caption\": \"  \"}}"),
        19 => format!("{{\"image\": \"{image}\", \"caption\": \"a\", \"capshun\": \"b\"}}"),
        _ => format!("{{\"image\": \"{image}\", \"caption\": \"sample {number}\"}}"),
    };
    Ok(line)
}
