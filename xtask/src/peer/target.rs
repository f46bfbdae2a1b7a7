//! What the comparison runs on: the CPU, with all vector instructions or fewer, or a GPU; in f32 or bf16.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::worker::Build;
use super::{Kind, OURS, THEIRS};

const PRECISIONS: &str = "--precision: give bf16, or leave it out";
const DEVICES: &str = "--device: give flex, cuda or wgpu";

/// The device of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Device<'a> {
    Cpu,
    /// A GPU, by vlp's backend.
    Gpu(&'a str),
}

/// The device, the precision, and the vector instructions that the CPU is restricted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) device: Device<'a>,
    /// Whether products and convolutions are in bf16.
    is_bf16: bool,
    /// A value of `VLP_SIMD`; all that the processor has where it is `None`.
    simd: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Takes `--device NAME`, `--precision bf16` and `--simd LEVEL` from the front of the words; the rest are cases.
    pub(super) fn parse<'b>(words: &'b [&'a str]) -> Result<(Self, &'b [&'a str]), String> {
        let mut target = Self {
            device: Device::Cpu,
            is_bf16: false,
            simd: None,
        };
        let mut rest = words;
        while let [
            option @ ("--device" | "--precision" | "--simd"),
            values @ ..,
        ] = rest
        {
            let [value, after @ ..] = values else {
                return Err(match *option {
                    "--device" => DEVICES.into(),
                    "--precision" => PRECISIONS.into(),
                    _ => "--simd: give avx2 or scalar".into(),
                });
            };
            match (*option, *value) {
                ("--device", "flex") => target.device = Device::Cpu,
                ("--device", gpu @ ("cuda" | "wgpu")) => target.device = Device::Gpu(gpu),
                ("--device", _) => return Err(DEVICES.into()),
                ("--precision", "bf16") => target.is_bf16 = true,
                ("--precision", _) => return Err(PRECISIONS.into()),
                (_, level @ ("avx2" | "scalar")) => target.simd = Some(level),
                _ => return Err("--simd: give avx2 or scalar".into()),
            }
            rest = after;
        }
        if target.simd.is_some() && target.gpu().is_some() {
            return Err("--simd: a GPU has no such choice".into());
        }
        Ok((target, rest))
    }

    pub(super) fn takes(&self, kind: Kind) -> bool {
        kind != Kind::HostOnly || (self.device == Device::Cpu && !self.is_bf16)
    }

    pub(super) fn is_gpu(&self) -> bool {
        self.gpu().is_some()
    }

    fn gpu(&self) -> Option<&'a str> {
        match self.device {
            Device::Gpu(name) => Some(name),
            _ => None,
        }
    }

    /// Relative difference up to which losses agree.
    /// Where operands are rounded to eight bits, each side sums other roundings, and some losses are differences of sums.
    /// Through a hundred layers of random weights that grows: vlp's own sums by AVX-512 and by AMX differ by a tenth in one loss
    /// of ResNet-101's step.
    pub(super) fn tolerance(&self, case: &str) -> f64 {
        match (self.is_bf16, case) {
            (true, "soho-r101-step") => 0.2,
            (true, _) => 5e-2,
            _ => 1e-3,
        }
    }

    /// Name of the page for a worker that computes with the vector instructions `simd`.
    pub(super) fn page(&self, simd: &str) -> String {
        let level = simd.split('+').next().unwrap_or(simd);
        let name = self.gpu().unwrap_or(level);
        match self.is_bf16 {
            true => format!("{name}-bf16"),
            false => name.to_owned(),
        }
    }

    /// Our worker: `VLP_PEER_WORKER`, or a copy of the one that cargo builds, so that a build meanwhile changes no later case.
    pub(super) fn worker(&self, root: &Path) -> Result<PathBuf, String> {
        if let Some(ready) = std::env::var_os("VLP_PEER_WORKER") {
            return Ok(ready.into());
        }
        let build = Build {
            features: self.gpu(),
            target: None,
            profile: None,
        };
        let built = build.run(root)?;
        let copy = root.join("target/peer").join("peer-worker");
        let failed = |e| format!("{} to {}: {e}", built.display(), copy.display());
        fs::create_dir_all(root.join("target/peer")).map_err(failed)?;
        fs::copy(&built, &copy).map_err(failed)?;
        Ok(copy)
    }

    /// Restricts both sides to the same vector instructions.
    pub(super) fn restrict(&self, mut command: Command) -> Command {
        if let Some(level) = self.simd {
            command.env("VLP_SIMD", level);
            let (aten, onednn) = match level {
                "avx2" => ("avx2", "AVX2"),
                _ => ("default", "SSE41"),
            };
            command.env("ATEN_CPU_CAPABILITY", aten);
            command.env("ONEDNN_MAX_CPU_ISA", onednn);
            command.env("DNNL_MAX_CPU_ISA", onednn);
            command.env(
                "MKL_ENABLE_INSTRUCTIONS",
                if level == "avx2" { "AVX2" } else { "SSE4_2" },
            );
        }
        command
    }

    /// Where `torch.compile` caches its graphs, apart for each device and instruction set.
    pub(super) fn inductor_cache(&self, root: &Path) -> PathBuf {
        let device = self.gpu().unwrap_or("cpu");
        let name = format!("inductor-{device}-{}", self.simd.unwrap_or("all"));
        root.join("target/peer").join(name)
    }

    /// Adds to a request to a side what it says of device and precision: PyTorch has no wgpu, and reaches the same GPU by CUDA.
    pub(super) fn complete(&self, request: &mut Value, side: &str) {
        if let Some(gpu) = self.gpu() {
            request["device"] = if side == OURS { gpu } else { "cuda" }.into();
        }
        if self.is_bf16 {
            request["precision"] = "bf16".into();
        }
    }

    /// GPU memory in bytes that a process holds now, 0 where the driver does not tell; `None` on the CPU.
    pub(super) fn gpu_memory(&self, process: u32) -> Option<f64> {
        self.gpu()?;
        let rows = smi("--query-compute-apps=pid,used_memory");
        let bytes = rows.and_then(|rows| memory_of(&rows, process));
        Some(bytes.unwrap_or(0.0))
    }

    /// The GPU's name and driver.
    pub(super) fn describe(&self) -> Option<String> {
        self.gpu()?;
        let row = smi("--query-gpu=name,driver_version")?;
        let (name, driver) = row.lines().next()?.split_once(", ")?;
        Some(format!("{name} (driver {driver})"))
    }

    /// The command that measures this target.
    pub(super) fn command(&self) -> String {
        let device = self.gpu().map(|name| format!(" --device {name}"));
        let device = device.unwrap_or_default();
        let precision = if self.is_bf16 {
            " --precision bf16"
        } else {
            ""
        };
        let simd = self
            .simd
            .map_or(String::new(), |level| format!(" --simd {level}"));
        format!("cargo xtask peer{device}{precision}{simd}")
    }
}

