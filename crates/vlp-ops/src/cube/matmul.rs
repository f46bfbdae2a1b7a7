//! Products of matrices whose kernel burn would not choose: f32 without tensor cores, and bf16 with results in f32.
//!
//! Needed as long as burn multiplies f32 in TF32 wherever a GPU has it (cubek 0.4 has a switch), and rounds products of bf16.

use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn_cubecl::cubecl::prelude::Scalar;
use burn_cubecl::kernel::matmul::{MatmulStrategy, init_matmul_output};
use burn_cubecl::tensor::CubeTensor;
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems, MatmulSetupError};
use cubek::matmul::launch::launch_ref;
use cubek::matmul::multi_level::Strategy;
use cubek::std::InputBinding;

use super::list::{Primitive, run};
use crate::capture::Value;

/// The product `[.., rows, columns]`, in f32, of operands `[.., rows, depth]` and `[.., depth, columns]` of one type.
pub(crate) fn matmul(operands: [Primitive; 2]) -> Option<Value> {
    let [lhs, rhs] = operands.each_ref().map(TensorMetadata::shape);
    let mut shape = lhs;
    let last = shape.rank().checked_sub(1)?;
    shape[last] = rhs[last];
    let outputs = vec![(shape, DType::F32)];
    let results = run("vlp_matmul", operands.into(), outputs, |operands| {
        <[CubeTensor; 2]>::try_from(operands).map_or(vec![], |[lhs, rhs]| vec![product(lhs, rhs)])
    });
    results.into_iter().next()
}

fn product(lhs: CubeTensor, rhs: CubeTensor) -> CubeTensor {
    // The naive kernel has no condition; the other strategies report what they cannot do.
    #[allow(clippy::expect_used)]
    match lhs.dtype {
        DType::F32 => {
            let output = init_matmul_output(&lhs, &rhs, DType::F32);
            let strategies = [Strategy::SimpleUnit(Default::default()), Strategy::Naive];
            let is_launched = strategies
                .into_iter()
                .any(|strategy| launch_f32(strategy, &lhs, &rhs, &output).is_ok());
            assert!(is_launched, "the naive kernel takes any operands");
            output
        }
        _ => {
            let strategy = MatmulStrategy::default();
            burn_cubecl::kernel::matmul::matmul(lhs, rhs, None, strategy, DType::F32)
                .expect("one of burn's kernels takes any operands")
        }
    }
}

/// Launches a kernel that uses no tensor cores.
fn launch_f32(
    strategy: Strategy,
    lhs: &CubeTensor,
    rhs: &CubeTensor,
    output: &CubeTensor,
) -> Result<(), MatmulSetupError> {
    let f32 = f32::elem_type_native();
    let mut types = MatmulElems::from_globals(&MatmulGlobalElems {
        lhs: f32,
        rhs: f32,
        out: f32,
    });
    launch_ref(
        &strategy.into(),
        &output.client,
        InputBinding::new(lhs.clone().binding(), f32),
        InputBinding::new(rhs.clone().binding(), f32),
        output.clone().binding(),
        &mut types,
    )
}
