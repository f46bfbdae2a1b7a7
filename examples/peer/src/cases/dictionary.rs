//! The look-up of a visual dictionary.

use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_vision::{DictionaryConfig, VisualDictionary};

use super::Case;
use crate::arrays::Arrays;
use crate::error::PeerError;
use crate::module;
use crate::output::{Output, Outputs};

struct Dictionary {
    dictionary: VisualDictionary,
    features: Tensor<2>,
}

pub(super) fn load(inputs: &Arrays, device: &Device) -> Result<Box<dyn Case>, PeerError> {
    let ([codes, width], codebook) = inputs.get::<f32, 2>("table")?;
    let (shape, features) = inputs.get::<f32, 2>("features")?;
    let fresh = DictionaryConfig::new(codes).init(width, device)?;
    let dictionary = module::fill_with(fresh, |path| {
        Ok(match path {
            "running_codes" => codebook.clone(),
            "running_sums" => vec![0.0; codes * width],
            "running_totals" => vec![0.0; 2],
            _ => vec![0.0; codes],
        })
    })?;
    Ok(Box::new(Dictionary {
        dictionary,
        features: Tensor::from_data(TensorData::new(features, shape), device),
    }))
}

impl Case for Dictionary {
    fn run(&mut self) -> Result<Outputs, PeerError> {
        let codes = self.dictionary.nearest_codes(self.features.clone());
        let (features, codebook) = (self.features.clone(), self.dictionary.codebook());
        let distance = Output::later(move || {
            let count = features.dims()[0];
            let step = features - codebook.select(0, codes);
            let values: Vec<f64> = step.into_data().iter().collect();
            values.iter().map(|x| x * x).sum::<f64>() / count as f64
        });
        Ok(vec![("distance".into(), distance)])
    }
}
