//! An image as SVG that other drawings on the page reuse without a copy of its pixels.

use maud::{Markup, html};

use crate::ImageError;
use crate::data_uri::rgb_data_uri;
use crate::layout::pixelated;
use crate::svg::Px;

/// An image on the page, in CSS pixels.
pub(crate) struct SharedImage {
    /// Width and height it is shown at.
    pub(crate) size: (f64, f64),
    id: String,
    image: Markup,
    title: String,
}

impl SharedImage {
    /// An image about `max_width` wide; tall ones are narrowed to fit on a screen. `id` must be unique on the page.
    pub(crate) fn new(
        id: String,
        title: &str,
        (width, height, rgb): (u32, u32, &[u8]),
        max_width: f64,
    ) -> Result<Self, ImageError> {
        let uri = rgb_data_uri(width, height, rgb)?;
        let ratio = f64::from(width) / f64::from(height);
        let shown_width = (1.1 * max_width * ratio).clamp(24.0, max_width);
        let size = (shown_width, shown_width / ratio);
        let image = html! {
            image id=(id) class=[pixelated(shown_width >= 1.5 * f64::from(width))] width=(Px(size.0)) height=(Px(size.1))
                preserveAspectRatio="none" href=(uri) {}
        };
        Ok(Self {
            size,
            id,
            image,
            title: title.to_owned(),
        })
    }

    /// The image with its pixels; must precede all calls of [`redraw`](Self::redraw) on the page.
    pub(crate) fn draw(&self) -> Markup {
        self.svg(&self.title, &self.image)
    }

    /// The same image below `layer`, which `description` describes.
    pub(crate) fn redraw(&self, description: &str, layer: &Markup) -> Markup {
        let label = format!("{}: {description}", self.title);
        self.svg(&label, &html! { use href={ "#" (self.id) } {} (layer) })
    }

    fn svg(&self, label: &str, content: &Markup) -> Markup {
        html! {
            svg.shared-image viewBox={ "0 0 " (Px(self.size.0)) " " (Px(self.size.1)) } role="img" aria-label=(label) {
                (content)
            }
        }
    }
}
