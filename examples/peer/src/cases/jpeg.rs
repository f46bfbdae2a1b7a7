//! From the bytes of a JPEG to normalised pixels.

use vlp_data::transform::{normalise, resize};
use vlp_data::{Limits, decode_picture};

use super::Case;
use crate::arrays::Arrays;
use crate::error::PeerError;
use crate::figures::{Figure, Figures, digest};

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
    fn run(&mut self) -> Result<Figures, PeerError> {
        let picture = decode_picture(&self.file, "jpeg", &Limits::default())?;
        let pixels = normalise(&resize(&picture, WIDTH, HEIGHT)?);
        let found = Figure::later(move || {
            let values: Vec<f64> = pixels.into_iter().map(f64::from).collect();
            digest(&values)
        });
        Ok(vec![("pixels".into(), found)])
    }
}
