use super::keygen::{KINDS, Keygen};
use crate::key::{
    Certificate, CertificateBuilder, CertificateCheck, CertificateError, CertificateKind, KeyError, KeyKind,
    PrivateKey, PublicKey, SignatureError,
};
use crate::wire::Writer as _;

#[test]
fn certificates_of_ssh_keygen_parse_and_verify_for_every_pair_of_types() {
    let keygen = Keygen::new();
    for (index, kind) in KINDS.into_iter().enumerate() {
        keygen.generate(&format!("ca{index}"), kind);
        keygen.generate(&format!("k{index}"), kind);
    }
    for ca in 0..KINDS.len() {
        for key in 0..KINDS.len() {
            let (ca, key) = (format!("ca{ca}"), format!("k{key}"));
            let options = [
                "-O",
                "clear",
                "-O",
                "force-command=/bin/true",
                "-O",
                "source-address=10.0.0.0/8,::1",
                "-O",
                "permit-pty",
            ];
            let base = [
                "-q",
                "-s",
                &ca,
                "-I",
                "id",
                "-n",
                "root,alice",
                "-z",
                "77",
                "-V",
                "20250101000000Z:20250102000000Z",
            ];
            let public = format!("{key}.pub");
            keygen.run(&[&base[..], &options, &[&public]].concat());
            let line = keygen.read(&format!("{key}-cert.pub"));
            let (certificate, _) = Certificate::from_openssh(&line).unwrap();
            assert_eq!(certificate.kind(), CertificateKind::User);
            assert_eq!((certificate.key_id(), certificate.serial()), ("id", 77));
            assert_eq!(certificate.principals(), ["root", "alice"]);
            assert_eq!(certificate.critical_option("force-command"), Some(&b"/bin/true"[..]));
            assert_eq!(certificate.critical_option("source-address"), Some(&b"10.0.0.0/8,::1"[..]));
            assert_eq!(certificate.critical_option("verify-required"), None);
            assert_eq!(certificate.extensions()[0].name, "permit-pty");
            assert_eq!(certificate.key(), &PublicKey::from_openssh(&keygen.read(&public)).unwrap().0);
            let ca_line = keygen.read(&format!("{ca}.pub"));
            assert_eq!(certificate.authority(), &PublicKey::from_openssh(&ca_line).unwrap().0);
            assert_eq!(certificate.to_openssh("somebody@somewhere"), line.trim_end());
        }
    }
}

#[test]
fn ssh_keygen_reads_and_verifies_what_we_mint() {
    let keygen = Keygen::new();
    for (index, kind) in [KeyKind::Ed25519, KeyKind::EcdsaP384, KeyKind::Rsa3072].into_iter().enumerate() {
        let ca = PrivateKey::generate(kind).unwrap();
        let subject = PrivateKey::generate(kind).unwrap();
        for which in [CertificateKind::User, CertificateKind::Host] {
            let certificate = CertificateBuilder::new(which, subject.public_key())
                .key_id("alice via bartizan")
                .serial(42)
                .principal("root")
                .valid(1_700_000_000, 1_700_000_300)
                .critical_option("source-address", "10.0.0.1")
                .extension("permit-pty", "")
                .sign(&ca)
                .unwrap();
            let name = format!("c{index}-{which}-cert.pub");
            keygen.write(&name, &certificate.to_openssh("ours"));
            // -L prints a certificate only after its signature has verified.
            let text = keygen.run(&["-L", "-f", &name]);
            let expected = [
                format!("Type: {} {which} certificate", certificate.algorithm_name()),
                format!("{} (using {})", ca.public_key().fingerprint(), certificate.signature_algorithm()),
                "Key ID: \"alice via bartizan\"".to_owned(),
                "Serial: 42".to_owned(),
                "source-address 10.0.0.1".to_owned(),
                "permit-pty".to_owned(),
                "root".to_owned(),
            ];
            for line in expected {
                assert!(text.contains(&line), "{line:?} not in {text}");
            }
        }
    }
}

/// Builds certificates by hand, wrong in one way at a time.
#[derive(Clone)]
struct Parts {
    certificate_type: Vec<u8>,
    fields: Vec<u8>,
    kind: u32,
    key_id: Vec<u8>,
    principals: Vec<u8>,
    options: Vec<u8>,
    authority: Vec<u8>,
    trailing: Vec<u8>,
}

