//! The binary tree along which the micro-batches of a step are added.
//!
//! It depends on the number of micro-batches alone: a node of n leaves splits at the largest power of two below n, and the
//! sum of a node is the sum of its left part plus the sum of its right part.
//! With at most three leaves that is the order from left to right.

use std::ops::Range;

/// The micro-batches of a step that a rank computes: contiguous ranges of nearly equal length, in the order of ranks.
///
/// A range is empty if there are fewer micro-batches than processes.
///
/// # Panics
///
/// If `world_size` is 0.
pub fn micro_batches_of_rank(rank: usize, world_size: usize, micro_batches: usize) -> Range<usize> {
    rank * micro_batches / world_size..(rank + 1) * micro_batches / world_size
}

/// The greatest nodes of the tree over `micro_batches` leaves that lie within `range`, each as its leaves, from left to
/// right.
///
/// There is one for the full range, and at most two for each level of the tree otherwise.
pub fn greatest_nodes(micro_batches: usize, range: &Range<usize>) -> Vec<Range<usize>> {
    let mut nodes = Vec::new();
    if micro_batches > 0 && !range.is_empty() {
        collect_nodes(0..micro_batches, range, &mut nodes);
    }
    nodes
}

fn collect_nodes(node: Range<usize>, range: &Range<usize>, nodes: &mut Vec<Range<usize>>) {
    if range.end <= node.start || node.end <= range.start {
        return;
    }
    if range.start <= node.start && node.end <= range.end {
        nodes.push(node);
        return;
    }
    let middle = middle(&node);
    collect_nodes(node.start..middle, range, nodes);
    collect_nodes(middle..node.end, range, nodes);
}

/// The first leaf of the right part of a node of at least two leaves.
fn middle(node: &Range<usize>) -> usize {
    node.start + node.len().next_power_of_two() / 2
}

/// Adds the values of nodes to that of the whole tree; `nodes` returns them from left to right.
///
/// `None` if the nodes do not make up the tree.
pub(crate) fn combine<T>(
    tree: Range<usize>,
    nodes: &mut impl Iterator<Item = (Range<usize>, T)>,
    add: &mut impl FnMut(T, T) -> T,
) -> Option<T> {
    let mut nodes = nodes.peekable();
    let total = combine_node(tree, &mut nodes, add);
    total.filter(|_| nodes.next().is_none())
}

fn combine_node<T, I: Iterator<Item = (Range<usize>, T)>>(
    node: Range<usize>,
    nodes: &mut std::iter::Peekable<I>,
    add: &mut impl FnMut(T, T) -> T,
) -> Option<T> {
    if let Some((_, value)) = nodes.next_if(|(range, _)| *range == node) {
        return Some(value);
    }
    if node.len() < 2 {
        return None;
    }
    let middle = middle(&node);
    let left = combine_node(node.start..middle, nodes, add)?;
    let right = combine_node(middle..node.end, nodes, add)?;
    Some(add(left, right))
}

/// Sums the micro-batches of a range along the tree as they are computed, in order, like a binary counter.
///
/// ```
/// use vlp_distributed::TreeSum;
///
/// let mut sum = TreeSum::new(4, 0..4);
/// for micro_batch in ["a", "b", "c", "d"] {
///     sum.push(micro_batch.to_owned(), |left, right| format!("({left}+{right})"));
/// }
/// assert_eq!(sum.finish(), ["((a+b)+(c+d))"]);
/// ```
#[derive(Debug, Clone)]
pub struct TreeSum<T> {
    /// The greatest nodes of the range, the last one first; those whose sum is complete are removed.
    nodes: Vec<Range<usize>>,
    /// Sums of the complete nodes.
    sums: Vec<T>,
    /// Partial sums of the current node with their numbers of leaves: powers of two that decrease, except right after a
    /// leaf.
    pending: Vec<(usize, T)>,
    /// The next leaf.
    next: usize,
}

impl<T> TreeSum<T> {
    /// A sum of the micro-batches in `range`, of `micro_batches` in a step.
    pub fn new(micro_batches: usize, range: Range<usize>) -> Self {
        let mut nodes = greatest_nodes(micro_batches, &range);
        nodes.reverse();
        Self {
            nodes,
            sums: Vec::new(),
            pending: Vec::new(),
            next: range.start,
        }
    }

    /// Takes the next micro-batch's value; `add` gives the sum of a left and a right part.
    ///
    /// At most log2(`micro_batches`) + 1 values of the current node are stored, in addition to those of the complete nodes.
    ///
    /// # Panics
    ///
    /// If the range has no more micro-batches.
    pub fn push(&mut self, value: T, mut add: impl FnMut(T, T) -> T) {
        let node = self.nodes.last().cloned();
        let node = node.unwrap_or(self.next..self.next);
        assert!(node.contains(&self.next), "more values than micro-batches");
        self.next += 1;
        self.pending.push((1, value));
        // Equal parts make a node; at the end of the range's node so do unequal ones, from right to left.
        let complete = self.next == node.end;
        while let [.., (left, _), (right, _)] = self.pending[..]
            && (left == right || complete)
            && let (Some((_, right_value)), Some((_, left_value))) =
                (self.pending.pop(), self.pending.pop())
        {
            self.pending
                .push((left + right, add(left_value, right_value)));
        }
        if complete {
            self.nodes.pop();
            self.sums.extend(self.pending.drain(..).map(|(_, sum)| sum));
        }
    }

