use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    builder::{Builder, name_of},
    pictures::{Folders, name_key},
    records::{Raw, lines},
    source::{CocoIds, FileSource, Row, Stored},
};
use crate::{DataError, LabelSpace, Limits};

#[derive(Deserialize)]
struct Line {
    identifier: String,
    sentence: String,
    label: Option<Truth>,
    directory: Option<Directory>,
}

#[derive(Deserialize)]
enum Truth {
    True,
    False,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Directory {
    Number(u64),
    Name(String),
}

/// Reads NLVR2's `train.json`, `dev.json` or `test1.json` (JSON lines): one sample a statement, its caption the
/// sentence, its label the truth, its record the `identifier`, its key the hash of the pair's name ([`name_key`]).
///
/// The pictures `SPLIT-SET-PAIR-img0.png` (left) and `-img1.png` (right) are looked for in `images`, and in its folders
/// `DIRECTORY`, `SPLIT`, `SPLIT/DIRECTORY` and `images/...` of these.
///
/// # Errors
/// When the file or `images` is missing, or no line can be used.
pub fn nlvr2(
    file: impl AsRef<Path>,
    images: impl Into<PathBuf>,
    limits: &Limits,
) -> Result<FileSource, DataError> {
    let (file, images) = (file.as_ref(), images.into());
    let nested = images.join("images");
    let roots = if nested.is_dir() {
        vec![images, nested]
    } else {
        vec![images]
    };
    let mut builder = Builder::new(name_of(file), Folders::new(roots)?, limits);
    let (mut seen, mut pairs) = (HashSet::new(), HashMap::new());
    lines(file, |raw| {
        if let Err(reason) = line(&mut builder, &raw, &mut seen, &mut pairs) {
            builder.fault(file, format!("line {}", raw.number), reason);
        }
    })?;
    builder.finish(file, LabelSpace::default(), CocoIds::Unknown)
}

fn line(
    builder: &mut Builder,
    raw: &Raw<'_>,
    seen: &mut HashSet<u64>,
    pairs: &mut HashMap<u64, (u32, u32)>,
) -> Result<(), String> {
    let line: Line = raw.parse()?;
    let identifier = line.identifier.as_str();
    let mut parts = identifier.split('-');
    let split = parts.next().unwrap_or_default();
    let Some((pair, _)) = identifier.rsplit_once('-').filter(|_| parts.count() == 3) else {
        return Err(format!(
            "its identifier {identifier:?} is not SPLIT-SET-PAIR-SENTENCE"
        ));
    };
    if !seen.insert(name_key(identifier)) {
        return Err(format!("its identifier {identifier:?} occurs twice"));
    }
    super::report::caption(&line.sentence).inspect_err(|_| builder.report.empty_captions += 1)?;
    let key = name_key(pair);
    let (left, right) = match pairs.get(&key) {
        Some(&pair) => pair,
        None => {
            let directory = line.directory.map(|directory| match directory {
                Directory::Number(number) => number.to_string(),
                Directory::Name(name) => name,
            });
            let mut find = |side: usize| {
                let name = format!("{pair}-img{side}.png");
                let mut places = vec![name.clone(), format!("{split}/{name}")];
                if let Some(directory) = &directory {
                    places.insert(0, format!("{split}/{directory}/{name}"));
                    places.push(format!("{directory}/{name}"));
                }
                builder.find(&places)
            };
            let (left, right) = (find(0)?, find(1)?);
            let left = builder.pictures.push(key, left.0, &left.1, None);
            let right = builder.pictures.push(key, right.0, &right.1, None);
            pairs.insert(key, (left, right));
            (left, right)
        }
    };
    let record = builder.id(identifier);
    let row = builder.row(Row {
        second: Some(right),
        record: Some(record),
        label: line.label.map_or(Stored::None, |label| {
            Stored::Truth(matches!(label, Truth::True))
        }),
        ..Row::new(left)
    });
    builder.caption(row, &line.sentence)
}