impl Parts {
    fn good(subject: &PrivateKey, ca: &PrivateKey) -> Self {
        Self {
            certificate_type: subject.public_key().certificate_algorithm().into(),
            fields: subject.public_key().fields().into(),
            kind: 1,
            key_id: b"id".into(),
            principals: strings(&[b"root"]),
            options: Vec::new(),
            authority: ca.public_key().blob().into(),
            trailing: Vec::new(),
        }
    }

    fn unsigned(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        blob.put_string(&self.certificate_type);
        blob.put_string(&[7; 32]);
        blob.put(&self.fields);
        blob.put_u64(1);
        blob.put_u32(self.kind);
        blob.put_string(&self.key_id);
        blob.put_string(&self.principals);
        blob.put_u64(1000);
        blob.put_u64(2000);
        blob.put_string(&self.options);
        blob.put_string(b"");
        blob.put_string(b"");
        blob.put_string(&self.authority);
        blob
    }

    fn signed(&self, ca: &PrivateKey) -> Vec<u8> {
        let mut blob = self.unsigned();
        let algorithm = ca.public_key().signature_algorithms()[0];
        let signature = ca.sign(algorithm, &blob).unwrap();
        blob.put_string(&signature);
        blob.put(&self.trailing);
        blob
    }
}

fn strings(items: &[&[u8]]) -> Vec<u8> {
    let mut packed = Vec::new();
    for item in items {
        packed.put_string(item);
    }
    packed
}

fn pair() -> (PrivateKey, PrivateKey) {
    (PrivateKey::generate(KeyKind::Ed25519).unwrap(), PrivateKey::generate(KeyKind::Ed25519).unwrap())
}

/// LESSONS: "nested SSH certificates bypassed checks (Teleport, severity 9.8)".
#[test]
fn a_nested_certificate_is_refused_whoever_signed_it() {
    let (subject, ca) = pair();
    let (root, _) = pair();
    let inner = CertificateBuilder::new(CertificateKind::User, ca.public_key())
        .principal("root")
        .valid(0, u64::MAX)
        .sign(&root)
        .unwrap();
    // The CA's key is the inner certificate; the signature by the certified key is good.
    let nested = Parts { authority: inner.blob().into(), ..Parts::good(&subject, &ca) };
    assert_eq!(Certificate::from_blob(&nested.signed(&ca)), Err(CertificateError::NestedAuthority));
    assert_eq!(Certificate::from_blob(&nested.signed(&root)), Err(CertificateError::NestedAuthority));

    // The certified key is itself a certificate's blob.
    let inside = Parts { fields: strings(&[inner.blob()]), ..Parts::good(&subject, &ca) };
    assert!(Certificate::from_blob(&inside.signed(&ca)).is_err());

    // A certificate is no plain key, so nobody can list one as a CA by mistake.
    assert_eq!(PublicKey::from_blob(inner.blob()), Err(KeyError::CertificateNotKey));
    assert!(PublicKey::from_openssh(&inner.to_openssh("")).is_err());
    // Trust in the root does not reach what the certified key signs.
    let by_certified_key = Certificate::from_blob(&Parts::good(&subject, &ca).signed(&ca)).unwrap();
    let refused = by_certified_key.check(&wanted(&[root.public_key().clone()]));
    assert_eq!(refused, Err(CertificateError::UntrustedAuthority(ca.public_key().fingerprint())));
}

fn wanted(trusted: &[PublicKey]) -> CertificateCheck<'_> {
    CertificateCheck {
        kind: CertificateKind::User,
        principal: Some("root"),
        now_unix: 1500,
        trusted,
        known_critical_options: &["source-address"],
    }
}

