//! Counts of the 1-grams to 4-grams of a caption.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Longest n-gram that BLEU and CIDEr look at.
pub(super) const MAX_N: usize = 4;

/// Gives every token and every n-gram a number, so that counting needs no string comparison.
/// Each length has numbers of its own, from 0.
#[derive(Debug, Clone, Default)]
pub(super) struct NgramTable {
    tokens: HashMap<String, u32>,
    /// For n = 2 to 4, by the number of its first n-1 tokens and that of its last. Maps by length
    /// stay small enough for the processor's caches.
    ngrams: [HashMap<(u32, u32), u32, BuildHasherDefault<PairHasher>>; MAX_N - 1],
}

/// How often each n-gram occurs in one caption: for n = 1 to 4, `(n-gram, count)` by rising number.
pub(super) type NgramCounts = [Vec<(u32, u32)>; MAX_N];

impl NgramTable {
    /// Counts the n-grams of a caption; new ones are given numbers.
    pub(super) fn count(&mut self, tokens: &[String]) -> NgramCounts {
        let words: Vec<u32> = tokens.iter().map(|t| self.token(t)).collect();
        let mut found: [Vec<u32>; MAX_N] = Default::default();
        found[0].clone_from(&words);
        let mut prefixes = words.as_slice();
        for (n, map) in self.ngrams.iter_mut().enumerate() {
            let ends = words.get(n + 1..).unwrap_or_default();
            let number = |(&prefix, &word)| {
                let next = map.len() as u32;
                *map.entry((prefix, word)).or_insert(next)
            };
            let list: Vec<u32> = prefixes.iter().zip(ends).map(number).collect();
            found[n + 1] = list;
            prefixes = &found[n + 1];
        }
        found.map(tally)
    }

    /// As [`Self::count`], with n-grams that are not known yet numbered after these in `new`.
    pub(super) fn count_over(&self, new: &mut Self, tokens: &[String]) -> NgramCounts {
        let known = self.lens();
        let words: Vec<u32> = tokens
            .iter()
            .map(|t| match self.tokens.get(t) {
                Some(&id) => id,
                None => known[0] as u32 + new.token(t),
            })
            .collect();
        let mut found: [Vec<u32>; MAX_N] = Default::default();
        found[0] = words;
        for n in 1..MAX_N {
            let (map, own) = (&self.ngrams[n - 1], &mut new.ngrams[n - 1]);
            let ends = found[0].get(n..).unwrap_or_default();
            let number = |(&prefix, &word): (&u32, &u32)| {
                map.get(&(prefix, word)).copied().unwrap_or_else(|| {
                    let next = (known[n] + own.len()) as u32;
                    *own.entry((prefix, word)).or_insert(next)
                })
            };
            found[n] = found[n - 1].iter().zip(ends).map(number).collect();
        }
        found.map(tally)
    }

    /// How many different n-grams of each length were seen.
    pub(super) fn lens(&self) -> [usize; MAX_N] {
        let [two, three, four] = [0, 1, 2].map(|n| self.ngrams[n].len());
        [self.tokens.len(), two, three, four]
    }

    fn token(&mut self, token: &str) -> u32 {
        if let Some(&id) = self.tokens.get(token) {
            return id;
        }
        let id = self.tokens.len() as u32;
        self.tokens.insert(token.to_owned(), id);
        id
    }
}

fn tally(mut list: Vec<u32>) -> Vec<(u32, u32)> {
    list.sort_unstable();
    list.chunk_by(|a, b| a == b)
        .map(|run| (run[0], run.len() as u32))
        .collect()
}

/// Pairs of n-grams that both lists hold, with both counts; lists as in [`NgramCounts`].
pub(super) fn shared<'a>(
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

/// Multiplicative hash for pairs of small numbers that this module itself hands out.
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
    fn counts_every_length() {
        let mut table = NgramTable::default();
        let tokens: Vec<String> = "a b a b a".split(' ').map(str::to_owned).collect();
        let counts = table.count(&tokens);
        let sizes: Vec<Vec<u32>> = counts
            .iter()
            .map(|c| c.iter().map(|x| x.1).collect())
            .collect();
        assert_eq!(sizes, [vec![3, 2], vec![2, 2], vec![2, 1], vec![1, 1]]);
        assert_eq!(table.lens(), [2, 2, 2, 2]);
        let again = table.count(&tokens[..2]);
        assert_eq!(table.lens(), [2, 2, 2, 2]);
        assert_eq!(
            shared(&counts[0], &again[0])
                .map(|s| (s.1, s.2))
                .collect::<Vec<_>>(),
            [(3, 1), (2, 1)]
        );
    }
}
