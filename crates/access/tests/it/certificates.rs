//! Certificates of Bartizan's own people CA, and those that are revoked.

use bartizan_access::{
    Authenticated, CertificateEvidence, Decision, Directory, Evidence, Policies, Rejected,
};
use bartizan_model::{DirectoryData, PersonState, Revocation, RevokedCertificates};

use crate::world::{NOW, anybody, certificate, connect, data, decide, grant, key, now, seconds};

/// A certificate for alice by the people CA.
fn own() -> CertificateEvidence {
    CertificateEvidence { ca: key("people"), ..certificate(&["alice"]) }
}

fn built(data: &DirectoryData) -> Directory {
    Directory::build(data, Policies::default()).unwrap().with_people_ca([key("people"), key("former")])
}

fn revoked(what: RevokedCertificates) -> Revocation {
    Revocation { what, added: now(), ends: None }
}

fn proven(directory: &Directory, certificate: CertificateEvidence) -> Result<Authenticated, Rejected> {
    directory.authenticate(Evidence::Certificate(certificate), &anybody(), now())
}

#[test]
fn the_people_ca_proves_people_and_only_where_it_is_named() {
    let directory = built(&data(vec![]));
    assert_eq!(proven(&directory, own()).unwrap().person().as_str(), "alice");
    let former = CertificateEvidence { ca: key("former"), ..own() };
    assert_eq!(proven(&directory, former).unwrap().person().as_str(), "alice");
    // A listed CA goes on as before.
    assert!(proven(&directory, certificate(&["alice"])).is_ok());
    // No snapshot trusts it by itself, and the one that follows has to be told anew.
    let plain = Directory::build(&data(vec![]), Policies::default()).unwrap();
    let next = directory.rebuild(&data(vec![]), Policies::default()).unwrap();
    for directory in [plain, next] {
        assert_eq!(proven(&directory, own()).unwrap_err(), Rejected::UnknownAuthority);
    }
}

#[test]
fn what_is_revoked_proves_nobody() {
    let of = |name| key(name);
    let cases = [
        (RevokedCertificates::Serial { ca: of("people"), serial: 5 }, true),
        (RevokedCertificates::Serial { ca: of("people"), serial: 6 }, false),
        (RevokedCertificates::Serial { ca: of("ca"), serial: 5 }, false),
        (RevokedCertificates::KeyId { ca: of("people"), key_id: "alice@corp".into() }, true),
        (RevokedCertificates::KeyId { ca: of("people"), key_id: "alice".into() }, false),
        (RevokedCertificates::KeyId { ca: of("ca"), key_id: "alice@corp".into() }, false),
        (RevokedCertificates::Key { key: of("laptop") }, true),
        (RevokedCertificates::Key { key: of("alice") }, false),
    ];
    for (what, refused) in cases {
        let directory = built(&DirectoryData { revocations: vec![revoked(what.clone())], ..data(vec![]) });
        let offered = directory.acceptable(&Evidence::Certificate(own()), &anybody(), now());
        assert_eq!(offered, if refused { Err(Rejected::Revoked) } else { Ok(()) }, "{what}");
        assert_eq!(proven(&directory, own()).err(), refused.then_some(Rejected::Revoked), "{what}");
        // A plain key is taken away from its person, not revoked.
        let plain = Evidence::PublicKey { key: key("alice") };
        assert!(directory.authenticate(plain, &anybody(), now()).is_ok(), "{what}");
    }
}

#[test]
fn a_session_ends_when_its_certificate_is_revoked_or_its_ca_is_gone() {
    let grants = vec![grant("g", "alice", "web-1", "shell")];
    let before = data(grants);
    let who = proven(&built(&before), own()).unwrap();
    let ask = bartizan_access::Action::Continue;
    let permits = |directory: &Directory| {
        let ask = crate::world::Ask { action: ask, now: seconds(NOW + 7200), ..connect("web-1") };
        matches!(decide(directory, &who, &ask), Decision::Permit(_))
    };
    assert!(permits(&built(&before)), "a session outlives its certificate");
    assert!(built(&before).recognizes(&who, now()).is_ok());

    let what = RevokedCertificates::Serial { ca: key("people"), serial: 5 };
    let revoked = built(&DirectoryData { revocations: vec![revoked(what)], ..before.clone() });
    assert!(!permits(&revoked));
    assert_eq!(revoked.recognizes(&who, now()), Err(Rejected::Revoked));

    let retired = Directory::build(&before, Policies::default()).unwrap().with_people_ca([key("next")]);
    assert!(!permits(&retired));

    for change in [
        |data: &mut DirectoryData| data.people[0].state = PersonState::Locked,
        |data: &mut DirectoryData| drop(data.people.remove(0)),
    ] {
        let mut data = before.clone();
        change(&mut data);
        assert!(!permits(&built(&data)));
    }
}

#[test]
fn who_is_added_again_does_not_get_the_certificates_of_who_was_removed() {
    let mut data = data(vec![]);
    let valid_after = own().valid_after;
    for (added, refused) in [(valid_after, false), (valid_after + 1, true)] {
        data.people[0].created = seconds(added);
        let expected = refused.then_some(Rejected::OlderThanPerson);
        assert_eq!(proven(&built(&data), own()).err(), expected);
        // Others sign when they like.
        assert!(proven(&built(&data), certificate(&["alice"])).is_ok());
    }
    data.people[0].created = seconds(0);
    let who = proven(&built(&data), own()).unwrap();
    data.people[0].created = seconds(valid_after + 1);
    assert_eq!(built(&data).recognizes(&who, now()), Err(Rejected::OlderThanPerson));
}
