//! A key, a signature and what it is said to be over, all from the peer: what verifies is of an algorithm of the key.
#![no_main]
use bartizan_ssh::key::{PublicKey, SignatureAlgorithm};
use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|input: &[u8]| {
    let mut pieces = common::pieces(input);
    let (Some(blob), Some(signature), Some(data)) = (pieces.next(), pieces.next(), pieces.next()) else {
        return;
    };
    let Ok(key) = PublicKey::from_blob(blob) else { return };
    let verified = SignatureAlgorithm::ALL.into_iter().filter(|&a| key.verify(a, data, signature).is_ok());
    for algorithm in verified {
        assert!(key.signature_algorithms().contains(&algorithm));
        let mut other = data.to_vec();
        other.push(0);
        assert!(key.verify(algorithm, &other, signature).is_err(), "one signature over two texts");
    }
});
