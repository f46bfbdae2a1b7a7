use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use super::{
    CocoFiles,
    json::{CaptionFile, Category, Image, Instance, InstanceFile, read},
};
use crate::{DataError, Fault, Object};

/// What a COCO reader read, mended and left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CocoReport {
    /// Images that became samples.
    pub images: usize,
    /// Their captions.
    pub captions: usize,
    /// Their boxes.
    pub objects: usize,
    /// Captions without a word, left out.
    pub empty_captions: usize,
    /// Boxes that reached out of their image by more than half a pixel, clipped.
    pub clipped_boxes: usize,
    /// Boxes without an area inside their image, left out.
    pub empty_boxes: usize,
    /// Boxes of images that the caption file does not have, left out.
    pub boxes_elsewhere: usize,
    /// Records left out because they are wrong.
    pub faults: Vec<Fault>,
}

/// One image, joined.
pub(crate) struct Entry {
    pub(crate) key: u64,
    pub(crate) file: String,
    pub(crate) size: (usize, usize),
    pub(crate) captions: Vec<String>,
    pub(crate) objects: Option<Vec<Object>>,
}

pub(crate) struct Joined {
    pub(crate) entries: Vec<Entry>,
    pub(crate) classes: Vec<String>,
    pub(crate) category_ids: Vec<u64>,
    pub(crate) attributes: Vec<String>,
    pub(crate) report: CocoReport,
}

pub(crate) fn join(name: &str, files: &CocoFiles) -> Result<Joined, DataError> {
    let mut faults = Faults {
        source: name,
        file: &files.captions,
        list: Vec::new(),
    };
    let mut report = CocoReport::default();
    let captions: CaptionFile = read(&files.captions)?;
    // An image left out takes its captions and boxes with it: one fault is enough.
    let mut left_out = HashSet::new();
    let mut entries = images(captions.images, &files.images, &mut left_out, &mut faults)?;
    let mut at: HashMap<u64, usize> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| (entry.key, index))
        .collect();

    let mut seen = HashSet::new();
    for caption in captions.annotations {
        let record = format!("caption {}", number(caption.id));
        match (caption.id, caption.image_id, caption.caption) {
            (Some(id), ..) if !seen.insert(id) => faults.add(record, "its id occurs twice"),
            (_, Some(image), Some(text)) => match at.get(&image) {
                Some(_) if text.trim().is_empty() => report.empty_captions += 1,
                Some(&index) => entries[index].captions.push(text.trim().to_owned()),
                None if left_out.contains(&image) => {}
                None => faults.add(record, format!("the file has no image {image}")),
            },
            _ => faults.add(record, "it lacks image_id or caption"),
        }
    }
    entries.retain(|entry| {
        let keep = !entry.captions.is_empty();
        if !keep {
            faults.add(format!("image {}", entry.key), "it has no caption");
            left_out.insert(entry.key);
        }
        keep
    });
    at = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| (entry.key, index))
        .collect();

    let (mut classes, mut category_ids, mut attributes) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(path) = &files.instances {
        faults.file = path;
        let file: InstanceFile = read(path)?;
        let (class_of, names, ids) = labels(file.categories, "category", &mut faults);
        (classes, category_ids) = (names, ids);
        let (attribute_of, names, _) = labels(file.attributes, "attribute", &mut faults);
        attributes = names;
        for entry in &mut entries {
            entry.objects = Some(Vec::new());
        }
        let elsewhere: HashSet<u64> = file.images.iter().filter_map(|image| image.id).collect();
        let mut seen = HashSet::new();
        for instance in file.annotations {
            let record = format!("instance {}", number(instance.id));
            if instance.id.is_some_and(|id| !seen.insert(id)) {
                faults.add(record, "its id occurs twice");
                continue;
            }
            let Some(image) = instance.image_id else {
                faults.add(record, "it lacks image_id");
                continue;
            };
            let Some(&index) = at.get(&image) else {
                if elsewhere.contains(&image) || left_out.contains(&image) {
                    report.boxes_elsewhere += 1;
                } else {
                    faults.add(record, format!("no image {image}"));
                }
                continue;
            };
            match object(
                &instance,
                (&class_of, &attribute_of),
                entries[index].size,
                &mut report,
            ) {
                Ok(Some(object)) => entries[index].objects.get_or_insert_default().push(object),
                Ok(None) => {}
                Err(reason) => faults.add(record, reason),
            }
        }
    }
    report.images = entries.len();
    report.captions = entries.iter().map(|entry| entry.captions.len()).sum();
    report.objects = entries
        .iter()
        .filter_map(|entry| entry.objects.as_ref())
        .map(Vec::len)
        .sum();
    report.faults = faults.list;
    Ok(Joined {
        entries,
        classes,
        category_ids,
        attributes,
        report,
    })
}

