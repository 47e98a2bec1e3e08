use super::keygen::{KINDS, Keygen};
use crate::key::{KeyError, KeyKind, PrivateKey, PublicKey, SignatureAlgorithm, SignatureError};
use crate::wire::Writer as _;

const OUR_KINDS: [KeyKind; 5] =
    [KeyKind::Ed25519, KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Rsa3072];

/// `ssh-keygen -lf` prints: bits, fingerprint, comment, (type).
fn fingerprint_by_keygen(keygen: &Keygen, name: &str) -> String {
    keygen.run(&["-l", "-f", name]).split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn public_keys_of_ssh_keygen_parse_and_have_its_fingerprint() {
    let keygen = Keygen::new();
    for (index, kind) in KINDS.into_iter().enumerate() {
        let name = format!("k{index}");
        keygen.generate(&name, kind);
        let line = keygen.read(&format!("{name}.pub"));
        let (key, comment) = PublicKey::from_openssh(&line).unwrap();
        assert_eq!(comment, "somebody@somewhere");
        assert_eq!(key.to_openssh(&comment), line.trim_end());
        assert_eq!(key.fingerprint().to_string(), fingerprint_by_keygen(&keygen, &name));
        assert_eq!(key.fingerprint().to_string().parse(), Ok(key.fingerprint()));
        assert_eq!(PublicKey::from_blob(key.blob()).unwrap(), key);
    }
}

#[test]
fn private_keys_of_ssh_keygen_parse_in_every_format() {
    let keygen = Keygen::new();
    for (index, kind) in KINDS.into_iter().enumerate() {
        for format in ["RFC4716", "PKCS8", "PEM"] {
            let name = format!("k{index}-{format}");
            keygen.run(&["-q", "-t", kind.0, "-b", kind.1, "-N", "", "-m", format, "-f", &name]);
            let (public, _) = PublicKey::from_openssh(&keygen.read(&format!("{name}.pub"))).unwrap();
            let private = PrivateKey::from_openssh(&keygen.read(&name)).unwrap();
            assert_eq!(private.public_key(), &public, "{kind:?} {format}");
            for &algorithm in public.signature_algorithms() {
                let signature = private.sign(algorithm, b"data").unwrap();
                assert_eq!(public.verify(algorithm, b"data", &signature).unwrap().sk, None);
            }
        }
    }
}

#[test]
fn half_of_all_p521_scalars_start_with_zeros_and_still_parse() {
    let keygen = Keygen::new();
    for index in 0..12 {
        let name = format!("k{index}");
        keygen.generate(&name, ("ecdsa", "521"));
        PrivateKey::from_openssh(&keygen.read(&name)).unwrap();
    }
}

#[test]
fn our_private_keys_are_read_by_ssh_keygen_and_by_us() {
    let keygen = Keygen::new();
    for (index, kind) in OUR_KINDS.into_iter().enumerate() {
        let name = format!("k{index}");
        let key = PrivateKey::generate(kind).unwrap();
        let file = key.to_openssh("made by us").unwrap();
        keygen.write(&name, &file);
        let line = keygen.run(&["-y", "-f", &name]);
        assert_eq!(line.trim_end(), key.public_key().to_openssh("made by us"));
        assert_eq!(PrivateKey::from_openssh(&file).unwrap().public_key(), key.public_key());
    }
}

#[test]
fn passphrases_are_refused_with_a_hint() {
    let keygen = Keygen::new();
    for (name, format) in [("openssh", "RFC4716"), ("pkcs8", "PKCS8"), ("pem", "PEM")] {
        keygen.run(&["-q", "-t", "ecdsa", "-N", "secret", "-m", format, "-f", name]);
        let error = PrivateKey::from_openssh(&keygen.read(name)).unwrap_err();
        assert_eq!(error, KeyError::Passphrase, "{format}");
        assert!(error.to_string().contains("ssh-keygen -p"));
    }
}

#[test]
fn a_signature_proves_these_bytes_under_this_algorithm_only() {
    for kind in OUR_KINDS {
        let key = PrivateKey::generate(kind).unwrap();
        let public = key.public_key();
        for &algorithm in public.signature_algorithms() {
            let signature = key.sign(algorithm, b"data").unwrap();
            assert_eq!(public.verify(algorithm, b"data", &signature).unwrap().sk, None);
            assert_eq!(public.verify(algorithm, b"Data", &signature), Err(SignatureError::Invalid));
            for other in SignatureAlgorithm::ALL.into_iter().filter(|&other| other != algorithm) {
                let refused = public.verify(other, b"data", &signature);
                assert!(matches!(refused, Err(SignatureError::WrongAlgorithm(_))), "{algorithm} as {other}");
            }
            for index in 0..signature.len() {
                let mut bent = signature.clone();
                bent[index] ^= 1;
                assert!(public.verify(algorithm, b"data", &bent).is_err(), "byte {index}");
                assert!(public.verify(algorithm, b"data", &signature[..index]).is_err(), "cut at {index}");
            }
            let longer = [&signature[..], &[0]].concat();
            assert!(public.verify(algorithm, b"data", &longer).is_err());
        }
    }
}

/// A key blob of any type and any numbers.
fn blob(name: &str, fields: &[&[u8]]) -> Vec<u8> {
    let mut blob = Vec::new();
    blob.put_string(name.as_bytes());
    for field in fields {
        blob.put_string(field);
    }
    blob
}

#[test]
fn bad_public_keys_are_refused() {
    let point = PrivateKey::generate(KeyKind::EcdsaP256).unwrap();
    let point = point.public_key().fields().to_vec();
    let mut off_curve = [&blob("ecdsa-sha2-nistp256", &[])[..], &point].concat();
    *off_curve.last_mut().unwrap() ^= 1;
    let mut wrong_curve = blob("ecdsa-sha2-nistp384", &[]);
    wrong_curve.put(&point);
    let modulus = |bytes: usize| [&[0x00, 0x80][..], &vec![0; bytes - 2], &[1]].concat();
    let big = [&[0][..], &[0xff; 1025]].concat();
    for (what, blob) in [
        ("a short Ed25519 key", blob("ssh-ed25519", &[&[1; 31]])),
        ("a long Ed25519 key", blob("ssh-ed25519", &[&[1; 33]])),
        ("trailing bytes", blob("ssh-ed25519", &[&[1; 32], b"x"])),
        ("a point off its curve", off_curve),
        ("a point at infinity", blob("ecdsa-sha2-nistp256", &[b"nistp256", &[0]])),
        ("a compressed point", blob("ecdsa-sha2-nistp256", &[b"nistp256", &[2; 33]])),
        ("a curve that differs from the type", wrong_curve),
        ("RSA with 1024 bits", blob("ssh-rsa", &[&[1, 0, 1], &modulus(128)])),
        ("RSA with 8200 bits", blob("ssh-rsa", &[&[1, 0, 1], &big])),
        ("RSA with e = 1", blob("ssh-rsa", &[&[1], &modulus(256)])),
        ("RSA with e = 65536", blob("ssh-rsa", &[&[1, 0, 0], &modulus(256)])),
        ("RSA with e of 40 bits", blob("ssh-rsa", &[&[1, 0, 0, 0, 0, 1], &modulus(256)])),
        ("RSA with a negative modulus", blob("ssh-rsa", &[&[1, 0, 1], &[0x80; 256]])),
        ("DSA", blob("ssh-dss", &[&[1], &[1], &[1], &[1]])),
        ("nothing", Vec::new()),
    ] {
        assert!(PublicKey::from_blob(&blob).is_err(), "{what}");
    }
    let shown = PublicKey::from_blob(&blob("\x1b[2Jevil", &[])).unwrap_err().to_string();
    assert_eq!(shown, "key type `\\x1b[2Jevil` is not supported");
}

#[test]
fn lines_that_lie_about_their_type_are_refused() {
    let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    let line = key.public_key().to_openssh("two\nlines");
    assert!(line.ends_with(" two lines"));
    assert!(PublicKey::from_openssh(&line.replacen("ssh-ed25519", "ssh-rsa", 1)).is_err());
    for bad in ["", "ssh-ed25519", "ssh-ed25519 !!!!", "no-pty ssh-ed25519 AAAA", "ssh-ed25519 AAAA\nx y"] {
        assert!(PublicKey::from_openssh(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn secrets_do_not_show() {
    let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    let shown = format!("{key:?}");
    assert_eq!(shown, format!("PrivateKey(ssh-ed25519 {}, <secret>)", key.public_key().fingerprint()));
}

/// The reason why private keys are not read by the ssh-key crate; when this test fails, look again.
#[test]
fn ssh_key_0_6_still_refuses_scalars_that_start_with_a_zero_byte() {
    let refused = (0..40).any(|_| {
        let key = PrivateKey::generate(KeyKind::EcdsaP521).unwrap();
        ssh_key::PrivateKey::from_openssh(&*key.to_openssh("").unwrap()).is_err()
    });
    assert!(refused, "forty P-521 keys, half of which start with a zero byte, were all read");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_panic_the_parsers(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
            let _ = PublicKey::from_blob(&bytes);
            let _ = crate::key::Certificate::from_blob(&bytes);
            let _ = PublicKey::from_openssh(&text);
            let _ = PrivateKey::from_openssh(&text);
            let _ = PrivateKey::from_pkcs8(&bytes);
        }

        #[test]
        fn bent_private_files_give_an_error_or_a_working_key(index in 0usize..2000, byte in any::<u8>()) {
            for kind in [KeyKind::Ed25519, KeyKind::EcdsaP384] {
                let file = PrivateKey::generate(kind).unwrap().to_openssh("").unwrap();
                let mut bytes = file.as_bytes().to_vec();
                let at = index % bytes.len();
                bytes[at] = byte;
                if let Ok(text) = std::str::from_utf8(&bytes)
                    && let Ok(key) = PrivateKey::from_openssh(text)
                {
                    let algorithm = key.public_key().signature_algorithms()[0];
                    let signature = key.sign(algorithm, b"x").unwrap();
                    prop_assert!(key.public_key().verify(algorithm, b"x", &signature).is_ok());
                }
            }
        }
    }
}
