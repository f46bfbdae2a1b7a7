//! Tests under Miri and under the address sanitizer.

use std::path::Path;
use std::process::Command;

/// Platform of what is built with the sanitizer: that of build scripts must be told apart.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// Interprets a program, and stops at undefined behavior and data races. It runs the kernels without vector instructions.
    Miri,
    /// Finds accesses outside of allocations, in the program as it is built for the processor.
    AddressSanitizer,
}

/// Tests of a crate.
pub(super) struct Check {
    pub(super) tool: Tool,
    pub(super) name: &'static str,
    arguments: &'static str,
    /// `VLP_SIMD`.
    simd: &'static str,
}

/// Tests of kernels on slices: burn's own operations would take Miri hours.
const ON_SLICES: &str =
    "--package vlp-ops --lib -- cpu::conv::tests cpu::gemm cpu::matrix cpu::nchw_strips";
/// What they run of the crate's sources, and so do all of its tests.
const PARTS: &[&str] = &[
    "cpu",
    "cpu/conv",
    "cpu/conv/weight_grad",
    "cpu/conv/winograd",
    "cpu/gemm",
    "cpu/matrix",
];

pub(super) const CHECKS: [Check; 4] = [
    Check {
        tool: Tool::Miri,
        name: "Miri, scalar",
        arguments: ON_SLICES,
        simd: "scalar",
    },
    Check {
        tool: Tool::AddressSanitizer,
        name: "address sanitizer, AVX-512",
        arguments: "--package vlp-ops",
        simd: "avx512",
    },
    Check {
        tool: Tool::AddressSanitizer,
        name: "address sanitizer, AVX2",
        arguments: "--package vlp-ops",
        simd: "avx2",
    },
    Check {
        tool: Tool::AddressSanitizer,
        name: "address sanitizer, scalar",
        arguments: "--package vlp-ops",
        simd: "scalar",
    },
];

/// Seconds for build and tests.
const LIMIT: &str = "2400";

impl Check {
    /// Whether the tests run the kernels of this folder of the crate's sources.
    pub(super) fn covers(&self, folder: &str) -> bool {
        PARTS.contains(&folder) || (self.simd == "avx512" && folder == "cpu/bf16/x86")
    }

    /// Runs the tests. Returns how many there were.
    pub(super) fn run(&self, root: &Path) -> Result<usize, String> {
        let mut command = Command::new("timeout");
        command.args([LIMIT, "rustup", "run", "nightly", "cargo"]);
        match self.tool {
            Tool::Miri => {
                command.args(["miri", "test"]);
                // Files and clocks are the machine's; the thread pools of a process have no end, and make pointers of numbers.
                command.env(
                    "MIRIFLAGS",
                    "-Zmiri-disable-isolation -Zmiri-tree-borrows -Zmiri-ignore-leaks -Zmiri-permissive-provenance",
                );
                // The machine that it interprets has one core.
                command.env("RAYON_NUM_THREADS", "3");
                command.env("RUSTFLAGS", "");
            }
            Tool::AddressSanitizer => {
                command.args(["test", "--tests", "--target", PLATFORM]);
                command.env("RUSTFLAGS", "-Zsanitizer=address");
                command.env("ASAN_OPTIONS", "detect_leaks=0");
            }
        }
        command.args(["--target-dir", "target/torture/unsafe"]);
        command.args(self.arguments.split(' '));
        // What the build of this program was told is for another toolchain.
        for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(name);
        }
        command.env("VLP_SIMD", self.simd).current_dir(root);
        let output = command.stderr(std::process::Stdio::inherit()).output();
        let output = output.map_err(|e| format!("timeout: {e}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        match (output.status.code(), passed(&text)) {
            (Some(0), count) if count > 0 => Ok(count),
            (Some(124), _) => Err(format!("{}: not done in {LIMIT} s\n{text}", self.name)),
            _ => Err(format!("{}: {}\n{text}", self.name, output.status)),
        }
    }
}

/// Number of tests that a test program says have passed.
fn passed(output: &str) -> usize {
    let results = output
        .lines()
        .filter(|line| line.starts_with("test result: ok."));
    let counts = results.filter_map(|line| line.split(' ').nth(3)?.parse::<usize>().ok());
    counts.sum()
}

/// What this machine lacks for a tool.
pub(super) fn missing(tool: Tool) -> Option<&'static str> {
    let arguments: &[&str] = match tool {
        Tool::Miri => &["run", "nightly", "cargo", "miri", "--version"],
        Tool::AddressSanitizer => &["run", "nightly", "rustc", "--version"],
    };
    let output = Command::new("rustup").args(arguments).output();
    match (output.is_ok_and(|output| output.status.success()), tool) {
        (true, _) => None,
        (false, Tool::Miri) => {
            Some("no Miri: `rustup component add miri rust-src --toolchain nightly`")
        }
        (false, Tool::AddressSanitizer) => {
            Some("no nightly toolchain: `rustup toolchain install nightly`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_summed() {
        let output = "test a ... ok\ntest result: ok. 3 passed; 0 failed; 1 ignored\n\
                      test result: FAILED. 2 passed; 1 failed\ntest result: ok. 4 passed; 0 failed\n";
        assert_eq!(passed(output), 7);
    }
}
