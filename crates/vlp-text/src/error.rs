use std::path::PathBuf;

/// What can go wrong when a vocabulary is read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The vocabulary file could not be read as UTF-8 text.
    #[error("vocabulary {}: cannot be read: {source}", path.display())]
    Read {
        /// The file asked for.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// One of the five special pieces is missing.
    #[error(
        "vocabulary {name}: no piece {piece}; [PAD], [UNK], [CLS], [SEP] and [MASK] must all be there"
    )]
    MissingSpecial {
        /// The vocabulary's file or name.
        name: String,
        /// The missing piece.
        piece: &'static str,
    },
    /// A piece stands on two lines, so that its id would be ambiguous.
    #[error("vocabulary {name}: line {line} repeats the piece {piece:?} of line {first}")]
    Repeated {
        /// The vocabulary's file or name.
        name: String,
        /// Line of the repetition, from 1.
        line: usize,
        /// Line where the piece stood first, from 1.
        first: usize,
        /// The piece.
        piece: String,
    },
    /// A line holds no piece.
    #[error(
        "vocabulary {name}: line {line} is empty; one piece per line, its id is the line number counted from 0"
    )]
    Empty {
        /// The vocabulary's file or name.
        name: String,
        /// The empty line, from 1.
        line: usize,
    },
    /// The tokenizer library refused the vocabulary.
    #[error("vocabulary {name}: {reason}")]
    Refused {
        /// The vocabulary's file or name.
        name: String,
        /// The library's reason.
        reason: String,
    },
}
