//! Attention in blocks of queries and keys, without a matrix of scores: one kernel, and two for its gradient (Dao et al. 2022).
//!
//! Heads are read in place. Every sum has one order, since the gradients of keys and values have a kernel of their own.
//! Needed as long as burn's attention has no gradient on GPUs and takes no bias and no dropout there.

mod kernels;
mod tile;

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::MAX_CUBES;
use super::dropout::Mask;
use super::layout::{UNITS, buffer, element_count, empty_like};
use super::list::{Primitive, Spec, run};
use crate::capture::Value;
use kernels::{InputsLaunch, forward_kernel, key_grad_kernel, query_grad_kernel};
use tile::{STEP, StridedLaunch, TILE};

/// Widest head: its sums are in registers.
const MAX_HEAD_WIDTH: usize = 128;

/// Sizes of an attention.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionShape {
    pub(crate) batch: usize,
    pub(crate) n_heads: usize,
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) width: usize,
}

impl AttentionShape {
    /// Whether the kernels take it: they count in 32 bits, and have a row of cubes for each head.
    pub(crate) fn fits(&self) -> bool {
        let Self {
            batch,
            n_heads,
            queries,
            keys,
            width,
        } = *self;
        let has_values = batch * n_heads * queries * keys * width > 0;
        let heads_fit = has_values && width.is_multiple_of(n_heads);
        let sizes = [queries, keys].map(|length| batch * length * width);
        let counted = sizes.iter().all(|&size| u32::try_from(size).is_ok());
        let tiles = queries.max(keys).div_ceil(TILE as usize);
        heads_fit
            && counted
            && self.head_width() <= MAX_HEAD_WIDTH
            && batch * n_heads <= MAX_CUBES
            && tiles <= MAX_CUBES
    }

    fn head_width(&self) -> usize {
        self.width / self.n_heads
    }

    /// A cube for each block of so many rows of each head.
    fn cubes(&self, rows: usize) -> CubeCount {
        let tiles = rows.div_ceil(TILE as usize);
        CubeCount::Static(tiles as u32, (self.batch * self.n_heads) as u32, 1)
    }

    fn output(&self) -> Spec {
        (
            Shape::from([self.batch, self.queries, self.width]),
            DType::F32,
        )
    }

    /// A value for each query of each head.
    fn line(&self) -> Spec {
        let shape = Shape::from([self.batch * self.n_heads, self.queries]);
        (shape, DType::F32)
    }
}

/// Query, key and value `[batch, queries or keys, width]`, and a bias `[batch or 1, 1, queries or 1, keys]`.
#[derive(Debug, Clone)]
pub(crate) struct Inputs {
    pub(crate) qkv: [Primitive; 3],
    pub(crate) bias: Option<Primitive>,
    /// The mask, and the table of its seed.
    pub(crate) dropout: Option<(Mask, Primitive)>,
    pub(crate) shape: AttentionShape,
}

impl Inputs {
    /// The tensors, `others` first, and what makes [`Tensors`] of them.
    fn into_list<const N: usize>(self, others: [Primitive; N]) -> (Vec<Primitive>, Layout) {
        let (dropout, table) = self.dropout.unzip();
        let layout = Layout {
            dropout,
            shape: self.shape,
        };
        let tensors = others.into_iter().chain(self.qkv).chain(table);
        let tensors = tensors.chain(self.bias);
        (tensors.collect(), layout)
    }
}

#[derive(Debug, Clone, Copy)]
struct Layout {
    dropout: Option<Mask>,
    shape: AttentionShape,
}

/// What [`Inputs::into_list`] made a list of, on the device.
struct Tensors<'a, const N: usize> {
    others: &'a [CubeTensor; N],
    qkv: &'a [CubeTensor; 3],
    bias: Option<&'a CubeTensor>,
    /// The mask, and the table of its seed.
    dropout: Option<(Mask, &'a CubeTensor)>,
    shape: AttentionShape,
}

impl<'a, const N: usize> Tensors<'a, N> {
    fn new(list: &'a [CubeTensor], layout: Layout) -> Option<Self> {
        let (others, rest) = list.split_first_chunk()?;
        let (qkv, rest) = rest.split_first_chunk()?;
        let (table, bias) = rest.split_at_checked(usize::from(layout.dropout.is_some()))?;
        Some(Self {
            others,
            qkv,
            bias: bias.first(),
            dropout: layout.dropout.zip(table.first()),
            shape: layout.shape,
        })
    }

    /// The argument of the kernels; without bias or dropout they do not read the tensor in its place, which is any.
    fn arg(&self) -> InputsLaunch {
        let [query, key, value] = self.qkv;
        let (mask, table) = self.dropout.unwrap_or((Mask::NONE, query));
        let shape = &self.shape;
        let bias = match self.bias {
            Some(bias) => strided(bias, 2),
            None => strided(query, 1),
        };
        InputsLaunch::new(
            strided(query, 1),
            strided(key, 1),
            strided(value, 1),
            bias,
            mask.args(table),
            shape.n_heads as u32,
            shape.queries as u32,
            shape.keys as u32,
            1.0 / (shape.head_width() as f32).sqrt(),
            STEP,
        )
    }

