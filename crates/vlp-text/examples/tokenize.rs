//! Tokenizes its arguments, or a sample sentence, and prints one token per line.
#![allow(clippy::print_stdout)]

use vlp_text::WordPieceTokenizer;

fn main() {
    let text = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let text = if text.is_empty() {
        "A man riding a wave on top of a surfboard."
    } else {
        &text
    };
    let tokenizer = WordPieceTokenizer::bert_uncased();
    let encoding = tokenizer.encode(text, 40);
    for (id, word) in encoding.ids.iter().zip(&encoding.word_ids) {
        let word = word.map_or(String::from("-"), |word| word.to_string());
        println!(
            "{id:>6}  word {word:>2}  {}",
            tokenizer.token(*id).unwrap_or_default()
        );
    }
    println!("{}", tokenizer.decode(&encoding.ids));
}
