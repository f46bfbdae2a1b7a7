mod files;

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use serde::Deserialize;

pub use files::CocoFiles;

use super::{
    boxes::{CrowdFlag, Number, area_or_box},
    builder::{NamesById, SourceBuilder},
    folders::{Folders, composed},
    records::{RawRecord, lists},
    row::{CocoIds, Row},
    source::FileSource,
};
use crate::{AnnotatedObject, DataError, LabelSpace, Limits};

// Required fields are optional here, so that an error can name the record's id.

#[derive(Deserialize)]
struct ImageRecord {
    id: Option<u64>,
    file_name: Option<String>,
    width: Option<usize>,
    height: Option<usize>,
}

#[derive(Deserialize)]
struct CaptionRecord {
    id: Option<u64>,
    image_id: Option<u64>,
    caption: Option<String>,
}

#[derive(Deserialize)]
struct InstanceRecord {
    id: Option<u64>,
    image_id: Option<u64>,
    category_id: Option<u64>,
    /// x, y, width, height in pixels.
    bbox: Option<Vec<Number>>,
    area: Option<f64>,
    #[serde(default)]
    iscrowd: CrowdFlag,
    attribute_ids: Option<Vec<u64>>,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

/// Reads COCO's caption and instance files, or any files in their format: one sample per image with a caption, in the order
/// of the caption file, with objects if there is an instances file.
///
/// Boxes are in pixels of the stored image, as in COCO's own tools, which ignore the EXIF orientation. It is applied only to
/// images whose annotated size is that of the upright image. The key and the [`coco_id`](crate::Source::coco_id) are the
/// file's image id, so [`TestImageFilter`](crate::TestImageFilter) must not be applied to other data in this format.
///
/// # Errors
/// If a file is missing or has another format, or all records are invalid. Single invalid records are skipped and listed in
/// [`FileSource::report`].
pub fn coco(files: &CocoFiles, limits: &Limits) -> Result<FileSource, DataError> {
    let name = files.name();
    let folders = Folders::new(files.images.clone())?;
    let mut reader = CocoReader {
        builder: SourceBuilder::new(name.clone(), folders, limits),
        rows: HashMap::new(),
        captioned_images: HashSet::new(),
    };
    // The order of the lists in a file is not fixed, so each file is read twice: first the lists that the other refers to.
    let path = files.captions.as_path();
    lists(path, &["images"], &[], |_, record| {
        reader.add_image(path, &record);
    })?;
    let mut caption_ids = HashSet::new();
    lists(path, &["annotations"], &[], |_, record| {
        reader.add_caption(path, &record, &mut caption_ids);
    })?;
    let (mut classes, mut attributes) = (NamesById::default(), NamesById::default());
    if let Some(path) = &files.instances {
        let (mut image_ids, mut other_images) = (HashSet::new(), HashSet::new());
        let CocoReader { builder, rows, .. } = &mut reader;
        let optional = ["attributes", "images"];
        lists(path, &["categories"], &optional, |list, record| {
            if list == "images" {
                if let Ok(image) = record.parse::<ImageRecord>()
                    && image.id.is_some_and(|id| image_ids.insert(id))
                {
                    check_file_name(builder, rows, path, &image, &mut other_images);
                }
                return;
            }
            let (kind, names) = match list {
                "categories" => ("category", &mut classes),
                _ => ("attribute", &mut attributes),
            };
            match record.parse::<Category>() {
                Ok(Category { id, name }) => {
                    if !names.push(id, name) {
                        builder.skip(path, format!("{kind} {id}"), "its id occurs twice");
                    }
                }
                Err(reason) => {
                    builder.skip(path, format!("{kind} number {}", record.number), reason);
                }
            }
        })?;
        for row in &mut builder.rows {
            row.has_boxes = true;
        }
        let mut instances = InstanceContext {
            classes: &classes,
            attributes: &attributes,
            image_ids: &image_ids,
            other_images: &other_images,
            instance_ids: HashSet::new(),
        };
        lists(path, &["annotations"], &[], |_, record| {
            reader.add_instance(path, &record, &mut instances);
        })?;
    }
    let labels = LabelSpace {
        name,
        classes: classes.names,
        attributes: attributes.names,
        ids: classes.ids,
    };
    reader.builder.finish(path, labels, CocoIds::Keys)
}

struct CocoReader {
    builder: SourceBuilder,
    /// By image id.
    rows: HashMap<u64, u32>,
    /// Ids of images that have a caption.
    captioned_images: HashSet<u64>,
}

/// The other lists of the instances file, and the ids read so far.
struct InstanceContext<'a> {
    classes: &'a NamesById,
    attributes: &'a NamesById,
    image_ids: &'a HashSet<u64>,
    /// Ids that another image has in the caption file.
    other_images: &'a HashSet<u64>,
    instance_ids: HashSet<u64>,
}

fn record_name(kind: &str, id: Option<u64>) -> String {
    id.map_or_else(|| format!("{kind} without id"), |id| format!("{kind} {id}"))
}

/// The name of a record that does not parse.
fn invalid_record_name(kind: &str, record: &RawRecord<'_>) -> String {
    #[derive(Deserialize)]
    struct RecordId {
        id: u64,
    }
    match record.parse::<RecordId>() {
        Ok(RecordId { id }) => format!("{kind} {id}"),
        Err(_) => format!("{kind} number {}", record.number),
    }
}

