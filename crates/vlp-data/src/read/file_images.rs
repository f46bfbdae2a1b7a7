use std::collections::HashMap;

use super::{
    builder::SourceBuilder,
    folders::{composed, composed_key},
    images::Images,
};

/// The images of a file's records so far.
#[derive(Default)]
pub(super) struct FileImages {
    /// Index and record number by file.
    first: HashMap<String, (u32, usize)>,
    /// The same by key.
    by_key: HashMap<u64, (u32, usize)>,
    /// Right images of pairs, which have no id, by file.
    second: HashMap<String, u32>,
}

impl FileImages {
    /// The index of an image; it has the id and the size that its first record gives.
    ///
    /// # Errors
    /// If the image is missing, or an earlier record contradicts.
    pub(super) fn index(
        &mut self,
        builder: &mut SourceBuilder,
        number: usize,
        image: &str,
        image_id: Option<u64>,
        size: Option<(u32, u32)>,
    ) -> Result<u32, String> {
        let file = without_current_folder(image);
        if let Some(&(index, first)) = self.first.get(&file) {
            let first = format!("record {first}");
            check_repeated(&builder.images, index, &first, image, image_id, size)?;
            return Ok(index);
        }
        let key = image_id.unwrap_or_else(|| composed_key(image));
        if let Some(&(index, first)) = self.by_key.get(&key) {
            let other = builder.images.file(index);
            return Err(format!(
                "{image} has image_id {key}, which is already that of {other} in record {first}"
            ));
        }
        let (root, image) = builder.find(&[image.to_owned()])?;
        let index = builder.images.push(key, root, &image, size);
        self.first.insert(file, (index, number));
        self.by_key.insert(key, (index, number));
        Ok(index)
    }

    /// The index of the right image of a pair.
    ///
    /// # Errors
    /// If the image is missing.
    pub(super) fn second_index(
        &mut self,
        builder: &mut SourceBuilder,
        image: &str,
    ) -> Result<u32, String> {
        let file = without_current_folder(image);
        if let Some(&index) = self.second.get(&file) {
            return Ok(index);
        }
        let (root, image) = builder.find(&[image.to_owned()])?;
        let key = composed_key(&image);
        let index = builder.images.push(key, root, &image, None);
        self.second.insert(file, index);
        Ok(index)
    }
}

/// Whether a further record of an image agrees with the `first` on its id and its size. It may lack both, but not add them:
/// earlier records, and their boxes, were read without them.
///
/// # Errors
/// What differs. `image` names the image.
pub(crate) fn check_repeated(
    images: &Images,
    index: u32,
    first: &str,
    image: &str,
    image_id: Option<u64>,
    size: Option<(u32, u32)>,
) -> Result<(), String> {
    let key = images.key(index);
    if let Some(id) = image_id.filter(|&id| id != key) {
        return Err(format!("{image} has image_id {id}, but {key} in {first}"));
    }
    let Some((width, height)) = size else {
        return Ok(());
    };
    match images.annotated_size(index) {
        Some(size) if size == (width as usize, height as usize) => Ok(()),
        Some((first_width, first_height)) => Err(format!(
            "{image} is {width}x{height}, but {first_width}x{first_height} in {first}"
        )),
        None => Err(format!(
            "{image} is {width}x{height}, but {first} has no width and height; the first record of an image must have them"
        )),
    }
}

/// A path without `.` components, in Unicode's composed form.
fn without_current_folder(file: &str) -> String {
    let parts: Vec<&str> = file.split('/').filter(|part| *part != ".").collect();
    composed(&parts.join("/")).into_owned()
}