    /// The sums at the [greatest nodes](greatest_nodes) of the range, from left to right: one for the full range.
    ///
    /// # Panics
    ///
    /// If micro-batches of the range are missing.
    pub fn finish(self) -> Vec<T> {
        assert!(self.nodes.is_empty(), "fewer values than micro-batches");
        self.sums
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn add(left: String, right: String) -> String {
        format!("({left} {right})")
    }

    /// The definition, top down.
    fn expected(node: Range<usize>) -> String {
        if node.len() == 1 {
            return node.start.to_string();
        }
        let middle = middle(&node);
        add(expected(node.start..middle), expected(middle..node.end))
    }

    fn sums(micro_batches: usize, range: Range<usize>) -> Vec<String> {
        let mut sum = TreeSum::new(micro_batches, range.clone());
        let levels = micro_batches.ilog2() as usize + 1;
        for leaf in range {
            sum.push(leaf.to_string(), add);
            assert!(sum.pending.len() <= levels);
        }
        sum.finish()
    }

    #[test]
    fn three_leaves_are_added_from_left_to_right_and_more_as_a_tree() {
        assert_eq!(sums(1, 0..1), ["0"]);
        assert_eq!(sums(2, 0..2), ["(0 1)"]);
        assert_eq!(sums(3, 0..3), ["((0 1) 2)"]);
        assert_eq!(sums(6, 0..6), ["(((0 1) (2 3)) (4 5))"]);
        assert_eq!(sums(7, 0..7), ["(((0 1) (2 3)) ((4 5) 6))"]);
    }

    #[test]
    fn partial_sums_of_every_range_are_the_greatest_nodes() {
        for micro_batches in 1..=17 {
            for start in 0..=micro_batches {
                for end in start..=micro_batches {
                    let nodes = greatest_nodes(micro_batches, &(start..end));
                    let leaves: Vec<_> = nodes.iter().cloned().flatten().collect();
                    assert_eq!(leaves, (start..end).collect::<Vec<_>>());
                    let expected: Vec<_> = nodes.into_iter().map(expected).collect();
                    assert_eq!(sums(micro_batches, start..end), expected);
                }
            }
        }
        assert_eq!(greatest_nodes(8, &(2..5)), [2..4, 4..5]);
        assert_eq!(greatest_nodes(8, &(3..8)), [3..4, 4..8]);
    }

    #[test]
    fn partial_sums_of_all_ranks_make_the_sum_of_one() {
        for micro_batches in 1..=17 {
            for world_size in 1..=micro_batches {
                let ranges = (0..world_size)
                    .map(|rank| micro_batches_of_rank(rank, world_size, micro_batches));
                let mut partials = ranges.flat_map(|range| {
                    let nodes = greatest_nodes(micro_batches, &range);
                    nodes.into_iter().zip(sums(micro_batches, range))
                });
                let total = combine(0..micro_batches, &mut partials, &mut add);
                assert_eq!(total.unwrap(), expected(0..micro_batches));
            }
        }
    }

    #[test]
    fn nodes_that_do_not_make_up_the_tree_have_no_sum() {
        let cases: [&[Range<usize>]; 4] = [&[], &[0..1, 1..2], &[0..2, 3..4], &[0..2, 2..4, 4..5]];
        for nodes in cases {
            let mut nodes = nodes.iter().cloned().map(|node| (node.clone(), node));
            let total = combine(0..4, &mut nodes, &mut |left, right| left.start..right.end);
            assert_eq!(total, None);
        }
    }

    #[test]
    #[should_panic(expected = "fewer values than micro-batches")]
    fn missing_micro_batches_are_refused() {
        TreeSum::<f32>::new(2, 0..2).finish();
    }

    #[test]
    #[should_panic(expected = "more values than micro-batches")]
    fn surplus_micro_batches_are_refused() {
        let mut sum = TreeSum::new(4, 1..2);
        sum.push(1.0, |left, right| left + right);
        sum.push(2.0, |left, right| left + right);
    }

    #[test]
    fn ranks_share_the_micro_batches_evenly() {
        assert_eq!(micro_batches_of_rank(0, 3, 8), 0..2);
        assert_eq!(micro_batches_of_rank(1, 3, 8), 2..5);
        assert_eq!(micro_batches_of_rank(2, 3, 8), 5..8);
        assert_eq!(micro_batches_of_rank(0, 3, 2), 0..0);
    }
}
