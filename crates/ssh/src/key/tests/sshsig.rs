//! Signatures exchanged with `ssh-keygen -Y`, which wraps them as OpenSSH's PROTOCOL.sshsig says.

use aws_lc_rs::digest::{SHA512, digest};
use base64ct::{Base64, Encoding as _};

use super::keygen::{KINDS, Keygen};
use crate::key::{KeyKind, PrivateKey, PublicKey, SignatureAlgorithm};
use crate::wire::{Reader, Writer as _};

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// What is signed instead of the message itself.
fn signed_data(message: &[u8]) -> Vec<u8> {
    let mut data = b"SSHSIG".to_vec();
    data.put_string(b"test");
    data.put_string(b"");
    data.put_string(b"sha512");
    data.put_string(digest(&SHA512, message).as_ref());
    data
}

fn armored(public: &PublicKey, signature: &[u8]) -> String {
    let mut blob = b"SSHSIG".to_vec();
    blob.put_u32(1);
    blob.put_string(public.blob());
    blob.put_string(b"test");
    blob.put_string(b"");
    blob.put_string(b"sha512");
    blob.put_string(signature);
    format!("{BEGIN}\n{}\n{END}\n", Base64::encode_string(&blob))
}

/// The signature blob of an armored file.
fn signature_in(text: &str) -> Vec<u8> {
    let base64: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let blob = Base64::decode_vec(&base64).unwrap();
    let mut reader = Reader::new(&blob);
    assert_eq!(reader.take(6, "magic").unwrap(), b"SSHSIG");
    assert_eq!(reader.u32("version").unwrap(), 1);
    for field in ["public key", "namespace", "reserved", "hash"] {
        reader.string(field).unwrap();
    }
    reader.string("signature").unwrap().to_vec()
}

#[test]
fn signatures_of_ssh_keygen_verify_here() {
    let keygen = Keygen::new();
    keygen.write("message", "hello");
    for (index, kind) in KINDS.into_iter().enumerate() {
        let name = format!("k{index}");
        keygen.generate(&name, kind);
        keygen.write("message", "hello");
        let _ = std::fs::remove_file(keygen.path("message.sig"));
        keygen.run(&["-q", "-Y", "sign", "-f", &name, "-n", "test", "message"]);
        let (public, _) = PublicKey::from_openssh(&keygen.read(&format!("{name}.pub"))).unwrap();
        let signature = signature_in(&keygen.read("message.sig"));
        let algorithm = public.signature_algorithms()[0];
        assert!(public.verify(algorithm, &signed_data(b"hello"), &signature).is_ok(), "{kind:?}");
        assert!(public.verify(algorithm, &signed_data(b"hullo"), &signature).is_err(), "{kind:?}");
    }
}

#[test]
fn ssh_keygen_verifies_what_we_sign() {
    let keygen = Keygen::new();
    for kind in
        [KeyKind::Ed25519, KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Rsa3072]
    {
        let key = PrivateKey::generate(kind).unwrap();
        for &algorithm in key.public_key().signature_algorithms() {
            // Many rounds for ECDSA: r and s have leading zeros now and then.
            let rounds = if kind == KeyKind::EcdsaP521 { 8 } else { 2 };
            for _ in 0..rounds {
                let signature = key.sign(algorithm, &signed_data(b"hello")).unwrap();
                keygen.write("sig", &armored(key.public_key(), &signature));
                check(&keygen, algorithm);
            }
        }
    }
}

fn check(keygen: &Keygen, algorithm: SignatureAlgorithm) {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "check-novalidate", "-n", "test", "-s"])
        .arg(keygen.path("sig"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hello").unwrap();
    assert!(child.wait().unwrap().success(), "{algorithm}");
}
