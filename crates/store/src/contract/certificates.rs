//! The promises of [`CertificateStore`].

use std::time::Duration;

use bartizan_model::{
    CertificatePermit, Fingerprint, IssuedCertificate, Revocation, RevokedCertificates, Timestamp,
};

use crate::{CertificateStore, DirectoryStore, RecordKind, StoreError};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn day(number: u32) -> Timestamp {
    Timestamp::from_unix_micros(1_000_000).saturating_add(DAY * number)
}

fn print(n: u8) -> Fingerprint {
    Fingerprint::from_sha256([n; 32])
}

/// A certificate of one day.
fn issued(serial: u64, on: u32) -> IssuedCertificate {
    IssuedCertificate {
        serial,
        ca: print(1),
        key_id: format!("bartizan person=Zoë serial={serial}; '\""),
        person: "Zoë".parse().unwrap(),
        key: print(2),
        valid_after: day(on),
        valid_before: day(on + 1),
        sources: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        permits: vec![CertificatePermit::PortForwarding],
        issued: day(on),
    }
}

fn revoked(what: RevokedCertificates, on: u32, ends: Option<Timestamp>) -> Revocation {
    Revocation { what, added: day(on), ends }
}

/// What was issued reads back, by time; it is no change of the directory, and its serial number is its own.
pub async fn issued_certificates_read_back(store: impl CertificateStore + DirectoryStore) {
    let largest = (1 << 53) - 1;
    let plain = IssuedCertificate { sources: vec![], permits: vec![], ..issued(7, 2) };
    store.add_certificate(&plain).await.unwrap();
    store.add_certificate(&issued(largest, 1)).await.unwrap();
    assert_eq!(store.certificates().await.unwrap(), [issued(largest, 1), plain.clone()]);
    let error = store.add_certificate(&issued(7, 3)).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { record: RecordKind::Certificate, .. }), "{error:?}");
    assert_eq!(store.certificates().await.unwrap(), [issued(largest, 1), plain]);
    assert_eq!(store.snapshot().await.unwrap().generation, 0);
}

/// What is revoked is in the next snapshot, once, and everybody who follows is told.
pub async fn revocations_are_of_the_directory(store: impl CertificateStore + DirectoryStore) {
    let mut follower = store.changes();
    follower.mark_unchanged();
    let all = [
        revoked(RevokedCertificates::Serial { ca: print(1), serial: u64::MAX }, 1, Some(day(9))),
        revoked(RevokedCertificates::KeyId { ca: print(1), key_id: "a \"b\"\n'".into() }, 2, None),
        revoked(RevokedCertificates::Key { key: print(3) }, 3, None),
    ];
    for (number, one) in (1..).zip(&all) {
        store.revoke(one).await.unwrap();
        assert!(follower.has_changed().unwrap());
        assert_eq!(*follower.borrow_and_update(), number);
    }
    assert_eq!(store.snapshot().await.unwrap().revocations, all);
    for one in all.clone() {
        let error = store.revoke(&Revocation { added: day(4), ends: None, ..one }).await.unwrap_err();
        assert!(matches!(error, StoreError::Exists { record: RecordKind::Revocation, .. }), "{error:?}");
    }
    assert!(!follower.has_changed().unwrap());
    assert_eq!(store.snapshot().await.unwrap().revocations, all);
}

/// Certificates and their revocations are forgotten a month after their end; what has no end never is.
pub async fn what_expired_long_ago_is_forgotten(store: impl CertificateStore + DirectoryStore) {
    store.add_certificate(&issued(1, 0)).await.unwrap();
    let of = |serial| RevokedCertificates::Serial { ca: print(1), serial };
    let (first, endless) = (revoked(of(1), 0, Some(day(1))), revoked(of(2), 0, None));
    store.revoke(&first).await.unwrap();
    store.revoke(&endless).await.unwrap();

    store.add_certificate(&issued(3, 31)).await.unwrap();
    store.revoke(&revoked(of(3), 31, Some(day(32)))).await.unwrap();
    assert_eq!(store.certificates().await.unwrap(), [issued(1, 0), issued(3, 31)]);
    assert_eq!(store.snapshot().await.unwrap().revocations.len(), 3, "a clock may go back");

    store.add_certificate(&issued(4, 32)).await.unwrap();
    store.revoke(&revoked(of(4), 32, Some(day(33)))).await.unwrap();
    assert_eq!(store.certificates().await.unwrap(), [issued(3, 31), issued(4, 32)]);
    let left = store.snapshot().await.unwrap().revocations;
    assert_eq!(left.len(), 3);
    assert!(left.contains(&endless) && !left.contains(&first), "{left:?}");
}
