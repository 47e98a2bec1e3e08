//! Certificates and keys as peers send them, and their verification.
#![no_main]
use bartizan_ssh::key::{Certificate, PublicKey, verify_host_signature};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(key) = PublicKey::from_blob(input) {
        assert_eq!(key.blob(), input);
        let again = PublicKey::from_openssh(&key.to_openssh("comment"));
        assert_eq!(again.map(|(key, _)| key), Ok(key));
    }
    if let Ok(certificate) = Certificate::from_blob(input) {
        assert_eq!(certificate.blob(), input);
        assert!(PublicKey::from_blob(certificate.authority().blob()).is_ok(), "an authority is a plain key");
    }
    let algorithms = ["ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com", "rsa-sha2-512"];
    for algorithm in algorithms {
        assert!(verify_host_signature(algorithm, input, b"hash", input).is_err(), "a blob is no signature");
    }
});
