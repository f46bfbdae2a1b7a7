use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use image::{ImageFormat, RgbImage, codecs::jpeg::JpegEncoder};
use serde_json::{Value, json};
use vlp_data::{DataError, Image, Object, Source};
use vlp_files::{PartialFolder, PathError, sync_tree};

use crate::{Scenes, ScenesTask, Split, Task, export_folder};

impl Scenes {
    /// Writes the whole split to `dir` in the formats of the public data sets, for other tools and for
    /// [`read::coco`](vlp_data::read::coco()). Existing files of the same names are an error, unless their contents are those
    /// that would be written, as after an interrupted call.
    ///
    /// All is written to a temporary folder first. A new `dir` then appears as a whole. In one that exists, such as that of
    /// another split, annotation files appear after the images that they name, and
    /// `annotations/captions_SPLIT.json` last.
    ///
    /// | path | format |
    /// |---|---|
    /// | `annotations/captions_SPLIT.json`, `annotations/instances_SPLIT.json`, `SPLIT/KEY.png` | COCO; attributes as `attribute_ids` next to `category_id`, named in `attributes` |
    /// | `vqa/v2_OpenEnded_mscoco_SPLIT_questions.json`, `vqa/v2_mscoco_SPLIT_annotations.json` | VQA v2 |
    /// | `nlvr2/train.json` (`dev`, `test1`), `nlvr2/images/...` | NLVR2, one JSON per line; none if the scenes are too few or too similar for statements |
    /// | `snli_ve/snli_ve_train.jsonl` (`dev`, `test`), `snli_ve/flickr30k_images/KEY.jpg` | SNLI-VE |
    ///
    /// # Errors
    /// [`DataError::Io`] if a folder or file cannot be written, or is there with other contents: nothing is then changed;
    /// [`DataError::Config`] if only some statements are found.
    pub fn write_to(&self, dir: impl AsRef<Path>) -> Result<(), DataError> {
        let dir = dir.as_ref();
        let exists = dir.is_dir();
        let path = match exists {
            // It may be all that can be written to. Nothing is at this path, which only names the temporary folder.
            true => dir.join("vlp-scenes"),
            false => dir.to_owned(),
        };
        let folder = PartialFolder::create(path).map_err(DataError::io(dir))?;
        self.write_files(folder.path())?;
        sync_tree(folder.path())
            .map_err(|PathError { path, source }| DataError::Io { path, source })?;
        match exists {
            true => export_folder::move_files(folder.path(), dir, &self.marker()),
            false => folder.finish().map_err(DataError::io(dir)),
        }
    }

    /// The file without which readers find no data of this split.
    fn marker(&self) -> PathBuf {
        let split = self.config.split.name();
        Path::new("annotations").join(format!("captions_{split}.json"))
    }

    fn write_files(&self, dir: &Path) -> Result<(), DataError> {
        self.write_coco(dir)?;
        self.write_vqa(&dir.join("vqa"))?;
        self.write_nlvr2(&dir.join("nlvr2"))?;
        self.write_snli_ve(&dir.join("snli_ve"))
    }

    fn write_coco(&self, dir: &Path) -> Result<(), DataError> {
        let split = self.config.split.name();
        let image_folder = create_folder(dir.join(split))?;
        let (mut images, mut captions, mut instances) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..self.len() {
            let sample = self.load(index)?;
            write_png(&image_folder.join(&sample.name), &sample.image)?;
            images.push(json!({
                "id": sample.key, "file_name": sample.name,
                "width": sample.image.width, "height": sample.image.height,
                "license": 0, "coco_url": "", "flickr_url": "", "date_captured": "",
            }));
            for caption in sample.captions {
                captions.push(
                    json!({ "id": captions.len() + 1, "image_id": sample.key, "caption": caption }),
                );
            }
            for object in sample.objects.unwrap_or_default() {
                instances.push(instance(instances.len() + 1, sample.key, &object));
            }
        }
        let annotations = create_folder(dir.join("annotations"))?;
        let info = json!({ "description": self.name, "version": "1.0" });
        let captions =
            json!({ "info": info, "licenses": [], "images": images, "annotations": captions });
        write_json(&dir.join(self.marker()), &captions)?;
        let classes = categories(&self.labels.classes, Some("shape"));
        let attributes = categories(&self.labels.attributes, None);
        let instances = json!({
            "info": info, "licenses": [], "images": images, "annotations": instances,
            "categories": classes, "attributes": attributes,
        });
        write_json(
            &annotations.join(format!("instances_{split}.json")),
            &instances,
        )
    }

