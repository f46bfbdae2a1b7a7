//! Good files of each format, and the commands that read them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::changes::{self, Change, Format};
use super::texts::{FIXTURES, READERS, TEXTS};
use crate::torture::disk::{Disk, Loss};
use crate::torture::lab::{Lab, copy_folder};
use crate::torture::tiny;

/// The folder of all good files, below that of the runs.
pub(super) const FOLDER: &str = "bad-files-bases";

/// A good file in a folder of files that belong to it.
pub(super) struct Base {
    pub(super) name: &'static str,
    pub(super) folder: PathBuf,
    /// The file that is changed.
    pub(super) file: &'static str,
    format: Format,
    /// With `CASE` for the folder.
    arguments: Vec<String>,
}

impl Base {
    /// Names of the files in the folder.
    pub(super) fn names(&self) -> Result<Vec<String>, String> {
        let tree = Disk::of(&self.folder)?.after(Loss::Nothing);
        let names = tree.keys().filter_map(|path| path.file_name()?.to_str());
        Ok(names.map(str::to_owned).collect())
    }

    pub(super) fn changes(&self) -> Result<Vec<(String, Change)>, String> {
        let path = self.folder.join(self.file);
        let bytes = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(changes::all(&bytes, self.format))
    }

    pub(super) fn arguments(&self, case: &Path) -> Vec<String> {
        let case = case.display().to_string();
        self.arguments
            .iter()
            .map(|word| word.replace("CASE", &case))
            .collect()
    }
}

impl Base {
    /// Fails if the good file is refused.
    pub(super) fn check(&self, lab: &Lab, index: usize) -> Result<(), String> {
        let case = lab.fresh(&format!("bad-files/good-{index}"))?;
        copy_folder(&self.folder, &case)?;
        let ended = lab.vlp(&self.arguments(&case)).run()?.expect(0);
        ended
            .map(|_| ())
            .map_err(|why| format!("the good {}: {why}", self.name))
    }
}

/// Writes all good files below a folder.
pub(super) fn all(lab: &Lab) -> Result<Vec<Base>, String> {
    let folder = lab.fresh(FOLDER)?;
    let bases = Bases { lab, folder };
    bases.write().map_err(|why| format!("good files: {why}"))?;
    let lines = READERS.lines().filter(|line| !line.is_empty());
    lines.map(|line| bases.base(line)).collect()
}

struct Bases<'a> {
    lab: &'a Lab,
    folder: PathBuf,
}

impl Bases<'_> {
    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn vlp(&self, arguments: &str) -> Result<(), String> {
        let words: Vec<String> = self.words(arguments).collect();
        self.lab.vlp(&words).run()?.expect(0)?;
        Ok(())
    }

    /// Words of a command line, with `BASES` for the folder of all good files.
    fn words(&self, line: &str) -> impl Iterator<Item = String> {
        let folder = self.folder.display().to_string();
        let words = line
            .split(' ')
            .map(move |word| word.replace("BASES", &folder));
        words.collect::<Vec<_>>().into_iter()
    }

    fn write(&self) -> Result<(), String> {
        self.vlp("scenes --count 3 --out BASES/scenes")?;
        let settings = tiny::settings("e2e-vlp-tiny", 2);
        let run = self.folder.join("run");
        self.lab
            .vlp(&tiny::new_run(&run, &settings))
            .run()?
            .expect(0)?;
        self.fix_seconds(&run.join("results.json"))?;
        self.vlp("weights export BASES/run BASES/model")?;
        self.vlp("data pack coco:BASES/scenes@train --out BASES/shards")?;
        for (folder, file, text) in TEXTS {
            let path = self.with_images(folder)?.join(file);
            fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
        for (folder, file) in FIXTURES {
            let path = crates.join(file);
            let copy = self
                .with_images(folder)?
                .join(path.file_name().unwrap_or_default());
            fs::copy(&path, copy).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        Ok(())
    }

    /// Replaces the time of a run: places in messages depend on its digits.
    fn fix_seconds(&self, results: &Path) -> Result<(), String> {
        let failed = |why: String| format!("{}: {why}", results.display());
        let text = fs::read_to_string(results).map_err(|e| failed(e.to_string()))?;
        let mut value: Value = serde_json::from_str(&text).map_err(|e| failed(e.to_string()))?;
        value["seconds"] = Value::from(1.5);
        let text = serde_json::to_string_pretty(&value).map_err(|e| failed(e.to_string()))?;
        fs::write(results, text).map_err(|e| failed(e.to_string()))
    }

    /// A folder with two images, as Visual Genome has them and next to each other.
    fn with_images(&self, name: &str) -> Result<PathBuf, String> {
        let folder = self.folder.join(name);
        let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
        fs::create_dir_all(folder.join("VG_100K")).map_err(failed)?;
        for number in 0..2 {
            let image = self.path(&format!("scenes/train/00000000000{number}.png"));
            for copy in [format!("{number}.png"), format!("VG_100K/{number}.jpg")] {
                fs::copy(&image, folder.join(copy)).map_err(failed)?;
            }
        }
        Ok(folder)
    }

    /// The good file of a line of [`READERS`].
    fn base(&self, line: &'static str) -> Result<Base, String> {
        let fields: Vec<&'static str> = line.split('|').collect();
        let &[name, folder, file, format, arguments] = fields.as_slice() else {
            return Err(format!("not five fields: {line}"));
        };
        let format = match format {
            "json" => Format::Json,
            "lines" => Format::JsonLines,
            "png" => Format::Png,
            "safetensors" => Format::Safetensors,
            "tar" => Format::Tar,
            "" => Format::Other,
            other => return Err(format!("no format {other}")),
        };
        Ok(Base {
            name,
            folder: self.folder.join(folder),
            file,
            format,
            arguments: self.words(arguments).collect(),
        })
    }
}
