#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ehlo_fuzz::targets::chunk_decoder(data));
