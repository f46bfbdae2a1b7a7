#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vlp_fuzz::index_caches(vlp_fuzz::scratch(), input));
