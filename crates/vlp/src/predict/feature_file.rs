//! Features of a data source as a safetensors file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use vlp_data::{ResizedImage, Source};
use vlp_weights::{SafetensorsWriter, WeightsError};

use super::batches::Batches;
use super::features::FeatureArray;
use super::predictor::Predictor;
use crate::error::VlpError;

/// Which features are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureKinds {
    /// Image tokens after the encoder has read the image alone: tensor `INDEX/grid`, `[rows, columns, d_model]`.
    pub grid: bool,
    /// Tokens of each text after the encoder has read it alone: `INDEX/text/NUMBER`, `[tokens, d_model]`.
    pub text: bool,
    /// Tokens of each text and of the image after the encoder has read them together: `INDEX/joint/NUMBER/text` and
    /// `INDEX/joint/NUMBER/image`.
    pub joint: bool,
}

/// Bytes that a tensor takes in the header besides its name, at most: type, shape and offsets in JSON.
const TENSOR_BYTES: usize = 100;
/// Bytes that the name of a sample takes in the header besides itself, at most: its index and quotes.
const NAME_BYTES: usize = 20;

/// A sample that waits for its batch.
struct Pending {
    index: usize,
    image: ResizedImage,
    texts: Vec<String>,
}

/// Writes features of all samples of a source to the safetensors file `out`. `INDEX` is that of the sample, `NUMBER` that of
/// its text; the metadata have the names of the samples as a JSON object by index. `progress` is told how many samples of how
/// many are done. Returns messages about samples that cannot be read, which are skipped.
///
/// # Errors
/// [`VlpError::Io`] and [`VlpError::Weights`] for files that cannot be written, [`VlpError::RunFolder`] if `out` exists
/// already or no sample can be read, [`VlpError::Data`] if a store of samples cannot be read, [`VlpError::Config`] for
/// samples of two images or more tensors than a file can have, as [`Predictor::predict`].
pub fn write_features(
    model: &Predictor,
    source: &dyn Source,
    kinds: FeatureKinds,
    out: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<String>, VlpError> {
    if out.exists() {
        return Err(VlpError::RunFolder {
            path: out.into(),
            reason: "already exists; use another --out".into(),
        });
    }
    let (mut spool, mut skipped) = (Spool::create(out)?, vec![]);
    let mut names = serde_json::Map::new();
    let mut batches = Batches::new(model.trained().config.data.batch_size);
    for index in 0..source.len() {
        let sample = match source.load(index) {
            Ok(sample) => sample,
            Err(error) if error.is_of_store() => return Err(error.into()),
            Err(error) => {
                skipped.push(error.to_string());
                continue;
            }
        };
        if sample.second_image.is_some() {
            return Err(VlpError::Config(format!(
                "{}: the sample {} has two images; features are those of one image and its texts",
                source.name(),
                sample.name
            )));
        }
        spool.grow_header(sample.name.len() + NAME_BYTES)?;
        names.insert(index.to_string(), sample.name.into());
        let pending = Pending {
            index,
            image: model.resize(&sample.image)?,
            texts: sample.captions,
        };
        if let Some(batch) = batches.push(model.padded_size(&pending.image), pending) {
            write_batch(model, &batch, kinds, &mut spool)?;
            progress(index, source.len());
        }
    }
    if names.is_empty() {
        return Err(VlpError::RunFolder {
            path: out.into(),
            reason: match skipped.first() {
                Some(first) => format!("nothing to write: {first}"),
                None => "nothing to write: the source has no samples".into(),
            },
        });
    }
    write_batch(model, &batches.take(), kinds, &mut spool)?;
    progress(source.len(), source.len());
    let metadata = [
        ("format".to_owned(), "vlp features".to_owned()),
        (
            "samples".to_owned(),
            serde_json::Value::from(names).to_string(),
        ),
    ];
    spool.finish(out, &metadata.into())?;
    Ok(skipped)
}

fn write_batch(
    model: &Predictor,
    batch: &[Pending],
    kinds: FeatureKinds,
    spool: &mut Spool,
) -> Result<(), VlpError> {
    if batch.is_empty() {
        return Ok(());
    }
    let images: Vec<&ResizedImage> = batch.iter().map(|pending| &pending.image).collect();
    if kinds.grid {
        let features = model.grid_features(&images)?;
        for (Pending { index, .. }, array) in batch.iter().zip(features) {
            spool.push(format!("{index}/grid"), array)?;
        }
    }
    if kinds.text {
        for Pending { index, texts, .. } in batch {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            for (number, array) in model.text_features(&texts).into_iter().enumerate() {
                spool.push(format!("{index}/text/{number}"), array)?;
            }
        }
    }
    if kinds.joint {
        let pairs = images.iter().zip(batch);
        let pairs = pairs.map(|(image, pending)| (*image, pending.texts.as_slice()));
        let pairs: Vec<(&ResizedImage, &[String])> = pairs.collect();
        let features = model.joint_features(&pairs)?;
        for (Pending { index, .. }, texts) in batch.iter().zip(features) {
            for (number, joint) in texts.into_iter().enumerate() {
                spool.push(format!("{index}/joint/{number}/text"), joint.text)?;
                spool.push(format!("{index}/joint/{number}/image"), joint.image)?;
            }
        }
    }
    Ok(())
}

/// Tensors in a temporary file: the header of a safetensors file needs all shapes before the first value.
struct Spool {
    path: PathBuf,
    file: BufWriter<File>,
    shapes: BTreeMap<String, Vec<usize>>,
    /// In the order they were written.
    names: Vec<String>,
    /// Upper bound of the size of the header of the result.
    header_bytes: usize,
}

impl Spool {
    /// A file without a name in the folder of `out`, where the result will fit.
    fn create(out: &Path) -> Result<Self, VlpError> {
        let folder = match out.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let file = tempfile::tempfile_in(folder).map_err(VlpError::io(folder))?;
        Ok(Self {
            path: folder.into(),
            file: BufWriter::new(file),
            shapes: BTreeMap::new(),
            names: vec![],
            header_bytes: 0,
        })
    }

    /// Counts bytes of the header. The file is written at the end, too late to learn that it has too many tensors.
    fn grow_header(&mut self, bytes: usize) -> Result<(), VlpError> {
        self.header_bytes += bytes;
        match self.header_bytes as u64 > SafetensorsWriter::MAX_HEADER_BYTES {
            true => Err(VlpError::Config(format!(
                "after {} tensors, names and shapes exceed the {} bytes that a safetensors file has for them: use fewer --kinds or a smaller source",
                self.names.len(),
                SafetensorsWriter::MAX_HEADER_BYTES
            ))),
            false => Ok(()),
        }
    }

    fn push(&mut self, name: String, array: FeatureArray) -> Result<(), VlpError> {
        self.grow_header(name.len() + TENSOR_BYTES)?;
        for value in &array.values {
            let bytes = value.to_le_bytes();
            self.file
                .write_all(&bytes)
                .map_err(VlpError::io(&self.path))?;
        }
        self.names.push(name.clone());
        self.shapes.insert(name, array.shape);
        Ok(())
    }

    fn finish(self, out: &Path, metadata: &BTreeMap<String, String>) -> Result<(), VlpError> {
        let failed = || VlpError::io(&self.path);
        let file = self.file.into_inner();
        let mut file = file.map_err(|error| failed()(error.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(failed())?;
        let mut file = std::io::BufReader::new(file);
        let mut writer = SafetensorsWriter::create(out, &self.shapes, metadata)?;
        for name in &self.names {
            let count: usize = self.shapes[name].iter().product();
            let mut bytes = vec![0; 4 * count];
            file.read_exact(&mut bytes).map_err(failed())?;
            let (values, _) = bytes.as_chunks::<4>();
            let values: Vec<f32> = values
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect();
            writer.write(name, &values)?;
        }
        writer.finish_new().map_err(|error| match error {
            WeightsError::Write { source, .. } if source.kind() == ErrorKind::AlreadyExists => {
                VlpError::RunFolder {
                    path: out.into(),
                    reason:
                        "another process has written it in the meantime; use another --out for each"
                            .into(),
                }
            }
            error => error.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_that_another_process_has_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a.safetensors");
        let spool = || {
            let mut spool = Spool::create(&out).unwrap();
            let array = FeatureArray {
                shape: vec![1],
                values: vec![0.5],
            };
            spool.push("x".into(), array).unwrap();
            spool
        };
        // Both are begun before one ends.
        let (first, second) = (spool(), spool());
        let metadata = |name: &str| BTreeMap::from([("name".to_owned(), name.to_owned())]);
        first.finish(&out, &metadata("first")).unwrap();
        let written = std::fs::read(&out).unwrap();
        let message = second
            .finish(&out, &metadata("second"))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("another process has written it"),
            "{message}"
        );
        assert_eq!(std::fs::read(&out).unwrap(), written);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn more_tensors_than_a_file_can_have_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(&folder.path().join("a.safetensors")).unwrap();
        let mut push = |length: u64| {
            let name = "x".repeat(length as usize);
            spool.push(name, FeatureArray::default())
        };
        push(SafetensorsWriter::MAX_HEADER_BYTES / 2).unwrap();
        let message = push(SafetensorsWriter::MAX_HEADER_BYTES / 2)
            .unwrap_err()
            .to_string();
        assert!(message.starts_with("after 1 tensors"), "{message}");
    }
}
