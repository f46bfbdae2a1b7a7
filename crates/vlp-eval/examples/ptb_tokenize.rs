//! Tokenizes the captions of standard input, one per line, as the COCO caption tool does.

use std::io::{Read, Write};

use vlp_eval::caption::ptb::tokenize_all;

fn main() -> std::io::Result<()> {
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for tokens in tokenize_all(text.strip_suffix('\n').unwrap_or(&text).split('\n')) {
        writeln!(out, "{}", tokens.join(" "))?;
    }
    Ok(())
}
