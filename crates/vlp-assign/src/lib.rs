#![doc = include_str!("../README.md")]

/// What can be wrong with a cost matrix.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AssignError {
    /// A NaN or infinite entry has no order among costs.
    #[error("cost[{row}][{column}] = {value}: costs must be finite")]
    NonFinite {
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        column: usize,
        /// The entry.
        value: f64,
    },
    /// The values do not fill the shape.
    #[error("{found} costs for {rows} rows of {columns}: give {rows} x {columns}, row-major")]
    Shape {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        columns: usize,
        /// Values given.
        found: usize,
    },
}

/// Solver that keeps its buffers between calls.
///
/// Shortest augmenting paths with dual prices (Jonker and Volgenant 1987; Crouse 2016, the method of
/// `scipy.optimize.linear_sum_assignment`): O(n^2 m) for n = min(rows, columns), in f64.
#[derive(Debug, Default, Clone)]
pub struct Hungarian {
    row_price: Vec<f64>,
    column_price: Vec<f64>,
    distance: Vec<f64>,
    from: Vec<usize>,
    row_of: Vec<usize>,
    done: Vec<bool>,
}

const FREE: usize = usize::MAX;

impl Hungarian {
    /// Pairs (row, column) of least total cost, sorted by row; min(rows, columns) of them.
    ///
    /// `cost` is row-major. Among equal totals the choice is fixed by the input alone.
    pub fn assign(
        &mut self,
        cost: &[f64],
        rows: usize,
        columns: usize,
    ) -> Result<Vec<(usize, usize)>, AssignError> {
        if rows.checked_mul(columns) != Some(cost.len()) {
            return Err(AssignError::Shape {
                rows,
                columns,
                found: cost.len(),
            });
        }
        if let Some(at) = cost.iter().position(|c| !c.is_finite()) {
            return Err(AssignError::NonFinite {
                row: at / columns,
                column: at % columns,
                value: cost[at],
            });
        }
        // The search adds one row at a time, so it wants the short side as rows.
        let mut pairs = if rows <= columns {
            self.solve(rows, columns, |r, c| cost[r * columns + c]);
            self.pairs().map(|(c, r)| (r, c)).collect::<Vec<_>>()
        } else {
            self.solve(columns, rows, |r, c| cost[c * columns + r]);
            self.pairs().collect::<Vec<_>>()
        };
        pairs.sort_unstable();
        Ok(pairs)
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.row_of
            .iter()
            .copied()
            .enumerate()
            .filter(|&(_, row)| row != FREE)
    }

    fn solve(&mut self, rows: usize, columns: usize, cost: impl Fn(usize, usize) -> f64) {
        reset(&mut self.row_price, rows, 0.0);
        reset(&mut self.column_price, columns, 0.0);
        reset(&mut self.row_of, columns, FREE);
        for start in 0..rows {
            reset(&mut self.distance, columns, f64::INFINITY);
            reset(&mut self.from, columns, FREE);
            reset(&mut self.done, columns, false);
            // Dijkstra over reduced costs from `start` to the nearest free column.
            let (mut row, mut reached) = (start, 0.0);
            let sink = loop {
                let mut nearest = FREE;
                for column in 0..columns {
                    if self.done[column] {
                        continue;
                    }
                    let through = reached + cost(row, column)
                        - self.row_price[row]
                        - self.column_price[column];
                    if through < self.distance[column] {
                        self.distance[column] = through;
                        self.from[column] = row;
                    }
                    let better = nearest == FREE
                        || self.distance[column] < self.distance[nearest]
                        // Of equal columns a free one ends the search at once.
                        || (self.distance[column] == self.distance[nearest]
                            && self.row_of[column] == FREE
                            && self.row_of[nearest] != FREE);
                    if better {
                        nearest = column;
                    }
                }
                reached = self.distance[nearest];
                if self.row_of[nearest] == FREE {
                    break nearest;
                }
                self.done[nearest] = true;
                row = self.row_of[nearest];
            };
            self.row_price[start] += reached;
            for column in 0..columns {
                if self.done[column] {
                    let slack = reached - self.distance[column];
                    self.row_price[self.row_of[column]] += slack;
                    self.column_price[column] -= slack;
                }
            }
            self.augment(sink, start);
        }
    }

