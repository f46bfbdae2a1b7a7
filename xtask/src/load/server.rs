//! `vlp serve` as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::client::Client;

/// A server that ends with this value.
pub(super) struct Server {
    process: Child,
    pub(super) address: String,
    /// Examples of its model.
    pub(super) examples: usize,
}

impl Server {
    /// Serves a run, with an index if there is one, with batches of at most `max_batch`.
    pub(super) fn start(
        program: &Path,
        run: &str,
        index: Option<&str>,
        max_batch: usize,
    ) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.args(["serve", run, "--port", "0", "--max-batch"]);
        command.arg(max_batch.to_string()).stdout(Stdio::piped());
        if let Some(index) = index {
            command.args(["--index", index]);
        }
        let process = command.spawn();
        let mut process = process.map_err(|e| format!("{}: {e}", program.display()))?;
        let output = process.stdout.take();
        let mut server = Self {
            process,
            address: String::new(),
            examples: 1,
        };
        let lines = output
            .into_iter()
            .flat_map(|output| BufReader::new(output).lines());
        let mut lines = lines.map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.strip_prefix("http://")?.to_owned()));
        let address = address.ok_or("vlp serve has ended; its message says why")?;
        server.address = address.trim_end_matches('/').into();
        let models = Client::connect(&server.address)?.get("/v1/models")?;
        let examples = models["models"][0]["examples"].as_u64();
        server.examples = examples.unwrap_or_default().max(1) as usize;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing of it is needed any more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
