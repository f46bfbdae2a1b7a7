//! Parameters of a module by path.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use vlp_ops::params::{ParamMapper, ParamVisitor, map_params, visit_params, with_data};

#[derive(Module, Debug)]
struct Model {
    layers: Vec<Linear>,
    table: Option<Param<Tensor<2>>>,
}

fn model(device: &Device) -> Model {
    Model {
        layers: vec![
            LinearConfig::new(2, 3).init(device),
            LinearConfig::new(3, 1).with_bias(false).init(device),
        ],
        table: Some(Param::from_tensor(Tensor::ones([4, 2], device))),
    }
}

#[derive(Default)]
struct Shapes(Vec<(String, Vec<usize>)>);

impl ParamVisitor for Shapes {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        self.0
            .push((path.into(), param.lazy_shape().dims::<D>().to_vec()));
    }
}

#[test]
fn every_parameter_is_visited_with_its_path() {
    let mut shapes = Shapes::default();
    visit_params(&model(&Device::flex()), &mut shapes);
    let expected = [
        ("layers.0.weight", vec![2, 3]),
        ("layers.0.bias", vec![3]),
        ("layers.1.weight", vec![3, 1]),
        ("table", vec![4, 2]),
    ];
    assert_eq!(shapes.0, expected.map(|(path, shape)| (path.into(), shape)));
}

/// Sets one parameter to twos.
struct SetTwos(&'static str);

impl ParamMapper for SetTwos {
    fn map<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if path != self.0 {
            return param;
        }
        let shape = param.lazy_shape();
        let values = vec![2f32; shape.num_elements()];
        with_data(param, TensorData::new(values, shape))
    }
}

#[test]
fn mapped_parameters_keep_id_and_require_grad() {
    let device = Device::flex().autodiff();
    let mut before = model(&device);
    before.layers[1] = before.layers[1].clone().no_grad();
    for (path, layer) in [("layers.0.weight", 0), ("layers.1.weight", 1)] {
        let after = map_params(before.clone(), &mut SetTwos(path));
        let [old, new] = [&before, &after].map(|model| &model.layers[layer].weight);
        assert_eq!(new.id, old.id);
        assert_eq!(new.val().is_require_grad(), layer == 0);
        assert!(vlp_testing::to_cpu(new.val()).iter().all(|v| *v == 2.0));
        let other = 1 - layer;
        assert_eq!(
            vlp_testing::to_cpu(after.layers[other].weight.val()),
            vlp_testing::to_cpu(before.layers[other].weight.val())
        );
    }
}
