//! Which evidence proves whom.

use bartizan_access::{Attempt, CertificateEvidence, Evidence, Rejected};
use bartizan_model::{PersonState, Timestamp};

use crate::world::{NOW, anybody, certificate, data, directory, ip, key, name, now, seconds};

#[test]
fn a_key_proves_the_person_it_is_registered_to() {
    let directory = directory(vec![]);
    let (alice, bob) = (name("alice"), name("bob"));
    let nobody_named = anybody();
    let alice_named = Attempt { named: Some(&alice), ..anybody() };
    let bob_named = Attempt { named: Some(&bob), ..anybody() };
    for (of, attempt, expected) in [
        ("alice", nobody_named, Ok("alice")),
        ("alice", alice_named, Ok("alice")),
        ("alice", bob_named, Err(Rejected::WrongPerson)),
        ("stranger", nobody_named, Err(Rejected::UnknownKey)),
        ("stranger", alice_named, Err(Rejected::UnknownKey)),
        // A CA's key is not a person's.
        ("ca", alice_named, Err(Rejected::UnknownKey)),
    ] {
        let evidence = Evidence::PublicKey { key: key(of) };
        let proven = directory.authenticate(evidence.clone(), &attempt, now());
        assert_eq!(proven.as_ref().map(|who| who.person().as_str()).map_err(|e| *e), expected, "{of}");
        assert_eq!(directory.acceptable(&evidence, &attempt, now()).is_ok(), expected.is_ok());
        if let Ok(who) = proven {
            assert_eq!((who.method(), who.key(), who.certificate()), ("publickey", key("alice"), None));
        }
    }
}

#[test]
fn a_certificate_proves_the_person_who_is_its_principal() {
    let directory = directory(vec![]);
    let (alice, stranger) = (name("alice"), name("stranger"));
    let named = |person| Attempt { named: Some(person), ..anybody() };
    for (principals, attempt, expected) in [
        (&["alice"][..], anybody(), Ok("alice")),
        (&["alice"], named(&alice), Ok("alice")),
        (&["root", "alice", "web-1"], anybody(), Ok("alice")),
        (&["alice", "alice"], anybody(), Ok("alice")),
        (&["alice", "bob"], named(&alice), Ok("alice")),
        (&["alice", "bob"], anybody(), Err(Rejected::Ambiguous)),
        (&["bob"], named(&alice), Err(Rejected::NotAPrincipal)),
        (&["root"], anybody(), Err(Rejected::NotAPrincipal)),
        (&["stranger"], named(&stranger), Err(Rejected::UnknownPerson)),
        (&["ALICE"], named(&alice), Err(Rejected::NotAPrincipal)),
        (&["alice\n"], anybody(), Err(Rejected::NotAPrincipal)),
        (&["*"], anybody(), Err(Rejected::NotAPrincipal)),
        (&[], anybody(), Err(Rejected::NoPrincipals)),
        (&[], named(&alice), Err(Rejected::NoPrincipals)),
    ] {
        let proven = directory.authenticate(Evidence::Certificate(certificate(principals)), &attempt, now());
        assert_eq!(
            proven.as_ref().map(|who| who.person().as_str()).map_err(|e| *e),
            expected,
            "{principals:?}"
        );
        if let Ok(who) = proven {
            let used = who.certificate().unwrap();
            assert_eq!((who.method(), who.key()), ("certificate", key("laptop")));
            assert_eq!((used.ca, used.key_id.as_str(), used.serial), (key("ca"), "alice@corp", 5));
        }
    }
}

#[test]
fn a_certificate_is_checked_for_its_authority_time_and_source() {
    let directory = directory(vec![]);
    let alice = || certificate(&["alice"]);
    let forever = CertificateEvidence { valid_after: 0, valid_before: u64::MAX, ..alice() };
    let networks = |texts: &[&str]| Some(texts.iter().map(|t| t.parse().unwrap()).collect());
    let from = |texts| CertificateEvidence { source_addresses: networks(texts), ..alice() };
    for (certificate, at, source, expected) in [
        (alice(), now(), "10.0.0.1", Ok(())),
        (alice(), seconds(NOW - 60), "10.0.0.1", Ok(())),
        (alice(), seconds(NOW - 61), "10.0.0.1", Err(Rejected::NotYetValid)),
        (alice(), seconds(NOW + 59), "10.0.0.1", Ok(())),
        (alice(), seconds(NOW + 60), "10.0.0.1", Err(Rejected::Expired)),
        (forever, Timestamp::MAX, "10.0.0.1", Ok(())),
        (from(&["10.0.0.0/8", "fd00::/8"]), now(), "10.9.9.9", Ok(())),
        (from(&["10.0.0.0/8", "fd00::/8"]), now(), "::ffff:10.9.9.9", Ok(())),
        (from(&["10.0.0.0/8", "fd00::/8"]), now(), "fd00::7", Ok(())),
        (from(&["10.0.0.0/8"]), now(), "11.0.0.1", Err(Rejected::SourceRefused)),
        (from(&[]), now(), "10.0.0.1", Err(Rejected::SourceRefused)),
        (
            CertificateEvidence { ca: key("other"), ..alice() },
            now(),
            "10.0.0.1",
            Err(Rejected::UnknownAuthority),
        ),
        // A person's key is no authority.
        (
            CertificateEvidence { ca: key("alice"), ..alice() },
            now(),
            "10.0.0.1",
            Err(Rejected::UnknownAuthority),
        ),
    ] {
        let attempt = Attempt { named: None, source: ip(source) };
        let evidence = Evidence::Certificate(certificate);
        assert_eq!(directory.acceptable(&evidence, &attempt, at), expected, "{evidence:?} {source}");
    }
}

#[test]
fn a_locked_person_is_refused_whatever_the_method() {
    let mut data = data(vec![]);
    data.people[0].state = PersonState::Locked;
    let directory = bartizan_access::Directory::build(&data, bartizan_access::Policies::default()).unwrap();
    let alice = name("alice");
    for evidence in
        [Evidence::PublicKey { key: key("alice") }, Evidence::Certificate(certificate(&["alice"]))]
    {
        for named in [None, Some(&alice)] {
            let attempt = Attempt { named, ..anybody() };
            assert_eq!(
                directory.authenticate(evidence.clone(), &attempt, now()).unwrap_err(),
                Rejected::PersonLocked
            );
        }
    }
}
