//! What a signature must cover, and who must have made it.

use super::helpers::{HOST_BLOB, Signed, certify, ed25519, feed, idle_server, key, server_with};
use crate::auth::UserIdentity;
use crate::auth::server::{AuthLimits, AuthRequest, RequestFault};
use crate::key::{
    CertificateError, CertificateKind, KeyError, KeyKind, PublicKeyAlgorithm, SignatureAlgorithm,
    SignatureError,
};

const KINDS: [KeyKind; 5] =
    [KeyKind::Ed25519, KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Rsa3072];

fn fault_of(payload: &[u8]) -> RequestFault {
    let mut server = idle_server();
    let request = feed(&mut server, payload).unwrap();
    assert!(server.accept(&mut Vec::new()).is_err(), "an invalid request was accepted");
    match request {
        Some(AuthRequest::Invalid { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_of_key_proves_itself_plain_certified_and_hostbound() {
    for kind in KINDS {
        let key = key(kind);
        let certificate = certify(CertificateKind::User, &key);
        for identity in [UserIdentity::from(key.public_key().clone()), certificate.into()] {
            for &signature in key.public_key().signature_algorithms() {
                for host_key in [None, Some(HOST_BLOB)] {
                    let certificate = identity.certificate().is_some();
                    let signs_with = PublicKeyAlgorithm { signature, certificate };
                    let signed = Signed {
                        signs_with,
                        algorithm: signs_with.name(),
                        host_key,
                        ..Signed::with(&key, "alice", identity.clone())
                    };
                    let mut server = idle_server();
                    match feed(&mut server, &signed.offer()).unwrap() {
                        Some(AuthRequest::Offered(key)) => assert_eq!(key.identity(), &identity),
                        other => panic!("{other:?}"),
                    }
                    let mut out = Vec::new();
                    server.pk_ok(&mut out).unwrap();
                    let ok = crate::wire::userauth::PkOk::parse(&out[0]).unwrap();
                    assert_eq!((ok.algorithm, ok.blob), (signs_with.name(), identity.blob()));
                    match feed(&mut server, &signed.payload()).unwrap() {
                        Some(AuthRequest::Proven(proven)) => {
                            assert_eq!(proven.identity(), &identity);
                            assert_eq!((proven.user(), proven.algorithm()), ("alice", signs_with));
                            assert_eq!((proven.hostbound(), proven.sk()), (host_key.is_some(), None));
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
    }
}

#[test]
fn a_signature_for_another_connection_user_or_key_proves_nothing() {
    let (mine, other) = (ed25519(), ed25519());
    let good = Signed::by(&mine, "alice");
    let invalid = RequestFault::Signature(SignatureError::Invalid);
    assert_eq!(fault_of(&Signed { session_id: b"another", ..good.clone() }.payload()), invalid);
    assert_eq!(fault_of(&Signed { session_id: b"", ..good.clone() }.payload()), invalid);
    // Somebody else's public key with my signature.
    let stolen = Signed { identity: other.public_key().clone().into(), ..good.clone() };
    assert_eq!(fault_of(&stolen.payload()), invalid);
    // Somebody else's certificate with my signature.
    let certificate = certify(CertificateKind::User, &other).into();
    assert_eq!(fault_of(&Signed::with(&mine, "alice", certificate).payload()), invalid);
    // A request for alice, replayed for another name of the same length.
    let mut replayed = good.payload().to_vec();
    replayed[5..10].copy_from_slice(b"bobby");
    assert_eq!(fault_of(&replayed), invalid);
}

#[test]
fn every_byte_of_a_signed_request_matters() {
    let mine = ed25519();
    let payload = Signed { host_key: Some(HOST_BLOB), ..Signed::by(&mine, "alice") }.payload().to_vec();
    for index in 0..payload.len() {
        for flip in [1, 0x80] {
            let mut bent = payload.clone();
            bent[index] ^= flip;
            let mut server = idle_server();
            if let Ok(Some(AuthRequest::Proven(proven))) = server.on_packet(&bent, &mut Vec::new()) {
                // The only byte with more than one good value is the boolean, which any number but 0 makes true.
                assert_eq!(bent[index] ^ flip, 1, "byte {index} proved {proven:?}");
                assert!(index > 5 + 5 + 4 + 14, "byte {index}");
            }
        }
    }
}

#[test]
fn hostbound_requests_for_another_host_key_are_refused_even_unsigned() {
    let mine = ed25519();
    for host_key in [&b"another host key"[..], b"", b"the host key bloc"] {
        let signed = Signed { host_key: Some(host_key), ..Signed::by(&mine, "alice") };
        assert_eq!(fault_of(&signed.payload()), RequestFault::HostKeyMismatch);
        assert_eq!(fault_of(&signed.offer()), RequestFault::HostKeyMismatch);
    }
}

#[test]
fn a_hostbound_signature_is_none_for_the_plain_method_and_the_other_way_round() {
    let mine = ed25519();
    use super::helpers::request;
    use crate::wire::userauth::{Method, PublicKeyRequest};
    for (signed_for, sent_as) in [(None, Some(HOST_BLOB)), (Some(HOST_BLOB), None)] {
        let fields = |host_key, signature| {
            let (algorithm, blob) = ("ssh-ed25519", mine.public_key().blob());
            request("alice", Method::PublicKey(PublicKeyRequest { algorithm, blob, host_key, signature }))
        };
        let data = fields(signed_for, None).signed_data(super::helpers::SESSION_ID).unwrap();
        let signature = mine.sign(SignatureAlgorithm::Ed25519, &data).unwrap();
        let payload = fields(sent_as, Some(&signature)).to_payload();
        assert_eq!(fault_of(&payload), RequestFault::Signature(SignatureError::Invalid));
    }
}

#[test]
fn algorithm_key_and_signature_must_be_of_one_kind() {
    let (ed, rsa) = (ed25519(), key(KeyKind::Rsa3072));
    let sha512 = Signed::by(&rsa, "alice");
    for name in ["ssh-rsa", "ssh-rsa-cert-v01@openssh.com", "ssh-dss", "", "evil\x1b[2J"] {
        let refused = fault_of(&Signed { algorithm: name, ..sha512.clone() }.payload());
        let shown = name.as_bytes().escape_ascii().to_string();
        assert_eq!(refused, RequestFault::AlgorithmNotAllowed(shown));
    }
    // The request says SHA-256, the signature is SHA-512.
    let mixed = Signed { algorithm: "rsa-sha2-256", ..sha512.clone() };
    let wrong = SignatureError::WrongAlgorithm("rsa-sha2-512".into());
    assert_eq!(fault_of(&mixed.payload()), RequestFault::Signature(wrong));
    // The key is of another kind than the request says.
    assert_eq!(
        fault_of(&Signed { algorithm: "rsa-sha2-512", ..Signed::by(&ed, "alice") }.offer()),
        RequestFault::AlgorithmMismatch
    );
    // A certificate under a plain name, a plain key under a certificate's.
    let certificate: UserIdentity = certify(CertificateKind::User, &ed).into();
    let plain_name = Signed { algorithm: "ssh-ed25519", ..Signed::with(&ed, "alice", certificate) };
    assert_eq!(fault_of(&plain_name.payload()), RequestFault::Key(KeyError::CertificateNotKey));
    let name = SignatureAlgorithm::Ed25519.certificate_name();
    let refused = fault_of(&Signed { algorithm: name, ..Signed::by(&ed, "alice") }.payload());
    assert_eq!(refused, RequestFault::Certificate(CertificateError::Key(KeyError::KeyNotCertificate)));
}

#[test]
fn a_host_certificate_authenticates_no_user() {
    let mine = ed25519();
    let identity = certify(CertificateKind::Host, &mine).into();
    let signed = Signed::with(&mine, "alice", identity);
    let (found, wanted) = (CertificateKind::Host, CertificateKind::User);
    let refused = RequestFault::Certificate(CertificateError::WrongKind { found, wanted });
    assert_eq!(fault_of(&signed.payload()), refused);
    assert_eq!(fault_of(&signed.offer()), refused);
}

#[test]
fn algorithms_can_be_taken_away() {
    let mine = key(KeyKind::EcdsaP256);
    let limits = AuthLimits { algorithms: vec![SignatureAlgorithm::Ed25519], ..AuthLimits::default() };
    let mut server = server_with(limits);
    match feed(&mut server, &Signed::by(&mine, "alice").payload()).unwrap() {
        Some(AuthRequest::Invalid { fault, .. }) => {
            assert_eq!(fault, RequestFault::AlgorithmNotAllowed("ecdsa-sha2-nistp256".into()));
        }
        other => panic!("{other:?}"),
    }
}
