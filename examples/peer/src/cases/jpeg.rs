//! From the bytes of a JPEG to normalized pixels.

use vlp_data::transform::{normalize, resize};
use vlp_data::{Limits, decode_image};

use super::Case;
use crate::arrays::Arrays;
use crate::error::PeerError;
use crate::output::{Output, Outputs, digest};

const WIDTH: usize = 1066;
const HEIGHT: usize = 800;

struct Jpeg {
    file: Vec<u8>,
}

pub(super) fn load(inputs: &Arrays) -> Result<Box<dyn Case>, PeerError> {
    let (_, file) = inputs.get::<u8, 1>("jpeg")?;
    Ok(Box::new(Jpeg { file }))
}

impl Case for Jpeg {
    fn run(&mut self) -> Result<Outputs, PeerError> {
        let image = decode_image(&self.file, "jpeg", &Limits::default())?;
        let pixels = normalize(&resize(&image, WIDTH, HEIGHT)?);
        let output = Output::later(move || {
            let values: Vec<f64> = pixels.into_iter().map(f64::from).collect();
            digest(&values)
        });
        Ok(vec![("pixels".into(), output)])
    }
}
