//! Whether a target is the one it claims to be. Decided before any credential is made.

use bartizan_model::{HostKeyTrust, Target};
use bartizan_ssh::key::{
    CertificateCheck, CertificateKind, HostIdentity, PublicKey, PublicKeyAlgorithm, SignatureAlgorithm,
};

use super::{ConnectError, HostCertificateFault};
use crate::evidence::fingerprint;

/// How a host key was verified, as `upstream.connect` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verified {
    /// It is the key that the directory has.
    Pinned,
    /// A host CA of the directory vouches for it.
    Authority,
    /// Nothing was known of the target, and its record permits that once: the caller pins the key.
    FirstUse,
}

impl Verified {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Authority => "authority",
            Self::FirstUse => "first_use",
        }
    }
}

/// The host key algorithms to ask for, so that a server with several keys shows one that can be verified. Those that
/// cannot be come last: what a server shows that has nothing else is refused, and can be named.
///
/// # Errors
/// [`ConnectError::BadRecord`] when a registered key cannot be read.
pub(super) fn wanted_algorithms(
    trust: &HostKeyTrust,
) -> Result<Option<Vec<PublicKeyAlgorithm>>, ConnectError> {
    let named = |certificate: bool, signatures: &[SignatureAlgorithm]| {
        signatures
            .iter()
            .map(move |&signature| PublicKeyAlgorithm { signature, certificate })
            .collect::<Vec<_>>()
    };
    let mut wanted: Vec<PublicKeyAlgorithm> = match trust {
        HostKeyTrust::FirstUse => return Ok(None),
        HostKeyTrust::Authority(_) => named(true, &SignatureAlgorithm::ALL),
        HostKeyTrust::Pinned(lines) => {
            keys(lines)?.iter().flat_map(|key| named(false, key.signature_algorithms())).collect()
        }
    };
    wanted.extend(named(false, &SignatureAlgorithm::ALL));
    let mut once = Vec::with_capacity(wanted.len());
    for algorithm in wanted {
        if !once.contains(&algorithm) {
            once.push(algorithm);
        }
    }
    Ok(Some(once))
}

/// Verifies what a target showed against what the directory knows.
///
/// # Errors
/// Says what was shown and what is known.
pub(super) fn verify(target: &Target, shown: &HostIdentity, now_unix: u64) -> Result<Verified, ConnectError> {
    match &target.host_key {
        HostKeyTrust::FirstUse => Ok(Verified::FirstUse),
        HostKeyTrust::Pinned(lines) => {
            let known = keys(lines)?;
            if known.contains(shown.key()) {
                return Ok(Verified::Pinned);
            }
            let known = known.iter().map(fingerprint).collect();
            Err(ConnectError::HostKeyChanged { shown: fingerprint(shown.key()), known })
        }
        HostKeyTrust::Authority(lines) => {
            let fault = |error| ConnectError::HostCertificate {
                shown: fingerprint(shown.key()),
                error: Box::new(error),
                target: Box::new(target.clone()),
            };
            let trusted = keys(lines)?;
            let HostIdentity::Certificate(certificate) = shown else {
                return Err(fault(HostCertificateFault::plain(shown.key(), &trusted)));
            };
            let check = CertificateCheck {
                kind: CertificateKind::Host,
                principal: Some(&target.host),
                now_unix,
                trusted: &trusted,
                known_critical_options: &[],
            };
            let checked = certificate.check(&check).map(|()| Verified::Authority);
            checked
                .map_err(|error| fault(HostCertificateFault::of(certificate, &target.host, &trusted, error)))
        }
    }
}

fn keys(lines: &[String]) -> Result<Vec<PublicKey>, ConnectError> {
    let parse = |line: &String| PublicKey::from_openssh(line).map(|(key, _)| key);
    lines
        .iter()
        .map(parse)
        .collect::<Result<_, _>>()
        .map_err(|error| ConnectError::BadRecord(error.to_string()))
}

#[cfg(test)]
mod tests {
    use bartizan_model::{TargetName, Timestamp};
    use bartizan_ssh::key::{CertificateBuilder, KeyKind, PrivateKey};

    use super::*;

    fn target(host_key: HostKeyTrust) -> Target {
        let created = Timestamp::from_unix_micros(0);
        Target {
            name: TargetName::new("web-1").unwrap(),
            host: "10.0.0.5".into(),
            port: 22,
            host_key,
            labels: bartizan_model::Labels::default(),
            created,
        }
    }

    fn key() -> PrivateKey {
        PrivateKey::generate(KeyKind::Ed25519).unwrap()
    }

    fn line(key: &PrivateKey) -> Vec<String> {
        vec![key.public_key().to_openssh("")]
    }

    #[test]
    fn a_pinned_key_is_the_only_one_accepted() {
        let (known, other) = (key(), key());
        let target = target(HostKeyTrust::Pinned(line(&known)));
        let shown = |key: &PrivateKey| HostIdentity::Key(key.public_key().clone());
        assert_eq!(verify(&target, &shown(&known), 0).unwrap(), Verified::Pinned);
        let error = verify(&target, &shown(&other), 0).unwrap_err();
        assert!(matches!(error, ConnectError::HostKeyChanged { .. }));
        assert!(error.to_string().contains("No credential was sent"));
        assert!(error.to_string().contains(&fingerprint(known.public_key()).to_string()));
    }

    #[test]
    fn a_host_ca_vouches_for_the_dialled_host_alone_and_only_in_time() {
        let (ca, host) = (key(), key());
        let target = target(HostKeyTrust::Authority(line(&ca)));
        let shown = |principal: &str, signer: &PrivateKey| {
            let builder = CertificateBuilder::new(CertificateKind::Host, host.public_key());
            HostIdentity::Certificate(Box::new(
                builder.principal(principal).valid(10, 20).sign(signer).unwrap(),
            ))
        };
        assert_eq!(verify(&target, &shown("10.0.0.5", &ca), 15).unwrap(), Verified::Authority);
        for (principal, signer, now) in
            [("10.0.0.6", &ca, 15), ("10.0.0.5", &host, 15), ("10.0.0.5", &ca, 20), ("10.0.0.5", &ca, 9)]
        {
            assert!(verify(&target, &shown(principal, signer), now).is_err(), "{principal} {now}");
        }
        let bare = HostIdentity::Key(host.public_key().clone());
        assert!(matches!(verify(&target, &bare, 15), Err(ConnectError::HostCertificate { .. })));
    }

    #[test]
    fn a_registered_key_that_cannot_be_read_is_said_so_and_trusts_nothing() {
        let target = target(HostKeyTrust::Pinned(vec!["ssh-ed25519 rubbish".into()]));
        let shown = HostIdentity::Key(key().public_key().clone());
        assert!(matches!(verify(&target, &shown, 0), Err(ConnectError::BadRecord(_))));
    }
}