#[test]
fn malformed_certificates_are_refused() {
    let (subject, ca) = pair();
    let good = Parts::good(&subject, &ca);
    assert!(Certificate::from_blob(&good.signed(&ca)).is_ok());
    let option = |name: &[u8], data: &[u8]| strings(&[name, data]);
    let many: Vec<&[u8]> = vec![b"p"; 257];
    for (what, parts) in [
        ("type of a plain key", Parts { certificate_type: b"ssh-ed25519".into(), ..good.clone() }),
        (
            "type of version 00",
            Parts { certificate_type: b"ssh-rsa-cert-v00@openssh.com".into(), ..good.clone() },
        ),
        (
            "type of another key",
            Parts { certificate_type: b"ssh-rsa-cert-v01@openssh.com".into(), ..good.clone() },
        ),
        ("neither user nor host", Parts { kind: 0, ..good.clone() }),
        ("neither user nor host", Parts { kind: 3, ..good.clone() }),
        ("NUL in the key id", Parts { key_id: b"a\0b".into(), ..good.clone() }),
        ("key id that is no text", Parts { key_id: b"\xff".into(), ..good.clone() }),
        ("NUL in a principal", Parts { principals: strings(&[b"root\0x"]), ..good.clone() }),
        ("principals that end too early", Parts { principals: vec![0, 0, 0, 9, 1], ..good.clone() }),
        ("257 principals", Parts { principals: strings(&many), ..good.clone() }),
        ("option without data", Parts { options: strings(&[b"force-command"]), ..good.clone() }),
        ("option data that is no string", Parts { options: option(b"a", b"xyz"), ..good.clone() }),
        ("option data with more behind it", Parts { options: option(b"a", b"\0\0\0\x01ab"), ..good.clone() }),
        ("trailing bytes", Parts { trailing: vec![0], ..good.clone() }),
        ("no CA", Parts { authority: Vec::new(), ..good.clone() }),
    ] {
        assert!(Certificate::from_blob(&parts.signed(&ca)).is_err(), "{what}");
    }
    let twice = [option(b"a", b""), option(b"a", b"")].concat();
    let twice = Parts { options: twice, ..good };
    assert_eq!(Certificate::from_blob(&twice.signed(&ca)), Err(CertificateError::DuplicateOption));
}

#[test]
fn every_byte_of_a_certificate_is_covered() {
    let (subject, ca) = pair();
    let blob = Parts::good(&subject, &ca).signed(&ca);
    for index in 0..blob.len() {
        let mut bent = blob.clone();
        bent[index] ^= 1;
        assert!(Certificate::from_blob(&bent).is_err(), "byte {index}");
        assert!(Certificate::from_blob(&blob[..index]).is_err(), "cut at {index}");
    }
    let huge = [&blob[..], &vec![0; 70_000]].concat();
    assert!(Certificate::from_blob(&huge).is_err());
}

#[test]
fn a_ca_signature_by_sha1_is_refused() {
    let ca = PrivateKey::generate(KeyKind::Rsa3072).unwrap();
    let (subject, _) = pair();
    let mut blob = Parts::good(&subject, &ca).unsigned();
    let mut signature = Vec::new();
    signature.put_string(b"ssh-rsa");
    signature.put_string(&[1; 384]);
    blob.put_string(&signature);
    let refused = Certificate::from_blob(&blob);
    let expected = SignatureError::WrongAlgorithm("ssh-rsa".into());
    assert_eq!(refused, Err(CertificateError::Signature(Box::new(expected))));
}

