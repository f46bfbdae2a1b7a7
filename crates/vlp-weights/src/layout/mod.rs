//! Tensor names of published checkpoints, and the parameters they correspond to.

mod bert;
mod detect;
mod detr;
mod layer;
mod parameters;
mod resnet;
mod soho;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::error::WeightsError;

/// Attributes under which training frameworks (Lightning) and wrappers hold the model. No layout has names of its own that
/// begin with one of them, except Hugging Face's `model.`.
const FRAMEWORK_PREFIXES: [&str; 4] = ["model.", "module.", "net.", "network."];

/// The tensor names of a family of published checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckpointLayout {
    /// `torchvision.models.resnet18` to `resnet152`.
    TorchvisionResNet,
    /// Hugging Face `BertModel`, `BertForMaskedLM`, `BertForPreTraining`, with or without the prefix `bert.`, and with
    /// `weight` and `bias` or `gamma` and `beta` in layer norms.
    HfBert,
    /// DETR as released by its authors (`detr-r50-e632da11.pth`).
    FacebookDetr,
    /// Hugging Face `DetrForObjectDetection`, with a backbone of timm or of Hugging Face.
    HfDetr,
    /// SOHO as released by its authors (`soho_res18_fp16_40-9441cdd3.pth`).
    OfficialSoho,
}

/// Rows of a tensor (first axis, before transposition) that a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rows {
    /// All rows.
    All,
    /// One of `count` equal chunks, as of PyTorch's joint projection to queries, keys and values.
    Chunk {
        /// Index of the chunk, from 0.
        index: usize,
        /// Number of chunks.
        count: usize,
    },
    /// The first rows, as many as the parameter has, for position embeddings.
    Leading,
    /// All rows; or, if the tensor has 92 rows (COCO ids 0 to 90, no-object) and the parameter 81, the rows of the 80
    /// classes in use, in order of their ids, and the last one.
    CocoClasses,
}

/// The tensor that holds a parameter's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSource {
    /// [Canonical name](CheckpointLayout::canonical_name) of the tensor.
    pub name: String,
    /// Rows that the parameter takes.
    pub rows: Rows,
    /// Whether the rows are transposed: PyTorch stores linear weights as `[out, in]`, burn as `[in, out]`.
    pub transposed: bool,
}

impl TensorSource {
    /// All rows of the tensor `name`, not transposed.
    pub(crate) fn plain(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            rows: Rows::All,
            transposed: false,
        }
    }

    /// A linear layer's `weight` or `bias`.
    pub(crate) fn linear(module: impl fmt::Display, field: &str) -> Option<Self> {
        let transposed = match field {
            "weight" => true,
            "bias" => false,
            _ => return None,
        };
        Some(Self {
            transposed,
            ..Self::plain(format!("{module}.{field}"))
        })
    }

    /// A norm's `gamma` or `beta`, which are `weight` and `bias` in PyTorch.
    pub(crate) fn norm(module: impl fmt::Display, field: &str) -> Option<Self> {
        let field = match field {
            "gamma" => "weight",
            "beta" => "bias",
            _ => return None,
        };
        Some(Self::plain(format!("{module}.{field}")))
    }
}

impl CheckpointLayout {
    /// All layouts.
    pub const ALL: [Self; 5] = [
        Self::TorchvisionResNet,
        Self::HfBert,
        Self::FacebookDetr,
        Self::HfDetr,
        Self::OfficialSoho,
    ];