/// Where raw records of a page are kept.
pub(super) fn raw_file(root: &Path, page: &str) -> PathBuf {
    root.join(format!("target/peer/{page}.jsonl"))
}

/// The page written from them.
pub(super) fn page_file(root: &Path, page: &str) -> PathBuf {
    root.join(format!("docs/numbers/{page}.md"))
}

/// Title and introduction of a page.
pub(super) fn preface(page: &str, command: &str) -> String {
    let level = page.trim_end_matches("-bf16");
    let instructions = match level {
        "avx512" => "AVX-512",
        "avx2" => "AVX2 and FMA",
        "neon" => "NEON",
        level => level,
    };
    let written = format!(
        "Cases and protocol: [benches/peer](../../benches/peer/README.md).\n\
         This page is written by `{command}`, never by hand.\n"
    );
    match page {
        "cuda-bf16" | "wgpu-bf16" => format!(
            "# Against PyTorch on a GPU: {level}, bf16\n\n\
             vlp ({level}, `train.precision = \"bf16\"`) and {THEIRS} (CUDA, `torch.autocast` to bfloat16) do the same work in turns on the same GPU.\n{written}"
        ),
        gpu @ ("cuda" | "wgpu") => format!(
            "# Against PyTorch on a GPU: {gpu}\n\n\
             vlp ({gpu}) and {THEIRS} (CUDA) do the same work in turns on the same GPU; both may multiply f32 in TF32.\n{written}"
        ),
        page if page.ends_with("-bf16") => format!(
            "# Against PyTorch: {instructions}, bf16\n\n\
             vlp (`train.precision = \"bf16\"`) and {THEIRS} (`torch.set_float32_matmul_precision(\"medium\")`, oneDNN's products and convolutions at \
             `fp32_precision = \"bf16\"`) do the same work in turns on the same machine, with 2 threads each.\n\
             Both may round operands of matrix products and convolutions to bf16.\n\
             The nearest-code search and the matcher's costs are f32 here, since they choose codes and pairs.\n{written}"
        ),
        _ => format!(
            "# Against PyTorch: {instructions}, f32\n\n\
             vlp and {THEIRS} do the same work in turns on the same machine, in f32 with 2 threads each.\n{written}"
        ),
    }
}

