//! What the comparison runs on: the CPU, the CPU with products in bf16, or a GPU by the name of vlp's backend.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Cases without a tensor.
const HOST_ONLY: [&str; 3] = ["jpeg", "tokenise", "tokenise-batched"];

/// The device of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// The CPU in f32.
    Cpu,
    /// The CPU with products in bf16.
    CpuBf16,
    /// A GPU, by vlp's backend.
    Gpu(&'a str),
}

impl<'a> Target<'a> {
    /// `--device NAME` in front of the cases, or the CPU.
    pub(super) fn parse<'b>(words: &'b [&'a str]) -> Result<(Self, &'b [&'a str]), String> {
        match words {
            ["--device", name, rest @ ..] => {
                let target = match *name {
                    "flex" => Self::Cpu,
                    "flex-bf16" => Self::CpuBf16,
                    gpu @ ("cuda" | "wgpu") => Self::Gpu(gpu),
                    _ => return Err("--device: give flex, flex-bf16, cuda or wgpu".into()),
                };
                Ok((target, rest))
            }
            ["--device"] => Err("--device: give flex, flex-bf16, cuda or wgpu".into()),
            rest => Ok((Self::Cpu, rest)),
        }
    }

    pub(super) fn takes(&self, case: &str) -> bool {
        match self {
            Self::Cpu => true,
            Self::CpuBf16 | Self::Gpu(_) => !HOST_ONLY.contains(&case),
        }
    }

    fn gpu(&self) -> Option<&'a str> {
        match self {
            Self::Gpu(name) => Some(name),
            _ => None,
        }
    }

    fn suffix(&self) -> String {
        match self {
            Self::Cpu => String::new(),
            Self::CpuBf16 => "-bf16".into(),
            Self::Gpu(name) => format!("-{name}"),
        }
    }

    /// Relative difference up to which losses agree: where operands are rounded to eight bits, each side sums other
    /// roundings, and some losses are differences of sums. Through a hundred layers of fresh weights that grows: vlp's own sums
    /// by AVX-512 and by AMX differ by a tenth in one loss of ResNet-101's step.
    pub(super) fn tolerance(&self, case: &str) -> f64 {
        match (self, case) {
            (Self::CpuBf16, "soho-r101-step") => 0.2,
            (Self::CpuBf16, _) => 5e-2,
            _ => 1e-3,
        }
    }

    /// Where raw records are kept.
    pub(super) fn raw_file(&self, root: &Path) -> PathBuf {
        root.join(format!("target/peer/raw{}.jsonl", self.suffix()))
    }

    /// The page written from them.
    pub(super) fn page_file(&self, root: &Path) -> PathBuf {
        root.join(format!("docs/numbers{}.md", self.suffix()))
    }

    /// Our worker: `VLP_PEER_WORKER`, or the one that cargo builds.
    pub(super) fn worker(&self, cargo: impl Fn() -> Command, verb: &str) -> Option<Command> {
        if let Some(ready) = std::env::var_os("VLP_PEER_WORKER") {
            return (verb == "run").then(|| Command::new(ready));
        }
        let mut command = cargo();
        command.args([verb, "-q", "-p", "peer-worker"]);
        if let Some(gpu) = self.gpu() {
            command.args(["--features", gpu]);
        }
        Some(command)
    }

