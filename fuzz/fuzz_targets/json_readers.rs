#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vlp_fuzz::json_readers(vlp_fuzz::scratch(), input));
