//! Linear sum assignment, one cube for each problem: shortest augmenting paths with dual variables (Jonker and Volgenant 1987;
//! Crouse 2016), as `vlp-assign` computes it on the CPU, but in f32.
//!
//! The units share the columns: they search the nearest one together. Needed as long as burn has no such operation.

use burn::tensor::{DType, Int, IntDType, Shape, Tensor};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::MAX_CUBES;
use super::layout::{UNITS, buffer, element_count, empty_like};
use super::list::{primitive, run};
use super::reduce::cube_max;
use crate::capture::Value;

/// Most rows and columns of a problem: with them a cube has less than 16 KiB of shared memory.
const MAX_SIDE: usize = 384;
const SIDE: u32 = MAX_SIDE as u32;
const NONE: u32 = 0xffff_ffff;
/// Added to the column in the key of one that is assigned.
const ASSIGNED: u32 = 0x1_0000;
/// Larger than the cost of a path.
const FAR: f32 = 3.0e38;
/// Sums of costs up to this size are finite; larger ones are scaled by a power of two, which changes no comparison.
const MAX_COST: f32 = 1.0e30;
const SCALE: f32 = 9.094_947e-13;
/// Bits of NaN.
const NAN: u32 = 0x7fc0_0000;

/// The results of [`assign`](crate::assign()); `None` for costs that are not f32 on a GPU, or too many.
pub(crate) fn assign(cost: &Tensor<3>, counts: Tensor<1, Int>, none: usize) -> Option<[Value; 2]> {
    let [problems, objects, queries] = cost.dims();
    let fits = (1..=MAX_SIDE).contains(&objects.max(queries)) && objects.min(queries) > 0;
    let is_counted = u32::try_from(problems * objects * queries).is_ok();
    if !fits || !is_counted || !(1..=MAX_CUBES).contains(&problems) || counts.dims() != [problems] {
        return None;
    }
    let inputs = vec![primitive(cost)?, primitive(&counts.cast(IntDType::I32))?];
    let outputs = vec![
        (Shape::from([problems, queries]), DType::I32),
        (Shape::from([problems]), DType::F32),
    ];
    let results = run("vlp_assign", inputs, outputs, move |inputs| {
        match &inputs[..] {
            [cost, counts] => launch(cost, counts, [problems, objects, queries], none),
            _ => vec![],
        }
    });
    results.try_into().ok()
}

fn launch(
    cost: &CubeTensor,
    counts: &CubeTensor,
    [problems, objects, queries]: [usize; 3],
    none: usize,
) -> Vec<CubeTensor> {
    let [cost, counts] = [cost, counts].map(|tensor| into_contiguous(tensor.clone()));
    let assigned = empty_like(&cost, Shape::from([problems, queries]), DType::I32);
    let finite = empty_like(&cost, Shape::from([problems]), DType::F32);
    // SAFETY: there is a cube for each problem; its rows and columns stay below its objects and queries, of which there are
    // at most `MAX_SIDE`.
    unsafe {
        kernel::launch_unchecked(
            &cost.client,
            CubeCount::Static(problems as u32, 1, 1),
            CubeDim::new_1d(UNITS),
            buffer(&cost, element_count(&cost)),
            buffer(&counts, problems),
            buffer(&assigned, problems * queries),
            buffer(&finite, problems),
            objects as u32,
            queries as u32,
            none as u32,
        );
    }
    vec![assigned, finite]
}

/// Rows and columns of the problem that is solved: every row gets a column, so the shorter side are the rows.
#[derive(CubeType)]
struct Problem {
    rows: u32,
    columns: u32,
    /// Index of the first cost.
    start: u32,
    row_stride: u32,
    column_stride: u32,
    scale: f32,
}

