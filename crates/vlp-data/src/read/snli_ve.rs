use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    builder::{Builder, name_of},
    pictures::{Folders, fnv, name_key},
    records::{Raw, lines},
    source::{CocoIds, FileSource, Row, Stored},
};
use crate::{DataError, Entailment, LabelSpace, Limits};

/// What the text of a sample of SNLI-VE is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SnliVeText {
    /// The hypothesis (`sentence2`) alone: the picture is the premise. The data set's task (Xie et al., 2019).
    #[default]
    Hypothesis,
    /// The caption that the hypothesis was written for (`sentence1`), then the hypothesis, `[SEP]` between them, which word
    /// pieces of BERT keep as that token. A line without a caption has its hypothesis alone.
    PremiseAndHypothesis,
}

#[derive(Deserialize)]
struct Line {
    /// The data set's own example misspells it.
    #[serde(rename = "Flickr30K_ID", alias = "Flikr30kID", alias = "Flickr30kID")]
    image: String,
    #[serde(default)]
    sentence1: String,
    sentence2: String,
    gold_label: String,
    #[serde(rename = "pairID")]
    pair_id: String,
}

/// Reads SNLI-VE's `snli_ve_{train,dev,test}.jsonl`: one sample a hypothesis, its caption the one that `text` asks
/// for, its label the gold label, its record the `pairID`, its key the hash of the image's name ([`name_key`]). `images` has the pictures
/// `Flickr30K_ID.jpg`. Lines whose gold label is `-` are left out and counted as `unlabelled`.
///
/// # Errors
/// When the file or `images` is missing, or no line can be used.
pub fn snli_ve(
    file: impl AsRef<Path>,
    images: impl Into<PathBuf>,
    text: SnliVeText,
    limits: &Limits,
) -> Result<FileSource, DataError> {
    let file = file.as_ref();
    let folders = Folders::new(vec![images.into()])?;
    let mut builder = Builder::new(name_of(file), folders, limits);
    let (mut seen, mut pictures) = (HashSet::new(), HashMap::new());
    lines(file, |raw| {
        if let Err(reason) = line(&mut builder, &raw, text, &mut seen, &mut pictures) {
            builder.fault(file, format!("line {}", raw.number), reason);
        }
    })?;
    builder.finish(file, LabelSpace::default(), CocoIds::Unknown)
}

fn line(
    builder: &mut Builder,
    raw: &Raw<'_>,
    text: SnliVeText,
    seen: &mut HashSet<u64>,
    pictures: &mut HashMap<u64, u32>,
) -> Result<(), String> {
    let line: Line = raw.parse()?;
    let label = match line.gold_label.as_str() {
        "-" => {
            builder.report.unlabelled += 1;
            return Ok(());
        }
        word => Entailment::ALL
            .into_iter()
            .find(|label| label.word() == word),
    };
    let label = label.ok_or_else(|| {
        format!(
            "its gold_label {:?} is none of entailment, neutral, contradiction and -",
            line.gold_label
        )
    })?;
    if !seen.insert(fnv(line.pair_id.bytes())) {
        return Err(format!("its pairID {:?} occurs twice", line.pair_id));
    }
    super::report::caption(&line.sentence2).inspect_err(|_| builder.report.empty_captions += 1)?;
    let stem = line.image.strip_suffix(".jpg").unwrap_or(&line.image);
    let file = format!("{stem}.jpg");
    let key = name_key(&file);
    let picture = match pictures.get(&key) {
        Some(&picture) => picture,
        None => {
            let (root, file) = builder.find(&[file])?;
            let picture = builder.pictures.push(key, root, &file, None);
            pictures.insert(key, picture);
            picture
        }
    };
    let record = builder.id(&line.pair_id);
    let row = builder.row(Row {
        record: Some(record),
        label: Stored::Entailment(label),
        ..Row::new(picture)
    });
    let premise = line.sentence1.trim();
    match text {
        SnliVeText::PremiseAndHypothesis if !premise.is_empty() => {
            builder.caption(row, &format!("{premise} [SEP] {}", line.sentence2))
        }
        _ => builder.caption(row, &line.sentence2),
    }
}
