use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Many short texts in one allocation, by index.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct TextTable {
    text: String,
    ends: Vec<usize>,
}

impl TextTable {
    pub(crate) fn push(&mut self, text: &str) -> u32 {
        self.text.push_str(text);
        self.ends.push(self.text.len());
        (self.ends.len() - 1) as u32
    }

    /// Empty for an index out of range.
    pub(crate) fn get(&self, index: u32) -> &str {
        let index = index as usize;
        let start = match index {
            0 => 0,
            _ => self.ends.get(index - 1).copied().unwrap_or_default(),
        };
        let end = self.ends.get(index).copied().unwrap_or(start);
        &self.text[start..end]
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether [`get`](Self::get) cannot panic.
    pub(crate) fn is_consistent(&self) -> bool {
        self.ends.is_sorted() && self.ends.iter().all(|&end| self.text.is_char_boundary(end))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// A [`TextTable`] that stores equal texts once.
#[derive(Debug, Default)]
pub(crate) struct TextInterner {
    texts: TextTable,
    indices: HashMap<Box<str>, u32>,
}

impl TextInterner {
    pub(crate) fn push(&mut self, text: &str) -> u32 {
        if let Some(&index) = self.indices.get(text) {
            return index;
        }
        let index = self.texts.push(text);
        self.indices.insert(text.into(), index);
        index
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The texts without the lookup table.
    pub(crate) fn finish(mut self) -> TextTable {
        self.texts.shrink();
        self.texts
    }
}

/// Any number of items per row: `items[starts[row]..starts[row + 1]]`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Groups {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Groups {
    /// Groups pairs of (row, item) by row; the items of a row keep their order.
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

    /// Empty for a row out of range.
    pub(crate) fn get(&self, row: usize) -> &[u32] {
        match self.starts.get(row..row + 2) {
            Some(&[start, end]) => &self.items[start as usize..end as usize],
            _ => &[],
        }
    }

    /// Whether there are `rows` rows, and every item is below `items`.
    pub(crate) fn is_consistent(&self, rows: usize, items: usize) -> bool {
        self.starts.len() == rows + 1
            && self.starts.is_sorted()
            && self.starts.last().map(|&end| end as usize) == Some(self.items.len())
            && self.items.iter().all(|&item| (item as usize) < items)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        (self.starts.capacity() + self.items.capacity()) * size_of::<u32>()
    }
}
