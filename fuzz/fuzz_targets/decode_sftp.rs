//! SFTP: requests and answers in any order.
#![no_main]
use libfuzzer_sys::fuzz_target;

mod common;
mod decoding;

fuzz_target!(|input: &[u8]| {
    decoding::decode(b"sftp-server", input);
});
