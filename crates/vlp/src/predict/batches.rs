//! Batches of images that are padded alike, so that the other images of a batch do not change the predictions of one.

/// Collects images in their order.
pub(super) struct Batches<T> {
    max_len: usize,
    batch: Vec<T>,
    /// Padded size of the images in the batch.
    size: (usize, usize),
}

impl<T> Batches<T> {
    /// Batches of at most `max_len` images, at least one.
    pub(super) fn new(max_len: usize) -> Self {
        Self {
            max_len: max_len.max(1),
            batch: vec![],
            size: (0, 0),
        }
    }

    /// Adds an image of this padded size. Returns the batch before it, if that is full or of another size.
    pub(super) fn push(&mut self, size: (usize, usize), image: T) -> Option<Vec<T>> {
        let is_complete = self.batch.len() == self.max_len || self.size != size;
        let complete = is_complete.then(|| self.take());
        self.size = size;
        self.batch.push(image);
        complete.filter(|batch| !batch.is_empty())
    }

    /// The last batch.
    pub(super) fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_ends_before_an_image_of_another_size_and_when_it_is_full() {
        let mut batches = Batches::new(2);
        let complete: Vec<_> = [3, 3, 3, 5, 3]
            .into_iter()
            .enumerate()
            .filter_map(|(index, side)| batches.push((side, side), index))
            .collect();
        assert_eq!(complete, [vec![0, 1], vec![2], vec![3]]);
        assert_eq!(batches.take(), [4]);
        assert!(batches.take().is_empty());
    }
}
