//! The assignment of objects to queries.

use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::activation::softmax;
use vlp_objectives::detection::boxes::{corners, overlap};
use vlp_objectives::detection::{
    DetectionOutput, DetectionTarget, MatchCost, Matcher, TargetObject,
};

use super::Case;
use crate::arrays::Arrays;
use crate::error::PeerError;
use crate::output::{Output, Outputs};

struct Matching {
    output: DetectionOutput,
    targets: Vec<DetectionTarget>,
}

pub(super) fn load(inputs: &Arrays, device: &Device) -> Result<Box<dyn Case>, PeerError> {
    let ([n, queries, width], logits) = inputs.get::<f32, 3>("logits")?;
    let (_, boxes) = inputs.get::<f32, 3>("boxes")?;
    let ([_, objects], classes) = inputs.get::<i32, 2>("classes")?;
    let (_, wanted) = inputs.get::<f32, 3>("target_boxes")?;
    let (wanted, _) = wanted.as_chunks::<4>();
    let tensor = |values: Vec<f32>, width: usize| {
        Tensor::from_data(TensorData::new(values, [1, n, queries, width]), device)
    };
    let images = classes.chunks(objects).zip(wanted.chunks(objects));
    let targets = images.enumerate().map(|(image, (classes, boxes))| {
        let objects = classes.iter().zip(boxes);
        let objects = objects.map(|(&class, &bbox)| TargetObject {
            class: class as usize,
            bbox,
            attributes: vec![],
        });
        DetectionTarget {
            vocabulary: Some(0),
            objects: objects.collect(),
            dropped: 0,
            ground_truth: vec![],
            image_id: image as u64,
            size: (1, 1),
        }
    });
    Ok(Box::new(Matching {
        targets: targets.collect(),
        output: DetectionOutput {
            logits: tensor(logits, width),
            attributes: None,
            boxes: tensor(boxes, 4),
        },
    }))
}

impl Case for Matching {
    fn run(&mut self) -> Result<Outputs, PeerError> {
        let targets: Vec<&DetectionTarget> = self.targets.iter().collect();
        let cost = MatchCost::default();
        let pairs = Matcher::default().assign(&self.output, &targets, &cost)?;
        let (output, targets) = (self.output.clone(), self.targets.clone());
        let sum = Output::later(move || {
            let [_, _, queries, width] = output.logits.dims();
            let chances: Vec<f32> = softmax(output.logits, 3).into_data().iter().collect();
            let boxes: Vec<f32> = output.boxes.into_data().iter().collect();
            let (boxes, _) = boxes.as_chunks::<4>();
            let images = pairs.into_iter().flatten().zip(targets).enumerate();
            let costs = images.flat_map(|(image, (pairs, target))| {
                let price = |(query, object): (usize, usize)| {
                    let (row, object) = (image * queries + query, &target.objects[object]);
                    let sides = boxes[row].iter().zip(&object.bbox);
                    let l1: f32 = sides.map(|(a, b)| (a - b).abs()).sum();
                    let (_, giou) = overlap(corners(boxes[row]), corners(object.bbox));
                    let chance = chances[row * width + object.class];
                    5.0 * f64::from(l1) - f64::from(chance) - 2.0 * f64::from(giou)
                };
                pairs.into_iter().map(price).collect::<Vec<_>>()
            });
            costs.sum()
        });
        Ok(vec![("cost".into(), sum)])
    }
}
