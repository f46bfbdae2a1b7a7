//! [`embedding`](crate::embedding) on the CPU.

use burn::backend::ops::{IntTensorOps, ModuleOps};
use burn::backend::tensor::IntTensor;
use burn::prelude::Int;

use super::prelude::*;

#[backend_extension(Flex, Autodiff)]
trait EmbeddingBackend: Backend {
    fn embedding_rows(table: FloatTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self>;
}

pub(crate) fn embedding(table: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
    let (table, ids) = (table.into_dispatch(), ids.into_dispatch());
    Tensor::from_dispatch(<Dispatch as EmbeddingBackend>::embedding_rows(table, ids))
}

impl EmbeddingBackend for Flex {
    fn embedding_rows(table: Array, ids: IntTensor<Self>) -> Array {
        Flex::embedding(table, ids)
    }
}

impl<C: CheckpointStrategy> EmbeddingBackend for Autodiff<Flex, C> {
    fn embedding_rows(table: FloatTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self> {
        let output = Flex::embedding(table.primitive().clone(), ids.clone());
        let node = table.node();
        let state = |_: &Array, _: &mut _| {
            // Ids need no check here: burn's forward pass panics for an id out of range.
            let ids = Flex::int_cast(ids, burn::tensor::IntDType::I64);
            let ids = contiguous(&ids)
                .as_slice::<i64>()
                .unwrap_or_default()
                .to_vec();
            // The state holds the table's node until the backward pass. A graph that is dropped without one is freed by
            // the table's next graph.
            (table, ids)
        };
        record::<C, _, _>([node], output, state, backward)
    }
}

/// The node of the embedding matrix, for its accumulated gradient, and the ids.
type State = (FloatTensor<Autodiff<Flex>>, Vec<i64>);

fn backward((table, ids): State, grad: Array, parents: &mut Parents<'_, 1>) {
    let grad = contiguous(&grad);
    let [rows, width] = table.shape().dims();
    // The gradient so far is taken out and added to in place, instead of `add_grad` with a gradient of the whole table: the
    // table may be most of the model, while the ids are few.
    let mut total = match parents.grads.remove::<Flex>(&table) {
        Some(total) => into_writable(total),
        None => from_vec(vec![0.0; rows * width], [rows, width]),
    };
    let sums = total.storage_mut::<f32>();
    for (id, grad) in ids.iter().zip(as_slice(&grad).chunks_exact(width)) {
        let row = &mut sums[*id as usize * width..][..width];
        row.iter_mut().zip(grad).for_each(|(sum, g)| *sum += *g);
    }
    parents.add_grad(0, total);
}
