//! Sizes, channels and strides of all kinds of backbones.

use burn::prelude::*;
use vlp_vision::{Depth, ResNetConfig, Stem};

const DEPTHS: [Depth; 7] = [
    Depth::R10,
    Depth::R18,
    Depth::R26,
    Depth::R34,
    Depth::R50,
    Depth::R101,
    Depth::R152,
];

fn expansion(depth: Depth) -> usize {
    match depth {
        Depth::R10 | Depth::R18 | Depth::R34 => 1,
        _ => 4,
    }
}

#[test]
fn feature_maps_have_documented_shapes() {
    let device = Device::flex();
    for depth in DEPTHS {
        for stem in [Stem::Standard, Stem::Small] {
            for dilate_last in [false, true] {
                for stages in 1..=4 {
                    let config = ResNetConfig::new(depth)
                        .with_width(2)
                        .with_stem(stem)
                        .with_stages(stages)
                        .with_dilate_last(dilate_last)
                        .with_frozen_stages(0);
                    if dilate_last && (stages < 2 || expansion(depth) == 1) {
                        assert!(config.init(&device).is_err());
                        continue;
                    }
                    let backbone = config.init(&device).unwrap();
                    let (h, w) = (65usize, 47usize);
                    let feature_maps = backbone.forward(Tensor::ones([1, 3, h, w], &device));
                    assert_eq!(feature_maps.len(), stages);
                    let mut stride: usize = if stem == Stem::Small { 2 } else { 4 };
                    for (stage, map) in feature_maps.iter().enumerate() {
                        if stage > 0 && !(dilate_last && stage + 1 == stages) {
                            stride *= 2;
                        }
                        let size: [usize; 2] = [h.div_ceil(stride), w.div_ceil(stride)];
                        let channels = (2 << stage) * expansion(depth);
                        assert_eq!(map.dims(), [1, channels, size[0], size[1]], "{config:?}");
                    }
                    assert_eq!(config.stride(), stride, "{config:?}");
                    assert_eq!(config.channels(), feature_maps[stages - 1].dims()[1]);
                }
            }
        }
    }
}

#[test]
fn parameter_counts_equal_torchvisions() {
    // torchvision's models without classifier: 11,689,512 - 513,000 and 25,557,032 - 2,049,000.
    for (depth, count) in [(Depth::R18, 11_176_512), (Depth::R50, 23_508_032)] {
        let backbone = ResNetConfig::new(depth).init(&Device::flex()).unwrap();
        let statistics: usize = crate::common::statistics(&backbone)
            .values()
            .map(Vec::len)
            .sum();
        assert_eq!(backbone.num_params() - statistics, count, "{depth:?}");
    }
}