/// Skips an image of the instances file that has another file name than the image of this id in the caption file, with its
/// boxes.
fn check_file_name(
    builder: &mut SourceBuilder,
    rows: &HashMap<u64, u32>,
    path: &Path,
    image: &ImageRecord,
    other_images: &mut HashSet<u64>,
) {
    let (Some(id), Some(file)) = (image.id, &image.file_name) else {
        return;
    };
    let Some(&row) = rows.get(&id) else {
        return;
    };
    let name = |file: &str| {
        let name = file.rsplit(['/', '\\']).next();
        name.map(|name| composed(name).into_owned())
    };
    let captioned = builder.images.file(builder.rows[row as usize].image);
    if name(captioned) != name(file) {
        let reason = format!("its file_name is {file}, but {captioned} in the caption file");
        builder.skip(path, format!("image {id}"), reason);
        other_images.insert(id);
    }
}

impl CocoReader {
    fn add_image(&mut self, path: &Path, record: &RawRecord<'_>) {
        let builder = &mut self.builder;
        let image = match record.parse::<ImageRecord>() {
            Ok(image) => image,
            Err(reason) => {
                let name = invalid_record_name("image", record);
                return builder.skip(path, name, reason);
            }
        };
        let name = record_name("image", image.id);
        let ImageRecord {
            id: Some(key),
            file_name: Some(file),
            width: Some(width),
            height: Some(height),
        } = image
        else {
            // Its captions and boxes are dropped without entries of their own.
            builder.skipped_images.extend(image.id);
            return builder.skip(path, name, "it lacks id, file_name, width or height");
        };
        let reason = if self.rows.contains_key(&key) || builder.skipped_images.contains(&key) {
            // The first record of an id is kept.
            let first = self
                .rows
                .get(&key)
                .map(|&row| builder.rows[row as usize].image);
            let first = first.map(|image| format!(", first of {}", builder.images.file(image)));
            let reason = format!("its id occurs twice{}: {file}", first.unwrap_or_default());
            return builder.skip(path, name, reason);
        } else if width == 0 || height == 0 || width.max(height) > u32::MAX as usize {
            format!("its size is {width}x{height}")
        } else {
            match builder.find(&[file]) {
                Ok((root, file)) => {
                    let size = Some((width as u32, height as u32));
                    let image = builder.images.push(key, root, &file, size);
                    self.rows.insert(key, builder.push_row(Row::new(image)));
                    return;
                }
                Err(reason) => reason,
            }
        };
        builder.skipped_images.insert(key);
        builder.skip(path, name, reason);
    }

    fn add_caption(&mut self, path: &Path, record: &RawRecord<'_>, caption_ids: &mut HashSet<u64>) {
        let builder = &mut self.builder;
        let caption = match record.parse::<CaptionRecord>() {
            Ok(caption) => caption,
            Err(reason) => {
                let name = invalid_record_name("caption", record);
                return builder.skip(path, name, reason);
            }
        };
        let name = record_name("caption", caption.id);
        let reason = match (caption.id, caption.image_id, caption.caption) {
            (Some(id), ..) if !caption_ids.insert(id) => "its id occurs twice".into(),
            (_, Some(image), Some(text)) => match self.rows.get(&image) {
                Some(&row) => match builder.push_caption(row, &text) {
                    Ok(()) => {
                        self.captioned_images.insert(image);
                        return;
                    }
                    Err(reason) => reason,
                },
                None if builder.skipped_images.contains(&image) => return,
                None => format!("the file has no image {image}"),
            },
            _ => "it lacks image_id or caption".into(),
        };
        builder.skip(path, name, reason);
    }

    fn add_instance(
        &mut self,
        path: &Path,
        record: &RawRecord<'_>,
        context: &mut InstanceContext<'_>,
    ) {
        let builder = &mut self.builder;
        let instance = match record.parse::<InstanceRecord>() {
            Ok(instance) => instance,
            Err(reason) => {
                let name = invalid_record_name("instance", record);
                return builder.skip(path, name, reason);
            }
        };
        let name = record_name("instance", instance.id);
        let ids = &mut context.instance_ids;
        if instance.id.is_some_and(|id| !ids.insert(id)) {
            return builder.skip(path, name, "its id occurs twice");
        }
        let Some(image) = instance.image_id else {
            return builder.skip(path, name, "it lacks image_id");
        };
        let image_exists =
            context.image_ids.contains(&image) || builder.skipped_images.contains(&image);
        let row = match self.rows.get(&image) {
            _ if context.other_images.contains(&image) => {
                builder.report.boxes_of_other_images += 1;
                return;
            }
            Some(&row) if self.captioned_images.contains(&image) => row,
            None if !image_exists => {
                return builder.skip(path, name, format!("no image {image}"));
            }
            _ => {
                builder.report.boxes_of_other_images += 1;
                return;
            }
        };
        let added = object(&instance, context.classes, context.attributes)
            .and_then(|object| builder.push_object(row, object));
        if let Err(reason) = added {
            builder.skip(path, name, reason);
        }
    }
}

fn object(
    instance: &InstanceRecord,
    classes: &NamesById,
    attributes: &NamesById,
) -> Result<AnnotatedObject, String> {
    let category = instance.category_id.ok_or("it lacks category_id")?;
    let class = classes.indices.get(&category);
    let &class = class.ok_or_else(|| format!("unknown category {category}"))?;
    let Some(&[x, y, w, h]) = instance.bbox.as_deref() else {
        return Err("its bbox is not [x, y, width, height]".into());
    };
    let attribute = |id: &u64| {
        let index = attributes.indices.get(id).copied();
        index.ok_or_else(|| format!("unknown attribute {id}"))
    };
    Ok(AnnotatedObject {
        class,
        bbox: [x.0, y.0, w.0, h.0],
        attributes: (instance.attribute_ids.iter().flatten().map(attribute))
            .collect::<Result<_, _>>()?,
        crowd: instance.iscrowd.0,
        area: area_or_box(instance.area, w, h),
    })
}
