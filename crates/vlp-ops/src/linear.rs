//! Linear layers, and scores over a table of embeddings: products with a bias, all leading axes taken as one.
//!
//! Needed as long as burn multiplies a batch of sequences by one matrix per sequence, copies transposed tables, and
//! sums a matrix of gradients per sequence.

use burn::nn::Linear;
use burn::prelude::*;

/// `x weight + bias` over the last axis: `x` `[.., in]`, `weight` `[in, out]`, `bias` `[out]`, to `[.., out]`.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if fast::takes(&x, &weight, bias.as_ref(), false) {
        return fast::product(x, weight, bias, false);
    }
    burn::tensor::module::linear(x, weight, bias)
}

/// [`linear`] with the parameters of burn's layer.
pub fn apply<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    linear(x, layer.weight.val(), bias)
}

/// Scores of `states` `[rows, d]` for every row of `table` `[n, d]`, `[rows, n]`: `states tableᵀ + bias`, as of an
/// output layer tied to its embedding.
pub fn tied(states: Tensor<2>, table: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if fast::takes(&states, &table, bias.as_ref(), true) {
        return fast::product(states, table, bias, true);
    }
    let scores = states.matmul(table.transpose());
    match bias {
        Some(bias) => scores + bias.unsqueeze(),
        None => scores,
    }
}

#[cfg(feature = "flex")]
mod fast {
    use burn::backend::autodiff::NodeId;
    use burn::prelude::*;
    use rayon::prelude::*;

    use crate::flex::tape::*;
    use crate::flex::{Array, array, dense, values, wide};
    use crate::matrix::Matrix;
    use crate::products::Product;
    use crate::route::fast;

    #[backend_extension(Flex, Autodiff)]
    trait LinearBackend: Backend {
        fn rows_product(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            tied: bool,
        ) -> FloatTensor<Self>;
    }

    pub(super) fn takes<const D: usize>(
        x: &Tensor<D>,
        weight: &Tensor<2>,
        bias: Option<&Tensor<1>>,
        tied: bool,
    ) -> bool {
        let [mut input, mut output] = weight.dims();
        if tied {
            std::mem::swap(&mut input, &mut output);
        }
        let fits = bias.is_none_or(|bias| bias.dims() == [output] && fast(bias));
        D > 0 && x.dims()[D - 1] == input && fits && fast(x) && fast(weight)
    }

    pub(super) fn product<const D: usize>(
        x: Tensor<D>,
        weight: Tensor<2>,
        bias: Option<Tensor<1>>,
        tied: bool,
    ) -> Tensor<D> {
        // The extension takes no optional tensors: an empty one stands for none.
        let bias = bias.unwrap_or_else(|| Tensor::empty([0], &x.device()));
        let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
        let bias = bias.into_dispatch();
        Tensor::from_dispatch(<Dispatch as LinearBackend>::rows_product(
            x, weight, bias, tied,
        ))
    }

    /// Rows of `x`, its width, and that of the result.
    fn sizes(x: &Array, weight: &Array, tied: bool) -> [usize; 3] {
        let shape = x.shape();
        let [first, second] = weight.shape().dims();
        let (input, output) = if tied {
            (second, first)
        } else {
            (first, second)
        };
        [shape.num_elements() / input, input, output]
    }

