//! Time and memory of whole training steps and passes: `cargo run -p vlp --example measure WHAT [ARGUMENT]...`.
//!
//! One program, because each links burn anew.

#![allow(clippy::print_stdout)]

mod algorithms;
mod memory;
mod preset;
mod profile;
mod steps;

fn main() -> preset::BoxResult {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let what = match arguments.is_empty() {
        true => String::new(),
        false => arguments.remove(0),
    };
    match what.as_str() {
        "algorithms" => algorithms::run(arguments),
        "memory" => memory::run(arguments),
        "profile" => profile::run(arguments),
        "steps" => steps::run(arguments),
        _ => Err(format!("\"{what}\": use algorithms, memory, profile or steps").into()),
    }
}
