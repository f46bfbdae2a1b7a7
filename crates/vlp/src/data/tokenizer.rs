//! The tokenizer of a configuration.

use std::path::Path;

use vlp_text::WordPieceTokenizer;

use crate::error::VlpError;

/// The values of `data.tokenizer` that are not paths.
const BUILT_IN: [&str; 2] = ["scenes", "bert-base-uncased"];

/// The tokenizer called `name`, a value of `data.tokenizer`.
///
/// # Errors
/// [`VlpError::Text`] for a file that cannot be read or is not a WordPiece vocabulary.
pub fn load_tokenizer(name: &str) -> Result<WordPieceTokenizer, VlpError> {
    Ok(match name {
        "scenes" => WordPieceTokenizer::scenes(),
        "bert-base-uncased" => WordPieceTokenizer::bert_uncased(),
        path => {
            let tokenizer = match path.ends_with(".json") {
                true => WordPieceTokenizer::from_tokenizer_json(path),
                false => WordPieceTokenizer::from_vocab_file(path),
            };
            tokenizer.map_err(|e| match relative_path_hint(Path::new(path)) {
                Some(hint) => VlpError::Config(format!("data.tokenizer = \"{path}\": {e}{hint}")),
                None => e.into(),
            })?
        }
    })
}

/// Whether `name`, a value of `data.tokenizer`, is the path of a file.
pub(crate) fn is_tokenizer_file(name: &str) -> bool {
    !BUILT_IN.contains(&name)
}

/// Reads the `tokenizer.json` of a run or an exported model, whose vocabulary must have this SHA-256.
///
/// # Errors
/// [`VlpError::RunFolder`] if it is missing or has another vocabulary, [`VlpError::Text`] if it cannot be read.
pub(crate) fn read_tokenizer_copy(
    file: &Path,
    sha256: &str,
) -> Result<WordPieceTokenizer, VlpError> {
    let fail = |reason: &str| VlpError::RunFolder {
        path: file.into(),
        reason: reason.into(),
    };
    if !file.is_file() {
        return Err(fail(
            "is missing, or the folder was written by an older version",
        ));
    }
    let tokenizer = WordPieceTokenizer::from_tokenizer_json(file)?;
    match tokenizer.sha256() == sha256 {
        true => Ok(tokenizer),
        false => Err(fail(
            "is not the vocabulary that the model was trained with",
        )),
    }
}

/// Appended to errors about a relative path that does not exist.
pub(super) fn relative_path_hint(path: &Path) -> Option<String> {
    if path.is_absolute() || path.exists() {
        return None;
    }
    let working_dir = std::env::current_dir().unwrap_or_default();
    Some(format!(
        "; \"{}\" does not exist; it is relative to the working directory, {}",
        path.display(),
        working_dir.display()
    ))
}
