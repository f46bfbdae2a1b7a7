//! A batch with given targets, as a run's own would be after its draws.

use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_objectives::captioning::CaptionTarget;
use vlp_objectives::detection::{DetectionTarget, TargetObject};
use vlp_objectives::mlm::MlmTarget;
use vlp_objectives::{Batch, MaskSampling, Pairing, PretrainTargets, VisualMask, VisualMasks};
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;

use crate::arrays::Arrays;
use crate::error::PeerError;

/// Padding's id in every vocabulary here.
const PAD: u32 = 0;

/// The images of `inputs`.
pub(crate) fn images(inputs: &Arrays, device: &Device) -> Result<PaddedImages, PeerError> {
    let (shape, pixels) = inputs.get::<f32, 4>("pixels")?;
    let (mask_shape, mask) = inputs.get::<u8, 3>("pad_mask")?;
    let mask: Vec<bool> = mask.into_iter().map(|v| v != 0).collect();
    Ok(PaddedImages {
        pixels: Tensor::from_data(TensorData::new(pixels, shape), device),
        pad_mask: Tensor::from_data(TensorData::new(mask, mask_shape), device),
    })
}

/// The texts of `inputs`, and their ids on the host.
pub(crate) fn texts(
    inputs: &Arrays,
    device: &Device,
) -> Result<(TextBatch, Vec<Vec<u32>>), PeerError> {
    let (shape, ids) = inputs.get::<i32, 2>("ids")?;
    let (mask_shape, mask) = inputs.get::<u8, 2>("text_mask")?;
    let mask: Vec<bool> = mask.into_iter().map(|v| v != 0).collect();
    let rows = ids.chunks(shape[1]);
    let rows = rows.map(|row| row.iter().map(|&id| id as u32).collect());
    let host = rows.collect();
    let text = TextBatch {
        ids: Tensor::from_data(TensorData::new(ids, shape), device),
        pad_mask: Tensor::from_data(TensorData::new(mask, mask_shape), device),
    };
    Ok((text, host))
}

/// The whole batch; `rule` is how image tokens are chosen where `mask_at` is given.
pub(crate) fn batch(
    inputs: &Arrays,
    rule: MaskSampling,
    device: &Device,
) -> Result<Batch<PretrainTargets>, PeerError> {
    let images = images(inputs, device)?;
    let (text, ids) = texts(inputs, device)?;
    let rows = ids.len();
    let image_index = match inputs.has("image_index") {
        true => {
            let (_, of) = inputs.get::<i32, 1>("image_index")?;
            of.into_iter().map(|at| at as usize).collect()
        }
        false => (0..rows).collect(),
    };
    let ([_, length], labels) = inputs.get::<i32, 2>("mlm_labels")?;
    let (_, matched) = inputs.get::<i32, 1>("itm_labels")?;
    let visual_masks = visual_masks(inputs, rule, rows)?;
    let mut captions = captions(inputs)?.into_iter();
    let mut objects = objects(inputs)?.into_iter();
    let masked = labels.chunks(length).map(|row| {
        let positions = row.iter().enumerate().filter(|(_, id)| **id >= 0);
        positions
            .map(|(position, &id)| (position, id as u32))
            .collect()
    });
    let targets = masked.zip(&matched).zip(&visual_masks);
    let targets = targets.map(|((masked, &matched), visual_mask)| PretrainTargets {
        itm: Some(matched != 0),
        itc: None,
        mlm: Some(MlmTarget { masked }),
        mvm: visual_mask.map(|_| ()),
        detection: objects.next(),
        caption: captions.next(),
        vqa: None,
        nlvr2: None,
        snli_ve: None,
    });
    Ok(Batch {
        targets: targets.collect(),
        target_index: (0..rows).collect(),
        pairing: Pairing::new(images.pixels.dims()[0], image_index),
        images,
        text,
        image_texts: None,
        ids,
        visual_masks: VisualMasks::new(&visual_masks, device),
        all_pairs: None,
        pad: PAD,
        target_tensors: vec![],
    })
}

fn visual_masks(
    inputs: &Arrays,
    rule: MaskSampling,
    rows: usize,
) -> Result<Vec<Option<VisualMask>>, PeerError> {
    if !inputs.has("mask_at") {
        return Ok(vec![None; rows]);
    }
    let (_, at) = inputs.get::<f64, 1>("mask_at")?;
    let (_, keep) = inputs.get::<u8, 1>("mask_keep")?;
    let draws = at.into_iter().zip(keep).map(|(at, keep)| {
        Some(VisualMask {
            position: at,
            active: keep != 0,
            sampling: rule,
        })
    });
    Ok(draws.collect())
}

fn captions(inputs: &Arrays) -> Result<Vec<CaptionTarget>, PeerError> {
    if !inputs.has("caption_ids") {
        return Ok(vec![]);
    }
    let ([_, length], ids) = inputs.get::<i32, 2>("caption_ids")?;
    let captions = ids.chunks(length).map(|row| CaptionTarget {
        image_id: 0,
        ids: row
            .iter()
            .map(|&id| id as u32)
            .filter(|&id| id != PAD)
            .collect(),
        references: vec![],
        bos_eos: (0, 0),
        pad: PAD,
        seed: 0,
    });
    Ok(captions.collect())
}

fn objects(inputs: &Arrays) -> Result<Vec<DetectionTarget>, PeerError> {
    if !inputs.has("objects") {
        return Ok(vec![]);
    }
    let (_, counts) = inputs.get::<i32, 1>("objects")?;
    let ([_, most], classes) = inputs.get::<i32, 2>("classes")?;
    let ([_, _, each], attributes) = inputs.get::<i32, 3>("attributes")?;
    let (_, boxes) = inputs.get::<f32, 3>("boxes")?;
    let (boxes, _) = boxes.as_chunks::<4>();
    let images = counts.iter().enumerate().map(|(image, &count)| {
        let rows = image * most..image * most + (count as usize).min(most);
        let objects = rows.map(|at| TargetObject {
            class: classes[at] as usize,
            bbox: boxes[at],
            attributes: attributes[at * each..(at + 1) * each]
                .iter()
                .filter_map(|&id| usize::try_from(id).ok())
                .collect(),
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
    Ok(images.collect())
}
