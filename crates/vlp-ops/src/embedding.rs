//! Rows of a table by number, with a gradient that touches these rows alone.
//!
//! Needed as long as burn makes a gradient of the whole table for every look-up and sums them all.

use burn::prelude::*;
use burn::tensor::module;

/// Rows of `table` `[n, d]` for `ids` `[batch, length]` in `0..n`, to `[batch, length, d]`.
pub fn embedding(table: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if crate::route::fast(&table) {
        return fast::embedding(table, ids);
    }
    module::embedding(table, ids)
}

#[cfg(feature = "flex")]
mod fast {
    use burn::backend::ops::{IntTensorOps, ModuleOps};
    use burn::backend::tensor::IntTensor;
    use burn::prelude::{Int, Tensor};

    use crate::flex::tape::*;
    use crate::flex::{Array, array, dense, owned, values};

    #[backend_extension(Flex, Autodiff)]
    trait EmbeddingBackend: Backend {
        fn rows(table: FloatTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self>;
    }

    pub(super) fn embedding(table: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
        let (table, ids) = (table.into_dispatch(), ids.into_dispatch());
        Tensor::from_dispatch(<Dispatch as EmbeddingBackend>::rows(table, ids))
    }

    impl EmbeddingBackend for Flex {
        fn rows(table: Array, ids: IntTensor<Self>) -> Array {
            Flex::embedding(table, ids)
        }
    }

    #[derive(Debug)]
    struct Rows;

    impl Backward<Flex, 1> for Rows {
        /// The table, for the gradient it has so far, and the rows.
        type State = (FloatTensor<Autodiff<Flex>>, Vec<i64>);

        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = dense(&grads.consume::<Flex>(&ops.node));
            let [Some(node)] = ops.parents else { return };
            let (table, ids) = ops.state;
            let [rows, width] = table.shape().dims();
            // Taken out instead of added to by `register`: the table may be most of the model, the rows are few.
            let mut total = match grads.remove::<Flex>(&table) {
                Some(total) => owned(total),
                None => array(vec![0.0; rows * width], [rows, width]),
            };
            let sums = total.storage_mut::<f32>();
            for (id, slope) in ids.iter().zip(values(&grad).chunks_exact(width)) {
                let row = &mut sums[*id as usize * width..][..width];
                row.iter_mut().zip(slope).for_each(|(sum, v)| *sum += *v);
            }
            grads.register::<Flex>(node.id, total);
        }
    }

    impl<C: CheckpointStrategy> EmbeddingBackend for Autodiff<Flex, C> {
        fn rows(table: FloatTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self> {
            let output = Flex::embedding(table.primitive().clone(), ids.clone());
            match Rows.prepare::<C>([table.node()]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => {
                    // Read as they are: a look-up out of range has panicked before.
                    let ids = Flex::int_cast(ids, burn::tensor::IntDType::I64);
                    let ids = dense(&ids).as_slice::<i64>().unwrap_or_default().to_vec();
                    // The state holds the table's node until the backward pass: a graph that is dropped without one
                    // is freed by the table's next.
                    prep.finish((table, ids), output)
                }
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }
    }
}
