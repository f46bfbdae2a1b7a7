//! Texts of random pieces, masked and mismatched as the preset would.

use rand::RngExt;
use vlp_objectives::MaskSampling;

use super::SEED;
use crate::arrays::Arrays;
use crate::setup::Setup;

/// A text of `length` tokens from `[CLS]` to `[SEP]`, filled up with padding to `room`.
fn text(setup: &Setup, purpose: &str, row: usize, length: usize, room: usize) -> Vec<i32> {
    let special = setup.tokenizer.special_tokens();
    let vocabulary = setup.tokenizer.vocab_size() as u32;
    let mut rng = vlp_data::rng(SEED, 0, row as u64, purpose);
    let mut ids = vec![special.cls as i32];
    while ids.len() + 1 < length {
        let id = rng.random_range(0..vocabulary);
        if !special.contains(id) {
            ids.push(id as i32);
        }
    }
    ids.push(special.sep as i32);
    ids.resize(room, special.pad as i32);
    ids
}

/// Length of a row: the first is full, the others are shorter by up to a third.
fn length(row: usize, room: usize) -> usize {
    room - row * 5 % (room / 3 + 1)
}

fn put_ids(inputs: &mut Arrays, setup: &Setup, ids: &[i32], room: usize) {
    let pad = setup.tokenizer.special_tokens().pad as i32;
    let mask: Vec<u8> = ids.iter().map(|&id| u8::from(id == pad)).collect();
    let shape = [ids.len() / room, room];
    inputs.put("ids", &shape, ids);
    inputs.put("text_mask", &shape, &mask);
}

/// One text without padding or masks.
pub(super) fn whole(inputs: &mut Arrays, setup: &Setup, room: usize) {
    let ids = text(setup, "text", 0, room, room);
    put_ids(inputs, setup, &ids, room);
}

/// Whether a text belongs to its image: of one text each every other one, of several the first half.
fn matched(row: usize, each: usize) -> bool {
    match each {
        1 => row.is_multiple_of(2),
        _ => row % each < each / 2,
    }
}

/// `each` texts of every image with masked pieces, labels and pairs.
pub(super) fn masked(inputs: &mut Arrays, setup: &Setup, images: usize, each: usize, room: usize) {
    let mask = setup.tokenizer.special_tokens().mask as i32;
    let mlm = setup.config.objectives.mlm.as_ref();
    let skips = mlm.is_some_and(|config| config.skip_negatives);
    let (mut ids, mut labels, mut pairs) = (vec![], vec![], vec![]);
    for row in 0..images * each {
        let length = length(row, room);
        let mut row_ids = text(setup, "text", row, length, room);
        let mut rng = vlp_data::rng(SEED, 0, row as u64, "mask");
        let mut label = vec![-1; room];
        let positive = matched(row, each);
        for position in 1..length - 1 {
            if position == 1 || rng.random_bool(0.15) {
                let other = text(setup, "replaced", row, length, room)[position];
                // BERT: 80 % [MASK], 10 % another token, 10 % unchanged.
                let fate: f64 = rng.random();
                if positive || !skips {
                    label[position] = row_ids[position];
                }
                if fate < 0.8 {
                    row_ids[position] = mask;
                } else if fate < 0.9 {
                    row_ids[position] = other;
                }
            }
        }
        pairs.push(i32::from(positive));
        ids.extend(row_ids);
        labels.extend(label);
    }
    put_ids(inputs, setup, &ids, room);
    inputs.put("mlm_labels", &[pairs.len(), room], &labels);
    inputs.put("itm_labels", &[pairs.len()], &pairs);
}

/// A caption of every image.
pub(super) fn captions(inputs: &mut Arrays, setup: &Setup, images: usize, room: usize) {
    let rows = (0..images).flat_map(|row| text(setup, "caption", row, length(row, room), room));
    inputs.put("caption_ids", &[images, room], &rows.collect::<Vec<_>>());
}

/// Which image tokens are masked for each of `each` texts of every image.
pub(super) fn visual_masks(inputs: &mut Arrays, setup: &Setup, images: usize, each: usize) {
    let rows = images * each;
    let mvm = setup.config.objectives.mvm.as_ref();
    let skips = mvm.is_some_and(|config| config.skip_negatives);
    let shared = mvm.is_some_and(|config| config.mask_sampling == MaskSampling::Batch);
    let draw = |row: usize| {
        // One position serves the whole batch by the released rule.
        let row = if shared { 0 } else { row };
        vlp_data::rng(SEED, 0, row as u64, "cell").random::<f64>()
    };
    let keep = (0..rows).map(|row| u8::from(!skips || matched(row, each)));
    let image_index = (0..rows).map(|row| (row / each) as i32);
    inputs.put("mask_at", &[rows], &(0..rows).map(draw).collect::<Vec<_>>());
    inputs.put("mask_keep", &[rows], &keep.collect::<Vec<_>>());
    inputs.put("image_index", &[rows], &image_index.collect::<Vec<_>>());
}
