//! The kernels of attention.
//!
//! A cube has a block of rows, the queries or keys of one head, and loops over blocks of columns, its keys or queries. Eight
//! units share a row: each has four of the block's scores, and an eighth of the row's results.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::super::dropout::MaskArgs;
use super::super::layout::UNITS;
use super::tile::{
    Block, Head, PARTS, PRODUCTS, Strided, TILE, Tiles, accumulate, multiply, sums, unit_column,
    unit_row, write,
};

/// Below every score.
const LOWEST: f32 = -3.0e38;

#[derive(CubeType, CubeLaunch)]
pub(super) struct Inputs {
    query: Strided,
    key: Strided,
    value: Strided,
    bias: Strided,
    mask: MaskArgs,
    n_heads: u32,
    queries: u32,
    keys: u32,
    scale: f32,
    step: u32,
}

#[cube]
impl Inputs {
    fn head(&self, #[comptime] width: u32) -> Head {
        Head {
            batch: CUBE_POS_Y / self.n_heads,
            column: CUBE_POS_Y % self.n_heads * width,
            columns: self.n_heads * width,
            step: self.step,
            width,
        }
    }

    /// The score of a query and a key from the product of their rows.
    fn score(
        &self,
        product: f32,
        head: &Head,
        query: u32,
        key: u32,
        #[comptime] has_bias: bool,
    ) -> f32 {
        let mut score = product * self.scale;
        if comptime!(has_bias) {
            score += self.bias.read(head.batch, query, key);
        }
        score
    }

    /// What dropout multiplies the weight by.
    fn factor(&self, query: u32, key: u32, #[comptime] has_dropout: bool) -> f32 {
        let mut factor = 1.0f32;
        if comptime!(has_dropout) {
            let row = CUBE_POS_Y * self.queries + query;
            factor = self.mask.factor(row * self.keys + key);
        }
        factor
    }
}

/// The sum over the units of a row, in their order. Every unit gets it.
#[cube]
fn row_sum(value: f32, values: &mut Shared<[f32]>) -> f32 {
    sync_cube();
    values[UNIT_POS as usize] = value;
    sync_cube();
    let mut sum = 0.0f32;
    #[unroll]
    for i in 0..PARTS {
        sum += values[(unit_row() * PARTS + i) as usize];
    }
    sum
}

#[cube]
fn row_max(value: f32, values: &mut Shared<[f32]>) -> f32 {
    sync_cube();
    values[UNIT_POS as usize] = value;
    sync_cube();
    let mut max = value;
    #[unroll]
    for i in 0..PARTS {
        let other = values[(unit_row() * PARTS + i) as usize];
        if other > max {
            max = other;
        }
    }
    max
}

#[cube]
fn zeros(#[comptime] length: usize) -> Array<f32> {
    let mut values = Array::<f32>::new(length);
    #[unroll]
    for i in 0..length {
        values[i] = 0.0f32;
    }
    values
}

/// A block of queries, over blocks of keys: the maximum and the sum of exponentials of the scores so far, and the output as
/// if these keys were all.
#[cube(launch_unchecked)]
pub(super) fn forward_kernel(
    inputs: Inputs,
    output: &mut [f32],
    log_sum_exp: &mut [f32],
    #[comptime] head_width: u32,
    #[comptime] has_bias: bool,
    #[comptime] has_dropout: bool,
) {
    let head = inputs.head(head_width);
    let mut tiles = Tiles::new();
    let mut row_values = Shared::<[f32]>::new_slice(UNITS as usize);
    let length = comptime!(sums(head_width));
    let mut results = zeros(length);
    let mut scores = zeros(PRODUCTS as usize);
    let queries = Block {
        first: CUBE_POS_X * TILE,
        count: inputs.queries,
    };
    let query = queries.first + unit_row();
    let mut max = LOWEST.runtime();
    // Of the unit's scores.
    let mut sum = 0.0f32;
    let mut first_key = 0u32;
    while first_key < inputs.keys {
        let keys = Block {
            first: first_key,
            count: inputs.keys,
        };
        multiply(
            &mut tiles,
            &mut scores,
            &inputs.query,
            &queries,
            &inputs.key,
            &keys,
            &head,
        );
        let mut block_max = max;
        #[unroll]
        for j in 0..PRODUCTS {
            let key = first_key + unit_column(j);
            if query < inputs.queries && key < inputs.keys {
                let score = inputs.score(scores[j as usize], &head, query, key, has_bias);
                scores[j as usize] = score;
                if score > block_max {
                    block_max = score;
                }
            }
        }
        let new_max = row_max(block_max, &mut row_values);
        let correction = (max - new_max).exp();
        max = new_max;
        sum *= correction;
        #[unroll]
        for j in 0..PRODUCTS {
            let key = first_key + unit_column(j);
            let mut weight = 0.0f32;
            if query < inputs.queries && key < inputs.keys {
                weight = (scores[j as usize] - max).exp();
                sum += weight;
                weight *= inputs.factor(query, key, has_dropout);
            }
            tiles.set_weight(j, weight);
        }
        #[unroll]
        for i in 0..length {
            results[i] *= correction;
        }
        accumulate(&mut tiles, &mut results, &inputs.value, &keys, &head);
        first_key += TILE;
    }
    let total = row_sum(sum, &mut row_values);
    write(output, &results, 1.0 / total, &queries, &head);
    if query < inputs.queries && UNIT_POS % PARTS == 0 {
        log_sum_exp[(CUBE_POS_Y * inputs.queries + query) as usize] = max + total.ln();
    }
}