    /// What a request to `side` says of the device: PyTorch has no wgpu, and reaches the same GPU by CUDA.
    pub(super) fn name_for(&self, side: &str) -> Option<&'a str> {
        let ours = side == super::OURS;
        Some(match self {
            Self::Cpu => return None,
            Self::CpuBf16 if ours => "flex-bf16",
            Self::CpuBf16 => "cpu-bf16",
            Self::Gpu(name) if ours => name,
            Self::Gpu(_) => "cuda",
        })
    }

    /// GPU memory in bytes that a process holds now, 0 where the driver does not tell; `None` on the CPU.
    pub(super) fn gpu_memory(&self, process: u32) -> Option<f64> {
        self.gpu()?;
        let rows = smi("--query-compute-apps=pid,used_memory");
        let held = rows.and_then(|rows| memory_of(&rows, process));
        Some(held.unwrap_or(0.0))
    }

    /// The GPU's name and driver, to stand beside the machine's.
    pub(super) fn describe(&self) -> Option<String> {
        self.gpu()?;
        let row = smi("--query-gpu=name,driver_version")?;
        let (name, driver) = row.lines().next()?.split_once(", ")?;
        Some(format!("{name} (driver {driver})"))
    }

    /// What the page says of its figures.
    pub(super) fn preface(&self) -> String {
        let own = "Cases and protocol: [benches/peer](../benches/peer/README.md). This page is written by ";
        match self {
            Self::Cpu => format!(
                "# Numbers\n\nvlp and PyTorch at the same work, in turns on the same machine, f32 on 2 threads. \
                 {own}`cargo xtask peer`, never by hand."
            ),
            Self::CpuBf16 => format!(
                "# Numbers in bf16\n\nvlp (`--device flex-bf16`) and PyTorch (`torch.set_float32_matmul_precision(\"medium\")`, mkldnn's products and \
                 convolutions at `fp32_precision = \"bf16\"`) at the same work, in turns on the same machine, on 2 threads: both may round operands of products \
                 and convolutions to bf16. The dictionary's look-up and the matcher's costs are f32 here, a choice of codes and pairs. {own}`cargo xtask peer --device \
                 flex-bf16`, never by hand."
            ),
            Self::Gpu(gpu) => format!(
                "# Numbers on a GPU: {gpu}\n\nvlp ({gpu}) and PyTorch (CUDA) at the same work, in turns on the same GPU. Both may take \
                 products of f32 in TF32. {own}`cargo xtask peer --device {gpu}`, never by hand."
            ),
        }
    }

    /// What the columns of memory are.
    pub(super) fn memory(&self) -> &'static str {
        match self.gpu() {
            None => "Memory is the highest of the whole process in MB.",
            Some(_) => {
                "Memory is what the process holds of the GPU in MB after its turns, its pool included; 0 is not known."
            }
        }
    }
}

fn smi(query: &str) -> Option<String> {
    let mut command = Command::new("nvidia-smi");
    let output = command
        .args([query, "--format=csv,noheader,nounits"])
        .output();
    String::from_utf8(output.ok()?.stdout).ok()
}

/// Lines `PID, MiB`.
fn memory_of(rows: &str, process: u32) -> Option<f64> {
    let mut own = rows.lines().filter_map(|row| row.split_once(','));
    let (_, mib) = own.find(|(pid, _)| pid.trim().parse() == Ok(process))?;
    Some(mib.trim().parse::<f64>().ok()? * f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_device_is_named_in_front_of_the_cases() {
        let (target, rest) = Target::parse(&["--device", "cuda", "start"]).unwrap();
        assert_eq!((target, rest), (Target::Gpu("cuda"), &["start"][..]));
        let page = target.page_file(Path::new("/r"));
        assert_eq!(page, Path::new("/r/docs/numbers-cuda.md"));
        assert!(target.takes("e2e-step") && !target.takes("jpeg"));
        let (cpu, rest) = Target::parse(&["start"]).unwrap();
        assert_eq!((cpu, rest), (Target::Cpu, &["start"][..]));
        assert!(cpu.takes("jpeg"));
        let (narrow, _) = Target::parse(&["--device", "flex-bf16"]).unwrap();
        assert!(narrow.takes("e2e-step") && !narrow.takes("jpeg"));
        assert_eq!(narrow.name_for(super::super::THEIRS), Some("cpu-bf16"));
        assert!(Target::parse(&["--device", "tpu"]).is_err());
    }

    #[test]
    fn pytorch_reaches_the_same_gpu() {
        let (target, _) = Target::parse(&["--device", "wgpu"]).unwrap();
        assert_eq!(target.name_for(super::super::OURS), Some("wgpu"));
        assert_eq!(target.name_for(super::super::THEIRS), Some("cuda"));
    }

    #[test]
    fn memory_is_that_of_the_process() {
        let rows = "12, 512\n 7, 1024\n";
        assert_eq!(memory_of(rows, 7), Some(1024.0 * 1048576.0));
        assert_eq!(memory_of(rows, 1), None);
        assert_eq!(memory_of("7, [N/A]", 7), None);
    }
}
