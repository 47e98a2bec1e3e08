use super::keygen::{KINDS, Keygen};
use crate::key::{KeyError, KeyKind, PrivateKey, PublicKey, SignatureAlgorithm, SignatureError};

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
