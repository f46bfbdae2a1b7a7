//! Which tensor of a foreign checkpoint holds which parameter.

mod bert;
mod detr;
mod layer;
mod parameters;
mod resnet;
mod soho;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::error::WeightsError;

/// A naming convention of published checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Convention {
    /// `torchvision.models.resnet18` to `resnet152`.
    TorchvisionResNet,
    /// Hugging Face `BertModel`, `BertForMaskedLM`, `BertForPreTraining`: with the prefix `bert.` or without, layer
    /// norms with `weight` and `bias` or `gamma` and `beta`.
    HfBert,
    /// DETR as released by its authors (`detr-r50-e632da11.pth`).
    FacebookDetr,
    /// Hugging Face `DetrForObjectDetection`, with the backbone of timm or of Hugging Face.
    HfDetr,
    /// SOHO as released by its authors (`soho_res18_fp16_40-9441cdd3.pth`).
    OfficialSoho,
}

/// Which rows (first axis, before any transposition) of the tensor make up the parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rows {
    /// All.
    All,
    /// Part `part` of `of` equal ones: PyTorch joins the projections to queries, keys and values.
    Part {
        /// From 0: queries, keys, values.
        part: usize,
        /// Number of parts.
        of: usize,
    },
    /// All, or the first where the parameter has fewer: a table of positions.
    Leading,
    /// All, or, of 92 rows (COCO ids 0 to 90, no-object) where the parameter has 81, those of the 80 classes in use
    /// in order of their ids and the last one.
    CocoClasses,
}

/// Where the values of a parameter stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Name of the tensor in [canonical](Convention::canonical) spelling.
    pub name: String,
    /// Its rows in question.
    pub rows: Rows,
    /// PyTorch keeps linear weights as `[out, in]`, burn as `[in, out]`.
    pub transposed: bool,
}

impl Source {
    /// A whole tensor as it stands.
    pub(crate) fn plain(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            rows: Rows::All,
            transposed: false,
        }
    }

    /// A linear layer's `weight` or `bias`.
    pub(crate) fn linear(owner: impl fmt::Display, leaf: &str) -> Option<Self> {
        let transposed = match leaf {
            "weight" => true,
            "bias" => false,
            _ => return None,
        };
        Some(Self {
            transposed,
            ..Self::plain(format!("{owner}.{leaf}"))
        })
    }

    /// A norm's `gamma` or `beta`, which PyTorch calls `weight` and `bias`.
    pub(crate) fn norm(owner: impl fmt::Display, leaf: &str) -> Option<Self> {
        let leaf = match leaf {
            "gamma" => "weight",
            "beta" => "bias",
            _ => return None,
        };
        Some(Self::plain(format!("{owner}.{leaf}")))
    }
}

impl Convention {
    /// Every convention.
    pub const ALL: [Self; 5] = [
        Self::TorchvisionResNet,
        Self::HfBert,
        Self::FacebookDetr,
        Self::HfDetr,
        Self::OfficialSoho,
    ];

    /// Its name on a command line, such as `hf-bert`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TorchvisionResNet => "torchvision-resnet",
            Self::HfBert => "hf-bert",
            Self::FacebookDetr => "facebook-detr",
            Self::HfDetr => "hf-detr",
            Self::OfficialSoho => "official-soho",
        }
    }

    /// The convention that a file with these tensors follows, told by names that no other has.
    pub fn detect<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut found: Option<Self> = None;
        for name in names {
            // A part of one may look like another: SOHO holds a BERT, DETR a ResNet.
            let sure = match () {
                () if name.starts_with("neck.") || name.starts_with("language.bert.") => {
                    Some(Self::OfficialSoho)
                }
                () if name.contains("in_proj_weight") => Some(Self::FacebookDetr),
                () if name.contains("encoder_attn.") => Some(Self::HfDetr),
                () => None,
            };
            if sure.is_some() {
                return sure;
            }
            if name.contains("embeddings.word_embeddings.weight") {
                found = Some(Self::HfBert);
            } else if name == "layer1.0.conv1.weight" {
                found = found.or(Some(Self::TorchvisionResNet));
            }
        }
        found
    }

    /// Where the parameter at `path` of a pre-training module (such as
    /// `model.encoder.layers.0.attention.query.weight`) stands; `None` if checkpoints of this kind have no such thing.
    pub fn source(self, path: &str) -> Option<Source> {
        let parts: Vec<&str> = path.split('.').collect();
        match self {
            Self::TorchvisionResNet => resnet::source(&parts),
            Self::HfBert => bert::source(&parts),
            Self::FacebookDetr => detr::facebook(&parts),
            Self::HfDetr => detr::hugging_face(&parts),
            Self::OfficialSoho => soho::source(&parts),
        }
    }

    /// One spelling for all that a tensor's name has in checkpoints of this kind.
    pub fn canonical(self, name: &str) -> String {
        match self {
            Self::TorchvisionResNet => name.to_owned(),
            Self::HfBert | Self::OfficialSoho => bert::canonical(name),
            Self::FacebookDetr => name.strip_prefix("detr.").unwrap_or(name).to_owned(),
            Self::HfDetr => detr::canonical(name),
        }
    }

    /// [Canonical](Self::canonical) names that hold some parameter, of whatever layer, with `#` for every number.
    pub(crate) fn patterns(self) -> BTreeSet<String> {
        let paths = parameters::every_kind();
        let sources = paths.iter().filter_map(|path| self.source(path));
        sources
            .map(|source| parameters::pattern(&source.name))
            .collect()
    }

    /// The pattern of a canonical name, as in [`Self::patterns`].
    pub(crate) fn pattern(canonical: &str) -> String {
        parameters::pattern(canonical)
    }

    /// Another canonical name that holds the same values, where a file may have kept only that one.
    pub(crate) fn twin(self, canonical: &str) -> Option<&'static str> {
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

    /// Why a tensor of this canonical name is left aside on purpose; `None` if it is not.
    pub fn unused(self, canonical: &str) -> Option<&'static str> {
        if canonical.ends_with(".num_batches_tracked") {
            return Some("a counter that no output depends on");
        }
        let starts = |prefix| canonical.starts_with(prefix);
        match self {
            Self::TorchvisionResNet if starts("fc.") => Some("the classifier of ImageNet"),
            Self::HfBert => bert::unused(canonical),
            Self::FacebookDetr if starts("bbox_attention.") || starts("mask_head.") => {
                Some("the head of segmentation")
            }
            Self::HfDetr if starts("bbox_attention.") || starts("mask_head.") => {
                Some("the head of segmentation")
            }
            Self::HfDetr if starts("backbone.fc.") || starts("backbone.classifier.") => {
                Some("the classifier of ImageNet")
            }
            Self::OfficialSoho => soho::unused(canonical),
            _ => None,
        }
    }
}

impl fmt::Display for Convention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Convention {
    type Err = WeightsError;

    fn from_str(name: &str) -> Result<Self, WeightsError> {
        let found = Self::ALL.into_iter().find(|own| own.name() == name);
        found.ok_or_else(|| WeightsError::Convention {
            name: name.into(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}
