//! Latency and throughput of `vlp serve` with several clients at once.

mod client;
mod server;

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use client::Client;
use serde_json::{Value, json};
use server::Server;

/// Clients at once.
const CLIENTS: [usize; 3] = [1, 8, 64];
/// `--max-batch` of the two servers: one request at a time, and the default.
const BATCHES: [usize; 2] = [1, 32];
/// Seconds of a measurement without `--seconds`.
const SECONDS: u64 = 5;
const USAGE: &str = "usage: cargo xtask load RUN [--seconds N] [--index DIR]";

/// A request that is measured.
struct Asked {
    /// What the table calls it.
    name: String,
    route: &'static str,
    body: Value,
    /// Whether it is about an example, another one each time.
    has_image: bool,
}

/// Answers of one measurement.
struct Measured {
    per_second: f64,
    /// Milliseconds of the median and of the 95th of 100 requests.
    median: f64,
    slow: f64,
}

/// Serves a run twice, one request at a time and with batches, and prints a table of both.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let [run, options @ ..] = words else {
        return Err(USAGE.into());
    };
    let (mut seconds, mut index) = (SECONDS, None);
    let options = options.chunks(2);
    for option in options {
        match option {
            ["--seconds", text] => {
                let wrong = |_| format!("--seconds {text}: use a number of seconds");
                seconds = text.parse().map_err(wrong)?;
            }
            ["--index", folder] => index = Some(*folder),
            _ => return Err(USAGE.into()),
        }
    }
    let program = root.join("target/debug/vlp");
    if !program.is_file() {
        return Err("build the program first: cargo build -p vlp".into());
    }
    let servers = BATCHES.map(|batch| Server::start(&program, run, index, batch));
    let [single, batched] = servers;
    let servers = [single?, batched?];
    let time = Duration::from_secs(seconds);
    let mut rows: Vec<(String, usize, Vec<Measured>)> = vec![];
    let requests = match index {
        Some(_) => searches(&servers[0])?,
        None => requests(&servers[0])?,
    };
    for asked in requests {
        for clients in CLIENTS {
            // One right after the other, so that what else the machine does concerns both.
            let measured = servers
                .iter()
                .map(|server| measure(server, &asked, clients, time));
            let measured: Result<Vec<Measured>, String> = measured.collect();
            rows.push((asked.name.clone(), clients, measured?));
        }
    }
    println!(
        "| route | clients | one at a time: requests/s | median ms | 95% ms | batches: requests/s | median ms | 95% ms |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for (name, clients, measured) in rows {
        let cells = measured
            .iter()
            .map(|m| format!("{:.0} | {:.1} | {:.1}", m.per_second, m.median, m.slow));
        let cells: Vec<String> = cells.collect();
        println!("| {name} | {clients} | {} |", cells.join(" | "));
    }
    Ok(())
}

/// The first model of a server, which has examples.
fn model(server: &Server) -> Result<Value, String> {
    let models = Client::connect(&server.address)?.get("/v1/models")?;
    let model = models["models"][0].clone();
    match model["examples"].as_u64() {
        Some(0) => Err("the run's data cannot be read: no examples to ask about".into()),
        _ => Ok(model),
    }
}

/// Searches in the index of the model: the first pass alone, and with the matching head.
fn searches(server: &Server) -> Result<Vec<Asked>, String> {
    let search = &model(server)?["search"];
    let can_rerank = |what: &str| search[format!("reranks_{what}")] == true;
    let mut all = vec![];
    for (what, reranks, subject) in [
        (
            "images by text",
            can_rerank("images"),
            json!({ "texts": ["a red circle"] }),
        ),
        ("texts by image", can_rerank("texts"), json!({})),
    ] {
        for rerank in [0, 32] {
            if rerank > 0 && !reranks {
                continue;
            }
            let mut body = subject.clone();
            body["rerank"] = rerank.into();
            all.push(Asked {
                name: format!("{what}, `rerank` {rerank}"),
                route: "/v1/search",
                has_image: body.get("texts").is_none(),
                body,
            });
        }
    }
    Ok(all)
}

/// A request for each head of the model, about an example.
fn requests(server: &Server) -> Result<Vec<Asked>, String> {
    let model = model(server)?;
    let heads = model["heads"].as_array().cloned().unwrap_or_default();
    let all = [
        ("detect", "/v1/detect", json!({})),
        ("caption", "/v1/caption", json!({})),
        (
            "answer",
            "/v1/answer",
            json!({ "questions": ["what color is the circle?"] }),
        ),
        ("match", "/v1/match", json!({ "texts": ["a red circle"] })),
    ];
    let offered = all
        .into_iter()
        .filter(|(head, ..)| heads.contains(&json!(head)));
    Ok(offered
        .map(|(_, route, body)| Asked {
            name: format!("`{route}`"),
            route,
            body,
            has_image: true,
        })
        .collect())
}

/// Requests of `clients` clients, each of which waits for its answer before it asks for the next one.
fn measure(
    server: &Server,
    asked: &Asked,
    clients: usize,
    time: Duration,
) -> Result<Measured, String> {
    // Without the first requests of each connection.
    let warm_up = time / 5;
    let times = Mutex::new(vec![]);
    let start = Instant::now();
    let results: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let threads = (0..clients).map(|number| {
            let times = &times;
            scope.spawn(move || {
                let mut client = Client::connect(&server.address)?;
                let mut example = number;
                while start.elapsed() < warm_up + time {
                    let mut body = asked.body.clone();
                    if asked.has_image {
                        body["images"] = json!([{ "example": example % server.examples }]);
                    }
                    example += 1;
                    let sent = Instant::now();
                    client.post(asked.route, &body)?;
                    if sent.duration_since(start) >= warm_up {
                        let milliseconds = sent.elapsed().as_secs_f64() * 1e3;
                        times.lock().map_err(|e| e.to_string())?.push(milliseconds);
                    }
                }
                Ok(())
            })
        });
        let threads: Vec<_> = threads.collect();
        let joined = threads.into_iter().map(|thread| {
            let panicked = |_| Err("a client panicked".to_owned());
            thread.join().unwrap_or_else(panicked)
        });
        joined.collect()
    });
    let seconds = (start.elapsed() - warm_up).as_secs_f64();
    results.into_iter().collect::<Result<(), String>>()?;
    let mut times = times.into_inner().map_err(|e| e.to_string())?;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index).copied().unwrap_or(f64::NAN)
    };
    Ok(Measured {
        per_second: times.len() as f64 / seconds,
        median: at(0.5),
        slow: at(0.95),
    })
}
