//! A program of which the command line says nothing: SFTP, or something else.
#![no_main]
use bartizan_decode::Decoder;
use libfuzzer_sys::fuzz_target;

mod common;
mod decoding;

fuzz_target!(|input: &[u8]| {
    decoding::decode_by(|options| Decoder::for_unknown(0, options), input);
});
