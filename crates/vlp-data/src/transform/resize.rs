use std::cell::RefCell;

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};

use crate::{DataError, Object, Picture, memory};

thread_local! {
    /// Keeps the memory of the picture between its two passes: fresh pages for each picture cost as much as the filter.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// Bytes that a thread keeps; what a larger picture took is given back.
const KEPT: usize = 32 << 20;

/// Antialiased bilinear resize, as PIL's `BILINEAR` and torchvision's with antialiasing (the filter widens when
/// shrinking); within one grey level of PIL.
///
/// # Errors
/// [`DataError::Config`] when `width` or `height` is 0, [`DataError::Decode`] when `picture.rgb` has the wrong length.
pub fn resize(picture: &Picture, width: usize, height: usize) -> Result<Picture, DataError> {
    if width == 0 || height == 0 {
        let reason = format!("{width}x{height}; both sides must be at least 1");
        return Err(DataError::Config {
            field: "resize",
            reason,
        });
    }
    if (width, height) == (picture.width, picture.height) {
        return Ok(picture.clone());
    }
    let bad = |reason: String| DataError::Decode {
        name: "to resize".into(),
        reason,
    };
    let (from_width, from_height) = (picture.width as u32, picture.height as u32);
    let from = ImageRef::new(from_width, from_height, &picture.rgb, PixelType::U8x3)
        .map_err(|error| bad(error.to_string()))?;
    let mut to = Image::new(width as u32, height as u32, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    memory::keep();
    let done = RESIZER.with_borrow_mut(|resizer| {
        let done = resizer.resize(&from, &mut to, &options);
        if resizer.size_of_internal_buffers() > KEPT {
            resizer.reset_internal_buffers();
        }
        done
    });
    done.map_err(|error| bad(error.to_string()))?;
    Ok(Picture {
        width,
        height,
        rgb: to.into_vec(),
    })
}

/// Objects with boxes (and areas) in pixels of a picture resized from `from` to `to`, both width and height.
pub fn resize_objects(objects: &[Object], from: (usize, usize), to: (usize, usize)) -> Vec<Object> {
    let scale_x = to.0 as f32 / from.0.max(1) as f32;
    let scale_y = to.1 as f32 / from.1.max(1) as f32;
    let scaled = |object: &Object| {
        let [x0, y0, x1, y1] = object.bbox;
        Object {
            bbox: [x0 * scale_x, y0 * scale_y, x1 * scale_x, y1 * scale_y],
            area: object.area * scale_x * scale_y,
            ..object.clone()
        }
    };
    objects.iter().map(scaled).collect()
}
