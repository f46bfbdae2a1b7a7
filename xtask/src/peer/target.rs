//! What the comparison runs on: the CPU, or a GPU by the name of vlp's backend.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Cases that no GPU takes part in.
const HOST_ONLY: [&str; 3] = ["jpeg", "tokenise", "tokenise-batched"];

/// The device of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// vlp's backend; `None` is the CPU.
    gpu: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// `--device NAME` in front of the cases, or the CPU.
    pub(super) fn parse<'b>(words: &'b [&'a str]) -> Result<(Self, &'b [&'a str]), String> {
        match words {
            ["--device", "flex", rest @ ..] => Ok((Self { gpu: None }, rest)),
            ["--device", gpu @ ("cuda" | "wgpu"), rest @ ..] => Ok((Self { gpu: Some(gpu) }, rest)),
            ["--device", ..] => Err("--device: give flex, cuda or wgpu".into()),
            rest => Ok((Self { gpu: None }, rest)),
        }
    }

    pub(super) fn takes(&self, case: &str) -> bool {
        self.gpu.is_none() || !HOST_ONLY.contains(&case)
    }

    fn suffix(&self) -> String {
        self.gpu.map_or(String::new(), |gpu| format!("-{gpu}"))
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
        if let Some(gpu) = self.gpu {
            command.args(["--features", gpu]);
        }
        Some(command)
    }

    /// What a request to `side` says of the device: PyTorch has no wgpu, and reaches the same GPU by CUDA.
    pub(super) fn name_for(&self, side: &str) -> Option<&'a str> {
        let gpu = self.gpu?;
        Some(if side == super::OURS { gpu } else { "cuda" })
    }

    /// GPU memory in bytes that a process holds now, 0 where the driver does not tell; `None` on the CPU.
    pub(super) fn gpu_memory(&self, process: u32) -> Option<f64> {
        self.gpu?;
        let rows = smi("--query-compute-apps=pid,used_memory");
        let held = rows.and_then(|rows| memory_of(&rows, process));
        Some(held.unwrap_or(0.0))
    }

    /// The GPU's name and driver, to stand beside the machine's.
    pub(super) fn describe(&self) -> Option<String> {
        self.gpu?;
        let row = smi("--query-gpu=name,driver_version")?;
        let (name, driver) = row.lines().next()?.split_once(", ")?;
        Some(format!("{name} (driver {driver})"))
    }

    /// What the page says of its figures.
    pub(super) fn preface(&self) -> String {
        let own = "Cases and protocol: [benches/peer](../benches/peer/README.md). This page is written by ";
        match self.gpu {
            None => format!(
                "# Numbers\n\nvlp and PyTorch at the same work, in turns on the same machine, f32 on 2 threads. \
                 {own}`cargo xtask peer`, never by hand."
            ),
            Some(gpu) => format!(
                "# Numbers on a GPU: {gpu}\n\nvlp ({gpu}) and PyTorch (CUDA) at the same work, in turns on the same GPU. Both may take \
                 products of f32 in TF32. {own}`cargo xtask peer --device {gpu}`, never by hand."
            ),
        }
    }

    /// What the columns of memory are.
    pub(super) fn memory(&self) -> &'static str {
        match self.gpu {
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
        assert_eq!((target.gpu, rest), (Some("cuda"), &["start"][..]));
        let page = target.page_file(Path::new("/r"));
        assert_eq!(page, Path::new("/r/docs/numbers-cuda.md"));
        assert!(target.takes("e2e-step") && !target.takes("jpeg"));
        let (cpu, rest) = Target::parse(&["start"]).unwrap();
        assert_eq!((cpu.gpu, rest), (None, &["start"][..]));
        assert!(cpu.takes("jpeg"));
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
