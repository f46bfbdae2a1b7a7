#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vlp_fuzz::word_pieces(vlp_fuzz::scratch(), input));
