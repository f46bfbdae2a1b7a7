//! Requests and answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use serde_json::{Map, Value, json};
use vlp_train::Precision;

use crate::cases::{self, Case, Options};
use crate::error::PeerError;
use crate::{fresh, memory, prepare};

/// Threads of either side.
pub(crate) const THREADS: usize = 2;

/// What a request must have in common with the last one to continue with what is loaded.
const KEY: [&str; 8] = [
    "case",
    "weights",
    "inputs",
    "device",
    "precision",
    "set",
    "eager",
    "count",
];

/// Answers requests; keeps what the last one loaded.
#[derive(Default)]
pub(crate) struct Worker {
    loaded: Option<Loaded>,
}

/// A case ready to run again.
struct Loaded {
    /// The values of [`KEY`] in the request.
    key: [Value; KEY.len()],
    case: Box<dyn Case>,
    device: Device,
    /// Of the first run: those of the weights as they are.
    losses: Map<String, Value>,
}

impl Worker {
    /// The answer to a line; an object with `error` where it cannot be answered.
    pub(crate) fn answer(&mut self, line: &str) -> Value {
        // Tensors whose shapes do not go together are a panic of burn's, which says more on standard error.
        let result = catch_unwind(AssertUnwindSafe(|| {
            let request = serde_json::from_str(line);
            let request = request.map_err(|e| PeerError::Request(format!("no JSON: {e}")))?;
            self.ask(&request)
        }));
        let result = result.unwrap_or_else(|_| {
            // Half a step may have been made.
            self.loaded = None;
            let reason = "panicked: do shapes, ids and numbers of the inputs go together?";
            Err(PeerError::Request(reason.into()))
        });
        result.unwrap_or_else(|error| json!({"error": error.to_string()}))
    }

    fn ask(&mut self, request: &Value) -> Result<Value, PeerError> {
        if request["versions"] == true {
            return Ok(
                json!({"versions": {"vlp": env!("CARGO_PKG_VERSION"), "burn": locked("burn"),
                    "simd": vlp_ops::simd_level().to_string()}}),
            );
        }
        if !request["prepare"].is_null() {
            let (case, folder) = (text(request, "prepare")?, text(request, "dir")?);
            let (weights, inputs) = prepare::prepare(case, Path::new(folder))?;
            return Ok(json!({"weights": weights, "inputs": inputs}));
        }
        let case = text(request, "case")?;
        let repeats = request["repeats"].as_u64();
        let repeats = repeats.ok_or_else(|| PeerError::Request("repeats: give a count".into()))?;
        match case {
            "start" => start(request, repeats),
            _ => self.run(case, request, repeats),
        }
    }

    fn run(&mut self, case: &str, request: &Value, repeats: u64) -> Result<Value, PeerError> {
        let key = KEY.map(|name| request[name].clone());
        if self.loaded.as_ref().is_none_or(|loaded| loaded.key != key) {
            // What was loaded goes first: both need not be in memory.
            self.loaded = None;
            let inputs = Path::new(text(request, "inputs")?);
            let weights = request["weights"].as_str().map(Path::new);
            let device = vlp::device::pick(request["device"].as_str().unwrap_or("flex"))?;
            let precision = request["precision"].as_str().unwrap_or("tf32").parse();
            let precision: Precision = precision.map_err(PeerError::Request)?;
            precision
                .set(&device)
                .map_err(|e| PeerError::Device(e.to_string()))?;
            // A replay starts no kernel of its own, so that none could be counted.
            let is_eager = request["eager"] == true || request["count"] == true;
            let set = request["set"].as_array().into_iter().flatten();
            let options = Options {
                captures: !is_eager && !vlp_ops::is_cpu(&device),
                precision,
                set: set
                    .filter_map(|value| Some(value.as_str()?.into()))
                    .collect(),
            };
            let mut case = cases::load(case, weights, inputs, &device, &options)?;
            let outputs = case.run()?.into_iter();
            let losses = outputs.map(|(name, output)| (name, json!(output.value())));
            self.loaded = Some(Loaded {
                key,
                losses: losses.collect(),
                case,
                device,
            });
        }
        let mut seconds = vec![];
        let Some(loaded) = &mut self.loaded else {
            return Err(PeerError::Request("nothing is loaded".into()));
        };
        #[cfg(feature = "ledger")]
        if request["count"] == true {
            return crate::count::count(&mut *loaded.case, &loaded.device);
        }
        for _ in 0..repeats {
            let start = Instant::now();
            let outputs = loaded.case.run()?;
            // A GPU has only been told what to do.
            let done = loaded.device.sync();
            done.map_err(|e| PeerError::Device(e.to_string()))?;
            seconds.push(start.elapsed().as_secs_f64());
            drop(outputs);
        }
        Ok(
            json!({"case": case, "seconds": seconds, "losses": loaded.losses, "peak_rss": memory::peak(),
            "threads": THREADS, "graphs": loaded.case.graphs()}),
        )
    }
}

/// A fresh process for each repeat.
fn start(request: &Value, repeats: u64) -> Result<Value, PeerError> {
    let mut request = request.clone();
    request["case"] = json!("e2e-384");
    request["repeats"] = json!(0);
    let mut seconds = vec![];
    let mut answer = Value::Null;
    for _ in 0..repeats {
        let (elapsed, reply) = fresh::ask(&request)?;
        seconds.push(elapsed);
        answer = reply;
    }
    if seconds.is_empty() {
        return Err(PeerError::Request(
            "repeats: give at least 1 to `start`".into(),
        ));
    }
    answer["case"] = json!("start");
    answer["seconds"] = json!(seconds);
    Ok(answer)
}

/// The version of a dependency that the workspace is built with.
fn locked(name: &str) -> Option<&'static str> {
    let lock = include_str!("../../../Cargo.lock");
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(rest.split_once('"')?.0)
}

fn text<'a>(request: &'a Value, key: &str) -> Result<&'a str, PeerError> {
    let missing = || PeerError::Request(format!("{key}: give a text"));
    request[key].as_str().ok_or_else(missing)
}
