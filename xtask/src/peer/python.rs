//! The interpreter of the PyTorch side.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Wheels for CPUs, a tenth of the size; where it cannot be reached, pip takes PyPI's.
const CPU_WHEELS: &str = "https://download.pytorch.org/whl/cpu";

/// `VLP_PEER_PYTHON`, or the interpreter of `target/peer/venv`, made as `benches/peer/requirements.txt` says.
pub(super) fn interpreter(root: &Path) -> Result<PathBuf, String> {
    if let Some(ready) = std::env::var_os("VLP_PEER_PYTHON") {
        return Ok(ready.into());
    }
    let wanted = root.join("benches/peer/requirements.txt");
    let venv = root.join("target/peer/venv");
    let (python, made) = (venv.join("bin/python"), venv.join("requirements.txt"));
    let read =
        |path: &Path| fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()));
    let text = read(&wanted)?;
    // Copied last: an interrupted installation is taken up again.
    if python.exists() && read(&made).is_ok_and(|old| old == text) {
        return Ok(python);
    }
    println!("installing PyTorch into {}", venv.display());
    call(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(&python);
    let options = [
        "install",
        "--quiet",
        "--retries",
        "1",
        "--extra-index-url",
        CPU_WHEELS,
    ];
    pip.args(["-m", "pip"]).args(options).arg("-r");
    call(pip.arg(&wanted))?;
    fs::write(&made, text).map_err(|e| format!("{}: {e}", made.display()))?;
    Ok(python)
}

fn call(command: &mut Command) -> Result<(), String> {
    let status = command.status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}
