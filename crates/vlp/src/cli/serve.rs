//! `vlp serve`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use vlp::VlpError;
use vlp::serve::{ServedRun, attach_indices, distinguish};
use vlp_serve::{HostName, Model, ServeConfig, Server, stop_signal};

use super::common_args::{CheckpointArgs, InferenceArgs};
use super::output::{print, warn};

#[derive(Args)]
pub(super) struct ServeArgs {
    /// Folders of runs; the first is the one that requests without a model's name go to.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Validation images that clients may choose; 0 reads no data.
    #[arg(long, value_name = "N", default_value_t = 48, value_parser = RangedU64ValueParser::<usize>::new().range(0..=1000))]
    examples: usize,
    /// An index that one of the runs made (`vlp index`), to search in; may be repeated, once for each run.
    #[arg(long, value_name = "DIR")]
    index: Vec<PathBuf>,
    #[command(flatten)]
    device: InferenceArgs,
    // Last: a heading applies to all arguments after it.
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

#[derive(Args)]
#[command(next_help_heading = "Network")]
struct NetworkArgs {
    /// Address to listen on; 127.0.0.1 by default, which other machines cannot reach. Anyone who reaches the server may use it.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpAddr>,
    /// Port to listen on, 8008 by default; 0 for any free one.
    #[arg(long)]
    port: Option<u16>,
    /// A host name by which clients call the server, besides localhost and IP addresses; may be repeated.
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<HostName>,
}

/// Limits; the defaults are those of [`ServeConfig`].
#[derive(Args)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Requests at once; further ones are answered with 429. 128 by default.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    queue: Option<usize>,
    /// Connections at once; further ones take the place of idle ones, or wait. 512 by default.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    connections: Option<usize>,
    /// Images, or pairs of image and text, that are computed together. 32 by default.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    max_batch: Option<usize>,
    /// Seconds after which a request is answered with 504, and after which a client that stops reading its response is
    /// disconnected; 60 by default.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: Option<u64>,
    /// Maximum size of a request in bytes. 16777216 by default.
    #[arg(long, value_name = "BYTES", value_parser = RangedU64ValueParser::<usize>::new().range(1000..=1 << 30))]
    max_body_bytes: Option<usize>,
    /// Maximum number of pixels of an image. 25000000 by default.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1 << 30))]
    max_pixels: Option<usize>,
    /// Maximum number of images in a request. 16 by default.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    max_images: Option<usize>,
    /// Maximum number of questions, texts, captions or queries in a request. 64 by default.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    max_texts: Option<usize>,
}

impl ServeArgs {
    fn config(&self) -> ServeConfig {
        let (network, limits) = (&self.network, &self.limits);
        let defaults = ServeConfig::default();
        let address = SocketAddr::new(
            network.address.unwrap_or(defaults.address.ip()),
            network.port.unwrap_or(defaults.address.port()),
        );
        let timeout = limits.timeout.map(Duration::from_secs);
        defaults
            .clone()
            .with_address(address)
            .with_allowed_hosts(network.allow_host.clone())
            .with_queue(limits.queue.unwrap_or(defaults.queue))
            .with_connections(limits.connections.unwrap_or(defaults.connections))
            .with_max_batch(limits.max_batch.unwrap_or(defaults.max_batch))
            .with_timeout(timeout.unwrap_or(defaults.timeout))
            .with_max_body_bytes(limits.max_body_bytes.unwrap_or(defaults.max_body_bytes))
            .with_max_pixels(limits.max_pixels.unwrap_or(defaults.max_pixels))
            .with_max_images(limits.max_images.unwrap_or(defaults.max_images))
            .with_max_texts(limits.max_texts.unwrap_or(defaults.max_texts))
    }

    pub(super) fn run(self) -> Result<(), VlpError> {
        let device = self.device.pick()?;
        let device_name = vlp::device::resolve_name(&self.device.device.name);
        let mut runs = vec![];
        for run in &self.runs {
            let choice = self.checkpoint.choice;
            let (run, notes) = ServedRun::open(run, choice, &device, device_name, self.examples)?;
            for note in notes {
                warn(format_args!("note: {note}"));
            }
            runs.push(run);
        }
        distinguish(&mut runs);
        for note in attach_indices(&mut runs, &self.index)? {
            warn(format_args!("note: {note}"));
        }
        let lines = runs.iter().map(|run| {
            let info = run.info();
            let heads: Vec<&str> = info.heads.iter().map(|head| head.name()).collect();
            format!(
                "{}: {}, {} steps: {}\n",
                info.name,
                info.preset,
                info.step,
                heads.join(", ")
            )
        });
        let lines: String = lines.collect();
        let models = runs.into_iter();
        let models = models.map(|run| Arc::new(run) as Arc<dyn Model>).collect();
        let server = Server::bind(models, self.config())?;
        // Last: programs that wait for this line may call the server.
        print(format_args!("{lines}http://{}/\n", server.address()))?;
        Ok(server.run(stop_signal())?)
    }
}
