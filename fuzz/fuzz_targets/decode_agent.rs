//! A forwarded agent's channel: what the target asks, and what the agent answers.
#![no_main]
use bartizan_decode::Decoder;
use libfuzzer_sys::fuzz_target;

mod common;
mod decoding;

fuzz_target!(|input: &[u8]| {
    decoding::decode_by(|_| Decoder::for_agent(0), input);
});
