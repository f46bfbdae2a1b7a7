//! Nothing here: the benchmarks are in `benches/`. Run them with `cargo bench --manifest-path benches/Cargo.toml`.
