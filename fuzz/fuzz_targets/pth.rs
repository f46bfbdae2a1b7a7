#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vlp_fuzz::pth(vlp_fuzz::scratch(), input));
