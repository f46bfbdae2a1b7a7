use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Many short texts in one piece of memory, by number.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Texts {
    all: String,
    ends: Vec<usize>,
}

impl Texts {
    pub(crate) fn push(&mut self, text: &str) -> u32 {
        self.all.push_str(text);
        self.ends.push(self.all.len());
        (self.ends.len() - 1) as u32
    }

    /// Empty for a number that was not given out.
    pub(crate) fn get(&self, number: u32) -> &str {
        let number = number as usize;
        let start = match number {
            0 => 0,
            _ => self.ends.get(number - 1).copied().unwrap_or_default(),
        };
        let end = self.ends.get(number).copied().unwrap_or(start);
        &self.all[start..end]
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether every text can be taken.
    pub(crate) fn sound(&self) -> bool {
        self.ends.is_sorted() && self.ends.iter().all(|&end| self.all.is_char_boundary(end))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.all.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    pub(crate) fn shrink(&mut self) {
        self.all.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// Texts of which each different one is kept once.
#[derive(Debug, Default)]
pub(crate) struct Interned {
    texts: Texts,
    numbers: HashMap<Box<str>, u32>,
}

impl Interned {
    pub(crate) fn push(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.texts.push(text);
        self.numbers.insert(text.into(), number);
        number
    }

    /// The texts without what is only needed to add more.
    pub(crate) fn finish(mut self) -> Texts {
        self.texts.shrink();
        self.texts
    }
}

/// Items of rows, of which each row has any number: `items[starts[row]..starts[row + 1]]`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Groups {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Groups {
    /// Groups pairs of (row, item) by row; the items of one row keep their order.
    pub(crate) fn new(rows: usize, mut pairs: Vec<(u32, u32)>) -> Self {
        if !pairs.is_sorted_by_key(|&(row, _)| row) {
            pairs.sort_by_key(|&(row, _)| row);
        }
        let mut starts = vec![0; rows + 1];
        for &(row, _) in &pairs {
            starts[row as usize + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let items = pairs.into_iter().map(|(_, item)| item).collect();
        Self { starts, items }
    }

    /// Empty for a row that there is not.
    pub(crate) fn get(&self, row: usize) -> &[u32] {
        match self.starts.get(row..row + 2) {
            Some(&[start, end]) => &self.items[start as usize..end as usize],
            _ => &[],
        }
    }

    /// Whether there are so many rows, and every item is below `items`.
    pub(crate) fn sound(&self, rows: usize, items: usize) -> bool {
        self.starts.len() == rows + 1
            && self.starts.is_sorted()
            && self.starts.last().map(|&end| end as usize) == Some(self.items.len())
            && self.items.iter().all(|&item| (item as usize) < items)
    }

    pub(crate) fn bytes(&self) -> usize {
        (self.starts.capacity() + self.items.capacity()) * size_of::<u32>()
    }
}
