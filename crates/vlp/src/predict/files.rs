//! Predictions for image files, as JSON and as an HTML page.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use vlp_data::{IMAGE_EXTENSIONS, ResizedImage, read::is_system_file};
use vlp_draw::{
    AnsweredQuestion, BoxKind, DrawnBox, Heatmap, PredictedImage, PredictionPage, render_prediction,
};
use vlp_files::{create_folder, write_whole};

use super::attention_map::AttentionMap;
use super::batches::Batches;
use super::outputs::Object;
use super::prediction::{Prediction, Request, read_image};
use super::predictor::Predictor;
use crate::error::VlpError;
use crate::report::{EarlierFile, page_image};

/// Number of attributes shown with a box.
const ATTRIBUTES: usize = 3;

/// An item of `predictions.json`.
#[derive(Serialize)]
struct Item<'a> {
    /// File name, with as many parent folders as distinguish it.
    image: &'a str,
    #[serde(flatten)]
    prediction: &'a Prediction,
}

/// An image that waits for its batch.
struct Pending {
    name: String,
    /// As the model reads it.
    image: ResizedImage,
    /// As the page shows it.
    shown: ResizedImage,
}

/// The image files of `paths`: files as they are, and all image files of folders, sorted by name; each once.
fn image_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, VlpError> {
    let mut files = vec![];
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(VlpError::io(path))?;
        let mut images: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        images.retain(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
            IMAGE_EXTENSIONS.iter().any(|image| extension == *image) && !is_system_file(&name)
        });
        images.sort();
        files.extend(images);
    }
    let mut unique = HashSet::new();
    files.retain(|file| unique.insert(absolute(file)));
    Ok(files)
}

/// The absolute path of a file; the path itself if there is no working directory.
fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

/// For each file the shortest end of its path that no other file has: its name, or the name with parent folders.
fn distinct_names(files: &[PathBuf]) -> Vec<String> {
    let paths = files.iter().map(|file| {
        let path = absolute(file);
        let parts = path
            .components()
            .map(|part| part.as_os_str().to_string_lossy().into_owned());
        parts.collect()
    });
    let paths: Vec<Vec<String>> = paths.collect();
    let ending =
        |path: &[String], length: usize| path[path.len().saturating_sub(length)..].join("/");
    let mut lengths = vec![1; paths.len()];
    loop {
        let names = paths.iter().zip(&lengths);
        let names: Vec<String> = names.map(|(path, length)| ending(path, *length)).collect();
        let mut counts = HashMap::new();
        for name in &names {
            *counts.entry(name.as_str()).or_insert(0) += 1;
        }
        let mut is_longer = false;
        for ((name, path), length) in names.iter().zip(&paths).zip(&mut lengths) {
            if counts[name.as_str()] > 1 && *length < path.len() {
                (*length, is_longer) = (*length + 1, true);
            }
        }
        if !is_longer {
            return numbered(names);
        }
    }
}

/// The names with a number after each repetition: names that are not Unicode may look the same.
fn numbered(names: Vec<String>) -> Vec<String> {
    let mut used = HashSet::new();
    let number = |name: String| {
        let mut numbered = name.clone();
        for number in 2.. {
            if used.insert(numbered.clone()) {
                break;
            }
            numbered = format!("{name} ({number})");
        }
        numbered
    };
    names.into_iter().map(number).collect()
}

/// What was written, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrittenPredictions {
    /// Messages about files that cannot be read, which are skipped.
    pub skipped: Vec<String>,
    /// How many of them are not files of a folder, but were named themselves.
    pub skipped_named: usize,
}

/// Predicts with all heads of the model for the images at `paths`, in batches, and writes `predictions.json` and
/// `predictions.html` into `out`, in the place of earlier ones. Files that cannot be read are skipped.
///
/// # Errors
/// [`VlpError::RunFolder`] if no image can be read, [`VlpError::Config`] if other files have the names of the outputs; as
/// [`Predictor::predict`].
pub fn write_folder(
    model: &Predictor,
    paths: &[PathBuf],
    request: &Request,
    out: &Path,
) -> Result<WrittenPredictions, VlpError> {
    EarlierFile::Predictions.check(&json_file(out))?;
    EarlierFile::PredictionPage.check(&page_file(out))?;
    let exists = out.exists();
    create_folder(out).map_err(VlpError::io(out))?;
    let written = write_files(model, paths, request, out);
    if written.is_err() && !exists {
        // It stays if there is something in it. An error of the cleanup would hide the cause of the failure.
        let _ = std::fs::remove_dir(out);
    }
    written
}

fn json_file(out: &Path) -> PathBuf {
    out.join("predictions.json")
}

fn page_file(out: &Path) -> PathBuf {
    out.join("predictions.html")
}