/// State of the search, in shared memory.
#[derive(CubeType)]
struct Search {
    /// Dual variables.
    u: Shared<[f32]>,
    v: Shared<[f32]>,
    /// Cost of the shortest path to each column.
    distance: Shared<[f32]>,
    /// Row before each column on its shortest path.
    path: Shared<[u32]>,
    row_of: Shared<[u32]>,
    column_of: Shared<[u32]>,
    /// 1 for a column whose shortest path is final.
    visited: Shared<[u32]>,
    /// Of each unit, the nearest of its columns.
    nearest_distance: Shared<[f32]>,
    nearest_key: Shared<[u32]>,
}

#[cube(launch_unchecked)]
fn kernel(
    cost: &[f32],
    counts: &[i32],
    assigned: &mut [i32],
    finite: &mut [f32],
    objects: u32,
    queries: u32,
    none: u32,
) {
    let problem_number = CUBE_POS_X;
    let mut count = u32::cast_from(counts[problem_number as usize]);
    if count > objects {
        count = objects;
    }
    let start = problem_number * objects * queries;
    let mut largest = 0.0f32;
    let mut not_finite = 0.0f32;
    let mut index = UNIT_POS;
    while index < count * queries {
        // Without the sign; all bits of the exponent mean infinity or NaN.
        let bits = u32::reinterpret(cost[(start + index) as usize]) & 0x7fff_ffffu32;
        if bits >= 0x7f80_0000u32 {
            not_finite = 1.0f32;
        } else {
            let size = f32::reinterpret(bits);
            if size > largest {
                largest = size;
            }
        }
        index += UNITS;
    }
    let largest = cube_max(largest);
    let is_finite = cube_max(not_finite) == 0.0;
    let mut problem = Problem {
        rows: count,
        columns: queries,
        start,
        row_stride: queries,
        column_stride: 1u32,
        scale: 1.0f32,
    };
    let is_transposed = count > queries;
    if is_transposed {
        problem.rows = queries;
        problem.columns = count;
        problem.row_stride = 1u32;
        problem.column_stride = queries;
    }
    if largest > MAX_COST {
        problem.scale = SCALE;
    }
    let mut search = Search {
        u: Shared::<[f32]>::new_slice(SIDE as usize),
        v: Shared::<[f32]>::new_slice(SIDE as usize),
        distance: Shared::<[f32]>::new_slice(SIDE as usize),
        path: Shared::<[u32]>::new_slice(SIDE as usize),
        row_of: Shared::<[u32]>::new_slice(SIDE as usize),
        column_of: Shared::<[u32]>::new_slice(SIDE as usize),
        visited: Shared::<[u32]>::new_slice(SIDE as usize),
        nearest_distance: Shared::<[f32]>::new_slice(UNITS as usize),
        nearest_key: Shared::<[u32]>::new_slice(UNITS as usize),
    };
    index = UNIT_POS;
    while index < SIDE {
        search.u[index as usize] = 0.0;
        search.v[index as usize] = 0.0;
        search.row_of[index as usize] = NONE;
        search.column_of[index as usize] = NONE;
        index += UNITS;
    }
    if is_finite {
        let mut row = 0u32;
        while row < problem.rows {
            assign_row(cost, &problem, &mut search, row);
            row += 1;
        }
    }
    sync_cube();
    index = UNIT_POS;
    while index < queries {
        let mut object = search.row_of[index as usize];
        if is_transposed {
            object = search.column_of[index as usize];
        }
        if object == NONE {
            object = none;
        }
        assigned[(problem_number * queries + index) as usize] = i32::cast_from(object);
        index += UNITS;
    }
    if UNIT_POS == 0 {
        let mut factor = 1.0f32;
        if !is_finite {
            // Not a constant, which WGSL refuses.
            factor = f32::reinterpret(NAN | count);
        }
        finite[problem_number as usize] = factor;
    }
}

