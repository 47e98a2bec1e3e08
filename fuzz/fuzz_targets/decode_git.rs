//! Git: a push and a fetch.
#![no_main]
use libfuzzer_sys::fuzz_target;

mod common;
mod decoding;

fuzz_target!(|input: &[u8]| {
    decoding::decode(b"git-receive-pack '/r.git'", input);
    decoding::decode(b"git-upload-pack '/r.git'", input);
});
