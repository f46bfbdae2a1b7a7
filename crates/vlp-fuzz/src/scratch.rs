//! A folder for the files that readers are given.

use std::fs;
use std::path::PathBuf;
use std::sync::{LazyLock, OnceLock};

use tempfile::TempDir;

use crate::fixtures::IndexFixtures;
use crate::must::Must;

const PNG: &[u8] = include_bytes!("../../vlp-data/tests/data/rgb.png");
const JPEG: &[u8] = include_bytes!("../../vlp-data/tests/data/rgb.jpg");

/// Names by which every data set finds an image: COCO and VQA, NLVR2, SNLI-VE, Visual Genome.
const IMAGES: [(&str, &[u8]); 6] = [
    ("COCO_val2014_000000000001.png", PNG),
    ("COCO_val2014_000000000002.jpg", JPEG),
    ("dev-0-0-img0.png", PNG),
    ("dev-0-0-img1.png", PNG),
    ("1.jpg", JPEG),
    ("2.jpg", JPEG),
];

/// A folder for the files of one input after another, and what targets prepare once. It is removed when it is dropped; that of
/// a fuzzer, which ends without dropping anything, is in the folder that `TMPDIR` names.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    indices: OnceLock<IndexFixtures>,
}

impl Scratch {
    /// A new folder, with some images.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().must("a temporary folder");
        let scratch = Self {
            folder,
            indices: OnceLock::new(),
        };
        fs::create_dir(scratch.images()).must("the folder of images");
        for (name, bytes) in IMAGES {
            fs::write(scratch.images().join(name), bytes).must(name);
        }
        scratch
    }

    /// Prepared when they are first needed.
    pub(crate) fn indices(&self) -> &IndexFixtures {
        let prepare = || IndexFixtures::new(self.folder.path(), &self.images());
        self.indices.get_or_init(prepare)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.path("images")
    }

    /// Writes a file, and returns its path.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).must(name);
        path
    }

    /// The path of a folder that does not exist.
    pub(crate) fn vacant(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        if path.exists() {
            fs::remove_dir_all(&path).must(name);
        }
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// The folder of this process, which is not removed when it ends.
pub fn scratch() -> &'static Scratch {
    static SCRATCH: LazyLock<Scratch> = LazyLock::new(Scratch::new);
    &SCRATCH
}
