//! The run folder as the first process opens it, and what it sends to the others.

use serde::{Deserialize, Serialize};
use vlp_text::WordPieceTokenizer;
use vlp_train::{Checkpoint, CheckpointStore};

use super::progress::write_line;
use super::{Run, RunChoice, TrainOptions};
use crate::config::RunConfig;
use crate::data::{Vocabulary, have_same_names, load_tokenizer, read_tokenizer_copy};
use crate::error::VlpError;
use crate::processes::Processes;
use crate::run::{Results, RunFolder, RunLock};

/// A run folder, and what a resumed run has.
pub(super) struct OpenedRun {
    /// In the first process; `None` before a new run is created.
    folder: Option<(RunFolder, RunLock)>,
    resumed: Option<Resumed>,
    start: RunStart,
}

/// The state of a run before it is trained.
#[derive(Default)]
pub(super) struct RunStart {
    pub(super) checkpoint: Option<Checkpoint>,
    /// Messages about damaged checkpoints.
    pub(super) notes: Vec<String>,
    pub(super) results: Option<Results>,
}

/// Files of a resumed run other than its checkpoint.
#[derive(Serialize, Deserialize)]
struct Resumed {
    /// `config.toml`.
    config: String,
    /// The tokens of its tokenizer.
    tokens: Vec<String>,
    vocabulary: Option<Vocabulary>,
    results: Option<Results>,
    notes: Vec<String>,
}

impl OpenedRun {
    /// Opens the folder of a run to resume, or checks that a new run can be created.
    pub(super) fn open(options: &TrainOptions, processes: &Processes) -> Result<Self, VlpError> {
        let (mut folder, mut checkpoint) = (None, None);
        let resumed = processes.on_first(|| match &options.run {
            RunChoice::New(path) => {
                RunFolder::check_vacant(path)?;
                Ok(None)
            }
            RunChoice::Resume(path) => {
                let (run, config) = RunFolder::open(path)?;
                let lock = run.lock()?;
                let mut resumed = Resumed::read(&run, &config)?;
                (checkpoint, resumed.notes) = latest_checkpoint(&run)?;
                folder = Some((run, lock));
                Ok(Some(resumed))
            }
        })?;
        let mut start = RunStart {
            checkpoint: processes.share_checkpoint(checkpoint)?,
            ..RunStart::default()
        };
        if let Some(resumed) = &resumed {
            (start.results, start.notes) = (resumed.results.clone(), resumed.notes.clone());
        }
        Ok(Self {
            folder,
            resumed,
            start,
        })
    }

    pub(super) fn resumes(&self) -> bool {
        self.resumed.is_some()
    }

    /// Whether the run goes on from a checkpoint.
    pub(super) fn has_checkpoint(&self) -> bool {
        self.start.checkpoint.is_some()
    }

    /// Checks that `stop_at` is a step that the run has yet to reach, or has just reached.
    pub(super) fn check_stop_at(&self, stop_at: u64, config: &RunConfig) -> Result<(), VlpError> {
        let steps = config.train.steps;
        let done = self.start.checkpoint.as_ref();
        let done = done.map_or(0, |checkpoint| checkpoint.state.step);
        let reason = match stop_at {
            _ if stop_at > steps => format!("the run ends at train.steps = {steps}"),
            _ if stop_at < done => format!("the run is at step {done} already"),
            _ => return Ok(()),
        };
        Err(VlpError::Config(format!(
            "--stop-at {stop_at}: {reason}; use a step from {done} to {steps}"
        )))
    }

    pub(super) fn folder(&self) -> Option<&RunFolder> {
        self.folder.as_ref().map(|(folder, _)| folder)
    }

    pub(super) fn take_start(&mut self) -> RunStart {
        std::mem::take(&mut self.start)
    }

    /// The configuration of the run.
    pub(super) fn config(&self, options: &TrainOptions) -> Result<RunConfig, VlpError> {
        match &self.resumed {
            Some(resumed) => {
                toml::from_str(&resumed.config).map_err(|e| VlpError::Config(e.to_string()))
            }
            None => Ok(options.config.clone()),
        }
    }

