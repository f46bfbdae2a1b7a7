use rand::{Rng, RngExt};

/// A random element.
pub(crate) fn pick<T: Copy>(items: &[T], rng: &mut impl Rng) -> T {
    items[rng.random_range(0..items.len())]
}