/// The gradient of a block of queries; and of each the product of output and gradient, which is the mean gradient of its
/// weights.
#[cube(launch_unchecked)]
pub(super) fn query_grad_kernel(
    inputs: Inputs,
    grad: Strided,
    output: Strided,
    log_sum_exp: &[f32],
    means: &mut [f32],
    grad_query: &mut [f32],
    #[comptime] head_width: u32,
    #[comptime] has_bias: bool,
    #[comptime] has_dropout: bool,
) {
    let head = inputs.head(head_width);
    let mut tiles = Tiles::new();
    let mut row_values = Shared::<[f32]>::new_slice(UNITS as usize);
    let mut results = zeros(comptime!(sums(head_width)));
    let mut scores = zeros(PRODUCTS as usize);
    let mut grad_weights = zeros(PRODUCTS as usize);
    let queries = Block {
        first: CUBE_POS_X * TILE,
        count: inputs.queries,
    };
    let query = queries.first + unit_row();
    let line = (CUBE_POS_Y * inputs.queries + query) as usize;
    let mut log_sum = 0.0f32;
    let mut products = 0.0f32;
    if query < inputs.queries {
        log_sum = log_sum_exp[line];
        let mut column = UNIT_POS % PARTS;
        while column < head_width.runtime() {
            let at = head.column + column;
            products += grad.read(head.batch, query, at) * output.read(head.batch, query, at);
            column += PARTS;
        }
    }
    let mean = row_sum(products, &mut row_values);
    let mut first_key = 0u32;
    while first_key < inputs.keys {
        let keys = Block {
            first: first_key,
            count: inputs.keys,
        };
        multiply(
            &mut tiles,
            &mut scores,
            &inputs.query,
            &queries,
            &inputs.key,
            &keys,
            &head,
        );
        multiply(
            &mut tiles,
            &mut grad_weights,
            &grad,
            &queries,
            &inputs.value,
            &keys,
            &head,
        );
        #[unroll]
        for j in 0..PRODUCTS {
            let key = first_key + unit_column(j);
            let mut grad_score = 0.0f32;
            if query < inputs.queries && key < inputs.keys {
                let score = inputs.score(scores[j as usize], &head, query, key, has_bias);
                let factor = inputs.factor(query, key, has_dropout);
                let grad_weight = grad_weights[j as usize] * factor;
                grad_score = (score - log_sum).exp() * (grad_weight - mean);
            }
            tiles.set_weight(j, grad_score);
        }
        accumulate(&mut tiles, &mut results, &inputs.key, &keys, &head);
        first_key += TILE;
    }
    write(grad_query, &results, inputs.scale, &queries, &head);
    if query < inputs.queries && UNIT_POS % PARTS == 0 {
        means[line] = mean;
    }
}

/// The gradients of a block of keys and their values, over blocks of queries.
#[cube(launch_unchecked)]
pub(super) fn key_grad_kernel(
    inputs: Inputs,
    grad: Strided,
    log_sum_exp: &[f32],
    means: &[f32],
    grad_key: &mut [f32],
    grad_value: &mut [f32],
    #[comptime] head_width: u32,
    #[comptime] has_bias: bool,
    #[comptime] has_dropout: bool,
) {
    let head = inputs.head(head_width);
    let mut tiles = Tiles::new();
    let mut key_results = zeros(comptime!(sums(head_width)));
    let mut value_results = zeros(comptime!(sums(head_width)));
    let mut scores = zeros(PRODUCTS as usize);
    let mut grad_weights = zeros(PRODUCTS as usize);
    let keys = Block {
        first: CUBE_POS_X * TILE,
        count: inputs.keys,
    };
    let key = keys.first + unit_row();
    let mut first_query = 0u32;
    while first_query < inputs.queries {
        let queries = Block {
            first: first_query,
            count: inputs.queries,
        };
        multiply(
            &mut tiles,
            &mut scores,
            &inputs.key,
            &keys,
            &inputs.query,
            &queries,
            &head,
        );
        multiply(
            &mut tiles,
            &mut grad_weights,
            &inputs.value,
            &keys,
            &grad,
            &queries,
            &head,
        );
        #[unroll]
        for j in 0..PRODUCTS {
            let query = first_query + unit_column(j);
            let mut weight = 0.0f32;
            let mut grad_score = 0.0f32;
            if query < inputs.queries && key < inputs.keys {
                let line = (CUBE_POS_Y * inputs.queries + query) as usize;
                let score = inputs.score(scores[j as usize], &head, query, key, has_bias);
                let factor = inputs.factor(query, key, has_dropout);
                weight = (score - log_sum_exp[line]).exp();
                grad_score = weight * (grad_weights[j as usize] * factor - means[line]);
                weight *= factor;
            }
            scores[j as usize] = grad_score;
            tiles.set_weight(j, weight);
        }
        accumulate(&mut tiles, &mut value_results, &grad, &queries, &head);
        sync_cube();
        #[unroll]
        for j in 0..PRODUCTS {
            tiles.set_weight(j, scores[j as usize]);
        }
        accumulate(&mut tiles, &mut key_results, &inputs.query, &queries, &head);
        first_query += TILE;
    }
    write(grad_key, &key_results, inputs.scale, &keys, &head);
    write(grad_value, &value_results, 1.0, &keys, &head);
}
