use std::path::PathBuf;

/// Errors of reading a vocabulary.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The vocabulary file could not be read as UTF-8 text.
    #[error("vocabulary {}: cannot be read: {source}", path.display())]
    Read {
        /// The vocabulary file.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// One of the five special tokens is missing.
    #[error(
        "vocabulary {name}: no token {token}; [PAD], [UNK], [CLS], [SEP] and [MASK] are all required"
    )]
    MissingSpecialToken {
        /// File or name of the vocabulary.
        name: String,
        /// The missing token.
        token: &'static str,
    },
    /// A token is on two lines, so its id would be ambiguous.
    #[error("vocabulary {name}: line {line} repeats the token {token:?} of line {first_line}")]
    DuplicateToken {
        /// File or name of the vocabulary.
        name: String,
        /// Line of the duplicate, from 1.
        line: usize,
        /// Line of the first occurrence, from 1.
        first_line: usize,
        /// The token.
        token: String,
    },
    /// A line is empty.
    #[error(
        "vocabulary {name}: line {line} is empty; expected one token per line, whose id is the line number counted from 0"
    )]
    EmptyLine {
        /// File or name of the vocabulary.
        name: String,
        /// The empty line, from 1.
        line: usize,
    },
    /// The file is not the `tokenizer.json` of an uncased BERT, or the `tokenizers` library rejected it.
    #[error("vocabulary {name}: {reason}")]
    Invalid {
        /// File or name of the vocabulary.
        name: String,
        /// What is wrong.
        reason: String,
    },
}
