//! The old protocol of scp, in both roles.
#![no_main]
use libfuzzer_sys::fuzz_target;

mod common;
mod decoding;

fuzz_target!(|input: &[u8]| {
    decoding::decode(b"scp -prt /tmp/", input);
    decoding::decode(b"scp -rf 'a b'", input);
});
