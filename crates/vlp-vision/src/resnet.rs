//! ResNet backbone with torchvision's structure and configurable width, depth and stride.

use burn::module::{Module, ParamGroup, ParamGroupError};
use burn::nn::PaddingConfig2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::prelude::*;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_ops::capture::CaptureReport;
use vlp_ops::{
    Conv2dGeometry, from_activation_precision, init_weights, max_pool2d, recompute,
    to_activation_precision,
};

use crate::block::{Block, BlockSpec};
use crate::conv::{ConvNorm, ConvSpec};
use crate::error::VisionError;
use crate::frozen_graph::FrozenGraph;

/// Kind and number of blocks of each stage (He et al. 2016, table 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u32", try_from = "u32")]
pub enum Depth {
    /// One basic block per stage; for small presets and tests.
    R10,
    /// ResNet-18.
    R18,
    /// Two bottlenecks per stage; for small presets and tests.
    R26,
    /// ResNet-34.
    R34,
    /// ResNet-50.
    R50,
    /// ResNet-101.
    R101,
    /// ResNet-152.
    R152,
}

impl Depth {
    /// All depths, in the order of the variants.
    const ALL: [(u32, Self, bool, [usize; 4]); 7] = [
        (10, Self::R10, false, [1, 1, 1, 1]),
        (18, Self::R18, false, [2, 2, 2, 2]),
        (26, Self::R26, true, [2, 2, 2, 2]),
        (34, Self::R34, false, [3, 4, 6, 3]),
        (50, Self::R50, true, [3, 4, 6, 3]),
        (101, Self::R101, true, [3, 4, 23, 3]),
        (152, Self::R152, true, [3, 8, 36, 3]),
    ];

    /// Number of layers, whether blocks are bottlenecks, and blocks of each stage.
    fn spec(self) -> (u32, bool, [usize; 4]) {
        let (number, _, bottleneck, blocks) = Self::ALL[self as usize];
        (number, bottleneck, blocks)
    }
}

impl From<Depth> for u32 {
    fn from(depth: Depth) -> u32 {
        depth.spec().0
    }
}

impl TryFrom<u32> for Depth {
    type Error = VisionError;

    fn try_from(value: u32) -> Result<Self, VisionError> {
        Self::ALL
            .iter()
            .find(|(number, ..)| *number == value)
            .map(|(_, depth, ..)| *depth)
            .ok_or_else(|| VisionError::Config {
                key: "depth",
                value: value.to_string(),
                hint: "use 10, 18, 26, 34, 50, 101 or 152".into(),
            })
    }
}

/// Mode of the batch norms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormMode {
    /// Statistics, scale and shift are constants (DETR's FrozenBatchNorm2d), for pre-trained weights.
    Frozen,
    /// Batch statistics in training, running statistics in inference, for training from scratch.
    Trained,
}

/// The layers before stage 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// As in torchvision: a 7x7 convolution of stride 2 and a 3x3 max-pool of stride 2.
    Standard,
    /// A 3x3 convolution of stride 2, for small images.
    Small,
}

/// Configuration of a [`ResNet`]; [`ResNetConfig::new`] gives torchvision's backbone as DETR trains it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// Depth: 18, 34, 50, 101, 152 as published, 10 and 26 for small presets.
    pub depth: Depth,
    /// Channels of the stem, 64 as published. Stage `i`, counted from 0, has `width << i` inner channels.
    pub width: usize,
    /// `standard` as published, `small` for small images.
    pub stem: Stem,
    /// Number of stages, 1 to 4; 4 as published. Every stage but the first halves the map, except for the last one with
    /// `dilate_last`.
    pub stages: usize,
    /// Replace the last stage's stride by dilation (DETR's DC5 models).
    pub dilate_last: bool,
    /// `frozen` as in DETR and E2E-VLP, `trained` when starting from scratch.
    pub norm: NormMode,
    /// Number of frozen stages, the stem being the first: 0 for none, 2 for stem and stage 1 (DETR).
    pub frozen_stages: usize,
}

