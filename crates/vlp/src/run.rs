//! The folder of a run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::RunConfig;
use crate::error::VlpError;

/// Files and folders of a run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    /// The folder itself.
    pub path: PathBuf,
}

impl RunFolder {
    /// Whether a new run can be made at `path`: nothing is there, or an empty folder.
    pub fn vacant(path: &Path) -> Result<(), VlpError> {
        let used = path.is_dir()
            && fs::read_dir(path)
                .map_err(VlpError::io(path))?
                .next()
                .is_some();
        match used || path.is_file() {
            false => Ok(()),
            true => Err(VlpError::RunFolder {
                path: path.into(),
                reason: "already exists; give another --out, or --resume it if it is a run that was stopped".into(),
            }),
        }
    }

    /// Makes a new run folder and writes the resolved configuration into it.
    pub fn create(path: impl Into<PathBuf>, config: &RunConfig) -> Result<Self, VlpError> {
        let path = path.into();
        Self::vacant(&path)?;
        fs::create_dir_all(&path).map_err(VlpError::io(&path))?;
        let folder = Self { path };
        let text = toml::to_string(config).map_err(|e| VlpError::Config(e.to_string()))?;
        vlp_train::files::replace(&folder.config(), text.as_bytes())?;
        Ok(folder)
    }

    /// Opens the folder of a run that was started before, with its configuration.
    pub fn open(path: impl Into<PathBuf>) -> Result<(Self, RunConfig), VlpError> {
        let folder = Self { path: path.into() };
        let file = folder.config();
        if !file.is_file() {
            let reason = "is not a run folder: it has no config.toml".into();
            return Err(VlpError::RunFolder {
                path: folder.path,
                reason,
            });
        }
        let text = fs::read_to_string(&file).map_err(VlpError::io(&file))?;
        let config = toml::from_str(&text)
            .map_err(|e| VlpError::Config(format!("{}: {e}", file.display())))?;
        Ok((folder, config))
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// Checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Per-step metrics as JSON lines.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Held-out figures before and after training.
    pub fn results(&self) -> PathBuf {
        self.path.join("results.json")
    }

    /// Names that the model's outputs mean, so that it can be used without its data.
    pub fn vocabulary(&self) -> PathBuf {
        self.path.join("vocabulary.json")
    }

    /// The page to look at.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Reads a JSON file of the run, if it is there.
    pub fn read_json<T: serde::de::DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<Option<T>, VlpError> {
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(path).map_err(VlpError::io(path))?;
        let value = serde_json::from_str(&text).map_err(|e| VlpError::RunFolder {
            path: path.into(),
            reason: format!("cannot be read: {e}"),
        })?;
        Ok(Some(value))
    }

    /// Writes a JSON file of the run, whole or not at all.
    pub fn write_json<T: serde::Serialize>(&self, path: &Path, value: &T) -> Result<(), VlpError> {
        let text = serde_json::to_vec_pretty(value).map_err(|e| VlpError::RunFolder {
            path: path.into(),
            reason: format!("cannot be encoded: {e}"),
        })?;
        Ok(vlp_train::files::replace(path, &text)?)
    }
}