/// Finds the shortest path from a row to a column that is not assigned, and assigns the rows along it.
#[cube]
fn assign_row(cost: &[f32], problem: &Problem, search: &mut Search, start_row: u32) {
    let mut column = UNIT_POS;
    while column < problem.columns {
        search.distance[column as usize] = FAR;
        search.visited[column as usize] = 0u32;
        column += UNITS;
    }
    sync_cube();
    let mut row = start_row;
    let mut distance = 0.0f32;
    let mut sink = NONE.runtime();
    // One of the first columns is not assigned, as there are no more rows than columns.
    let mut step = 0u32;
    while sink == NONE && step < problem.columns {
        extend_paths(cost, problem, search, row, distance);
        distance = search.nearest_distance[0];
        let key = search.nearest_key[0];
        let nearest = key & 0xffffu32;
        if key < ASSIGNED {
            sink = nearest;
        } else {
            row = search.row_of[nearest as usize];
            if nearest % UNITS == UNIT_POS {
                search.visited[nearest as usize] = 1u32;
            }
        }
        // Before the next step is written over this one.
        sync_cube();
        step += 1;
    }
    column = UNIT_POS;
    while column < problem.columns {
        if search.visited[column as usize] == 1 {
            let slack = distance - search.distance[column as usize];
            let assigned_row = search.row_of[column as usize];
            search.u[assigned_row as usize] += slack;
            search.v[column as usize] -= slack;
        }
        column += UNITS;
    }
    if UNIT_POS == 0 {
        search.u[start_row as usize] += distance;
    }
    sync_cube();
    if UNIT_POS == 0 && sink != NONE {
        column = sink;
        let mut is_at_start = false;
        while !is_at_start {
            let path_row = search.path[column as usize];
            let previous = search.column_of[path_row as usize];
            search.row_of[column as usize] = path_row;
            search.column_of[path_row as usize] = column;
            column = previous;
            is_at_start = path_row == start_row || previous == NONE;
        }
    }
    sync_cube();
}

/// Extends the paths by an edge from `row`, the end of a path of this cost, and finds the nearest column whose shortest path is
/// not final: the first values of `nearest_distance` and `nearest_key`. Of equally near ones it is one that is not assigned,
/// because it ends the search, then the first.
#[cube]
fn extend_paths(cost: &[f32], problem: &Problem, search: &mut Search, row: u32, distance: f32) {
    let row_start = problem.start + row * problem.row_stride;
    let u = search.u[row as usize];
    let mut nearest_distance = FAR.runtime();
    let mut nearest_key = NONE.runtime();
    let mut column = UNIT_POS;
    while column < problem.columns {
        let at = column as usize;
        if search.visited[at] == 0 {
            let edge = cost[(row_start + column * problem.column_stride) as usize] * problem.scale;
            let path = distance + edge - u - search.v[at];
            let mut column_distance = search.distance[at];
            if path < column_distance {
                column_distance = path;
                search.distance[at] = path;
                search.path[at] = row;
            }
            let mut key = column;
            if search.row_of[at] != NONE {
                key += ASSIGNED;
            }
            if column_distance < nearest_distance
                || (column_distance == nearest_distance && key < nearest_key)
            {
                nearest_distance = column_distance;
                nearest_key = key;
            }
        }
        column += UNITS;
    }
    search.nearest_distance[UNIT_POS as usize] = nearest_distance;
    search.nearest_key[UNIT_POS as usize] = nearest_key;
    let levels = comptime!(UNITS.ilog2());
    #[unroll]
    for level in 0..levels {
        let half = comptime!(UNITS >> (level + 1));
        sync_cube();
        if UNIT_POS < half {
            let other_distance = search.nearest_distance[(UNIT_POS + half) as usize];
            let other_key = search.nearest_key[(UNIT_POS + half) as usize];
            let own_distance = search.nearest_distance[UNIT_POS as usize];
            if other_distance < own_distance
                || (other_distance == own_distance
                    && other_key < search.nearest_key[UNIT_POS as usize])
            {
                search.nearest_distance[UNIT_POS as usize] = other_distance;
                search.nearest_key[UNIT_POS as usize] = other_key;
            }
        }
    }
    sync_cube();
}