impl ResNetConfig {
    /// torchvision's ResNet of this depth, with norms, stem and stage 1 frozen as in DETR.
    pub fn new(depth: Depth) -> Self {
        Self {
            depth,
            width: 64,
            stem: Stem::Standard,
            stages: 4,
            dilate_last: false,
            norm: NormMode::Frozen,
            frozen_stages: 2,
        }
    }

    /// Channels of the last map.
    pub fn channels(&self) -> usize {
        let expansion = if self.depth.spec().1 { 4 } else { 1 };
        (self.width << (self.stages.max(1) - 1)) * expansion
    }

    /// Pixels per grid feature of the last map, along each axis.
    pub fn stride(&self) -> usize {
        let stem = match self.stem {
            Stem::Standard => 4,
            Stem::Small => 2,
        };
        let halvings = self
            .stages
            .saturating_sub(1 + usize::from(self.dilate_last));
        stem << halvings
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`VisionError::Config`] for the first invalid value.
    pub fn validate(&self) -> Result<(), VisionError> {
        let fail = |key, value: usize, hint: &str| {
            Err(VisionError::Config {
                key,
                value: value.to_string(),
                hint: hint.into(),
            })
        };
        if self.width == 0 {
            return fail("width", 0, "use at least 1 (64 as published)");
        }
        if !(1..=4).contains(&self.stages) {
            return fail("stages", self.stages, "use 1 to 4 (4 as published)");
        }
        if self.frozen_stages > self.stages + 1 {
            return fail(
                "frozen_stages",
                self.frozen_stages,
                "use at most stages + 1 (0 freezes nothing, 2 is DETR's)",
            );
        }
        if self.dilate_last && !self.depth.spec().1 {
            return fail(
                "depth",
                self.depth.spec().0 as usize,
                "dilate_last needs bottlenecks: use 26, 50, 101 or 152",
            );
        }
        if self.dilate_last && self.stages < 2 {
            return fail(
                "stages",
                self.stages,
                "dilate_last needs a stage with a stride: use 2 to 4",
            );
        }
        Ok(())
    }

    /// Builds the backbone, frozen as configured.
    ///
    /// Its initial weights are burn's defaults; `vlp_models::initialize` sets those of the published models.
    ///
    /// # Errors
    /// As [`Self::validate`].
    pub fn init(&self, device: &Device) -> Result<ResNet, VisionError> {
        self.validate()?;
        let (_, bottleneck, counts) = self.depth.spec();
        let pool = MaxPool2dConfig::new([3, 3])
            .with_strides([2, 2])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
        let (kernel, pool) = match self.stem {
            Stem::Standard => (7, Some(pool.init())),
            Stem::Small => (3, None),
        };
        let stem = ConvSpec {
            input: 3,
            output: self.width,
            kernel,
            stride: 2,
            dilation: 1,
        }
        .init(device);
        let (mut stages, mut input) = (Vec::new(), self.width);
        for (stage, &count) in counts.iter().take(self.stages).enumerate() {
            let is_dilated = self.dilate_last && stage + 1 == self.stages;
            let mut blocks = Vec::new();
            for index in 0..count {
                let spec = BlockSpec {
                    bottleneck,
                    input,
                    planes: self.width << stage,
                    stride: if stage > 0 && index == 0 && !is_dilated {
                        2
                    } else {
                        1
                    },
                    // As in torchvision, the first block of a dilated stage has the previous stage's dilation.
                    dilation: if is_dilated && index > 0 { 2 } else { 1 },
                };
                input = spec.output();
                blocks.push(spec.init(device));
            }
            stages.push(blocks);
        }
        self.freeze(ResNet {
            stem,
            pool,
            stages,
            recompute: false,
            frozen: FrozenGraph::default(),
        })
    }

