use crate::key::{
    Certificate, CertificateBuilder, CertificateError, CertificateKind, HostIdentity, HostKey, KeyError,
    KeyKind, PrivateKey, SignatureError, verify_host_signature,
};

const KINDS: [KeyKind; 5] =
    [KeyKind::Ed25519, KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Rsa3072];

fn certify(kind: CertificateKind, key: &PrivateKey) -> Certificate {
    let ca = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    let builder = CertificateBuilder::new(kind, key.public_key()).principal("web-1");
    builder.valid(0, u64::MAX).sign(&ca).unwrap()
}

#[test]
fn names_are_offered_certificates_first_and_rsa_twice() {
    let key = PrivateKey::generate(KeyKind::Rsa3072).unwrap();
    let certificate = certify(CertificateKind::Host, &key);
    let host = HostKey::with_certificate(key, certificate).unwrap();
    assert_eq!(
        host.algorithms(),
        [
            "rsa-sha2-512-cert-v01@openssh.com",
            "rsa-sha2-256-cert-v01@openssh.com",
            "rsa-sha2-512",
            "rsa-sha2-256"
        ]
    );
    assert_eq!(HostKey::new(PrivateKey::generate(KeyKind::Ed25519).unwrap()).algorithms(), ["ssh-ed25519"]);
}

#[test]
fn a_client_sees_who_signed_under_every_algorithm() {
    for kind in KINDS {
        let key = PrivateKey::generate(kind).unwrap();
        let certificate = certify(CertificateKind::Host, &key);
        let host = HostKey::with_certificate(key, certificate.clone()).unwrap();
        for algorithm in host.algorithms() {
            let blob = host.blob_for(algorithm).unwrap();
            let signature = host.sign(algorithm, b"hash").unwrap();
            let identity = verify_host_signature(algorithm, blob, b"hash", &signature).unwrap();
            match &identity {
                HostIdentity::Certificate(shown) => assert_eq!(**shown, certificate),
                HostIdentity::Key(shown) => assert_eq!(shown, host.public_key()),
            }
            assert_eq!(algorithm.contains("-cert-"), matches!(identity, HostIdentity::Certificate(_)));
            assert_eq!((identity.key(), identity.blob()), (host.public_key(), blob));
            assert!(verify_host_signature(algorithm, blob, b"another", &signature).is_err());
        }
    }
}

#[test]
fn the_blob_must_be_of_the_negotiated_type() {
    let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    let certificate = certify(CertificateKind::Host, &key);
    let host = HostKey::with_certificate(key, certificate).unwrap();
    let signature = host.sign("ssh-ed25519", b"hash").unwrap();
    let [certified, plain] = ["ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519"];
    let blob = |name| host.blob_for(name).unwrap();
    let verify = |name, blob| verify_host_signature(name, blob, b"hash", &signature);
    assert!(matches!(
        verify(certified, blob(plain)),
        Err(SignatureError::Certificate(error)) if *error == CertificateError::Key(KeyError::KeyNotCertificate)
    ));
    assert_eq!(verify(plain, blob(certified)), Err(KeyError::CertificateNotKey.into()));
    for other in ["rsa-sha2-512", "ssh-rsa", "ssh-dss", "", "ecdsa-sha2-nistp256"] {
        assert!(matches!(verify(other, blob(plain)), Err(SignatureError::WrongAlgorithm(_))), "{other}");
        assert_eq!(host.blob_for(other), None);
        assert!(host.sign(other, b"hash").is_err());
    }
}

#[test]
fn a_user_certificate_is_no_host_certificate() {
    let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    let user = certify(CertificateKind::User, &key);
    let signature =
        HostKey::new(PrivateKey::generate(KeyKind::Ed25519).unwrap()).sign("ssh-ed25519", b"hash");
    let wrong = CertificateError::WrongKind { found: CertificateKind::User, wanted: CertificateKind::Host };
    let refused =
        verify_host_signature("ssh-ed25519-cert-v01@openssh.com", user.blob(), b"hash", &signature.unwrap());
    assert_eq!(refused, Err(wrong.clone().into()));
    assert_eq!(HostKey::with_certificate(key, user).unwrap_err(), wrong);
}

#[test]
fn a_certificate_for_another_key_is_refused() {
    let [one, other] = [(); 2].map(|()| PrivateKey::generate(KeyKind::Ed25519).unwrap());
    let certificate = certify(CertificateKind::Host, &other);
    let refused = HostKey::with_certificate(one, certificate).unwrap_err();
    assert_eq!(refused, CertificateError::Key(KeyError::Mismatch));
}