    /// The weight as `[input, output]`.
    fn table(weight: &Array, tied: bool) -> Matrix<'_> {
        let [_, width] = weight.shape().dims();
        let table = Matrix::of_rows(values(weight), width);
        if tied { table.turned() } else { table }
    }

    fn forward(x: &Array, weight: &Array, bias: &Array, tied: bool) -> Array {
        let [rows, input, output] = sizes(x, weight, tied);
        let mut shape = x.shape();
        let last = shape.rank() - 1;
        shape[last] = output;
        let (x, weight, bias) = (dense(x), dense(weight), dense(bias));
        let product = Product {
            shape: [rows, input, output],
            left: Matrix::of_rows(values(&x), input),
            right: table(&weight, tied),
            bias: Some(values(&bias)).filter(|bias| !bias.is_empty()),
            run: usize::MAX,
            finish: None,
        };
        array(product.run(), shape)
    }

    impl LinearBackend for Flex {
        fn rows_product(x: Array, weight: Array, bias: Array, tied: bool) -> Array {
            forward(&x, &weight, &bias, tied)
        }
    }

    #[derive(Debug)]
    struct RowsProduct;

    /// Where `x` and the weight are found again, if they are needed, and whether the weight is a table.
    type State = (Option<NodeId>, Option<NodeId>, bool);

    fn backward(
        [to_x, to_weight, to_bias]: [Option<NodeId>; 3],
        (x, weight, tied): State,
        grad: &Array,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let slope = values(grad);
        let shape = grad.shape();
        let output = shape[shape.rank() - 1];
        let rows = slope.len() / output;
        if let (Some(node), Some(weight)) = (to_x, weight) {
            let weight = dense(&checkpointer.retrieve_node_output::<Array>(weight));
            let input = weight.shape().num_elements() / output;
            let product = Product {
                shape: [rows, output, input],
                left: Matrix::of_rows(slope, output),
                right: table(&weight, tied).turned(),
                bias: None,
                run: usize::MAX,
                finish: None,
            };
            let mut source = shape.clone();
            let last = source.rank() - 1;
            source[last] = input;
            grads.register::<Flex>(node, array(product.run(), source));
        }
        if let (Some(node), Some(x)) = (to_weight, x) {
            let x = dense(&checkpointer.retrieve_node_output::<Array>(x));
            let input = values(&x).len() / rows;
            let source = Matrix::of_rows(values(&x), input);
            let slope = Matrix::of_rows(slope, output);
            let (shape, left, right) = if tied {
                ([output, rows, input], slope.turned(), source)
            } else {
                ([input, rows, output], source.turned(), slope)
            };
            let product = Product {
                shape,
                left,
                right,
                bias: None,
                run: usize::MAX,
                finish: None,
            };
            grads.register::<Flex>(node, array(product.run(), [shape[0], shape[2]]));
        }
        if let Some(node) = to_bias {
            grads.register::<Flex>(node, array(columns(slope, output), [output]));
        }
    }

    /// Sums of the columns of rows of `width`: of groups of rows, added up in order.
    fn columns(values: &[f32], width: usize) -> Vec<f32> {
        /// Groups, to share among cores, and fewest values of one.
        const GROUPS: usize = 8;
        const LEAST: usize = 1 << 13;
        let add = |mut total: Vec<f32>, rows: &[f32]| {
            wide(
                #[inline(always)]
                || {
                    for row in rows.chunks_exact(width) {
                        for (total, value) in total.iter_mut().zip(row) {
                            *total += *value;
                        }
                    }
                },
            );
            total
        };
        let rows = (values.len() / width).div_ceil(GROUPS);
        let rows = rows.max(LEAST.div_ceil(width));
        let groups = values.par_chunks(rows * width);
        let sums = groups.map(|rows| add(vec![0.0; width], rows));
        let sums: Vec<Vec<f32>> = sums.collect();
        add(vec![0.0; width], &sums.concat())
    }

    impl Backward<Flex, 3> for RowsProduct {
        type State = State;

        fn backward(
            self,
            ops: Ops<State, 3>,
            grads: &mut Gradients,
            checkpointer: &mut Checkpointer,
        ) {
            let grad = dense(&grads.consume::<Flex>(&ops.node));
            let nodes = ops.parents.map(|node| node.map(|node| node.id));
            backward(nodes, ops.state, &grad, grads, checkpointer);
        }
    }

    impl<C: CheckpointStrategy> LinearBackend for Autodiff<Flex, C> {
        fn rows_product(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            tied: bool,
        ) -> FloatTensor<Self> {
            let [source, factor, shift] = [&x, &weight, &bias].map(|t| t.primitive());
            let output = forward(source, factor, shift, tied);
            let nodes = [x.node(), weight.node(), bias.node()];
            match RowsProduct.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(mut prep) => {
                    let source = weight.is_tracked().then(|| prep.checkpoint(&x));
                    let factor = x.is_tracked().then(|| prep.checkpoint(&weight));
                    prep.finish((source, factor, tied), output)
                }
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }
    }
}
