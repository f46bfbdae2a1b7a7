//! Settings of a server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use getset::WithSetters;
use vlp_data::Limits;

use crate::host_name::HostName;

/// Address and limits of a server. The greatest memory of requests is about `queue * max_body_bytes`, plus
/// `queue * max_images` resized images of three bytes a pixel, which wait for the model, and while images are decoded three
/// bytes for each of `max_pixels` on every core.
#[derive(Debug, Clone, PartialEq, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
pub struct ServeConfig {
    /// Address to listen on; 127.0.0.1:8008 by default, which other machines cannot reach. Port 0 is any free port.
    pub address: SocketAddr,
    /// Host names by which clients may call the server, besides `localhost` and IP addresses: the `Host` header of a request
    /// must be one of them, so that a web page elsewhere cannot reach it through a name of its own (DNS rebinding).
    pub allowed_hosts: Vec<HostName>,
    /// Connections at once. A further one takes the place of the connection that has waited longest for its client, or waits.
    pub connections: usize,
    /// Requests at once, counted from their first byte to their answer; further ones are answered with 429.
    pub queue: usize,
    /// Time after which a request is answered with 504, and after which a client that takes no more of its answer is
    /// disconnected.
    pub timeout: Duration,
    /// Maximum size of a request's body in bytes. Images in it are base64, four bytes for three.
    pub max_body_bytes: usize,
    /// Maximum number of pixels of an image; checked before it is decoded.
    pub max_pixels: usize,
    /// Maximum width and height of an image in pixels.
    pub max_side: usize,
    /// Maximum number of images in a request.
    pub max_images: usize,
    /// Maximum number of questions, texts, captions or queries in a request, and of pairs with an image where answers are
    /// large.
    pub max_texts: usize,
    /// Maximum length of a text in bytes.
    pub max_text_bytes: usize,
    /// Rows of the model's batch: images, or pairs of image and text. Requests that wait are put into one batch up to this
    /// many rows; a single request may have more.
    pub max_batch: usize,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8008),
            allowed_hosts: vec![],
            connections: 512,
            queue: 128,
            timeout: Duration::from_secs(60),
            max_body_bytes: 16 << 20,
            max_pixels: 25_000_000,
            max_side: 16_384,
            max_images: 16,
            max_texts: 64,
            max_text_bytes: 2000,
            max_batch: 32,
        }
    }
}

impl ServeConfig {
    pub(crate) fn image_limits(&self) -> Limits {
        Limits::default()
            .with_max_pixels(self.max_pixels)
            .with_max_side(self.max_side)
    }
}
