use std::cell::RefCell;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::{DataError, Image, Object, memory};

thread_local! {
    /// Reuses the buffer between the two passes of the filter: page faults of a new buffer cost as much as the filter.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// Maximum size of the reused buffer in bytes.
const MAX_BUFFER: usize = 32 << 20;

/// Antialiased bilinear resize, within one gray level of Pillow's `BILINEAR`.
///
/// # Errors
/// [`DataError::Config`] if `width` or `height` is 0, [`DataError::Decode`] if `image.rgb` has the wrong length.
pub fn resize(image: &Image, width: usize, height: usize) -> Result<Image, DataError> {
    if width == 0 || height == 0 {
        let reason = format!("{width}x{height}; both sides must be at least 1");
        return Err(DataError::Config {
            field: "resize",
            reason,
        });
    }
    if (width, height) == (image.width, image.height) {
        return Ok(image.clone());
    }
    let resize_error = |reason: String| DataError::Decode {
        name: "to resize".into(),
        reason,
    };
    let (source_width, source_height) = (image.width as u32, image.height as u32);
    // One pixel type: `Resizer::resize` would compile the filters for all 13.
    let source = TypedImageRef::<U8x3>::from_buffer(source_width, source_height, &image.rgb)
        .map_err(|error| resize_error(error.to_string()))?;
    let mut rgb = vec![0; width * height * 3];
    let mut resized = TypedImage::<U8x3>::from_buffer(width as u32, height as u32, &mut rgb)
        .map_err(|error| resize_error(error.to_string()))?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    memory::reuse_freed_blocks();
    let result = RESIZER.with_borrow_mut(|resizer| {
        let result = resizer.resize_typed(&source, &mut resized, &options);
        if resizer.size_of_internal_buffers() > MAX_BUFFER {
            resizer.reset_internal_buffers();
        }
        result
    });
    result.map_err(|error| resize_error(error.to_string()))?;
    Ok(Image { width, height, rgb })
}

/// Scales boxes and areas by a resize of their image from size `from` to `to`, both (width, height).
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
