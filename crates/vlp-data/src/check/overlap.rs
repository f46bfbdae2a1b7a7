use std::collections::HashMap;

use super::{
    report::{Duplicates, MAX_LISTED, Overlap},
    statistics::PixelHashes,
};
use crate::Source;

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

/// Keys and images that two sources share.
pub(super) fn overlap(
    (source, hashes): (&dyn Source, &PixelHashes),
    (other, other_hashes): (&dyn Source, &PixelHashes),
) -> Overlap {
    let keys = |source: &dyn Source| {
        first_index((0..source.len()).map(|index| (source.key(index), index)))
    };
    let images = |hashes: &PixelHashes| {
        first_index(hashes.single.iter().chain(&hashes.paired_images).copied())
    };
    let (keys, by_key) = shared(keys(source), &keys(other));
    let (pixels, by_pixels) = shared(images(hashes), &images(other_hashes));
    Overlap {
        other: other.name().into(),
        keys,
        by_key,
        pixels,
        by_pixels,
        unreadable: 0,
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

/// The number of shared keys, and the first of them by sample index.
fn shared(
    indices: HashMap<u64, usize>,
    other_indices: &HashMap<u64, usize>,
) -> (u64, Vec<(usize, usize)>) {
    let pairs = indices
        .into_iter()
        .filter_map(|(key, index)| Some((index, *other_indices.get(&key)?)));
    let mut pairs: Vec<(usize, usize)> = pairs.collect();
    pairs.sort_unstable();
    let count = pairs.len() as u64;
    pairs.truncate(MAX_LISTED);
    (count, pairs)
}
