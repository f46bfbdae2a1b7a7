use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use serde::Deserialize;

use super::CocoFiles;
use crate::{
    DataError, LabelSpace, Limits, Object,
    read::{
        boxes::Number,
        builder::{Builder, Names},
        pictures::Folders,
        records::{Raw, lists},
        source::{CocoIds, FileSource, Row},
    },
};

/// A missing field is `None`, so that the record's id can be named.
#[derive(Deserialize)]
struct Image {
    id: Option<u64>,
    file_name: Option<String>,
    width: Option<usize>,
    height: Option<usize>,
}

#[derive(Deserialize)]
struct Caption {
    id: Option<u64>,
    image_id: Option<u64>,
    caption: Option<String>,
}

#[derive(Deserialize)]
struct Instance {
    id: Option<u64>,
    image_id: Option<u64>,
    category_id: Option<u64>,
    /// x, y, width, height in pixels.
    bbox: Option<Vec<Number>>,
    area: Option<f64>,
    #[serde(default)]
    iscrowd: u8,
    #[serde(default)]
    attribute_ids: Vec<u64>,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

/// Reads both files. Each is read twice, lists first that others refer to: their order in a file is not fixed.
pub(super) fn join(
    name: String,
    files: &CocoFiles,
    limits: &Limits,
) -> Result<FileSource, DataError> {
    let folders = Folders::new(vec![files.images.clone()])?;
    let mut joining = Joining {
        builder: Builder::new(name.clone(), folders, limits),
        rows: HashMap::new(),
        captioned: HashSet::new(),
    };
    let path = files.captions.as_path();
    lists(path, &["images"], &[], |_, raw| joining.image(path, &raw))?;
    let mut seen = HashSet::new();
    lists(path, &["annotations"], &[], |_, raw| {
        joining.caption(path, &raw, &mut seen);
    })?;
    let (mut classes, mut attributes) = (Names::default(), Names::default());
    if let Some(path) = &files.instances {
        let mut elsewhere = HashSet::new();
        let builder = &mut joining.builder;
        lists(
            path,
            &["categories"],
            &["attributes", "images"],
            |list, raw| {
                if list == "images" {
                    elsewhere.extend(raw.parse::<Image>().ok().and_then(|image| image.id));
                    return;
                }
                let (kind, names) = match list {
                    "categories" => ("category", &mut classes),
                    _ => ("attribute", &mut attributes),
                };
                match raw.parse::<Category>() {
                    Ok(Category { id, name }) => {
                        if !names.push(id, name) {
                            builder.fault(path, format!("{kind} {id}"), "its id occurs twice");
                        }
                    }
                    Err(reason) => {
                        builder.fault(path, format!("{kind} number {}", raw.number), reason)
                    }
                }
            },
        )?;
        for row in &mut builder.rows {
            row.boxed = true;
        }
        let mut seen = HashSet::new();
        lists(path, &["annotations"], &[], |_, raw| {
            joining.instance(path, &raw, (&classes, &attributes), &elsewhere, &mut seen);
        })?;
    }
    let labels = LabelSpace {
        name,
        classes: classes.names,
        attributes: attributes.names,
        ids: classes.ids.clone(),
    };
    let mut source = joining.builder.finish(path, labels, CocoIds::Keys)?;
    source.class_ids = classes.ids;
    Ok(source)
}

struct Joining {
    builder: Builder,
    /// By image id.
    rows: HashMap<u64, u32>,
    /// Images that have a caption.
    captioned: HashSet<u64>,
}

fn number(kind: &str, id: Option<u64>) -> String {
    id.map_or_else(|| format!("{kind} without id"), |id| format!("{kind} {id}"))
}

impl Joining {
    fn image(&mut self, path: &Path, raw: &Raw<'_>) {
        let builder = &mut self.builder;
        let image = match raw.parse::<Image>() {
            Ok(image) => image,
            Err(reason) => {
                return builder.fault(path, format!("image number {}", raw.number), reason);
            }
        };
        let record = number("image", image.id);
        let Image {
            id: Some(key),
            file_name: Some(file),
            width: Some(width),
            height: Some(height),
        } = image
        else {
            // An image left out takes its captions and boxes with it: one fault is enough.
            builder.gone.extend(image.id);
            return builder.fault(path, record, "it lacks id, file_name, width or height");
        };
        let reason = if self.rows.contains_key(&key) || builder.gone.contains(&key) {
            // The first record of this id stays.
            return builder.fault(path, record, "its id occurs twice");
        } else if width == 0 || height == 0 || width.max(height) > u32::MAX as usize {
            format!("its size is {width}x{height}")
        } else {
            match builder.find(&[file]) {
                Ok((root, file)) => {
                    let size = Some((width as u32, height as u32));
                    let picture = builder.pictures.push(key, root, &file, size);
                    self.rows.insert(key, builder.row(Row::new(picture)));
                    return;
                }
                Err(reason) => reason,
            }
        };
        builder.gone.insert(key);
        builder.fault(path, record, reason);
    }

