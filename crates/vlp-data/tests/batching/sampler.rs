//! The batch sampler: epochs and bucketing.

use std::{collections::HashSet, sync::Arc};

use vlp_data::{BatchPlan, BatchSampler, Examples, ResizeRule, Source};

use crate::{TestSource, all_load};

#[test]
fn an_epoch_has_each_sample_at_most_once() {
    for (len, batch, bucket) in [
        (30, 4, true),
        (30, 4, false),
        (64, 8, true),
        (5, 5, true),
        (3, 8, true),
        (1, 1, false),
    ] {
        let source: Arc<dyn Source> = Arc::new(TestSource::new(len, all_load));
        let rule = ResizeRule::Soho { short: 40, max: 60 };
        let plan = BatchPlan::new(1, batch).with_bucket_by_shape(bucket);
        let sampler = BatchSampler::new(plan, Examples::new(source, rule)).unwrap();
        let size = batch.min(len);
        assert_eq!(
            (sampler.batch_size(), sampler.batches_per_epoch()),
            (size, (len / size) as u64)
        );
        let mut dropped = HashSet::new();
        let per_epoch = sampler.batches_per_epoch();
        for epoch in 0..20 {
            let steps = epoch * per_epoch..(epoch + 1) * per_epoch;
            let mut samples_of_epoch = HashSet::new();
            for step in steps {
                let (batch_epoch, samples) = sampler.batch(step).unwrap();
                assert_eq!((batch_epoch, samples.len()), (epoch, size));
                for sample in samples {
                    assert!(
                        samples_of_epoch.insert(sample),
                        "{sample} twice in epoch {epoch}"
                    );
                }
            }
            dropped.extend((0..len).filter(|sample| !samples_of_epoch.contains(sample)));
        }
        // Samples are dropped only if the last batch would be incomplete.
        assert_eq!(dropped.is_empty(), len % size == 0);
        // Steps can be requested in any order.
        let last = 20 * per_epoch - 1;
        let batches = (sampler.batch(last).unwrap(), sampler.batch(0).unwrap());
        assert_eq!(
            (sampler.batch(last).unwrap(), sampler.batch(0).unwrap()),
            batches
        );
    }
}

/// Fraction of the batches' area that is padding, over an epoch.
fn padding_fraction(bucket_by_shape: bool, resize: ResizeRule) -> f64 {
    let source: Arc<dyn Source> = Arc::new(TestSource::new(3000, all_load));
    let examples = Examples {
        seed: 2,
        ..Examples::new(source, resize)
    };
    let sampler = BatchSampler::new(
        BatchPlan::new(2, 16).with_bucket_by_shape(bucket_by_shape),
        examples.clone(),
    )
    .unwrap();
    let (mut used, mut padded) = (0, 0);
    for step in 0..sampler.batches_per_epoch() {
        let (epoch, samples) = sampler.batch(step).unwrap();
        let sizes: Vec<_> = samples
            .iter()
            .map(|&sample| examples.target_size(sample, epoch))
            .collect();
        let padded_size = (
            sizes.iter().map(|s| s.0).max().unwrap(),
            sizes.iter().map(|s| s.1).max().unwrap(),
        );
        used += sizes.iter().map(|s| s.0 * s.1).sum::<usize>();
        padded += padded_size.0 * padded_size.1 * sizes.len();
    }
    1.0 - used as f64 / padded as f64
}

#[test]
fn bucketing_reduces_padding() {
    for rule in [
        ResizeRule::Soho {
            short: 600,
            max: 1000,
        },
        ResizeRule::Detr {
            short: (480..=800).step_by(32).collect(),
            max: 1333,
        },
    ] {
        let bucketed = padding_fraction(true, rule.clone());
        let random = padding_fraction(false, rule.clone());
        assert!(
            bucketed < 0.08 && random > 0.3,
            "{rule:?}: {bucketed:.3} and {random:.3}"
        );
    }
}