/// What the columns of memory are.
pub(super) fn memory_note(page: &str) -> &'static str {
    match page {
        "cuda" | "wgpu" | "cuda-bf16" | "wgpu-bf16" => {
            "Memory is what the process holds of the GPU after its turns, its pool included, in MB; 0 is unknown."
        }
        _ => "Memory is the peak of the whole process in MB.",
    }
}

fn smi(query: &str) -> Option<String> {
    let mut command = Command::new("nvidia-smi");
    let output = command
        .args([query, "--format=csv,noheader,nounits"])
        .output();
    String::from_utf8(output.ok()?.stdout).ok()
}

/// Bytes of a process in lines `PID, MiB`.
fn memory_of(rows: &str, process: u32) -> Option<f64> {
    let mut fields = rows.lines().filter_map(|row| row.split_once(','));
    let (_, mib) = fields.find(|(pid, _)| pid.trim().parse() == Ok(process))?;
    Some(mib.trim().parse::<f64>().ok()? * f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn options_come_before_the_cases() {
        let (gpu, rest) = Target::parse(&["--device", "cuda", "start"]).unwrap();
        assert_eq!((gpu.device, rest), (Device::Gpu("cuda"), &["start"][..]));
        assert_eq!(gpu.page("avx512"), "cuda");
        assert!(gpu.takes(Kind::Eager) && !gpu.takes(Kind::HostOnly));
        let (cpu, rest) = Target::parse(&["start"]).unwrap();
        assert_eq!((cpu.device, rest), (Device::Cpu, &["start"][..]));
        assert!(cpu.takes(Kind::HostOnly));
        let (bf16, _) = Target::parse(&["--precision", "bf16"]).unwrap();
        assert!(bf16.takes(Kind::Eager) && !bf16.takes(Kind::HostOnly));
        assert_eq!(bf16.command(), "cargo xtask peer --precision bf16");
        assert_eq!(bf16.page("avx512"), "avx512-bf16");
        let (avx2, rest) = Target::parse(&["--simd", "avx2", "jpeg"]).unwrap();
        assert_eq!(
            (avx2.page("avx2+fma").as_str(), rest),
            ("avx2", &["jpeg"][..])
        );
        assert_eq!(avx2.command(), "cargo xtask peer --simd avx2");
        for words in [
            &["--device", "tpu"][..],
            &["--device", "flex-bf16"],
            &["--precision", "f16"],
            &["--simd", "avx512"],
            &["--simd"],
            &["--device", "cuda", "--simd", "avx2"],
        ] {
            assert!(Target::parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn pytorch_reaches_the_same_gpu() {
        let words = ["--device", "wgpu", "--precision", "bf16"];
        let (target, _) = Target::parse(&words).unwrap();
        let request = |side| {
            let mut request = json!({});
            target.complete(&mut request, side);
            request
        };
        let expected = json!({"device": "wgpu", "precision": "bf16"});
        assert_eq!(request(OURS), expected);
        assert_eq!(request(THEIRS)["device"], "cuda");
        assert_eq!(target.page("avx512"), "wgpu-bf16");
    }

    #[test]
    fn memory_is_that_of_the_process() {
        let rows = "12, 512\n 7, 1024\n";
        assert_eq!(memory_of(rows, 7), Some(1024.0 * 1048576.0));
        assert_eq!(memory_of(rows, 1), None);
        assert_eq!(memory_of("7, [N/A]", 7), None);
    }
}