    /// Freezes norms, stem and stages as configured. Must be called again after parameters have been replaced.
    ///
    /// # Errors
    /// [`VisionError::Config`] if burn rejects the parameter group.
    pub fn freeze(&self, mut backbone: ResNet) -> Result<ResNet, VisionError> {
        let group = |pattern: &str| {
            ParamGroup::from_regex(pattern).map_err(|e: ParamGroupError| VisionError::Config {
                key: "frozen_stages",
                value: pattern.into(),
                hint: format!("{e:?}"),
            })
        };
        if self.norm == NormMode::Frozen {
            backbone = backbone.freeze_group(group(r"(^|\.)norm\.")?);
        }
        if self.frozen_stages > 0 {
            backbone.stem = backbone.stem.freeze();
        }
        let frozen = self.frozen_stages.saturating_sub(1);
        backbone.stages = backbone
            .stages
            .into_iter()
            .enumerate()
            .map(|(i, stage)| if i < frozen { stage.freeze() } else { stage })
            .collect();
        Ok(backbone)
    }
}

/// The backbone: stem and stages, without pooling or classifier.
#[derive(Module, Debug)]
pub struct ResNet {
    stem: ConvNorm,
    pool: Option<MaxPool2d>,
    stages: Vec<Vec<Block>>,
    #[module(skip)]
    recompute: bool,
    #[module(skip)]
    frozen: FrozenGraph,
}

init_weights!(ResNet { stem, stages; pool, recompute, frozen });

impl ResNet {
    /// Whether to store only the input of each residual block and recompute the block in the backward pass
    /// ([`vlp_ops::recompute`]). Gradients are the same, and running statistics are updated once.
    #[must_use]
    pub fn with_recompute(mut self, recompute: bool) -> Self {
        self.recompute = recompute;
        self
    }

    /// How often the graph of the whole frozen backbone, which a GPU replays in training steps, was recorded and replayed.
    /// `None` before the first such step, and on the CPU.
    pub fn frozen_report(&self) -> Option<CaptureReport> {
        self.frozen.report()
    }

    /// Feature maps of all stages, finest first.
    ///
    /// Padding is not masked, as in DETR: after the first norm padded pixels are no longer zero. On a GPU whose precision is
    /// bf16, activations between the layers are bf16; the feature maps are f32.
    ///
    /// # Shapes
    /// - `pixels`: `[batch, 3, height, width]`
    /// - output of stage `i`, counted from 0: `[batch, (width << i) * expansion, height / (stem stride << i), ..]`, rounded up,
    ///   with expansion 4 for bottleneck blocks and 1 otherwise; the last stage of a dilated ResNet has the size of the one
    ///   before
    pub fn forward(&self, pixels: Tensor<4>) -> Vec<Tensor<4>> {
        let maps = self.frozen.forward(self, &pixels, Self::forward_eager);
        maps.unwrap_or_else(|| self.forward_eager(pixels))
    }

    fn forward_eager(&self, pixels: Tensor<4>) -> Vec<Tensor<4>> {
        let mut x = self.stem.forward_relu(to_activation_precision(pixels));
        if let Some(pool) = &self.pool {
            x = max_pool(pool, x);
        }
        let mut feature_maps = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            for block in stage {
                x = if self.recompute {
                    recompute(block, x, None, |block, x, _| block.forward(x))
                } else {
                    block.forward(x)
                };
            }
            feature_maps.push(from_activation_precision(x.clone()));
        }
        feature_maps
    }
}

/// `pool.forward(x)`, computed by [`max_pool2d`] if the padding is symmetric.
fn max_pool(pool: &MaxPool2d, x: Tensor<4>) -> Tensor<4> {
    match pool.padding {
        PaddingConfig2d::Explicit(top, left, bottom, right) if top == bottom && left == right => {
            let geometry = Conv2dGeometry {
                stride: pool.stride,
                padding: [top, left],
                dilation: pool.dilation,
            };
            max_pool2d(x, pool.kernel_size, geometry)
        }
        _ => pool.forward(x),
    }
}
