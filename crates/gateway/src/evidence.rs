//! A key or certificate in the words of access.

use bartizan_access::{CertificateEvidence, Evidence};
use bartizan_model::{Fingerprint, SourceNetwork};
use bartizan_ssh::auth::UserIdentity;
use bartizan_ssh::key::{Certificate, CertificateKind, PublicKey};

/// The one critical option that access enforces (OpenSSH PROTOCOL.certkeys).
const SOURCE_ADDRESS: &str = "source-address";

/// A key's fingerprint in the vocabulary's type.
pub(crate) fn fingerprint(key: &PublicKey) -> Fingerprint {
    Fingerprint::from_sha256(*key.fingerprint().as_bytes())
}

/// Says what a key or certificate would prove. Whether it *was* proven, the caller knows by the type it holds.
///
/// # Errors
/// Why the certificate can prove nothing: it is no user's, or demands what nobody here enforces.
pub(crate) fn of(identity: &UserIdentity) -> Result<Evidence, String> {
    match identity {
        UserIdentity::Key(key) => Ok(Evidence::PublicKey { key: fingerprint(key) }),
        UserIdentity::Certificate(certificate) => certified(certificate).map(Evidence::Certificate),
    }
}

fn certified(certificate: &Certificate) -> Result<CertificateEvidence, String> {
    if certificate.kind() != CertificateKind::User {
        return Err("the certificate is not a user's".into());
    }
    if certificate.critical_options().iter().any(|option| option.name != SOURCE_ADDRESS) {
        return Err("the certificate demands an option that is not supported here".into());
    }
    let source_addresses = match certificate.critical_option(SOURCE_ADDRESS) {
        None => None,
        Some(option) => Some(networks(option).ok_or("the certificate's source-address cannot be read")?),
    };
    Ok(CertificateEvidence {
        ca: fingerprint(certificate.authority()),
        key: fingerprint(certificate.key()),
        key_id: certificate.key_id().to_owned(),
        serial: certificate.serial(),
        principals: certificate.principals().to_vec(),
        valid_after: certificate.valid_after(),
        valid_before: certificate.valid_before(),
        source_addresses,
        extensions: certificate.extensions().iter().map(|extension| extension.name.clone()).collect(),
    })
}

/// A comma-separated list of CIDR networks.
fn networks(option: &[u8]) -> Option<Vec<SourceNetwork>> {
    let text = std::str::from_utf8(option).ok()?;
    text.split(',').map(|network| network.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use bartizan_ssh::key::{CertificateBuilder, KeyKind, PrivateKey};

    use super::*;

    fn certificate(kind: CertificateKind, option: Option<(&str, &[u8])>) -> UserIdentity {
        let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        let mut builder = CertificateBuilder::new(kind, key.public_key()).principal("alice").valid(0, 10);
        if let Some((name, value)) = option {
            builder = builder.critical_option(name, value);
        }
        UserIdentity::from(builder.sign(&key).unwrap())
    }

    #[test]
    fn a_source_address_is_handed_to_access_and_nothing_else_is_ignored() {
        let Evidence::Certificate(found) =
            of(&certificate(CertificateKind::User, Some(("source-address", b"10.0.0.0/8,::1")))).unwrap()
        else {
            panic!("a certificate gives certificate evidence")
        };
        assert_eq!(found.source_addresses.unwrap().len(), 2);
        assert!(of(&certificate(CertificateKind::User, None)).is_ok());
        assert!(of(&certificate(CertificateKind::User, Some(("source-address", b"rubbish")))).is_err());
        assert!(of(&certificate(CertificateKind::User, Some(("force-command", b"id")))).is_err());
        assert!(
            of(&certificate(CertificateKind::Host, None)).is_err(),
            "a host certificate proves no person"
        );
    }
}
