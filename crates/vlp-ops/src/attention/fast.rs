//! Attention's way through the backends.

use burn::prelude::*;

use super::kernels::{self, Inputs, Sizes};
use crate::Drops;
use crate::flex::tape::*;
use crate::flex::{Array, array, dense, values};
use crate::route::fast;

#[backend_extension(Flex, Autodiff)]
pub(super) trait AttentionBackend: Backend {
    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        drops: Option<Drops>,
        heads: usize,
    ) -> FloatTensor<Self>;
}

pub(super) fn takes(
    query: &Tensor<3>,
    key: &Tensor<3>,
    value: &Tensor<3>,
    bias: Option<&Tensor<4>>,
    heads: usize,
) -> bool {
    let ([batch, queries, width], [_, keys, _]) = (query.dims(), key.dims());
    let biased = bias.is_none_or(|bias| {
        let [b, h, q, k] = bias.dims();
        let fits = (b == 1 || b == batch) && h == 1 && (q == 1 || q == queries) && k == keys;
        fits && fast(bias)
    });
    let same = key.dims() == [batch, keys, width] && value.dims() == key.dims();
    let whole = heads > 0 && width.is_multiple_of(heads);
    same && whole && biased && [query, key, value].into_iter().all(fast)
}

pub(super) fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    bias: Option<Tensor<4>>,
    drops: Option<Drops>,
    heads: usize,
) -> Tensor<3> {
    // The extension takes no optional tensors: an empty one stands for none.
    let device = query.device();
    let bias = bias
        .unwrap_or_else(|| Tensor::empty([0, 1, 1, 1], &device))
        .into_dispatch();
    let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as AttentionBackend>::attend(
        query, key, value, bias, drops, heads,
    ))
}

/// What both passes read.
#[derive(Debug, Clone)]
struct Given {
    query: Array,
    key: Array,
    value: Array,
    bias: Array,
    drops: Option<Drops>,
    sizes: Sizes,
}

impl Given {
    fn new(arrays: [&Array; 4], drops: Option<Drops>, heads: usize) -> Self {
        let [query, key, value, bias] = arrays.map(dense);
        let ([batch, queries, width], [_, keys, _]) = (query.shape().dims(), key.shape().dims());
        let [images, _, rows, _]: [usize; 4] = bias.shape().dims();
        let sizes = Sizes {
            batch,
            heads,
            queries,
            keys,
            width,
            bias: [images, rows],
        };
        Self {
            query,
            key,
            value,
            bias,
            drops,
            sizes,
        }
    }

    fn inputs(&self) -> Inputs<'_> {
        let given = |array| Some(values(array)).filter(|values| !values.is_empty());
        Inputs {
            query: values(&self.query),
            key: values(&self.key),
            value: values(&self.value),
            bias: given(&self.bias),
            drops: self.drops,
        }
    }

    /// The output, and what the weights are found again by.
    fn forward(&self) -> (Array, Vec<f32>) {
        let (out, levels) = kernels::forward(&self.sizes, &self.inputs());
        (array(out, self.query.shape()), levels)
    }
}

impl AttentionBackend for Flex {
    fn attend(
        query: Array,
        key: Array,
        value: Array,
        bias: Array,
        drops: Option<Drops>,
        heads: usize,
    ) -> Array {
        Given::new([&query, &key, &value, &bias], drops, heads)
            .forward()
            .0
    }
}

#[derive(Debug)]
struct Attend;

impl Backward<Flex, 3> for Attend {
    type State = (Given, Array, Vec<f32>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = dense(&grads.consume::<Flex>(&ops.node));
        let (given, output, levels) = ops.state;
        let found = kernels::backward(
            &given.sizes,
            &given.inputs(),
            values(&output),
            &levels,
            values(&grad),
        );
        let shapes = [&given.query, &given.key, &given.value].map(TensorMetadata::shape);
        for ((node, values), shape) in ops.parents.into_iter().zip(found).zip(shapes) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, array(values, shape));
            }
        }
    }
}

impl<C: CheckpointStrategy> AttentionBackend for Autodiff<Flex, C> {
    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        drops: Option<Drops>,
        heads: usize,
    ) -> FloatTensor<Self> {
        let arrays = [&query, &key, &value, &bias].map(|t| t.primitive());
        let given = Given::new(arrays, drops, heads);
        let (output, levels) = given.forward();
        let nodes = [query.node(), key.node(), value.node()];
        match Attend.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((given, output.clone(), levels), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
