//! Predictions of files as pictures, JSON and a page.

use std::path::{Path, PathBuf};

use serde::Serialize;
use vlp_data::Picture;
use vlp_draw::{
    BoxKind, DrawnBox, Heat, PredictedPicture, PredictionPage, Question, draw_boxes, png,
    render_prediction,
};

use super::{Look, Prediction, Request, Vlp, read_picture};
use crate::error::VlpError;

/// Attributes shown beside a box.
const SHOWN: usize = 3;

/// One line of `predictions.json`.
#[derive(Serialize)]
struct Line<'a> {
    image: String,
    #[serde(flatten)]
    found: &'a Prediction,
}

/// Picture files of `paths`: files as they are, of folders every JPEG and PNG, in the order of their names.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, VlpError> {
    let mut found = vec![];
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(VlpError::io(path))?;
        let mut own: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        own.retain(|file| {
            let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
            ["jpg", "jpeg", "png", "webp"]
                .iter()
                .any(|known| extension == *known)
        });
        own.sort();
        found.extend(own);
    }
    Ok(found)
}

/// Predicts everything that the model has heads for of the pictures at `paths`, in batches, and writes into `out`:
/// `predictions.json`, `predictions.html` and a PNG with boxes of each picture. A file that cannot be read is named in
/// the list returned and left out.
///
/// # Errors
/// [`VlpError::RunFolder`] where no picture can be read; as [`Vlp::predict`].
pub fn write_folder(
    model: &Vlp,
    paths: &[PathBuf],
    request: &Request,
    out: &Path,
) -> Result<Vec<String>, VlpError> {
    let files = files(paths)?;
    let (mut skipped, mut named) = (vec![], vec![]);
    let mut cards = vec![];
    std::fs::create_dir_all(out).map_err(VlpError::io(out))?;
    for files in files.chunks(model.trained().config.data.batch_size.max(1)) {
        let mut pictures: Vec<(String, Picture)> = vec![];
        for file in files {
            match read_picture(file) {
                Ok(picture) => {
                    let name = file.file_name().unwrap_or_default();
                    pictures.push((name.to_string_lossy().into_owned(), picture));
                }
                Err(error) => skipped.push(error.to_string()),
            }
        }
        let only: Vec<Picture> = pictures.iter().map(|(_, p)| p.clone()).collect();
        let found = model.predict(&only, request)?;
        for ((name, picture), prediction) in pictures.into_iter().zip(found) {
            let card = card(&name, &picture, &prediction, request);
            let drawn = draw_boxes(card.width, card.height, &card.rgb, &card.boxes);
            let drawn = drawn.map_err(|problem| vlp_draw::DrawError::Picture {
                index: cards.len(),
                title: name.clone(),
                problem,
            })?;
            let stem = Path::new(&name).file_stem().unwrap_or_default();
            let file = out.join(format!("{}.boxes.png", stem.to_string_lossy()));
            let bytes = png(card.width, card.height, &drawn).map_err(|e| VlpError::RunFolder {
                path: file.clone(),
                reason: e.to_string(),
            })?;
            std::fs::write(&file, bytes).map_err(VlpError::io(&file))?;
            cards.push(card);
            named.push((name, prediction));
        }
    }
    if named.is_empty() {
        return Err(VlpError::RunFolder {
            path: out.into(),
            reason: match skipped.first() {
                Some(first) => format!("nothing to write: {first}"),
                None => "nothing to write: no JPEG or PNG file was given".into(),
            },
        });
    }
    let lines: Vec<Line<'_>> = named
        .iter()
        .map(|(image, found)| Line {
            image: image.clone(),
            found,
        })
        .collect();
    let file = out.join("predictions.json");
    let text = serde_json::to_vec_pretty(&lines).map_err(|e| VlpError::RunFolder {
        path: file.clone(),
        reason: format!("cannot be encoded: {e}"),
    })?;
    std::fs::write(&file, text).map_err(VlpError::io(&file))?;
    let page = PredictionPage {
        title: "vlp predictions".into(),
        summary: vec![
            ("preset".into(), model.trained().config.preset.clone()),
            ("steps".into(), model.trained().step.to_string()),
            ("pictures".into(), named.len().to_string()),
        ],
        pictures: cards,
        notes: skipped.clone(),
    };
    let file = out.join("predictions.html");
    std::fs::write(&file, render_prediction(&page)?).map_err(VlpError::io(&file))?;
    Ok(skipped)
}

fn card(name: &str, picture: &Picture, found: &Prediction, request: &Request) -> PredictedPicture {
    let boxes = found.objects.iter().flatten().map(|object| {
        let [x0, y0, x1, y1] = object.bbox;
        let attributes = object.attributes.iter().take(SHOWN);
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
    });
    let captions = found.caption.iter();
    let answers = found.answers.iter().flatten();
    let matches = found.matches.iter().flatten();
    PredictedPicture {
        title: name.into(),
        width: picture.width as u32,
        height: picture.height as u32,
        rgb: picture.rgb.clone(),
        boxes: boxes.collect(),
        captions: captions
            .map(|c| (c.text.clone(), c.log_probability as f32))
            .collect(),
        questions: request
            .ask
            .iter()
            .zip(answers)
            .map(|(question, answers)| Question {
                question: question.clone(),
                answers: answers.clone(),
            })
            .collect(),
        matches: request
            .texts
            .iter()
            .cloned()
            .zip(matches.copied())
            .collect(),
        heats: found.looks.iter().map(heat).collect(),
        ..PredictedPicture::default()
    }
}

fn heat(look: &Look) -> Heat {
    Heat {
        title: match look.part.as_str() {
            "object" | "caption" => look.of.clone(),
            text => format!("{} ({text})", look.of),
        },
        rows: look.rows as u32,
        columns: look.columns as u32,
        weights: look.weights.clone(),
    }
}