    fn caption(&mut self, path: &Path, raw: &Raw<'_>, seen: &mut HashSet<u64>) {
        let builder = &mut self.builder;
        let caption = match raw.parse::<Caption>() {
            Ok(caption) => caption,
            Err(reason) => {
                return builder.fault(path, format!("caption number {}", raw.number), reason);
            }
        };
        let record = number("caption", caption.id);
        let reason = match (caption.id, caption.image_id, caption.caption) {
            (Some(id), ..) if !seen.insert(id) => "its id occurs twice".into(),
            (_, Some(image), Some(text)) => match self.rows.get(&image) {
                Some(&row) => match builder.caption(row, &text) {
                    Ok(()) => {
                        self.captioned.insert(image);
                        return;
                    }
                    Err(reason) => reason,
                },
                None if builder.gone.contains(&image) => return,
                None => format!("the file has no image {image}"),
            },
            _ => "it lacks image_id or caption".into(),
        };
        builder.fault(path, record, reason);
    }

    fn instance(
        &mut self,
        path: &Path,
        raw: &Raw<'_>,
        (classes, attributes): (&Names, &Names),
        elsewhere: &HashSet<u64>,
        seen: &mut HashSet<u64>,
    ) {
        let builder = &mut self.builder;
        let instance = match raw.parse::<Instance>() {
            Ok(instance) => instance,
            Err(reason) => {
                return builder.fault(path, format!("instance number {}", raw.number), reason);
            }
        };
        let record = number("instance", instance.id);
        if instance.id.is_some_and(|id| !seen.insert(id)) {
            return builder.fault(path, record, "its id occurs twice");
        }
        let Some(image) = instance.image_id else {
            return builder.fault(path, record, "it lacks image_id");
        };
        let row = match self.rows.get(&image) {
            Some(&row) if self.captioned.contains(&image) => row,
            None if !elsewhere.contains(&image) && !builder.gone.contains(&image) => {
                return builder.fault(path, record, format!("no image {image}"));
            }
            _ => {
                builder.report.boxes_elsewhere += 1;
                return;
            }
        };
        let added = object(&instance, classes, attributes)
            .and_then(|(object, bbox)| builder.object(row, object, bbox, instance.area));
        if let Err(reason) = added {
            builder.fault(path, record, reason);
        }
    }
}

/// The object of a record without its box, and the box.
fn object(
    instance: &Instance,
    classes: &Names,
    attributes: &Names,
) -> Result<(Object, [f64; 4]), String> {
    let category = instance.category_id.ok_or("it lacks category_id")?;
    let class = classes.number_of.get(&category);
    let &class = class.ok_or_else(|| format!("unknown category {category}"))?;
    let Some(&[x, y, w, h]) = instance.bbox.as_deref().and_then(|bbox| bbox.first_chunk()) else {
        return Err("its bbox is not [x, y, width, height]".into());
    };
    let attribute = |id: &u64| {
        let number = attributes.number_of.get(id).copied();
        number.ok_or_else(|| format!("unknown attribute {id}"))
    };
    let object = Object {
        class,
        bbox: [0.0; 4],
        attributes: (instance.attribute_ids.iter().map(attribute)).collect::<Result<_, _>>()?,
        crowd: instance.iscrowd != 0,
        area: 0.0,
    };
    Ok((object, [x.0, y.0, w.0, h.0]))
}