    fn write_vqa(&self, dir: &Path) -> Result<(), DataError> {
        let dir = create_folder(dir.to_owned())?;
        let split = self.config.split.name();
        let (mut questions, mut annotations) = (Vec::new(), Vec::new());
        for index in 0..self.len() {
            let key = self.key(index);
            for (number, question) in self.questions(&self.scene(index)).into_iter().enumerate() {
                let id = key * 1000 + number as u64;
                let answers: Vec<Value> = (question.answers.iter().enumerate())
                    .map(|(index, answer)| {
                        let confidence = if *answer == question.answer {
                            "yes"
                        } else {
                            "maybe"
                        };
                        json!({ "answer": answer, "answer_confidence": confidence, "answer_id": index + 1 })
                    })
                    .collect();
                questions
                    .push(json!({ "image_id": key, "question": question.text, "question_id": id }));
                annotations.push(json!({
                    "question_id": id, "image_id": key, "question_type": question.question_type,
                    "answer_type": question.answer_type, "multiple_choice_answer": question.answer,
                    "answers": answers,
                }));
            }
        }
        let with_header = |content: Value| {
            let mut file = json!({
                "info": { "description": self.name }, "license": {},
                "data_type": "mscoco", "data_subtype": split,
            });
            if let (Some(file), Value::Object(content)) = (file.as_object_mut(), content) {
                file.extend(content);
            }
            file
        };
        let questions = with_header(json!({ "task_type": "Open-Ended", "questions": questions }));
        write_json(
            &dir.join(format!("v2_OpenEnded_mscoco_{split}_questions.json")),
            &questions,
        )?;
        let annotations = with_header(json!({ "annotations": annotations }));
        write_json(
            &dir.join(format!("v2_mscoco_{split}_annotations.json")),
            &annotations,
        )
    }

    /// The statements of [`Task::Nlvr2`]; none for a split that has not even the first.
    fn write_nlvr2(&self, dir: &Path) -> Result<(), DataError> {
        let split = self.config.split.nlvr2_name();
        let train = self.config.split == Split::Train;
        let subfolder = if train { "0" } else { "" };
        let image_folder = create_folder(dir.join("images").join(split).join(subfolder))?;
        let mut lines = Vec::new();
        // An error if the split has not even the first statement.
        let task = ScenesTask::new(self.config.clone(), Task::Nlvr2);
        let statements = task.iter().flat_map(|task| {
            (0..task.len()).map(|index| Ok((task.statement(index)?, task.pair_name(index))))
        });
        for statement in statements {
            let (statement, pair) = statement?;
            for (number, index) in [statement.left, statement.right].into_iter().enumerate() {
                let image = self.scene(index).draw(self.config.resolution);
                write_png(
                    &image_folder.join(format!("{pair}-img{number}.png")),
                    &image,
                )?;
            }
            let mut line = json!({
                "identifier": format!("{pair}-0"), "sentence": statement.text,
                "label": if statement.label { "True" } else { "False" },
                "left_url": "", "right_url": "", "writer": "0", "validation": {},
                "synset": "shape", "query": "shapes0",
            });
            if train {
                line["directory"] = json!(0);
            } else {
                line["extra_validations"] = json!({});
            }
            lines.push(line);
        }
        write_lines(&dir.join(format!("{split}.json")), &lines)
    }

