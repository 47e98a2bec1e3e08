//! The first bytes of a forwarded connection: HTTP, TLS, or neither.
#![no_main]
use bartizan_decode::Decoder;
use libfuzzer_sys::fuzz_target;

mod common;
mod decoding;

fuzz_target!(|input: &[u8]| {
    decoding::decode_by(|_| Decoder::for_forward(0), input);
});
