//! The nearest row of a table, without the matrix of distances.
//!
//! Needed as long as burn takes four passes over that matrix, three of them on one thread.

use burn::prelude::*;

/// For every row of `x` `[rows, width]` the number of the nearest row of `table` `[codes, width]` by Euclidean distance, of
/// equally near ones the first; `[rows]`. What is no number is near to nothing on the CPU, and nearest elsewhere. In f32
/// where other products are made in bf16: it is a choice, not a value.
pub fn nearest(x: Tensor<2>, table: Tensor<2>) -> Tensor<1, Int> {
    let (x, table) = (x.without_autodiff(), table.without_autodiff());
    #[cfg(feature = "flex")]
    {
        use crate::route::fast;
        if x.dims()[1] == table.dims()[1] && fast(&x) && fast(&table) {
            return fast::nearest(x, table);
        }
    }
    // Without what all distances of a row share.
    let norms = table.clone().square().sum_dim(1).transpose();
    let scores = norms - x.matmul(table.transpose()).mul_scalar(2.0);
    scores.argmin(1).squeeze_dim(1)
}

#[cfg(feature = "flex")]
mod fast {
    use burn::backend::TensorMetadata;
    use burn::prelude::*;
    use burn::tensor::TensorData;
    use rayon::prelude::*;

    use crate::flex::{dense, primitive, scratch, sum, values, wide};
    use crate::matrix::{Matrix, exact_product};

    /// Rows of a task: as many as make eight tasks, since each reads the whole table, but of few products.
    const LEAST: usize = 32;
    const MOST: usize = 512;
    const TASKS: usize = 8;
    /// Vectors' lanes of a search.
    const LANES: usize = 16;

    pub(super) fn nearest(x: Tensor<2>, table: Tensor<2>) -> Tensor<1, Int> {
        let device = x.device();
        let [x, table] = [x, table].map(|tensor| dense(&primitive(tensor)));
        let [rows, width] = x.shape().dims();
        let codes = table.shape().num_elements() / width;
        let (x, table) = (values(&x), values(&table));
        let norms: Vec<f32> = table
            .chunks_exact(width)
            .map(|code| {
                wide(
                    #[inline(always)]
                    || sum(code, |x| x * x),
                )
            })
            .collect();
        let size = rows.div_ceil(TASKS).clamp(LEAST, MOST);
        let mut found = vec![0i32; rows];
        found
            .par_chunks_mut(size)
            .zip(x.par_chunks(size * width))
            .for_each(|(found, x)| {
                scratch(found.len() * codes, |products| {
                    let right = Matrix::of_rows(table, width).turned();
                    let shape = [found.len(), width, codes];
                    exact_product(shape, products, Matrix::of_rows(x, width), right);
                    for (found, products) in found.iter_mut().zip(products.chunks_exact(codes)) {
                        *found = wide(
                            #[inline(always)]
                            || least(products, &norms),
                        ) as i32;
                    }
                });
            });
        Tensor::from_data(TensorData::new(found, [rows]), &device)
    }

    /// The first place of the least `norm - 2 * product`.
    #[inline(always)]
    fn least(products: &[f32], norms: &[f32]) -> usize {
        let mut best = [f32::INFINITY; LANES];
        let mut places = [0u32; LANES];
        let (whole, rest) = products.as_chunks::<LANES>();
        let (norms, last) = norms.as_chunks::<LANES>();
        for (chunk, (products, norms)) in whole.iter().zip(norms).enumerate() {
            for lane in 0..LANES {
                let score = norms[lane] - 2.0 * products[lane];
                let less = score < best[lane];
                best[lane] = if less { score } else { best[lane] };
                places[lane] = if less { chunk as u32 } else { places[lane] };
            }
        }
        let (mut found, mut score) = (0, f32::INFINITY);
        for (lane, (best, place)) in best.iter().zip(places).enumerate() {
            let place = place as usize * LANES + lane;
            if *best < score || (*best == score && place < found) {
                (found, score) = (place, *best);
            }
        }
        for (i, (product, norm)) in rest.iter().zip(last).enumerate() {
            let own = norm - 2.0 * product;
            if own < score {
                (found, score) = (whole.len() * LANES + i, own);
            }
        }
        found
    }
}
