//! The program under test, the shim, and folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::options::Options;
use super::program::Program;
use crate::processes::folders;

/// Failures that are printed in full.
const PRINTED: usize = 12;

pub(super) struct Lab {
    pub(super) options: Options,
    /// Of the repository.
    pub(super) root: PathBuf,
    /// Programs, runs and inputs.
    folder: PathBuf,
    program: PathBuf,
    shim: PathBuf,
}

impl Lab {
    pub(super) fn new(root: &Path, options: Options) -> Result<Self, String> {
        let folder = root.join("target/torture");
        let lab = Self {
            program: folder.join("vlp"),
            shim: folder.join("shim.so"),
            root: root.into(),
            folder,
            options,
        };
        fs::create_dir_all(&lab.folder).map_err(|e| lab.failed(e))?;
        if lab.options.build {
            folders::build(root, &["--package", "vlp"], "vlp", &lab.program)?;
        }
        lab.compile_shim()?;
        Ok(lab)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn failed(&self, error: std::io::Error) -> String {
        format!("{}: {error}", self.folder.display())
    }

    fn compile_shim(&self) -> Result<(), String> {
        let source = self.folder.join("shim.c");
        fs::write(&source, include_str!("shim.c")).map_err(|e| self.failed(e))?;
        let mut compiler = Command::new("cc");
        compiler.args([
            "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o",
        ]);
        compiler.arg(&self.shim).arg(&source).arg("-lpthread");
        let output = compiler.output().map_err(|e| format!("cc: {e}"))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!(
                "shim.c: {}",
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }

    /// An empty folder.
    pub(super) fn fresh(&self, name: &str) -> Result<PathBuf, String> {
        let folder = self.folder.join("runs").join(name);
        folders::empty(&folder)?;
        Ok(folder)
    }

    /// `vlp` with these arguments, on one thread.
    pub(super) fn vlp<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Program {
        Program::new(&self.program, &self.shim, arguments)
    }

    /// Another program with these arguments, on one thread.
    pub(super) fn vlp_of<S: AsRef<std::ffi::OsStr>>(
        &self,
        program: &Path,
        arguments: &[S],
    ) -> Program {
        Program::new(program, &self.shim, arguments)
    }

    /// Builds `vlp` with the clients of object stores. Returns its path.
    pub(super) fn build_cloud(&self) -> Result<PathBuf, String> {
        let program = self.folder.join("vlp-cloud");
        if self.options.build {
            let arguments = ["--package", "vlp", "--features", "cloud"];
            folders::build(&self.root, &arguments, "vlp", &program)?;
        }
        Ok(program)
    }

    /// One number by hand, another in continuous integration.
    pub(super) fn count(&self, short: usize, long: usize) -> usize {
        if self.options.long { long } else { short }
    }

    /// Each `stride`-th of some cases, the first one chosen by the seed.
    pub(super) fn some<T>(&self, cases: Vec<T>, stride: usize) -> Vec<T> {
        let first = (self.options.seed % stride as u64) as usize;
        cases.into_iter().skip(first).step_by(stride).collect()
    }

    /// Calls `check` for each item, on all cores. Returns the results.
    ///
    /// # Errors
    /// The number of items that failed, and why the first of them did.
    pub(super) fn each<T: Sync, R: Send>(
        &self,
        items: &[T],
        check: impl Fn(usize, &T) -> Result<R, String> + Sync,
    ) -> Result<Vec<R>, String> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        self.each_at_once(threads, items, check)
    }

    /// As [`Self::each`], for so many items at once.
    pub(super) fn each_at_once<T: Sync, R: Send>(
        &self,
        threads: usize,
        items: &[T],
        check: impl Fn(usize, &T) -> Result<R, String> + Sync,
    ) -> Result<Vec<R>, String> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(vec![]);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(index) else {
                    return;
                };
                let result = check(index, item);
                if let Ok(mut results) = results.lock() {
                    results.push((index, result));
                }
            }
        };
        std::thread::scope(|scope| {
            (0..threads).for_each(|_| {
                scope.spawn(work);
            });
        });
        let mut results = results.into_inner().map_err(|e| e.to_string())?;
        results.sort_by_key(|(index, _)| *index);
        let (mut values, mut failures) = (vec![], vec![]);
        for (_, result) in results {
            match result {
                Ok(value) => values.push(value),
                Err(why) => failures.push(why),
            }
        }
        if failures.is_empty() && values.len() == items.len() {
            return Ok(values);
        }
        let count = items.len() - values.len();
        failures.truncate(PRINTED);
        Err(format!(
            "{count} of {} failed:\n  {}",
            items.len(),
            failures.join("\n  ")
        ))
    }
}

/// Copies a folder with all that is in it.
pub(super) fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: {e}", from.display());
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let copy = to.join(path.file_name().unwrap_or_default());
        match path.is_dir() {
            true => copy_folder(&path, &copy)?,
            false => {
                fs::copy(&path, &copy).map_err(failed)?;
            }
        }
    }
    Ok(())
}
