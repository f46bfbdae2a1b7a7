//! Captions into WordPiece tokens, one after the other or on all threads.

use rayon::prelude::*;
use vlp_text::{Encoding, WordPieceTokenizer};

use super::Case;
use crate::arrays::Arrays;
use crate::error::PeerError;
use crate::output::{Output, Outputs};

struct Tokenize {
    tokenizer: WordPieceTokenizer,
    captions: Vec<String>,
    batched: bool,
}

pub(super) fn load(inputs: &Arrays, batched: bool) -> Result<Box<dyn Case>, PeerError> {
    let text = |name: &str| {
        let (_, bytes) = inputs.get::<u8, 1>(name)?;
        String::from_utf8(bytes).map_err(|error| PeerError::Input {
            name: name.into(),
            reason: format!("is no text: {error}"),
        })
    };
    let captions = text("captions")?;
    let captions = captions.strip_suffix('\n').unwrap_or(&captions);
    Ok(Box::new(Tokenize {
        tokenizer: WordPieceTokenizer::from_tokens(text("vocab")?.lines())?,
        captions: captions.split('\n').map(str::to_owned).collect(),
        batched,
    }))
}

impl Case for Tokenize {
    fn run(&mut self) -> Result<Outputs, PeerError> {
        let encode = |caption: &String| self.tokenizer.encode(caption, usize::MAX);
        let rows: Vec<Encoding> = match self.batched {
            true => self.captions.par_iter().map(encode).collect(),
            false => self.captions.iter().map(encode).collect(),
        };
        let tokens = rows.iter().map(|row| row.ids.len()).sum::<usize>();
        let ids = Output::later(move || {
            let ids = rows.iter().flat_map(|row| &row.ids);
            ids.map(|&id| f64::from(id)).sum()
        });
        Ok(vec![
            ("tokens".into(), Output::number(tokens as f64)),
            ("ids".into(), ids),
        ])
    }
}
