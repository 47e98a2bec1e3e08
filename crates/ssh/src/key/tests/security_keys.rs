//! Hardware keys, with signatures made by hand as PROTOCOL.u2f says:
//! signed = SHA256(application) || flags || counter || SHA256(data).

use aws_lc_rs::digest::{SHA256, digest};

use super::keygen::Keygen;
use crate::key::{
    Certificate, CertificateBuilder, CertificateKind, KeyError, KeyKind, PrivateKey, PublicKey,
    SignatureAlgorithm, SignatureError, SkFlags,
};
use crate::wire::{Reader, Writer as _};

const APPLICATION: &[u8] = b"ssh:";

/// A security key in software: the inner key, the algorithm, and the public key a token would show.
struct Token {
    inner: PrivateKey,
    inner_algorithm: SignatureAlgorithm,
    algorithm: SignatureAlgorithm,
    public: PublicKey,
}

impl Token {
    fn new(algorithm: SignatureAlgorithm) -> Self {
        let (kind, inner_algorithm) = match algorithm {
            SignatureAlgorithm::SkEd25519 => (KeyKind::Ed25519, SignatureAlgorithm::Ed25519),
            _ => (KeyKind::EcdsaP256, SignatureAlgorithm::EcdsaP256),
        };
        let inner = PrivateKey::generate(kind).unwrap();
        let mut blob = Vec::new();
        blob.put_string(algorithm.name().as_bytes());
        blob.put(inner.public_key().fields());
        blob.put_string(APPLICATION);
        let public = PublicKey::from_blob(&blob).unwrap();
        Self { inner, inner_algorithm, algorithm, public }
    }

    fn sign(&self, data: &[u8], flags: u8, counter: u32) -> Vec<u8> {
        let mut signed = Vec::new();
        signed.put(digest(&SHA256, APPLICATION).as_ref());
        signed.put_u8(flags);
        signed.put_u32(counter);
        signed.put(digest(&SHA256, data).as_ref());
        let inner = self.inner.sign(self.inner_algorithm, &signed).unwrap();
        let mut reader = Reader::new(&inner);
        reader.string("algorithm").unwrap();
        let mut blob = Vec::new();
        blob.put_string(self.algorithm.name().as_bytes());
        blob.put_string(reader.string("signature").unwrap());
        blob.put_u8(flags);
        blob.put_u32(counter);
        blob
    }
}

const BOTH: [SignatureAlgorithm; 2] = [SignatureAlgorithm::SkEd25519, SignatureAlgorithm::SkEcdsaP256];

#[test]
fn flags_and_counter_are_handed_out_as_they_were_signed() {
    for token in BOTH.map(Token::new) {
        for (flags, user_present, user_verified) in
            [(0, false, false), (1, true, false), (4, false, true), (5, true, true)]
        {
            let signature = token.sign(b"data", flags, 7);
            let verified = token.public.verify(token.algorithm, b"data", &signature).unwrap();
            assert_eq!(verified.sk, Some(SkFlags { user_present, user_verified, counter: 7 }));
        }
    }
}

#[test]
fn flags_counter_data_and_length_are_covered_by_the_signature() {
    for token in BOTH.map(Token::new) {
        let signature = token.sign(b"data", 0, 7);
        for index in 0..signature.len() {
            let mut bent = signature.clone();
            bent[index] ^= 1;
            assert!(token.public.verify(token.algorithm, b"data", &bent).is_err(), "byte {index}");
            assert!(token.public.verify(token.algorithm, b"data", &signature[..index]).is_err());
        }
        assert_eq!(token.public.verify(token.algorithm, b"Data", &signature), Err(SignatureError::Invalid));
        let longer = [&signature[..], &[0]].concat();
        assert!(token.public.verify(token.algorithm, b"data", &longer).is_err());
    }
}

#[test]
fn a_token_of_another_application_is_another_key() {
    let token = Token::new(SignatureAlgorithm::SkEd25519);
    let mut blob = Vec::new();
    blob.put_string(b"sk-ssh-ed25519@openssh.com");
    blob.put(token.inner.public_key().fields());
    blob.put_string(b"ssh:elsewhere");
    let other = PublicKey::from_blob(&blob).unwrap();
    assert_eq!(other.application(), Some(&b"ssh:elsewhere"[..]));
    let signature = token.sign(b"data", 5, 1);
    assert_eq!(other.verify(token.algorithm, b"data", &signature), Err(SignatureError::Invalid));
}

#[test]
fn the_signature_of_the_inner_key_alone_proves_nothing() {
    let token = Token::new(SignatureAlgorithm::SkEd25519);
    let plain = token.inner.sign(SignatureAlgorithm::Ed25519, b"data").unwrap();
    assert!(token.public.verify(SignatureAlgorithm::SkEd25519, b"data", &plain).is_err());
    assert!(token.public.verify(SignatureAlgorithm::Ed25519, b"data", &plain).is_err());
    let from_token = token.sign(b"data", 5, 1);
    assert!(token.inner.public_key().verify(SignatureAlgorithm::Ed25519, b"data", &from_token).is_err());
}

#[test]
fn ssh_keygen_agrees_on_fingerprints_and_certificates_of_hardware_keys() {
    let keygen = Keygen::new();
    keygen.generate("ca", ("ed25519", "256"));
    for (index, token) in BOTH.map(Token::new).into_iter().enumerate() {
        let name = format!("sk{index}.pub");
        keygen.write(&name, &token.public.to_openssh("token"));
        let listed = keygen.run(&["-l", "-f", &name]);
        assert!(listed.contains(&token.public.fingerprint().to_string()), "{listed}");
        keygen.run(&["-q", "-s", "ca", "-I", "id", "-n", "root", &name]);
        let line = keygen.read(&format!("sk{index}-cert.pub"));
        let (certificate, _) = Certificate::from_openssh(&line).unwrap();
        assert_eq!(certificate.key(), &token.public);
        let ours = CertificateBuilder::new(CertificateKind::User, &token.public)
            .principal("root")
            .valid(0, u64::MAX)
            .sign(&PrivateKey::from_openssh(&keygen.read("ca")).unwrap())
            .unwrap();
        keygen.write("ours-cert.pub", &ours.to_openssh(""));
        let text = keygen.run(&["-L", "-f", "ours-cert.pub"]);
        assert!(text.contains(certificate.algorithm_name()), "{text}");
    }
}

#[test]
fn a_private_file_that_only_points_to_a_token_is_refused_by_name() {
    let mut private = Vec::new();
    private.put_u32(1);
    private.put_u32(1);
    private.put_string(b"sk-ssh-ed25519@openssh.com");
    let mut file = b"openssh-key-v1\0".to_vec();
    file.put_string(b"none");
    file.put_string(b"none");
    file.put_string(b"");
    file.put_u32(1);
    file.put_string(Token::new(SignatureAlgorithm::SkEd25519).public.blob());
    file.put_string(&private);
    use base64ct::{Base64, Encoding as _};
    let text = format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
        Base64::encode_string(&file)
    );
    assert_eq!(PrivateKey::from_openssh(&text).unwrap_err(), KeyError::HardwareKey);
}
