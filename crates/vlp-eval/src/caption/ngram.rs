//! Counts of the n-grams of captions, for n = 1 to 4.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Length of the longest n-grams.
pub(super) const MAX_N: usize = 4;

/// Ids of tokens and n-grams, so that counting needs no string comparison. The ids of each length start at 0.
#[derive(Debug, Clone, Default)]
pub(super) struct NgramTable {
    tokens: HashMap<String, u32>,
    /// For n = 2 to 4, by the ids of the first n-1 tokens and of the last token. One map per length
    /// fits into the CPU caches better than a common one.
    ngrams: [HashMap<(u32, u32), u32, BuildHasherDefault<PairHasher>>; MAX_N - 1],
}

/// Counts of n-grams in one caption: for n = 1 to 4, `(id, count)` by ascending id.
pub(super) type NgramCounts = [Vec<(u32, u32)>; MAX_N];

impl NgramTable {
    /// Counts the n-grams of a caption and assigns ids to new ones.
    pub(super) fn count(&mut self, tokens: &[String]) -> NgramCounts {
        let mut ids: [Vec<u32>; MAX_N] = Default::default();
        ids[0] = tokens.iter().map(|token| self.token_id(token)).collect();
        for n in 1..MAX_N {
            let map = &mut self.ngrams[n - 1];
            let last_tokens = ids[0].get(n..).unwrap_or_default();
            let id = |(&prefix, &token)| {
                let next_id = map.len() as u32;
                *map.entry((prefix, token)).or_insert(next_id)
            };
            ids[n] = ids[n - 1].iter().zip(last_tokens).map(id).collect();
        }
        ids.map(count_ids)
    }

    /// Same as [`Self::count`] without changing `self`: new n-grams are added to `new`, with ids that follow those of
    /// `self`.
    pub(super) fn count_with_new(&self, new: &mut Self, tokens: &[String]) -> NgramCounts {
        let lens = self.lens();
        let token_id = |token: &String| match self.tokens.get(token) {
            Some(&id) => id,
            None => lens[0] as u32 + new.token_id(token),
        };
        let mut ids: [Vec<u32>; MAX_N] = Default::default();
        ids[0] = tokens.iter().map(token_id).collect();
        for n in 1..MAX_N {
            let (map, new_map) = (&self.ngrams[n - 1], &mut new.ngrams[n - 1]);
            let last_tokens = ids[0].get(n..).unwrap_or_default();
            let id = |(&prefix, &token): (&u32, &u32)| {
                map.get(&(prefix, token)).copied().unwrap_or_else(|| {
                    let next_id = (lens[n] + new_map.len()) as u32;
                    *new_map.entry((prefix, token)).or_insert(next_id)
                })
            };
            ids[n] = ids[n - 1].iter().zip(last_tokens).map(id).collect();
        }
        ids.map(count_ids)
    }

    /// Number of different n-grams of each length.
    pub(super) fn lens(&self) -> [usize; MAX_N] {
        let [two, three, four] = [0, 1, 2].map(|n| self.ngrams[n].len());
        [self.tokens.len(), two, three, four]
    }

    fn token_id(&mut self, token: &str) -> u32 {
        if let Some(&id) = self.tokens.get(token) {
            return id;
        }
        let id = self.tokens.len() as u32;
        self.tokens.insert(token.to_owned(), id);
        id
    }
}

fn count_ids(mut ids: Vec<u32>) -> Vec<(u32, u32)> {
    ids.sort_unstable();
    ids.chunk_by(|a, b| a == b)
        .map(|run| (run[0], run.len() as u32))
        .collect()
}

/// N-grams in both lists, as (id, count in `a`, count in `b`); lists as in [`NgramCounts`].
pub(super) fn common<'a>(
    a: &'a [(u32, u32)],
    b: &'a [(u32, u32)],
) -> impl Iterator<Item = (u32, u32, u32)> + 'a {
    let mut rest = b;
    a.iter().filter_map(move |&(ngram, in_a)| {
        while rest.first().is_some_and(|r| r.0 < ngram) {
            rest = &rest[1..];
        }
        rest.first()
            .filter(|r| r.0 == ngram)
            .map(|r| (ngram, in_a, r.1))
    })
}

/// Multiplicative hash for pairs of small ids, which are not user input.
#[derive(Debug, Default)]
pub(super) struct PairHasher(u64);

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.0 = (self.0.rotate_left(5) ^ u64::from(value)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ngrams_of_every_length_are_counted() {
        let mut table = NgramTable::default();
        let tokens: Vec<String> = "a b a b a".split(' ').map(str::to_owned).collect();
        let counts = table.count(&tokens);
        let sizes: Vec<Vec<u32>> = counts
            .iter()
            .map(|c| c.iter().map(|x| x.1).collect())
            .collect();
        assert_eq!(sizes, [vec![3, 2], vec![2, 2], vec![2, 1], vec![1, 1]]);
        assert_eq!(table.lens(), [2, 2, 2, 2]);
        let prefix_counts = table.count(&tokens[..2]);
        assert_eq!(table.lens(), [2, 2, 2, 2]);
        assert_eq!(
            common(&counts[0], &prefix_counts[0])
                .map(|s| (s.1, s.2))
                .collect::<Vec<_>>(),
            [(3, 1), (2, 1)]
        );
    }
}