    /// Whether there is a bias, and dropout.
    fn options(&self) -> (bool, bool) {
        (self.bias.is_some(), self.dropout.is_some())
    }
}

/// A tensor whose rows the kernels address by the strides of the first axis and of `row_axis`; copied only if values of a row
/// do not lie side by side, or if it spans so much of another tensor that 32 bits do not count it.
fn strided(tensor: &CubeTensor, row_axis: usize) -> StridedLaunch {
    // Number of values that it spans, and both strides.
    let layout = |tensor: &CubeTensor| {
        let (shape, strides) = (tensor.meta.shape(), tensor.meta.strides());
        let stride = |axis: usize| if shape[axis] == 1 { 0 } else { strides[axis] };
        let (batch, row) = (stride(0), stride(row_axis));
        let width = shape[shape.len() - 1];
        let length = (shape[0] - 1) * batch + (shape[row_axis] - 1) * row + width;
        (length, batch, row)
    };
    let last = tensor.meta.shape().len() - 1;
    let is_row = tensor.meta.shape()[last] == 1 || tensor.meta.strides()[last] == 1;
    let tensor = match is_row && u32::try_from(layout(tensor).0).is_ok() {
        true => tensor.clone(),
        false => into_contiguous(tensor.clone()),
    };
    let (length, batch, row) = layout(&tensor);
    StridedLaunch::new(buffer(&tensor, length), batch as u32, row as u32)
}

/// The output `[batch, queries, width]`, and for each query of each head the logarithm of the sum of exponentials of its
/// scores.
pub(crate) fn attention(inputs: Inputs) -> Option<[Value; 2]> {
    let outputs = vec![inputs.shape.output(), inputs.shape.line()];
    let (inputs, layout) = inputs.into_list([]);
    let results = run("vlp_attention", inputs, outputs, move |inputs| {
        Tensors::new(&inputs, layout).map_or(vec![], |tensors| forward(&tensors))
    });
    results.try_into().ok()
}

fn forward(tensors: &Tensors<'_, 0>) -> Vec<CubeTensor> {
    let (shape, query) = (&tensors.shape, &tensors.qkv[0]);
    let [output, log_sum_exp] =
        [shape.output(), shape.line()].map(|(shape, dtype)| empty_like(query, shape, dtype));
    let (has_bias, has_dropout) = tensors.options();
    // SAFETY: rows of queries and keys, and columns of heads, are checked; the tensors have the shapes of `Inputs`.
    unsafe {
        forward_kernel::launch_unchecked(
            &query.client,
            shape.cubes(shape.queries),
            CubeDim::new_1d(UNITS),
            tensors.arg(),
            buffer(&output, element_count(&output)),
            buffer(&log_sum_exp, element_count(&log_sum_exp)),
            shape.head_width() as u32,
            has_bias,
            has_dropout,
        );
    }
    vec![output, log_sum_exp]
}

/// Gradients of query, key and value from that of the output, and from what [`attention`] gave.
pub(crate) fn attention_backward(
    grad: Primitive,
    [output, log_sum_exp]: [Primitive; 2],
    inputs: Inputs,
) -> Option<[Value; 3]> {
    let outputs = inputs.qkv.each_ref().map(|x| (x.shape(), DType::F32));
    let (inputs, layout) = inputs.into_list([grad, output, log_sum_exp]);
    let results = run(
        "vlp_attention_backward",
        inputs,
        outputs.into(),
        move |inputs| Tensors::new(&inputs, layout).map_or(vec![], |tensors| backward(&tensors)),
    );
    results.try_into().ok()
}

fn backward(tensors: &Tensors<'_, 3>) -> Vec<CubeTensor> {
    let shape = &tensors.shape;
    let [grad, output, log_sum_exp] = tensors.others;
    let log_sum_exp = into_contiguous(log_sum_exp.clone());
    let new = |like: &CubeTensor| empty_like(like, like.shape(), DType::F32);
    let [grad_query, grad_key, grad_value] = tensors.qkv.each_ref().map(new);
    let means = new(&log_sum_exp);
    let whole = |tensor: &CubeTensor| buffer(tensor, element_count(tensor));
    let (has_bias, has_dropout) = tensors.options();
    let client = &grad.client;
    // SAFETY: as for the forward kernel.
    unsafe {
        query_grad_kernel::launch_unchecked(
            client,
            shape.cubes(shape.queries),
            CubeDim::new_1d(UNITS),
            tensors.arg(),
            strided(grad, 1),
            strided(output, 1),
            whole(&log_sum_exp),
            whole(&means),
            whole(&grad_query),
            shape.head_width() as u32,
            has_bias,
            has_dropout,
        );
    }
    // SAFETY: as for the forward kernel.
    unsafe {
        key_grad_kernel::launch_unchecked(
            client,
            shape.cubes(shape.keys),
            CubeDim::new_1d(UNITS),
            tensors.arg(),
            strided(grad, 1),
            whole(&log_sum_exp),
            whole(&means),
            whole(&grad_key),
            whole(&grad_value),
            shape.head_width() as u32,
            has_bias,
            has_dropout,
        );
    }
    vec![grad_query, grad_key, grad_value]
}
