//! Encodes its arguments, or a sample sentence, and prints piece by piece.
#![allow(clippy::print_stdout)]

use vlp_text::WordPieces;

fn main() {
    let text = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let text = if text.is_empty() {
        "A man riding a wave on top of a surfboard."
    } else {
        &text
    };
    let pieces = WordPieces::bert_uncased();
    let encoding = pieces.encode(text, 40);
    for (id, word) in encoding.ids.iter().zip(&encoding.word_of) {
        let word = word.map_or(String::from("-"), |word| word.to_string());
        println!(
            "{id:>6}  word {word:>2}  {}",
            pieces.piece(*id).unwrap_or_default()
        );
    }
    println!("{}", pieces.decode(&encoding.ids));
}
