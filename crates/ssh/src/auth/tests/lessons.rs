//! Rows of the table "How access control failed" that are this room's to prevent.

use super::helpers::{Signed, certify, ed25519, feed, idle_server, none, password};
use crate::auth::server::{AuthRequest, ProvenKey, RequestFault};
use crate::auth::{AuthError, AuthMethod};
use crate::key::{CertificateError, CertificateKind};
use crate::wire::Writer as _;

const LEFT: &[AuthMethod] = &[AuthMethod::PublicKey, AuthMethod::Password];

/// "A key merely *offered* was treated as authenticated."
#[test]
fn an_offered_key_is_never_a_proven_one() {
    let key = ed25519();
    let mut server = idle_server();
    let mut out = Vec::new();
    let offered = feed(&mut server, &Signed::by(&key, "root").offer()).unwrap();
    assert!(matches!(offered, Some(AuthRequest::Offered(_))));
    assert_eq!(server.accept(&mut out), Err(AuthError::Misuse("an offered key proves nothing")));
    assert_eq!(
        server.partial_success(LEFT, &mut out),
        Err(AuthError::Misuse("an offered key proves nothing"))
    );
    assert!(out.is_empty() && server.passed().is_empty() && !server.is_done());
    // Nor after PK_OK: what follows must carry a signature of its own.
    server.pk_ok(&mut out).unwrap();
    assert!(server.accept(&mut out).is_err());
    let again = feed(&mut server, &Signed::by(&key, "root").offer()).unwrap();
    assert!(matches!(again, Some(AuthRequest::Offered(_))));
    // An order that x/crypto users fell for: another key is offered after the one that was proved.
    server.reject(LEFT, &mut out).unwrap();
    let proven: ProvenKey = match feed(&mut server, &Signed::by(&key, "root").payload()).unwrap() {
        Some(AuthRequest::Proven(proven)) => proven,
        other => panic!("{other:?}"),
    };
    assert_eq!((proven.key(), proven.user()), (key.public_key(), "root"));
}

/// "Authentication state survived a change of user name in mid-authentication."
#[test]
fn partial_success_does_not_survive_a_change_of_user_name() {
    let key = ed25519();
    let mut server = idle_server();
    let mut out = Vec::new();
    let _ = feed(&mut server, &Signed::by(&key, "mallory").payload()).unwrap();
    server.partial_success(&[AuthMethod::Password], &mut out).unwrap();
    assert_eq!(server.passed(), [AuthMethod::PublicKey]);
    let generation = server.generation();

    let _ = feed(&mut server, &password("mallory", b"x")).unwrap();
    assert_eq!((server.passed(), server.generation()), (&[AuthMethod::PublicKey][..], generation));
    server.reject(LEFT, &mut out).unwrap();

    let request = feed(&mut server, &password("root", b"x")).unwrap().unwrap();
    assert_eq!(request.user(), "root");
    assert_eq!(server.passed(), []);
    assert_ne!(server.generation(), generation);
    server.reject(LEFT, &mut out).unwrap();

    // Going back does not bring it back.
    let _ = feed(&mut server, &none("mallory")).unwrap();
    assert_eq!(server.passed(), []);
    assert_ne!(server.generation(), generation);
}

/// The same for the service name (RFC 4252 §5).
#[test]
fn partial_success_does_not_survive_a_change_of_service() {
    use crate::wire::userauth::{Method, Request};
    let mut server = idle_server();
    let _ = feed(&mut server, &password("root", b"x")).unwrap();
    server.partial_success(LEFT, &mut Vec::new()).unwrap();
    let request = Request { user: "root", service: "ssh-other", method: Method::None };
    let _ = feed(&mut server, &request.to_payload()).unwrap();
    assert_eq!(server.passed(), []);
}

/// "Nested SSH certificates bypassed checks (severity 9.8)": here as user authentication meets one.
#[test]
fn a_nested_certificate_authenticates_nobody() {
    let (key, ca) = (ed25519(), ed25519());
    let ca_certificate = certify(CertificateKind::User, &ca);
    let mut blob = Vec::new();
    blob.put_string(b"ssh-ed25519-cert-v01@openssh.com");
    blob.put_string(&[0; 32]);
    blob.put(key.public_key().fields());
    blob.put_u64(0);
    blob.put_u32(1);
    blob.put_string(b"id");
    blob.put_string(b"\0\0\0\x04root");
    blob.put_u64(0);
    blob.put_u64(u64::MAX);
    for _ in 0..3 {
        blob.put_string(b"");
    }
    blob.put_string(ca_certificate.blob());
    let signature = ca.sign(ca.public_key().signature_algorithms()[0], &blob).unwrap();
    blob.put_string(&signature);

    use super::helpers::{SESSION_ID, request};
    use crate::wire::userauth::{Method, PublicKeyRequest};
    let fields = PublicKeyRequest {
        algorithm: "ssh-ed25519-cert-v01@openssh.com",
        blob: &blob,
        host_key: None,
        signature: None,
    };
    let data = request("root", Method::PublicKey(fields)).signed_data(SESSION_ID).unwrap();
    let signature = key.sign(key.public_key().signature_algorithms()[0], &data).unwrap();
    let fields = PublicKeyRequest { signature: Some(&signature), ..fields };
    let mut server = idle_server();
    match feed(&mut server, &request("root", Method::PublicKey(fields)).to_payload()).unwrap() {
        Some(AuthRequest::Invalid { fault, .. }) => {
            assert_eq!(fault, RequestFault::Certificate(CertificateError::NestedAuthority));
        }
        other => panic!("{other:?}"),
    }
    assert!(server.accept(&mut Vec::new()).is_err());
}