    /// The tokenizer of a run that is resumed, or that of the configuration.
    pub(super) fn tokenizer(&self, config: &RunConfig) -> Result<WordPieceTokenizer, VlpError> {
        match &self.resumed {
            Some(resumed) => Ok(WordPieceTokenizer::from_tokens(resumed.tokens.clone())?),
            None => load_tokenizer(&config.data.tokenizer),
        }
    }

    /// Creates the folder of a new run, or checks that the data of a resumed one have not changed. Called late, so that
    /// an error in the configuration, the data or the initial weights leaves no folder behind.
    pub(super) fn create(&mut self, options: &TrainOptions, run: &Run<'_>) -> Result<(), VlpError> {
        run.processes.on_first(|| {
            let vocabulary = run.data.vocabulary();
            if let (None, RunChoice::New(path)) = (&self.folder, &options.run) {
                let tokenizer = &run.data.tokenizer;
                self.folder = Some(RunFolder::create(path, run.config, tokenizer)?);
            }
            let Some((folder, _)) = &self.folder else {
                return Ok(());
            };
            let trained = self.resumed.as_ref();
            match trained.and_then(|resumed| resumed.vocabulary.as_ref()) {
                Some(trained) => check_unchanged(trained, &vocabulary, folder),
                None => folder.write_json(&folder.vocabulary(), &vocabulary),
            }
        })
    }
}

impl Resumed {
    fn read(folder: &RunFolder, config: &RunConfig) -> Result<Self, VlpError> {
        let vocabulary = folder.read_json::<Vocabulary>(&folder.vocabulary())?;
        let tokenizer = resumed_tokenizer(folder, config, vocabulary.as_ref())?;
        Ok(Self {
            config: toml::to_string(config).map_err(|e| VlpError::Config(e.to_string()))?,
            tokens: tokenizer.tokens().to_vec(),
            vocabulary,
            results: folder.read_results()?,
            notes: vec![],
        })
    }
}

/// The newest intact checkpoint, and messages about damaged ones.
fn latest_checkpoint(folder: &RunFolder) -> Result<(Option<Checkpoint>, Vec<String>), VlpError> {
    let store = CheckpointStore::open(folder.checkpoints());
    if store.steps()?.is_empty() {
        return Ok((None, vec![]));
    }
    let (checkpoint, damaged) = store.latest()?;
    let notes = damaged.iter().map(|e| format!("checkpoint skipped: {e}"));
    Ok((Some(checkpoint), notes.collect()))
}

/// Checks that the data of a resumed run still have the classes and answers that its model's outputs stand for.
fn check_unchanged(
    trained: &Vocabulary,
    current: &Vocabulary,
    folder: &RunFolder,
) -> Result<(), VlpError> {
    let spaces = [trained, current].map(|vocabulary| &vocabulary.label_spaces);
    let ids = spaces.map(|spaces| spaces.iter().map(|space| &space.ids));
    let [trained_ids, current_ids] = ids;
    // The name of a label space is that of its file, which may have been moved.
    let same_classes = have_same_names(spaces[0], spaces[1]) && trained_ids.eq(current_ids);
    let changed = match trained {
        _ if !same_classes => "classes",
        _ if trained.answers != current.answers => "answers",
        _ => return Ok(()),
    };
    Err(VlpError::RunFolder {
        path: folder.vocabulary(),
        reason: format!(
            "the {changed} of the data have changed since the run was started; restore the data, or start a new run"
        ),
    })
}

/// The tokenizer of a run that is resumed: its own copy, even if the original file has been changed or removed.
fn resumed_tokenizer(
    folder: &RunFolder,
    config: &RunConfig,
    trained: Option<&Vocabulary>,
) -> Result<WordPieceTokenizer, VlpError> {
    let file = folder.tokenizer();
    let tokenizer = match trained {
        Some(vocabulary) => read_tokenizer_copy(&file, &vocabulary.tokenizer_sha256)?,
        // It was killed before it wrote vocabulary.json.
        None => WordPieceTokenizer::from_tokenizer_json(&file)?,
    };
    let name = &config.data.tokenizer;
    let is_same = load_tokenizer(name).is_ok_and(|source| source.sha256() == tokenizer.sha256());
    if !is_same {
        write_line(&format!(
            "data.tokenizer = \"{name}\" is missing or has changed: using {}",
            file.display()
        ));
    }
    Ok(tokenizer)
}
