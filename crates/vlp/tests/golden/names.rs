//! PyTorch's names of the reference's weights, and loading them into modules.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use burn::tensor::TensorData;

/// The PyTorch parameter that holds the weights of a parameter.
#[derive(Debug, PartialEq)]
pub(crate) struct TorchParam {
    pub(crate) name: String,
    /// Which third of a joint query, key and value projection it is.
    pub(crate) third: Option<usize>,
    /// PyTorch stores linear weights as `[out, in]`.
    pub(crate) transposed: bool,
}

/// The PyTorch parameter of the parameter at `path` of a pre-training module; `None` if there is none.
pub(crate) fn torch_param(path: &str) -> Option<TorchParam> {
    let (owner, leaf) = path.rsplit_once('.')?;
    let numbers: Vec<usize> = owner.split('.').filter_map(|s| s.parse().ok()).collect();
    let tail = owner.rsplit('.').next().unwrap_or_default();
    let part = |conv: &str, norm: &str| {
        if tail == "conv" {
            conv.to_owned()
        } else {
            norm.to_owned()
        }
    };
    let mut third = None;
    let torch = if let Some(rest) = owner.strip_prefix("model.backbone.") {
        match (rest.split('.').next()?, numbers[..].as_ref()) {
            ("stem", _) => format!("backbone.{}", part("conv1", "bn1")),
            ("stages", [stage, block, layer]) => format!(
                "backbone.layer{}.{block}.{}{}",
                stage + 1,
                part("conv", "bn"),
                layer + 1
            ),
            ("stages", [stage, block]) => format!(
                "backbone.layer{}.{block}.downsample.{}",
                stage + 1,
                part("0", "1")
            ),
            _ => return None,
        }
    } else if let Some(rest) = owner.strip_prefix("objectives.") {
        match (rest, leaf) {
            ("detection", "query_embed") => "query_embed".into(),
            ("mlm" | "caption", "bias") => {
                return Some(TorchParam {
                    name: format!("{rest}_bias"),
                    third,
                    transposed: false,
                });
            }
            ("itm.head", _) => "itm_head".into(),
            ("mlm.transform", _) => "mlm_transform.0".into(),
            ("mlm.norm", _) => "mlm_transform.2".into(),
            ("detection.heads.0.class", _) => "class_embed".into(),
            ("detection.heads.0.attribute", _) => "attr_embed".into(),
            _ if rest.starts_with("detection.box_head.") => {
                format!("bbox_embed.{}", 2 * numbers.first()?)
            }
            _ => return None,
        }
    } else {
        let rest = owner.strip_prefix("model.")?;
        match rest.strip_prefix("words.") {
            Some("norm") => "text_embed.LayerNorm".into(),
            Some(table) => {
                let table = table.replace("token_type", "token_type_embeddings");
                let table = table.replace("position", "position_embeddings");
                format!("text_embed.{}", table.replace("word", "word_embeddings"))
            }
            None => {
                let (attention, which) = attention(rest);
                third = which;
                attention
            }
        }
    };
    let leaf = match leaf {
        "gamma" | "query_embed" => "weight",
        "beta" => "bias",
        other => other,
    };
    let table = torch.contains("embeddings") || torch == "query_embed";
    let name = match third {
        Some(_) => format!("{torch}.in_proj_{leaf}"),
        None => format!("{torch}.{leaf}"),
    };
    Some(TorchParam {
        name,
        third,
        transposed: leaf == "weight" && !table,
    })
}

/// PyTorch's name of a module in a transformer layer, and its third of the projection.
pub(crate) fn attention(owner: &str) -> (String, Option<usize>) {
    let owner = owner
        .replace(".feed_forward.inner", ".linear1")
        .replace(".feed_forward.outer", ".linear2")
        .replace(".cross_attention.", ".multihead_attn.")
        .replace(".self_attention.", ".self_attn.")
        .replace(".attention.", ".self_attn.");
    match owner.rsplit_once('.') {
        Some((layer, "query")) => (layer.into(), Some(0)),
        Some((layer, "key")) => (layer.into(), Some(1)),
        Some((layer, "value")) => (layer.into(), Some(2)),
        Some((layer, "output")) => (format!("{layer}.out_proj"), None),
        _ => (owner, None),
    }
}

/// Loads PyTorch's weights into a module.
pub(crate) struct TorchWeights<'a> {
    /// Values by PyTorch name.
    pub(crate) weights: &'a dyn Fn(&str) -> Option<Vec<f32>>,
    /// The PyTorch parameter of a path.
    pub(crate) torch_param: fn(&str) -> Option<TorchParam>,
    /// PyTorch names that were loaded.
    pub(crate) used: BTreeSet<String>,
    /// Messages about parameters that were not loaded.
    pub(crate) problems: Vec<String>,
    path: Vec<String>,
}

impl<'a> TorchWeights<'a> {
    pub(crate) fn new(
        weights: &'a dyn Fn(&str) -> Option<Vec<f32>>,
        torch_param: fn(&str) -> Option<TorchParam>,
    ) -> Self {
        Self {
            weights,
            torch_param,
            used: BTreeSet::new(),
            problems: vec![],
            path: vec![],
        }
    }

    pub(crate) fn load<M: Module>(&mut self, module: M) -> M {
        module.map(self)
    }

    fn values(&mut self, shape: &[usize]) -> Result<Vec<f32>, String> {
        let path = self.path.join(".");
        let torch =
            (self.torch_param)(&path).ok_or_else(|| format!("{path} has no PyTorch name"))?;
        let weights = (self.weights)(&torch.name)
            .ok_or_else(|| format!("{} is missing (for {path})", torch.name))?;
        let count: usize = shape.iter().product();
        let start = torch.third.unwrap_or(0) * count;
        let expected = if torch.third.is_some() {
            3 * count
        } else {
            count
        };
        if weights.len() != expected {
            return Err(format!(
                "{} has {} values, {path} takes {expected}",
                torch.name,
                weights.len()
            ));
        }
        self.used.insert(torch.name);
        let values = &weights[start..start + count];
        Ok(match shape {
            &[rows, columns] if torch.transposed => (0..count)
                .map(|i| values[(i % columns) * rows + i / columns])
                .collect(),
            _ => values.to_vec(),
        })
    }
}

impl ModuleMapper for TorchWeights<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Counters that PyTorch does not have and no output depends on.
        let counters = ["running_usage", "running_totals"];
        if self
            .path
            .last()
            .is_some_and(|leaf| counters.contains(&leaf.as_str()))
        {
            return param;
        }
        let shape: [usize; D] = param.lazy_shape().dims();
        match self.values(&shape) {
            Ok(values) => param.map(|old| {
                Tensor::from_data(TensorData::new(values, shape), &old.device())
                    .set_require_grad(old.is_require_grad())
            }),
            Err(problem) => {
                self.problems.push(problem);
                param
            }
        }
    }
}
