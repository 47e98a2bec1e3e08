//! Files that operators import: known_hosts, authorized_keys lines, private keys.
#![no_main]
use bartizan_ssh::key::known_hosts::KnownHosts;
use bartizan_ssh::key::{Certificate, PrivateKey, PublicKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(known) = KnownHosts::parse(text) {
        let _ = known.lookup("web-1", 22);
        let _ = known.lookup("10.0.0.5", 2222);
    }
    let _ = PublicKey::from_openssh(text);
    let _ = Certificate::from_openssh(text);
    let _ = PrivateKey::from_openssh(text);
});
