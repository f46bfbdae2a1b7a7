//! Writes the seeds of the corpora, `fuzz/corpus/TARGET/seed-NAME`: `cargo run -p vlp-fuzz --example seeds`.
//!
//! Needed again only where a format has changed, as that of index caches with their layout number.

mod texts;
#[cfg(feature = "burn")]
mod with_burn;
mod written;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// What is read as it is, from the fixtures of other crates. Expected results of the fixtures are left out.
const FIXTURES: [(&str, &str, &str); 2] = [
    ("images", "vlp-data/tests/data", ""),
    ("pth", "vlp-weights/tests/fixtures/files", "0"),
];
/// Larger fixtures are no seeds.
const MAX_BYTES: usize = 8 << 10;
/// Nor are results, and what takes seconds to refuse.
const NO_SEEDS: [&str; 5] = ["expected", "resized", "bomb", "objects", "nested"];

fn main() -> Result<(), Box<dyn Error>> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (target, folder, mode) in FIXTURES {
        for entry in fs::read_dir(crates.join(folder))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let bytes = fs::read(&path)?;
            if bytes.len() > MAX_BYTES || NO_SEEDS.iter().any(|part| name.contains(part)) {
                continue;
            }
            put(target, &name, &[mode.as_bytes(), &bytes].concat())?;
            if let Some(pickle) = written::pickle(&bytes) {
                put(
                    target,
                    &format!("{name}.pickle"),
                    &[b"1", &pickle[..]].concat(),
                )?;
            }
        }
    }
    for (target, name, text) in texts::TEXTS {
        put(target, name, text.replace("\n---\n", "\x1e").as_bytes())?;
    }
    written::put_all()
}

/// Writes a seed.
fn put(target: &str, name: &str, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("seed-{name}")), bytes)?;
    Ok(())
}