    fn write_snli_ve(&self, dir: &Path) -> Result<(), DataError> {
        let split = ["train", "dev", "test"][self.config.split as usize];
        let image_folder = create_folder(dir.join("flickr30k_images"))?;
        let mut lines = Vec::new();
        for index in 0..self.len() {
            let (key, scene) = (self.key(index), self.scene(index));
            write_jpeg(
                &image_folder.join(format!("{key}.jpg")),
                &scene.draw(self.config.resolution),
            )?;
            for (number, hypothesis) in self.hypotheses(&scene).into_iter().enumerate() {
                lines.push(json!({
                    "Flickr30K_ID": key.to_string(), "gold_label": hypothesis.label,
                    "annotator_labels": hypothesis.annotator_labels, "captionID": format!("{key}.jpg#0"),
                    "pairID": format!("{key}.jpg#{number}{}", &hypothesis.label.name()[..1]),
                    "sentence1": "", "sentence1_binary_parse": "", "sentence1_parse": "",
                    "sentence2": hypothesis.text, "sentence2_binary_parse": "", "sentence2_parse": "",
                }));
            }
        }
        write_lines(&dir.join(format!("snli_ve_{split}.jsonl")), &lines)
    }
}

/// An entry of `annotations`; ids count from 1, as in COCO.
fn instance(id: usize, image_id: u64, object: &Object) -> Value {
    let [x0, y0, x1, y1] = object.bbox.map(f64::from);
    let attributes: Vec<usize> = object
        .attributes
        .iter()
        .map(|attribute| attribute + 1)
        .collect();
    json!({
        "id": id, "image_id": image_id, "category_id": object.class + 1,
        "bbox": [x0, y0, x1 - x0, y1 - y0], "area": f64::from(object.area), "iscrowd": 0,
        "attribute_ids": attributes,
    })
}

/// Entries of `categories` or `attributes`.
fn categories(names: &[String], supercategory: Option<&str>) -> Vec<Value> {
    let category = |(index, name): (usize, &String)| match supercategory {
        Some(supercategory) => {
            json!({ "id": index + 1, "name": name, "supercategory": supercategory })
        }
        None => json!({ "id": index + 1, "name": name }),
    };
    names.iter().enumerate().map(category).collect()
}

fn create_folder(path: PathBuf) -> Result<PathBuf, DataError> {
    fs::create_dir_all(&path).map_err(DataError::io(&path))?;
    Ok(path)
}

fn write_json(path: &Path, value: &Value) -> Result<(), DataError> {
    write_lines(path, std::slice::from_ref(value))
}

fn write_lines(path: &Path, lines: &[Value]) -> Result<(), DataError> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(path, text).map_err(DataError::io(path))
}

fn write_png(path: &Path, image: &Image) -> Result<(), DataError> {
    write_image(path, image, |image, file| {
        image.write_to(file, ImageFormat::Png)
    })
}

fn write_jpeg(path: &Path, image: &Image) -> Result<(), DataError> {
    write_image(path, image, |image, file| {
        image.write_with_encoder(JpegEncoder::new_with_quality(file, 95))
    })
}

fn write_image(
    path: &Path,
    image: &Image,
    encode: impl FnOnce(&RgbImage, &mut Cursor<Vec<u8>>) -> Result<(), image::ImageError>,
) -> Result<(), DataError> {
    let mut file = Cursor::new(vec![]);
    encode(&rgb_image(path, image)?, &mut file).map_err(|error| DataError::Decode {
        name: path.display().to_string(),
        reason: error.to_string(),
    })?;
    fs::write(path, file.get_ref()).map_err(DataError::io(path))
}

fn rgb_image(path: &Path, image: &Image) -> Result<RgbImage, DataError> {
    let (width, height) = (image.width as u32, image.height as u32);
    RgbImage::from_raw(width, height, image.rgb.clone()).ok_or_else(|| DataError::Decode {
        name: path.display().to_string(),
        reason: "size and pixels disagree".into(),
    })
}
