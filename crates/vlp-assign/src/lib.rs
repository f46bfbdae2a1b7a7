#![doc = include_str!("../README.md")]

/// Errors of [`Hungarian::assign`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AssignError {
    /// A cost is NaN or infinite.
    #[error("cost[{row}][{column}] = {value}: costs must be finite")]
    NonFinite {
        /// Row of the cost.
        row: usize,
        /// Column of the cost.
        column: usize,
        /// The cost.
        value: f64,
    },
    /// The number of costs is not the product of rows and columns.
    #[error("{len} costs for {rows} rows of {columns}: expected {rows} x {columns}, row-major")]
    Shape {
        /// Number of rows.
        rows: usize,
        /// Number of columns.
        columns: usize,
        /// Number of costs.
        len: usize,
    },
}

/// Solver of the linear sum assignment problem, which reuses its buffers between calls.
///
/// Shortest augmenting paths with dual variables (Jonker and Volgenant 1987; Crouse 2016, the algorithm of
/// `scipy.optimize.linear_sum_assignment`): O(n^2 m) for n = min(rows, columns), in f64.
#[derive(Debug, Default, Clone)]
pub struct Hungarian {
    /// Dual variable of each row.
    u: Vec<f64>,
    /// Dual variable of each column.
    v: Vec<f64>,
    /// Cost of the shortest path to each column.
    shortest_path_costs: Vec<f64>,
    /// Row before each column on its shortest path.
    path: Vec<usize>,
    /// Row assigned to each column, or `UNASSIGNED`.
    row_for_column: Vec<usize>,
    /// Whether the shortest path to each column is final.
    visited: Vec<bool>,
}

const UNASSIGNED: usize = usize::MAX;
/// Sums of this many and more costs of this size are finite: 2^800 of at most 2^1024.
const MAX_COST: f64 = 6.668e240;

