use super::keygen::{KINDS, Keygen};
use crate::key::{Certificate, CertificateBuilder, CertificateKind, KeyKind, PrivateKey, PublicKey};

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
            let options = ["-O", "clear", "-O", "force-command=/bin/true", "-O", "permit-pty"];
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