#[test]
fn a_certificate_is_checked_for_kind_ca_hour_name_and_options() {
    let (subject, ca) = pair();
    let (_, stranger) = pair();
    let mint = |kind, options: &[&str]| {
        let builder = CertificateBuilder::new(kind, subject.public_key()).principal("root").principal("www");
        let builder = options.iter().fold(builder, |builder, name| builder.critical_option(*name, "x"));
        builder.valid(1000, 2000).sign(&ca).unwrap()
    };
    let user = mint(CertificateKind::User, &["source-address"]);
    let host = mint(CertificateKind::Host, &[]);
    let strict = mint(CertificateKind::User, &["source-address", "verify-required"]);
    let trusted = [stranger.public_key().clone(), ca.public_key().clone()];
    let fine = wanted(&trusted);
    let kind = CertificateKind::Host;
    assert_eq!(user.check(&fine), Ok(()));
    assert_eq!(user.check(&CertificateCheck { principal: Some("www"), ..fine }), Ok(()));
    assert_eq!(user.check(&CertificateCheck { principal: None, ..fine }), Ok(()));
    assert_eq!(user.check(&CertificateCheck { now_unix: 1000, ..fine }), Ok(()));
    assert_eq!(user.check(&CertificateCheck { now_unix: 1999, ..fine }), Ok(()));
    assert_eq!(host.check(&CertificateCheck { kind, ..fine }), Ok(()));
    let untrusted = CertificateError::UntrustedAuthority(ca.public_key().fingerprint());
    let (found, other) = (CertificateKind::User, CertificateKind::Host);
    for (certificate, check, refused) in [
        (&host, fine, CertificateError::WrongKind { found: other, wanted: found }),
        (&user, CertificateCheck { kind, ..fine }, CertificateError::WrongKind { found, wanted: other }),
        (&user, CertificateCheck { trusted: &trusted[..1], ..fine }, untrusted.clone()),
        (&user, CertificateCheck { trusted: &[], ..fine }, untrusted),
        (
            &user,
            CertificateCheck { now_unix: 999, ..fine },
            CertificateError::NotYetValid { now: 999, valid_after: 1000 },
        ),
        (
            &user,
            CertificateCheck { now_unix: 2000, ..fine },
            CertificateError::Expired { now: 2000, valid_before: 2000 },
        ),
        (
            &user,
            CertificateCheck { principal: Some("roo"), ..fine },
            CertificateError::WrongPrincipal("roo".into()),
        ),
        (
            &user,
            CertificateCheck { principal: Some(""), ..fine },
            CertificateError::WrongPrincipal(String::new()),
        ),
        (
            &user,
            CertificateCheck { principal: Some("Root"), ..fine },
            CertificateError::WrongPrincipal("Root".into()),
        ),
        (&strict, fine, CertificateError::UnknownCriticalOption("verify-required".into())),
    ] {
        assert_eq!(certificate.check(&check), Err(refused));
    }
}

#[test]
fn a_certificate_without_principals_is_good_for_nobody() {
    let (subject, ca) = pair();
    let parts = Parts { principals: Vec::new(), ..Parts::good(&subject, &ca) };
    let certificate = Certificate::from_blob(&parts.signed(&ca)).unwrap();
    let trusted = [ca.public_key().clone()];
    assert_eq!(certificate.check(&wanted(&trusted)), Err(CertificateError::WrongPrincipal("root".into())));
}

#[test]
fn the_builder_refuses_certificates_for_nobody_and_never() {
    let (subject, ca) = pair();
    let builder = || CertificateBuilder::new(CertificateKind::User, subject.public_key());
    for builder in [
        builder().principal("root"),
        builder().valid(1, 2),
        builder().principal("root").valid(2, 2),
        builder().principal("root").valid(3, 2),
    ] {
        assert!(matches!(builder.sign(&ca), Err(CertificateError::Misuse(_))));
    }
    let fine = || builder().principal("root").valid(1, 2).sign(&ca).unwrap();
    let (a, b) = (fine(), fine());
    assert_ne!(a.serial(), b.serial());
    assert_ne!(a.blob(), b.blob());
    assert!(builder().principal("a\0b").valid(1, 2).sign(&ca).is_err());
}

/// A second opinion on what ssh-keygen and we write.
#[test]
fn the_ssh_key_crate_reads_the_same_in_our_certificates() {
    for kind in [KeyKind::Ed25519, KeyKind::EcdsaP256, KeyKind::EcdsaP521, KeyKind::Rsa3072] {
        let (subject, ca) = (PrivateKey::generate(kind).unwrap(), PrivateKey::generate(kind).unwrap());
        let ours = CertificateBuilder::new(CertificateKind::Host, subject.public_key())
            .key_id("web-1")
            .principal("web-1")
            .principal("10.0.0.5")
            .valid(1000, 2000)
            .critical_option("b", "2")
            .critical_option("a", "1")
            .extension("c", "")
            .sign(&ca)
            .unwrap();
        let theirs = ssh_key::Certificate::from_openssh(&ours.to_openssh("comment")).unwrap();
        assert_eq!((theirs.serial(), theirs.key_id()), (ours.serial(), ours.key_id()));
        assert_eq!(theirs.valid_principals(), ours.principals());
        assert_eq!((theirs.valid_after(), theirs.valid_before()), (1000, 2000));
        assert!(theirs.cert_type().is_host());
        let options: Vec<_> = theirs.critical_options().keys().map(String::as_str).collect();
        assert_eq!(options, ["a", "b"]);
        assert_eq!(theirs.to_bytes().unwrap(), ours.blob());
    }
}