impl Hungarian {
    /// Pairs (row, column) with the minimum total cost, sorted by row; there are min(rows, columns) of them.
    ///
    /// `cost` is row-major, `[rows, columns]`. If several assignments have the minimum cost, the choice is
    /// deterministic.
    ///
    /// # Errors
    /// [`AssignError::Shape`] if `cost` does not have `rows * columns` values, [`AssignError::NonFinite`] if one is NaN
    /// or infinite.
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
                len: cost.len(),
            });
        }
        if let Some(index) = cost.iter().position(|c| !c.is_finite()) {
            return Err(AssignError::NonFinite {
                row: index / columns,
                column: index % columns,
                value: cost[index],
            });
        }
        if cost.is_empty() {
            return Ok(vec![]);
        }
        // Sums of the largest finite numbers would overflow. A power of two changes no comparison.
        let largest = cost.iter().fold(0.0, |max: f64, c| max.max(c.abs()));
        let scale = match largest > MAX_COST {
            true => 0.5_f64.powi(200),
            false => 1.0,
        };
        // `solve` assigns every row, so the shorter side must be the rows.
        let mut pairs = if rows <= columns {
            self.solve(rows, columns, |r, c| scale * cost[r * columns + c]);
            self.assigned()
                .map(|(column, row)| (row, column))
                .collect::<Vec<_>>()
        } else {
            self.solve(columns, rows, |r, c| scale * cost[c * columns + r]);
            self.assigned().collect::<Vec<_>>()
        };
        pairs.sort_unstable();
        Ok(pairs)
    }

    /// Pairs (column, row) of the last call of [`Self::solve`].
    fn assigned(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.row_for_column
            .iter()
            .copied()
            .enumerate()
            .filter(|&(_, row)| row != UNASSIGNED)
    }

    fn solve(&mut self, rows: usize, columns: usize, cost: impl Fn(usize, usize) -> f64) {
        reset(&mut self.u, rows, 0.0);
        reset(&mut self.v, columns, 0.0);
        reset(&mut self.row_for_column, columns, UNASSIGNED);
        for start_row in 0..rows {
            reset(&mut self.shortest_path_costs, columns, f64::INFINITY);
            reset(&mut self.path, columns, UNASSIGNED);
            reset(&mut self.visited, columns, false);
            // Dijkstra over reduced costs from `start_row` to the nearest unassigned column.
            let (mut row, mut min_cost) = (start_row, 0.0);
            let sink = loop {
                let mut nearest = UNASSIGNED;
                for column in 0..columns {
                    if self.visited[column] {
                        continue;
                    }
                    let path_cost = min_cost + cost(row, column) - self.u[row] - self.v[column];
                    if path_cost < self.shortest_path_costs[column] {
                        self.shortest_path_costs[column] = path_cost;
                        self.path[column] = row;
                    }
                    if nearest == UNASSIGNED || self.is_nearer(column, nearest) {
                        nearest = column;
                    }
                }
                min_cost = self.shortest_path_costs[nearest];
                if self.row_for_column[nearest] == UNASSIGNED {
                    break nearest;
                }
                self.visited[nearest] = true;
                row = self.row_for_column[nearest];
            };
            self.u[start_row] += min_cost;
            for column in 0..columns {
                if self.visited[column] {
                    let slack = min_cost - self.shortest_path_costs[column];
                    self.u[self.row_for_column[column]] += slack;
                    self.v[column] -= slack;
                }
            }
            self.augment(sink, start_row);
        }
    }

    /// Of equally near columns an unassigned one is preferred, because it ends the search.
    fn is_nearer(&self, column: usize, other: usize) -> bool {
        let costs = &self.shortest_path_costs;
        costs[column] < costs[other]
            || (costs[column] == costs[other]
                && self.row_for_column[column] == UNASSIGNED
                && self.row_for_column[other] != UNASSIGNED)
    }

    /// Assigns the rows along the path from `sink` back to `start_row`.
    fn augment(&mut self, sink: usize, start_row: usize) {
        let mut column = sink;
        loop {
            let row = self.path[column];
            let previous = self.row_for_column.iter().position(|&r| r == row);
            self.row_for_column[column] = row;
            match previous {
                Some(previous) if row != start_row => column = previous,
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

    fn brute_force(cost: &[f64], rows: usize, columns: usize, row: usize, used: u32) -> f64 {
        if rows > columns {
            let transposed: Vec<f64> = (0..columns)
                .flat_map(|c| (0..rows).map(move |r| cost[r * columns + c]))
                .collect();
            return brute_force(&transposed, columns, rows, 0, 0);
        }
        if row == rows {
            return 0.0;
        }
        (0..columns)
            .filter(|c| used & (1 << c) == 0)
            .map(|c| {
                cost[row * columns + c] + brute_force(cost, rows, columns, row + 1, used | (1 << c))
            })
            .fold(f64::INFINITY, f64::min)
    }

    /// Total cost of the assignment, after checking that it is one.
    fn assigned_cost(cost: &[f64], rows: usize, columns: usize) -> f64 {
        let pairs = Hungarian::default().assign(cost, rows, columns).unwrap();
        assert_eq!(pairs.len(), rows.min(columns));
        let mut columns_used = pairs.iter().map(|p| p.1).collect::<Vec<_>>();
        columns_used.sort_unstable();
        columns_used.dedup();
        assert_eq!(columns_used.len(), pairs.len(), "duplicate column");
        assert!(
            pairs.windows(2).all(|w| w[0].0 < w[1].0),
            "rows must be sorted and distinct"
        );
        pairs.iter().map(|&(r, c)| cost[r * columns + c]).sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn total_cost_equals_brute_force(rows in 0usize..7, columns in 0usize..7, seed in any::<u64>(), kind in 0u8..4) {
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
            let actual = assigned_cost(&cost, rows, columns);
            let expected = brute_force(&cost, rows, columns, 0, 0);
            // The sums differ in order, so they may differ by a few units in the last place of the largest cost.
            let scale = cost.iter().fold(1e-300, |a: f64, c| a.max(c.abs()));
            prop_assert!((actual - expected).abs() <= 1e-12 * scale, "{actual} {expected}");
        }
    }

    #[test]
    fn errors_name_the_cost_that_is_not_finite() {
        let error = Hungarian::default()
            .assign(&[0.0, 1.0, 2.0, f64::NAN], 2, 2)
            .unwrap_err();
        assert_eq!(error.to_string(), "cost[1][1] = NaN: costs must be finite");
        assert!(Hungarian::default().assign(&[f64::INFINITY], 1, 1).is_err());
        assert!(Hungarian::default().assign(&[1.0], 2, 2).is_err());
    }

    #[test]
    fn empty_matrices_have_no_pairs() {
        assert!(Hungarian::default().assign(&[], 0, 5).unwrap().is_empty());
        assert!(Hungarian::default().assign(&[], 5, 0).unwrap().is_empty());
    }

    #[test]
    fn the_longest_side_of_an_empty_matrix_takes_no_memory() {
        for (rows, columns) in [(usize::MAX, 0), (0, usize::MAX)] {
            let pairs = Hungarian::default().assign(&[], rows, columns).unwrap();
            assert!(pairs.is_empty());
        }
    }

    #[test]
    fn costs_near_the_largest_float_do_not_overflow() {
        let (max, half) = (f64::MAX, f64::MAX / 2.0);
        for cost in [
            [max, -max, -max, max],
            [max, half, half, max],
            [-max, -half, -half, -max],
            [max; 4],
        ] {
            let pairs = Hungarian::default().assign(&cost, 2, 2).unwrap();
            let diagonal = cost[0] / 4.0 + cost[3] / 4.0;
            let other = cost[1] / 4.0 + cost[2] / 4.0;
            match diagonal.total_cmp(&other) {
                std::cmp::Ordering::Less => assert_eq!(pairs, [(0, 0), (1, 1)]),
                std::cmp::Ordering::Greater => assert_eq!(pairs, [(0, 1), (1, 0)]),
                std::cmp::Ordering::Equal => assert_eq!(pairs.len(), 2),
            }
        }
        // Alternating signs, wide and tall.
        let cost: Vec<f64> = (0..35)
            .map(|i| if i % 2 == 0 { max } else { -max })
            .collect();
        for (rows, columns) in [(5, 7), (7, 5)] {
            let pairs = Hungarian::default().assign(&cost, rows, columns).unwrap();
            assert_eq!(pairs.len(), 5);
            assert!(pairs.iter().all(|&(r, c)| cost[r * columns + c] == -max));
        }
    }

    #[test]
    fn a_reused_solver_gives_the_same_assignment() {
        let mut solver = Hungarian::default();
        let cost: Vec<f64> = (0..40 * 7).map(|i| ((i * 7919) % 101) as f64).collect();
        let first = solver.assign(&cost, 40, 7).unwrap();
        solver.assign(&cost, 7, 40).unwrap();
        assert_eq!(solver.assign(&cost, 40, 7).unwrap(), first);
    }
}
