use std::collections::HashMap;

use super::{
    report::{Duplicates, MAX_LISTED, Overlap},
    statistics::PixelHashes,
};
use crate::{DataError, Source};

/// Groups of samples with equal pixels; the samples of a group have different image keys.
pub(super) fn duplicates(hashes: &PixelHashes) -> Duplicates {
    let mut entries: Vec<(u64, usize)> = [&hashes.single[..], &hashes.pairs].concat();
    entries.sort_unstable();
    let mut groups: Vec<Vec<usize>> = entries
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|group| group.len() > 1)
        .map(|group| group.iter().map(|&(_, index)| index).collect())
        .collect();
    groups.sort_unstable();
    let images = groups.iter().map(|group| group.len() as u64 - 1).sum();
    groups.truncate(MAX_LISTED);
    Duplicates { images, groups }
}

/// Images that two sources share. Equal keys alone do not make an image shared: by default they are hashes of file names.
pub(super) fn overlap(
    (source, hashes): (&dyn Source, &PixelHashes),
    (other, other_hashes): (&dyn Source, &PixelHashes),
) -> Result<Overlap, DataError> {
    let keys = |source: &dyn Source| {
        first_index((0..source.len()).map(|index| (source.key(index), index)))
    };
    let images = |hashes: &PixelHashes| {
        first_index(hashes.single.iter().chain(&hashes.paired_images).copied())
    };
    let (by_sample, by_other_sample) = (sample_hashes(hashes), sample_hashes(other_hashes));
    let (mut by_key, mut different_images) = (vec![], vec![]);
    for pair in shared(keys(source), &keys(other)) {
        let are_equal = match (by_sample.get(&pair.0), by_other_sample.get(&pair.1)) {
            (Some(hash), Some(other_hash)) => hash == other_hash,
            _ => have_equal_files((source, pair.0), (other, pair.1))?,
        };
        match are_equal {
            true => by_key.push(pair),
            false => different_images.push(pair),
        }
    }
    let by_pixels = shared(images(hashes), &images(other_hashes));
    let listed = |pairs: Vec<(usize, usize)>| pairs.into_iter().take(MAX_LISTED).collect();
    Ok(Overlap {
        other: other.name().into(),
        keys: by_key.len() as u64,
        different_images: different_images.len() as u64,
        by_key: listed(by_key),
        pixels: by_pixels.len() as u64,
        by_pixels: listed(by_pixels),
        unreadable: 0,
    })
}

/// The hash of each decoded sample's pixels.
fn sample_hashes(hashes: &PixelHashes) -> HashMap<usize, u64> {
    let hashes = hashes.single.iter().chain(&hashes.pairs);
    hashes.map(|&(hash, index)| (index, hash)).collect()
}

/// Whether two samples have the same image files, or the same pixels where images are not files. Unreadable ones count as
/// equal.
fn have_equal_files(
    (source, index): (&dyn Source, usize),
    (other, other_index): (&dyn Source, usize),
) -> Result<bool, DataError> {
    let files = (
        readable(source.encoded_image(index))?,
        readable(other.encoded_image(other_index))?,
    );
    Ok(match files {
        (Some(Some(a)), Some(Some(b))) => (a.image, a.second_image) == (b.image, b.second_image),
        (Some(_), Some(_)) => {
            let samples = (
                readable(source.load(index))?,
                readable(other.load(other_index))?,
            );
            match samples {
                (Some(a), Some(b)) => (a.image, a.second_image) == (b.image, b.second_image),
                _ => true,
            }
        }
        _ => true,
    })
}

/// `None` for what cannot be read.
///
/// # Errors
/// Those of a store.
fn readable<T>(read: Result<T, DataError>) -> Result<Option<T>, DataError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_of_store() => Err(error),
        Err(_) => Ok(None),
    }
}

/// The smallest sample index of each key or hash.
fn first_index(entries: impl Iterator<Item = (u64, usize)>) -> HashMap<u64, usize> {
    let mut first = HashMap::new();
    for (key, index) in entries {
        let smallest = first.entry(key).or_insert(index);
        *smallest = index.min(*smallest);
    }
    first
}

/// The sample indices of the shared keys or hashes, ascending.
fn shared(
    indices: HashMap<u64, usize>,
    other_indices: &HashMap<u64, usize>,
) -> Vec<(usize, usize)> {
    let pairs = indices
        .into_iter()
        .filter_map(|(key, index)| Some((index, *other_indices.get(&key)?)));
    let mut pairs: Vec<(usize, usize)> = pairs.collect();
    pairs.sort_unstable();
    pairs
}
