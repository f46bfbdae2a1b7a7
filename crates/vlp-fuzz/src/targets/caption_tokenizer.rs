use vlp_eval::caption::{CaptionPair, CiderCorpus, caption_scores, ptb};

use crate::input::files;
use crate::must::Must;
use crate::scratch::Scratch;

/// A generated caption and references: tokens of Stanford's tokenizer, and the scores.
pub fn caption_tokenizer(_: &Scratch, input: &[u8]) {
    let texts = files::<3>(input).map(String::from_utf8_lossy);
    check_tokens(&ptb::tokenize(&texts[0]));
    let tokens = ptb::tokenize_all(texts.iter().map(|text| &**text));
    assert_eq!(tokens.len(), texts.len());
    tokens.iter().for_each(|tokens| check_tokens(tokens));
    let references = [texts[1].to_string(), texts[2].to_string()];
    let pairs = [&texts[0], &texts[1]].map(|hypothesis| CaptionPair {
        hypothesis,
        references: &references,
    });
    let scores = caption_scores(&pairs).must("captions with references");
    let rates = scores.bleu.iter().chain([&scores.rouge_l]);
    // The official tool's smoothing lets BLEU exceed 1 by up to this.
    assert!(
        rates
            .copied()
            .all(|rate| (0.0..=1.0 + 1e-8).contains(&rate)),
        "{scores:?}"
    );
    assert!((0.0..=10.0 + 1e-8).contains(&scores.cider_d), "{scores:?}");
    let score = CiderCorpus::new([references.as_slice()]).score(&texts[0], &references);
    assert!((0.0..=10.0 + 1e-8).contains(&score), "{score}");
}

/// Tokens are words of a line. As in the official tool, markup may contain tabs.
fn check_tokens(tokens: &[String]) {
    for token in tokens {
        assert!(
            !token.is_empty() && !token.contains([' ', '\n']),
            "{token:?}"
        );
        assert!(token.starts_with('<') || !token.contains('\t'), "{token:?}");
        assert_eq!(*token, token.to_lowercase());
    }
}