/// Faults of one file.
struct Faults<'a> {
    source: &'a str,
    file: &'a Path,
    list: Vec<Fault>,
}

impl Faults<'_> {
    fn add(&mut self, record: String, reason: impl Into<String>) {
        self.list.push(Fault {
            source: self.source.into(),
            file: self.file.display().to_string(),
            record,
            reason: reason.into(),
        });
    }
}

/// Names and ids in the file's order, and each id's number in it.
fn labels(
    records: Vec<Category>,
    kind: &str,
    faults: &mut Faults<'_>,
) -> (HashMap<u64, usize>, Vec<String>, Vec<u64>) {
    let (mut number_of, mut names, mut ids) = (HashMap::new(), Vec::new(), Vec::new());
    for Category { id, name } in records {
        if number_of.contains_key(&id) {
            faults.add(format!("{kind} {id}"), "its id occurs twice");
            continue;
        }
        number_of.insert(id, names.len());
        names.push(name);
        ids.push(id);
    }
    (number_of, names, ids)
}

fn number(id: Option<u64>) -> String {
    id.map_or("without id".into(), |id| id.to_string())
}

fn images(
    records: Vec<Image>,
    folder: &Path,
    left_out: &mut HashSet<u64>,
    faults: &mut Faults<'_>,
) -> Result<Vec<Entry>, DataError> {
    // One listing instead of a question to the file system for every image.
    let listing = std::fs::read_dir(folder).map_err(DataError::io(folder))?;
    let there: HashSet<_> = listing
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    let mut seen = HashSet::new();
    let mut entries = Vec::with_capacity(records.len());
    for image in records {
        let record = format!("image {}", number(image.id));
        let Image {
            id: Some(key),
            file_name: Some(file),
            width: Some(width),
            height: Some(height),
        } = image
        else {
            faults.add(record, "it lacks id, file_name, width or height");
            left_out.extend(image.id);
            continue;
        };
        let reason = if !seen.insert(key) {
            // The first record of this id stays.
            faults.add(record, "its id occurs twice");
            continue;
        } else if width == 0 || height == 0 {
            format!("its size is {width}x{height}")
        } else if !there.contains(std::ffi::OsStr::new(&file)) && !folder.join(&file).is_file() {
            format!("{} is missing", folder.join(&file).display())
        } else {
            entries.push(Entry {
                key,
                file,
                size: (width, height),
                captions: Vec::new(),
                objects: None,
            });
            continue;
        };
        left_out.insert(key);
        faults.add(record, reason);
    }
    Ok(entries)
}

/// The object of a record, `None` for an empty box.
fn object(
    instance: &Instance,
    (class_of, attribute_of): (&HashMap<u64, usize>, &HashMap<u64, usize>),
    (width, height): (usize, usize),
    report: &mut CocoReport,
) -> Result<Option<Object>, String> {
    let category = instance.category_id.ok_or("it lacks category_id")?;
    let class = *class_of
        .get(&category)
        .ok_or_else(|| format!("unknown category {category}"))?;
    let Some(&[x, y, w, h]) = instance.bbox.as_deref().and_then(|bbox| bbox.first_chunk()) else {
        return Err("its bbox is not [x, y, width, height]".into());
    };
    let attribute = |id: &u64| {
        attribute_of
            .get(id)
            .copied()
            .ok_or_else(|| format!("unknown attribute {id}"))
    };
    let attributes = instance
        .attribute_ids
        .iter()
        .map(attribute)
        .collect::<Result<Vec<_>, _>>()?;
    let whole = [x, y, x + w, y + h];
    let (right, bottom) = (width as f64, height as f64);
    let [x0, y0, x1, y1] = [
        x.clamp(0.0, right),
        y.clamp(0.0, bottom),
        (x + w).clamp(0.0, right),
        (y + h).clamp(0.0, bottom),
    ];
    // The comparison is made with the numbers that are kept.
    let bbox = [x0, y0, x1, y1].map(|side| side as f32);
    if bbox[2] <= bbox[0] || bbox[3] <= bbox[1] {
        report.empty_boxes += 1;
        return Ok(None);
    }
    if whole
        .iter()
        .zip([x0, y0, x1, y1])
        .any(|(side, clipped)| (side - clipped).abs() > 0.5)
    {
        report.clipped_boxes += 1;
    }
    let area = instance.area.unwrap_or((x1 - x0) * (y1 - y0)) as f32;
    Ok(Some(Object {
        class,
        bbox,
        attributes,
        crowd: instance.iscrowd != 0,
        area,
    }))
}
