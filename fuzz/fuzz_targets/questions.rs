#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    (fuzz_targets::by_name(env!("CARGO_BIN_NAME")).run)(data);
});
