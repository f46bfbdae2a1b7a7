//! Indices of valid records, which targets change.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use vlp_data::FileSource;
use vlp_data::read::{GenericOptions, cache, generic};
use vlp_data::shards::{Folder, MANIFEST, Manifest, PackOptions, pack};

use crate::limits::limits;
use crate::must::Must;

/// Records that have everything an index stores.
const RECORDS: &str = r#"{"image": "1.jpg", "image_id": 1, "coco_id": 1, "caption": ["a red circle", "a circle"], "boxes": [{"bbox": [1, 2, 8, 6], "label": "circle", "attributes": ["red", "small"]}, {"bbox": [0, 0, 99, 99], "label": "square", "crowd": 1}]}
{"image": "2.jpg", "question": "what color is it?", "answers": ["red", "red", "blue"], "consensus": "red", "id": 7, "question_type": "what color", "answer_type": "other"}
{"image": "dev-0-0-img0.png", "image2": "dev-0-0-img1.png", "text": "both are red", "label": true, "id": "dev-0-0"}
"#;

/// A valid cache and a packed set of the same records.
#[derive(Debug)]
pub(crate) struct IndexFixtures {
    pub(crate) source: FileSource,
    pub(crate) cache: Vec<u8>,
    /// The first part of a cache's contents: what it must have been made of to be used.
    pub(crate) key: Vec<u8>,
    /// Files of the packed set.
    pub(crate) set: BTreeMap<String, Vec<u8>>,
    pub(crate) manifest: Manifest,
}

impl IndexFixtures {
    pub(crate) fn new(folder: &Path, images: &Path) -> Self {
        let file = folder.join("records.jsonl");
        fs::write(&file, RECORDS).must("the records");
        let options = GenericOptions::default()
            .with_images(Some(images.to_owned()))
            .with_limits(limits());
        let path = folder.join("valid.index");
        let built = cache::open_or_build(&path, &[], "", || generic(file, options));
        let source = built.must("a cache").source;
        let folder = folder.join("set");
        pack(&source, &folder, &PackOptions::default()).must("a packed set");
        let store = Folder::open(&folder).must("a packed set");
        let manifest = Manifest::read(&store).must(MANIFEST);
        // Inputs and options are none in `read`.
        let key = (env!("CARGO_PKG_VERSION"), "", [(); 0]);
        Self {
            cache: fs::read(&path).must("a cache"),
            source,
            key: rmp_serde::to_vec(&key).must("a key"),
            set: read_folder(&folder),
            manifest: manifest.ok_or("there is none").must(MANIFEST),
        }
    }
}

/// The contents of the files in a folder, by name.
fn read_folder(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).must("a folder").flatten();
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let bytes = fs::read(entry.path()).must(&name);
        (name, bytes)
    };
    entries.map(file).collect()
}
