//! A picture as SVG that further drawings on the page can show again without a copy of its pixels.

use crate::PictureError;
use crate::html::Esc;
use crate::png::data_uri;

/// A picture on the page, in units of CSS pixels.
pub(crate) struct Shot {
    /// Width and height it is shown at.
    pub(crate) size: (f64, f64),
    id: String,
    image: String,
    title: String,
}

impl Shot {
    /// A picture shown about `width` units wide; upright ones are narrowed so that one does not fill
    /// a screen. `id` is its own on the page.
    pub(crate) fn new(
        id: String,
        title: &str,
        (width, height, rgb): (u32, u32, &[u8]),
        shown: f64,
    ) -> Result<Self, PictureError> {
        let uri = data_uri(width, height, rgb)?;
        let ratio = f64::from(width) / f64::from(height);
        let shown = (1.1 * shown * ratio).clamp(24.0, shown);
        let size = (shown, shown / ratio);
        let pixelated = if shown >= 1.5 * f64::from(width) {
            " class=\"pixelated\""
        } else {
            ""
        };
        let image = format!(
            "<image id=\"{id}\"{pixelated} width=\"{:.1}\" height=\"{:.1}\" preserveAspectRatio=\"none\" href=\"{uri}\"/>",
            size.0, size.1
        );
        Ok(Self {
            size,
            id,
            image,
            title: Esc(title).to_string(),
        })
    }

    /// The picture with its pixels; comes once and first. No wider than `self.size`.
    pub(crate) fn first(&self) -> String {
        self.svg(&self.title, &self.image)
    }

    /// The picture again below `layer`, described by `what`.
    pub(crate) fn again(&self, what: &str, layer: &str) -> String {
        let label = format!("{}: {}", self.title, Esc(what));
        self.svg(&label, &format!("<use href=\"#{}\"/>{layer}", self.id))
    }

    fn svg(&self, label: &str, content: &str) -> String {
        format!(
            "<svg class=\"shot\" viewBox=\"0 0 {:.1} {:.1}\" role=\"img\" aria-label=\"{label}\">{content}</svg>",
            self.size.0, self.size.1
        )
    }
}
