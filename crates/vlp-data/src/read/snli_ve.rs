use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    builder::{SourceBuilder, source_name},
    folders::{Folders, composed, name_key},
    records::{RawRecord, lines},
    report::trim_caption,
    row::{CocoIds, Row, StoredLabel},
    source::FileSource,
};
use crate::{DataError, Entailment, LabelSpace, Limits, hash::fnv1a};

/// The text of an SNLI-VE sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SnliVeText {
    /// The hypothesis (`sentence2`) alone, with the image as premise: the task of Xie et al. (2019).
    #[default]
    Hypothesis,
    /// The caption that the hypothesis was written for (`sentence1`), ` [SEP] ` and the hypothesis. BERT's tokenizer keeps
    /// `[SEP]` as one token. A line without a caption has the hypothesis alone.
    PremiseAndHypothesis,
}

/// The text of [`SnliVeText::PremiseAndHypothesis`].
pub fn premise_and_hypothesis(premise: &str, hypothesis: &str) -> String {
    format!("{premise} [SEP] {hypothesis}")
}

#[derive(Deserialize)]
struct Line {
    /// Misspelled in the data set's own example.
    #[serde(rename = "Flickr30K_ID", alias = "Flikr30kID", alias = "Flickr30kID")]
    image: String,
    #[serde(default)]
    sentence1: String,
    sentence2: String,
    gold_label: String,
    #[serde(rename = "pairID")]
    pair_id: String,
}

/// Reads SNLI-VE's `snli_ve_{train,dev,test}.jsonl`: one sample per hypothesis. The caption is selected by `text`, the label
/// is the gold label, the record the `pairID`, and the key the hash of the image's name ([`name_key`]). `images` has the
/// images `Flickr30K_ID.jpg`. Lines with the gold label `-` are dropped and counted as `unlabeled`.
///
/// # Errors
/// If the file or `images` is missing, or no line is valid.
pub fn snli_ve(
    file: impl AsRef<Path>,
    images: impl Into<PathBuf>,
    text: SnliVeText,
    limits: &Limits,
) -> Result<FileSource, DataError> {
    let file = file.as_ref();
    let folders = Folders::new(vec![images.into()])?;
    let mut builder = SourceBuilder::new(source_name(file), folders, limits);
    let (mut id_hashes, mut images) = (HashSet::new(), HashMap::new());
    lines(file, |record| {
        if let Err(reason) = add_line(&mut builder, &record, text, &mut id_hashes, &mut images) {
            builder.skip(file, format!("line {}", record.number), reason);
        }
    })?;
    builder.finish(file, LabelSpace::default(), CocoIds::Unknown)
}

fn add_line(
    builder: &mut SourceBuilder,
    record: &RawRecord<'_>,
    text: SnliVeText,
    id_hashes: &mut HashSet<u64>,
    images: &mut HashMap<u64, u32>,
) -> Result<(), String> {
    let line: Line = record.parse()?;
    if line.gold_label == "-" {
        builder.report.unlabeled += 1;
        return Ok(());
    }
    let label = Entailment::from_name(&line.gold_label).ok_or_else(|| {
        format!(
            "its gold_label {:?} is none of entailment, neutral, contradiction and -",
            line.gold_label
        )
    })?;
    let id_hash = fnv1a(line.pair_id.bytes());
    if id_hashes.contains(&id_hash) {
        return Err(format!("its pairID {:?} occurs twice", line.pair_id));
    }
    trim_caption(&line.sentence2).inspect_err(|_| builder.report.empty_captions += 1)?;
    let stem = line.image.strip_suffix(".jpg").unwrap_or(&line.image);
    let file = format!("{stem}.jpg");
    let key = name_key(&file);
    let image = match images.get(&key) {
        Some(&image) if composed(builder.images.file(image)) == composed(&file) => image,
        Some(&image) => {
            let first = builder.images.file(image);
            return Err(format!("{file} and {first} have the same image name"));
        }
        None => {
            let (root, file) = builder.find(&[file])?;
            let image = builder.images.push(key, root, &file, None);
            images.insert(key, image);
            image
        }
    };
    // The id of a skipped line is free.
    id_hashes.insert(id_hash);
    let record = builder.text_id(&line.pair_id);
    let row = builder.push_row(Row {
        record: Some(record),
        label: StoredLabel::Entailment(label),
        ..Row::new(image)
    });
    let premise = line.sentence1.trim();
    match text {
        SnliVeText::PremiseAndHypothesis if !premise.is_empty() => {
            builder.push_caption(row, &premise_and_hypothesis(premise, &line.sentence2))
        }
        _ => builder.push_caption(row, &line.sentence2),
    }
}
