//! One answer of the agent that a person forwards: its keys, a signature. All that is found in it was in it.
#![no_main]
use bartizan_ssh::auth::agent::{identities, signature};
use libfuzzer_sys::fuzz_target;

const MOST: usize = 6;

fuzz_target!(|input: &[u8]| {
    if let Ok(Some(found)) = identities(input, MOST) {
        assert!(found.len() <= MOST);
        for identity in &found {
            let blob = identity.blob();
            assert!(input.windows(blob.len()).any(|bytes| bytes == blob), "a key that was not there");
        }
    }
    if let Ok(Some(found)) = signature(input) {
        assert!(input[5..].starts_with(found), "a signature that was not there");
    }
});
