#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vlp_fuzz::tar(vlp_fuzz::scratch(), input));