    /// Turns the alternating path from `sink` back to `start` around.
    fn augment(&mut self, sink: usize, start: usize) {
        let mut column = sink;
        loop {
            let row = self.from[column];
            let next = self.row_of.iter().position(|&r| r == row);
            self.row_of[column] = row;
            match next {
                Some(previous) if row != start => column = previous,
                _ => return,
            }
        }
    }
}

fn reset<T: Clone>(buffer: &mut Vec<T>, length: usize, value: T) {
    buffer.clear();
    buffer.resize(length, value);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn brute(cost: &[f64], rows: usize, columns: usize, row: usize, used: u32) -> f64 {
        if rows > columns {
            let turned: Vec<f64> = (0..columns)
                .flat_map(|c| (0..rows).map(move |r| cost[r * columns + c]))
                .collect();
            return brute(&turned, columns, rows, 0, 0);
        }
        if row == rows {
            return 0.0;
        }
        (0..columns)
            .filter(|c| used & (1 << c) == 0)
            .map(|c| cost[row * columns + c] + brute(cost, rows, columns, row + 1, used | (1 << c)))
            .fold(f64::INFINITY, f64::min)
    }

    fn check(cost: &[f64], rows: usize, columns: usize) -> f64 {
        let pairs = Hungarian::default().assign(cost, rows, columns).unwrap();
        assert_eq!(pairs.len(), rows.min(columns));
        let mut seen = pairs.iter().map(|p| p.1).collect::<Vec<_>>();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), pairs.len(), "a column twice");
        assert!(
            pairs.windows(2).all(|w| w[0].0 < w[1].0),
            "rows sorted and single"
        );
        pairs.iter().map(|&(r, c)| cost[r * columns + c]).sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn equals_brute_force(rows in 0usize..7, columns in 0usize..7, seed in any::<u64>(), kind in 0u8..4) {
            let mut state = seed | 1;
            let cost: Vec<f64> = (0..rows * columns).map(|_| {
                state ^= state << 13; state ^= state >> 7; state ^= state << 17;
                let unit = (state >> 11) as f64 / (1u64 << 53) as f64;
                match kind {
                    0 => unit * 2.0 - 1.0,
                    1 => (unit * 3.0).floor(), // many ties
                    2 => 10f64.powf(unit * 24.0 - 12.0), // huge range
                    _ => 0.5, // all tied
                }
            }).collect();
            let (got, want) = (check(&cost, rows, columns), brute(&cost, rows, columns, 0, 0));
            // Sums of the same numbers in another order: a few last bits of the largest.
            let scale = cost.iter().fold(1e-300, |a: f64, c| a.max(c.abs()));
            prop_assert!((got - want).abs() <= 1e-12 * scale, "{got} {want}");
        }
    }

    #[test]
    fn names_the_entry_that_is_not_finite() {
        let error = Hungarian::default()
            .assign(&[0.0, 1.0, 2.0, f64::NAN], 2, 2)
            .unwrap_err();
        assert_eq!(error.to_string(), "cost[1][1] = NaN: costs must be finite");
        assert!(Hungarian::default().assign(&[f64::INFINITY], 1, 1).is_err());
        assert!(Hungarian::default().assign(&[1.0], 2, 2).is_err());
    }

    #[test]
    fn empty_sides_have_no_pairs() {
        assert!(Hungarian::default().assign(&[], 0, 5).unwrap().is_empty());
        assert!(Hungarian::default().assign(&[], 5, 0).unwrap().is_empty());
    }

    #[test]
    fn a_used_solver_gives_the_same_answer() {
        let mut solver = Hungarian::default();
        let cost: Vec<f64> = (0..40 * 7).map(|i| ((i * 7919) % 101) as f64).collect();
        let first = solver.assign(&cost, 40, 7).unwrap();
        solver.assign(&cost, 7, 40).unwrap();
        assert_eq!(solver.assign(&cost, 40, 7).unwrap(), first);
    }
}
