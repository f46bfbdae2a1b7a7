//! Assignment on the GPU against that of the CPU.

use burn::prelude::*;
use vlp_assign::Hungarian;

use super::gpu;

/// Problems with these numbers of objects, of a capacity.
struct Case {
    counts: Vec<usize>,
    capacity: usize,
    queries: usize,
    cost: Vec<f32>,
}

impl Case {
    fn new(counts: &[usize], capacity: usize, queries: usize, cost: impl Fn(f64) -> f64) -> Self {
        let value = |i: usize| {
            // SplitMix64.
            let mut z = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            cost(((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64) as f32
        };
        Self {
            counts: counts.to_vec(),
            capacity,
            queries,
            cost: (0..counts.len() * capacity * queries).map(value).collect(),
        }
    }

    /// Costs of a problem's objects.
    fn problem(&self, problem: usize) -> &[f32] {
        let start = problem * self.capacity * self.queries;
        &self.cost[start..start + self.counts[problem] * self.queries]
    }

    /// (object, query) pairs of each problem, and whether its costs are finite.
    fn assign(&self) -> Vec<(Vec<(usize, usize)>, bool)> {
        let shape = [self.counts.len(), self.capacity, self.queries];
        let cost = TensorData::new(self.cost.clone(), shape);
        let counts: Vec<i32> = self.counts.iter().map(|&count| count as i32).collect();
        let counts = Tensor::<1, Int>::from_ints(counts.as_slice(), &gpu());
        let none = self.capacity + 7;
        let cost = Tensor::<3>::from_data(cost, &gpu());
        let assignment = vlp_ops::assign(cost, counts, none).unwrap();
        let finite: Vec<f32> = assignment.finite.into_data().iter().collect();
        let objects: Vec<usize> = assignment
            .objects
            .into_data()
            .iter::<i64>()
            .map(|o| o as usize)
            .collect();
        let problems = objects.chunks(self.queries).zip(finite);
        let pairs = |objects: &[usize]| {
            let pairs = objects
                .iter()
                .enumerate()
                .filter(|(_, object)| **object != none);
            pairs.map(|(query, &object)| (object, query)).collect()
        };
        let problems = problems.map(|(objects, finite)| (pairs(objects), finite == 1.0));
        problems.collect()
    }
}

#[test]
fn total_costs_are_those_of_the_cpu() {
    let costs: [(&str, fn(f64) -> f64); 6] = [
        ("random", |unit| unit * 2.0 - 1.0),
        ("many ties", |unit| (unit * 3.0).floor()),
        ("all tied", |_| 0.5),
        ("all zero", |_| 0.0),
        ("huge range", |unit| 10f64.powf(unit * 24.0 - 12.0)),
        ("near the largest number", |unit| (unit * 2.0 - 1.0) * 3e38),
    ];
    let shapes: [(&[usize], usize, usize); 7] = [
        (&[1], 1, 1),
        (&[1, 0, 3], 3, 7),
        (&[5, 4], 5, 5),
        (&[60, 31, 0, 1], 60, 100),
        (&[100, 60, 61], 100, 60),
        (&[30, 12], 30, 300),
        (&[384], 384, 384),
    ];
    for (name, cost) in costs {
        for (counts, capacity, queries) in shapes {
            let case = Case::new(counts, capacity, queries, cost);
            for (problem, (pairs, is_finite)) in case.assign().into_iter().enumerate() {
                let (count, values) = (counts[problem], case.problem(problem));
                let what = format!("{name}, {count} objects of {capacity}, {queries} queries");
                assert!(is_finite, "{what}");
                let mut objects: Vec<usize> = pairs.iter().map(|pair| pair.0).collect();
                objects.sort_unstable();
                objects.dedup();
                assert_eq!(objects.len(), count.min(queries), "{what}");
                assert_eq!(objects.len(), pairs.len(), "{what}");
                let values: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
                let total = |pairs: &[(usize, usize)]| -> f64 {
                    let costs = pairs.iter();
                    costs
                        .map(|&(object, query)| values[object * queries + query])
                        .sum()
                };
                let expected = Hungarian::default()
                    .assign(&values, count, queries)
                    .unwrap();
                let (actual, expected) = (total(&pairs), total(&expected));
                // Dual variables of f32 are rounded at each of at most so many paths.
                let largest = values
                    .iter()
                    .fold(0.0, |max: f64, value| max.max(value.abs()));
                let tolerance = 2e-7 * largest * pairs.len() as f64;
                assert!(
                    (actual - expected).abs() <= tolerance,
                    "{what}: {actual} {expected}"
                );
            }
        }
    }
}

#[test]
fn costs_that_are_not_finite_are_reported_and_padding_is_not_read() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut case = Case::new(&[9, 9, 4], 9, 20, |unit| unit);
        // The last cost of the second problem, and the first of the padding of the third.
        case.cost[2 * 9 * 20 - 1] = value;
        case.cost[(2 * 9 + 4) * 20] = value;
        let [first, second, third] = &case.assign()[..] else {
            panic!("three problems");
        };
        assert_eq!((first.0.len(), first.1), (9, true));
        assert_eq!((second.0.len(), second.1), (0, false));
        assert_eq!((third.0.len(), third.1), (4, true));
    }
}

#[test]
fn too_large_problems_and_tensors_of_the_cpu_are_refused() {
    for (device, queries) in [(gpu(), 385), (Device::flex(), 3)] {
        let cost = Tensor::<3>::zeros([1, 2, queries], &device);
        let counts = Tensor::<1, Int>::from_ints([2], &device);
        assert!(vlp_ops::assign(cost, counts, 2).is_none());
    }
}
