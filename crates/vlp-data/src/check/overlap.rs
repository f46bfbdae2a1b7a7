use std::collections::HashMap;

use super::{Duplicates, MAX_LISTED, Overlap, tally::Sums};
use crate::Source;

/// Groups of samples of the same pixels. Each is of another image.
pub(super) fn duplicates(sums: &Sums) -> Duplicates {
    let mut all: Vec<(u64, usize)> = [&sums.alone[..], &sums.pairs].concat();
    all.sort_unstable();
    let mut groups: Vec<Vec<usize>> = all
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|group| group.len() > 1)
        .map(|group| group.iter().map(|&(_, index)| index).collect())
        .collect();
    groups.sort_unstable();
    let images = groups.iter().map(|group| group.len() as u64 - 1).sum();
    groups.truncate(MAX_LISTED);
    Duplicates { images, groups }
}

/// Keys and pictures that two sources have in common.
pub(super) fn overlap(
    (source, sums): (&dyn Source, &Sums),
    (other, other_sums): (&dyn Source, &Sums),
) -> Overlap {
    let keys = |source: &dyn Source| first((0..source.len()).map(|at| (source.key(at), at)));
    let pictures = |sums: &Sums| first(sums.alone.iter().chain(&sums.parts).copied());
    let (keys, by_key) = common(keys(source), &keys(other));
    let (pixels, by_pixels) = common(pictures(sums), &pictures(other_sums));
    Overlap {
        other: other.name().into(),
        keys,
        by_key,
        pixels,
        by_pixels,
        unreadable: 0,
    }
}

/// The least sample number of each.
fn first(all: impl Iterator<Item = (u64, usize)>) -> HashMap<u64, usize> {
    let mut first = HashMap::new();
    for (key, at) in all {
        let least = first.entry(key).or_insert(at);
        *least = at.min(*least);
    }
    first
}

/// How many both have, and the first by sample number.
fn common(ours: HashMap<u64, usize>, theirs: &HashMap<u64, usize>) -> (u64, Vec<(usize, usize)>) {
    let both = ours
        .into_iter()
        .filter_map(|(key, at)| Some((at, *theirs.get(&key)?)));
    let mut both: Vec<(usize, usize)> = both.collect();
    both.sort_unstable();
    let count = both.len() as u64;
    both.truncate(MAX_LISTED);
    (count, both)
}
