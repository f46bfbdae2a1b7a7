//! Targets of a batch, and the images or texts that they belong to.

use crate::error::ObjectiveError;

/// What an objective has one target for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// One target per image, in the order of the image-only pass.
    Image,
    /// One target per row of the joint pass.
    Text,
    /// One target per text that is paired with exactly this many images, which are consecutive rows of the joint pass.
    TextGroup(usize),
}

/// Targets of a batch, borrowed: one per prepared text, with the rows of the joint pass that each belongs to.
#[derive(Debug)]
pub struct Targets<'a, T> {
    prepared: Vec<&'a T>,
    /// Index into `prepared` of each row of the joint pass.
    rows: &'a [usize],
}

impl<'a, T> Targets<'a, T> {
    /// Row `i` of the joint pass has the target `prepared[rows[i]]`.
    pub fn new(prepared: &'a [T], rows: &'a [usize]) -> Self {
        Self {
            prepared: prepared.iter().collect(),
            rows,
        }
    }

    /// A part of every target, such as that of one member of a set.
    pub fn project<U>(&self, part: impl Fn(&'a T) -> &'a U) -> Targets<'a, U> {
        Targets {
            prepared: self.prepared.iter().map(|target| part(target)).collect(),
            rows: self.rows,
        }
    }
}

impl<'a, T> Targets<'a, Option<T>> {
    /// The targets of one objective, one per `unit`.
    pub(crate) fn per_unit(
        &self,
        unit: Unit,
        objective: &'static str,
    ) -> Result<Vec<&'a T>, ObjectiveError> {
        let prepared = |&row: &usize| self.prepared[row].as_ref();
        let Unit::TextGroup(size) = unit else {
            return Ok(self.rows.iter().filter_map(prepared).collect());
        };
        let groups: Vec<&[usize]> = self.rows.chunk_by(|a, b| a == b).collect();
        match groups.iter().all(|group| group.len() == size) {
            true => Ok(groups
                .iter()
                .filter_map(|group| prepared(&group[0]))
                .collect()),
            false => Err(ObjectiveError::GroupSize { objective, size }),
        }
    }
}