fn write_files(
    model: &Predictor,
    paths: &[PathBuf],
    request: &Request,
    out: &Path,
) -> Result<WrittenPredictions, VlpError> {
    let trained = model.trained();
    let files = image_files(paths)?;
    let named = paths.iter().filter(|path| !path.is_dir());
    let named: HashSet<PathBuf> = named.map(|path| absolute(path)).collect();
    let (mut written, mut predictions, mut cards) = (WrittenPredictions::default(), vec![], vec![]);
    let files: Vec<(String, PathBuf)> = distinct_names(&files).into_iter().zip(files).collect();
    let mut predict = |batch: Vec<Pending>| {
        let images: Vec<&ResizedImage> = batch.iter().map(|pending| &pending.image).collect();
        let batch_predictions = model.predict_resized(&images, request)?;
        for (pending, prediction) in batch.into_iter().zip(batch_predictions) {
            cards.push(card(&pending.name, pending.shown, &prediction, request));
            predictions.push((pending.name, prediction));
        }
        Ok::<(), VlpError>(())
    };
    let mut batches = Batches::new(trained.config.data.batch_size);
    for (name, file) in files {
        let image = match read_image(&file) {
            Ok(image) => image,
            Err(error) => {
                written.skipped.push(error.to_string());
                written.skipped_named += usize::from(named.contains(&absolute(&file)));
                continue;
            }
        };
        let pending = Pending {
            name,
            image: model.resize(&image)?,
            shown: page_image(&image)?,
        };
        if let Some(batch) = batches.push(model.padded_size(&pending.image), pending) {
            predict(batch)?;
        }
    }
    predict(batches.take())?;
    if predictions.is_empty() {
        let reason = match written.skipped.first() {
            Some(first) => format!("nothing to write: {first}"),
            None => {
                let paths: Vec<_> = paths
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                format!("nothing to write: no image file in {}", paths.join(", "))
            }
        };
        return Err(VlpError::RunFolder {
            path: out.into(),
            reason,
        });
    }
    let items = predictions.iter();
    let items = items.map(|(image, prediction)| Item { image, prediction });
    let file = json_file(out);
    let text = serde_json::to_vec_pretty(&items.collect::<Vec<_>>());
    let text = text.map_err(|e| VlpError::RunFolder {
        path: file.clone(),
        reason: format!("cannot be encoded: {e}"),
    })?;
    write_whole(&file, &text).map_err(VlpError::io(&file))?;
    let page = PredictionPage {
        title: "vlp predictions".into(),
        summary: vec![
            ("preset".into(), trained.config.preset.clone()),
            ("steps".into(), trained.step.to_string()),
            ("images".into(), predictions.len().to_string()),
        ],
        images: cards,
        notes: written.skipped.clone(),
    };
    let file = page_file(out);
    write_whole(&file, render_prediction(&page)?.as_bytes()).map_err(VlpError::io(&file))?;
    Ok(written)
}

fn card(
    name: &str,
    shown: ResizedImage,
    prediction: &Prediction,
    request: &Request,
) -> PredictedImage {
    let image = shown.image;
    let scale = [
        image.width as f32 / shown.original_width as f32,
        image.height as f32 / shown.original_height as f32,
    ];
    let objects = prediction.objects.iter().flatten();
    let captions = prediction.caption.iter();
    let answers = prediction.answers.iter().flatten();
    let questions = request.questions.iter().zip(answers);
    let matches = prediction.matches.iter().flatten();
    PredictedImage {
        title: name.into(),
        width: image.width as u32,
        height: image.height as u32,
        rgb: image.rgb,
        boxes: objects.map(|object| drawn_box(object, scale)).collect(),
        captions: captions
            .map(|caption| (caption.text.clone(), caption.log_probability as f32))
            .collect(),
        questions: questions
            .map(|(question, answers)| AnsweredQuestion {
                question: question.clone(),
                answers: answers.clone(),
            })
            .collect(),
        matches: (request.texts.iter().cloned())
            .zip(matches.copied())
            .collect(),
        heatmaps: prediction.attention_maps.iter().map(heatmap).collect(),
        ..PredictedImage::default()
    }
}

/// The box of an object on an image that is scaled.
fn drawn_box(object: &Object, [scale_x, scale_y]: [f32; 2]) -> DrawnBox {
    let [x0, y0, x1, y1] = object.bbox;
    let (x0, x1) = (x0 * scale_x, x1 * scale_x);
    let (y0, y1) = (y0 * scale_y, y1 * scale_y);
    let attributes = object.attributes.iter().take(ATTRIBUTES);
    let attributes: Vec<&str> = attributes.map(|(name, _)| name.as_str()).collect();
    DrawnBox {
        x0: x0.min(x1),
        y0: y0.min(y1),
        x1: x1.max(x0),
        y1: y1.max(y0),
        label: object.class.clone(),
        score: Some(object.score),
        kind: BoxKind::Predicted,
        detail: attributes.join(", "),
    }
}

fn heatmap(map: &AttentionMap) -> Heatmap {
    Heatmap {
        title: match map.source.as_str() {
            "object" | "caption" => map.query.clone(),
            text => format!("{} ({text})", map.query),
        },
        rows: map.rows as u32,
        columns: map.columns as u32,
        weights: map.weights.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use vlp_data::Image;

    use super::*;

    #[test]
    fn large_images_are_shrunk_with_their_boxes() {
        let object = Object {
            query: 0,
            class: "dog".into(),
            score: 1.0,
            bbox: [1024.0, 0.0, 4096.0, 2048.0],
            attributes: vec![],
        };
        let prediction = Prediction {
            objects: Some(vec![object]),
            ..Prediction::default()
        };
        let shown = page_image(&Image::filled(4096, 2048, [7; 3])).unwrap();
        let card = card("a.png", shown, &prediction, &Request::default());
        assert_eq!((card.width, card.height), (1024, 512));
        let drawn = &card.boxes[0];
        assert_eq!(
            [drawn.x0, drawn.y0, drawn.x1, drawn.y1],
            [256.0, 0.0, 1024.0, 512.0]
        );
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_unicode_stay_distinct() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        let file = |name: &[u8]| PathBuf::from(OsStr::from_bytes(name));
        let files = [
            file(b"/a/\xff.png"),
            file(b"/a/\xfe.png"),
            file(b"/a/b.png"),
        ];
        let names = distinct_names(&files);
        assert_eq!(names[2], "b.png");
        assert_ne!(names[0], names[1]);
    }
}