    /// Name for the command line, such as `hf-bert`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TorchvisionResNet => "torchvision-resnet",
            Self::HfBert => "hf-bert",
            Self::FacebookDetr => "facebook-detr",
            Self::HfDetr => "hf-detr",
            Self::OfficialSoho => "official-soho",
        }
    }

    /// Names of all layouts, separated by commas.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// Canonical names that every file of this layout has, or their [aliases](Self::alias). A released model may lack its
    /// heads.
    pub(crate) fn required_names(self) -> &'static [&'static str] {
        match self {
            Self::TorchvisionResNet => &["conv1.weight", "bn1.weight", "layer1.0.conv1.weight"],
            Self::HfBert => &[
                "embeddings.word_embeddings.weight",
                "embeddings.position_embeddings.weight",
                "embeddings.token_type_embeddings.weight",
                "embeddings.LayerNorm.weight",
                "encoder.layer.0.attention.self.query.weight",
            ],
            Self::FacebookDetr => &[
                "backbone.0.body.conv1.weight",
                "input_proj.weight",
                "transformer.encoder.layers.0.self_attn.in_proj_weight",
                "transformer.decoder.layers.0.multihead_attn.in_proj_weight",
            ],
            Self::HfDetr => &[
                "backbone.conv1.weight",
                "input_projection.weight",
                "encoder.layers.0.self_attn.q_proj.weight",
                "decoder.layers.0.encoder_attn.q_proj.weight",
            ],
            Self::OfficialSoho => &[
                "backbone.conv1.weight",
                "neck.vq.embed",
                "language.bert.embeddings.word_embeddings.weight",
            ],
        }
    }

    /// The tensor of the parameter at `path` of a pre-training module, such as
    /// `model.encoder.layers.0.attention.query.weight`; `None` if this layout has no such tensor.
    pub fn source(self, path: &str) -> Option<TensorSource> {
        let parts: Vec<&str> = path.split('.').collect();
        match self {
            Self::TorchvisionResNet => resnet::source(&parts),
            Self::HfBert => bert::source(&parts),
            Self::FacebookDetr => detr::facebook(&parts),
            Self::HfDetr => detr::hugging_face(&parts),
            Self::OfficialSoho => soho::source(&parts),
        }
    }

    /// The canonical spelling of a tensor name that has several in checkpoints of this layout. The prefixes of training
    /// frameworks (`model.`, `module.`, `net.`, `network.`) are removed.
    pub fn canonical_name(self, name: &str) -> String {
        let mut name = name;
        while let Some(rest) = FRAMEWORK_PREFIXES.iter().find_map(|p| name.strip_prefix(p)) {
            name = rest;
        }
        match self {
            Self::TorchvisionResNet => name.to_owned(),
            Self::HfBert | Self::OfficialSoho => bert::canonical_name(name),
            Self::FacebookDetr => name.strip_prefix("detr.").unwrap_or(name).to_owned(),
            Self::HfDetr => detr::canonical_name(name),
        }
    }

    /// Patterns of all [canonical names](Self::canonical_name) that correspond to a parameter.
    pub(crate) fn patterns(self) -> BTreeSet<String> {
        let paths = parameters::parameter_paths();
        let sources = paths.iter().filter_map(|path| self.source(path));
        sources
            .map(|source| parameters::pattern(&source.name))
            .collect()
    }

    /// A canonical name with `#` in place of every number.
    pub(crate) fn pattern(canonical: &str) -> String {
        parameters::pattern(canonical)
    }

    /// Another canonical name of the same values: a file with tied tensors may contain only one of the two.
    pub(crate) fn alias(self, canonical: &str) -> Option<&'static str> {
        match (self, canonical) {
            (Self::HfBert, "embeddings.word_embeddings.weight") => {
                Some("cls.predictions.decoder.weight")
            }
            (Self::HfBert, "cls.predictions.bias") => Some("cls.predictions.decoder.bias"),
            (Self::OfficialSoho, "language.bert.embeddings.word_embeddings.weight") => {
                Some("mask_l_fc.weight")
            }
            _ => None,
        }
    }

    /// Why an import ignores the tensor of this canonical name; `None` if it does not.
    pub fn unused_reason(self, canonical: &str) -> Option<&'static str> {
        if canonical.ends_with(".num_batches_tracked") {
            return Some("a counter that does not affect outputs");
        }
        let starts = |prefix| canonical.starts_with(prefix);
        match self {
            Self::TorchvisionResNet if starts("fc.") => Some("the ImageNet classifier"),
            Self::HfBert => bert::unused_reason(canonical),
            Self::FacebookDetr if starts("bbox_attention.") || starts("mask_head.") => {
                Some("the segmentation head")
            }
            Self::HfDetr if starts("bbox_attention.") || starts("mask_head.") => {
                Some("the segmentation head")
            }
            Self::HfDetr if starts("backbone.fc.") || starts("backbone.classifier.") => {
                Some("the ImageNet classifier")
            }
            Self::OfficialSoho => soho::unused_reason(canonical),
            _ => None,
        }
    }
}

impl fmt::Display for CheckpointLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CheckpointLayout {
    type Err = WeightsError;

    fn from_str(name: &str) -> Result<Self, WeightsError> {
        let layout = Self::ALL.into_iter().find(|layout| layout.name() == name);
        layout.ok_or_else(|| WeightsError::UnknownLayout {
            name: name.into(),
            layouts: Self::names(),
        })
    }
}
