//! The objects of a store.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::torture::hash::Fnv1a;

/// An object in one of its versions.
#[derive(Clone)]
pub(super) struct Object {
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) e_tag: String,
    pub(super) modified: &'static str,
}

/// Objects by name.
pub(super) type Objects = BTreeMap<String, Object>;

/// The files of a folder.
pub(super) fn read(folder: &Path) -> Result<Objects, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
    let mut objects = Objects::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = fs::read(&path).map_err(failed)?;
        let mut hash = Fnv1a::default();
        hash.add(&bytes);
        let object = Object {
            e_tag: hash.text(),
            bytes: Arc::new(bytes),
            modified: "Wed, 21 Oct 2015 07:28:00 GMT",
        };
        objects.insert(name.into_owned(), object);
    }
    Ok(objects)
}

impl Object {
    /// Other contents in its place: as long, or longer.
    pub(super) fn replaced(&self, is_longer: bool) -> Self {
        let mut bytes = self.bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle..].iter_mut().for_each(|byte| *byte ^= 1);
        if is_longer {
            bytes.extend([0; 512]);
        }
        Self {
            bytes: Arc::new(bytes),
            e_tag: format!("other-{}", self.e_tag),
            modified: "Thu, 22 Oct 2015 07:28:00 GMT",
        }
    }
}
