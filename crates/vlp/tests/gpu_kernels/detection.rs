//! The detection objective, matched on the GPU, against the CPU.

use burn::module::Param;
use burn::prelude::*;
use burn::tensor::Gradients;
use vlp_objectives::detection::{ClassVocabulary, DetectionTarget, MatchCost};
use vlp_objectives::testing::{D_MODEL, Probe, Rig};
use vlp_objectives::{
    Batch, Detection, DetectionConfig, ObjectiveError, ObjectiveSet, Pretrain, total,
};
use vlp_ops::copies_to_cpu;
use vlp_ops::params::{ParamMapper, ParamVisitor, map_params, visit_params, with_data};

use super::{assert_close, devices};

/// Gives every parameter values that are a function of its path.
struct Weights;

impl ParamMapper for Weights {
    fn map<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape: [usize; D] = param.lazy_shape().dims();
        let seed = path.bytes().map(usize::from).sum::<usize>();
        let value = |i: usize| ((i * 7 + seed * 13) as f32 * 0.37).sin() * 0.3;
        let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
        with_data(param, TensorData::new(values, shape))
    }
}

struct Grads<'a> {
    grads: &'a Gradients,
    values: Vec<(String, Vec<f32>)>,
}

impl ParamVisitor for Grads<'_> {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let grad = param.val().grad(self.grads);
        let values = grad.map(|grad| grad.into_data().convert::<f32>().iter().collect());
        self.values
            .push((path.to_owned(), values.unwrap_or_default()));
    }
}

/// The vocabulary of each image, and how many of its objects it has.
type Images = fn(usize) -> (Option<usize>, usize);

const IMAGES: [(&str, Images); 4] = [
    ("one vocabulary", |_| (Some(0), 9)),
    ("two vocabularies, and an image without", |i| {
        ([Some(0), Some(1), None][i % 3], 9)
    }),
    ("images without objects", |i| (Some(i % 2), i % 3)),
    ("nothing annotated", |_| (None, 0)),
];

struct Run {
    pretrain: Pretrain<Probe, Option<Detection>>,
    batch: Batch<Option<DetectionTarget>>,
}

impl Run {
    fn new(device: &Device, images: Images) -> Self {
        let rig = Rig::new(device).unwrap();
        let second = ClassVocabulary {
            name: "other".into(),
            classes: 3,
            attributes: 0,
        };
        let config = DetectionConfig::default()
            .with_num_queries(12)
            .with_cost(MatchCost::default().with_attribute(0.5));
        let vocabularies = vec![rig.vocabulary(), second];
        let detection = config.init(D_MODEL, vocabularies, &rig.device).unwrap();
        let pretrain = Pretrain {
            model: rig.model().unwrap(),
            objectives: Some(detection),
        };
        let pretrain = map_params(pretrain, &mut Weights);
        let collator = rig.collator();
        let mut batch = collator
            .collate(&pretrain.objectives, &rig.examples, &rig.device)
            .unwrap();
        for (i, target) in batch.targets.iter_mut().flatten().enumerate() {
            let (vocabulary, count) = images(i);
            target.vocabulary = vocabulary;
            target.objects.truncate(count);
            for object in target.objects.iter_mut().filter(|_| vocabulary == Some(1)) {
                object.class %= 3;
                object.attributes.clear();
            }
        }
        batch.target_tensors = vec![];
        Self { pretrain, batch }
    }

    /// As the collator does before a step that may be recorded.
    fn with_target_tensors(mut self) -> Self {
        let objectives = &self.pretrain.objectives;
        let device = self.batch.images.pixels.device().inner();
        let tensors = objectives.target_tensors(&self.batch.targets(), 0, &device);
        self.batch.target_tensors = tensors.unwrap();
        self
    }

    /// Names and values of all terms, and the gradient of every parameter.
    fn losses_and_grads(&self) -> (Vec<&'static str>, Vec<f32>, Vec<(String, Vec<f32>)>) {
        let copies = |run: &dyn Fn()| {
            let copies = copies_to_cpu();
            run();
            copies_to_cpu() - copies
        };
        let losses = || self.pretrain.losses(&self.batch).unwrap();
        if !vlp_ops::is_cpu(&self.batch.images.pixels.device()) {
            assert_eq!(copies(&|| drop(losses())), 0, "read in mid-step");
        }
        let losses = losses();
        let gradients = total(&losses).unwrap().backward();
        let terms = || losses.iter().flat_map(|(_, losses)| &losses.terms);
        let values = terms().map(|term| term.value.clone().into_scalar::<f32>());
        let mut grads = Grads {
            grads: &gradients,
            values: vec![],
        };
        visit_params(&self.pretrain, &mut grads);
        let names = terms().map(|term| term.name);
        (names.collect(), values.collect(), grads.values)
    }
}

fn largest(values: &[f32]) -> f32 {
    let sizes = values.iter().map(|value| value.abs());
    sizes.fold(0.0, f32::max)
}

#[test]
fn losses_and_gradients_agree_with_the_cpu() {
    let [cpu, gpu] = devices();
    for (name, images) in IMAGES {
        let (cpu_names, cpu_losses, cpu_grads) = Run::new(&cpu, images).losses_and_grads();
        let run = Run::new(&gpu, images);
        for run in [Run::new(&gpu, images), run.with_target_tensors()] {
            let (names, losses, grads) = run.losses_and_grads();
            assert_eq!(cpu_names, names);
            // Sums of some hundred terms in another order; a cost matrix of f32 instead of f64 may only decide ties.
            assert_close(&cpu_losses, &losses, 1e-4, name);
            let all = cpu_grads.iter().map(|(_, values)| largest(values));
            // Small gradients are differences of large ones.
            let floor = 0.01 * all.fold(0.1, f32::max);
            for ((path, cpu), (_, gpu)) in cpu_grads.iter().zip(&grads) {
                // A head whose vocabulary is not in the batch has no gradient on either device.
                let scale = largest(cpu).max(floor);
                let [cpu, gpu] = [cpu, gpu].map(|values| {
                    let values = values.iter();
                    values.map(|value| value / scale).collect::<Vec<_>>()
                });
                assert_close(&cpu, &gpu, 1e-3, &format!("{name}: {path}"));
            }
        }
    }
}

/// The CPU refuses to match; the GPU's loss is not finite, for which the step is skipped.
#[test]
fn costs_that_are_not_finite_do_not_pass_unnoticed() {
    for (device, is_cpu) in devices().into_iter().zip([true, false]) {
        let mut run = Run::new(&device, |_| (Some(0), 9));
        // Not the predictions: the software driver's exponential of NaN is a number.
        let target = run.batch.targets[2].as_mut().unwrap();
        target.objects[0].bbox[1] = f32::NAN;
        match run.pretrain.losses(&run.batch) {
            Err(ObjectiveError::NonFinite { image: 2, .. }) if is_cpu => {}
            Ok(losses) if !is_cpu => {
                let terms = losses.iter().flat_map(|(_, losses)| &losses.terms);
                let mut class = terms.filter(|term| term.name == "class");
                assert!(class.all(|term| term.value.clone().into_scalar::<f32>().is_nan()));
            }
            other => panic!("{other:?}"),
        }
    }
}
