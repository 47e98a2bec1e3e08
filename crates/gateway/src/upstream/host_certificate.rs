//! What is wrong with what a target showed instead of a certificate of its host CA, and what an operator can do.

use bartizan_model::{Fingerprint, Target, Timestamp, escape};
use bartizan_ssh::key::{Certificate, CertificateError, CertificateKind, PublicKey};

use super::error::list;
use crate::evidence::fingerprint;

/// Most names of a certificate that are told.
const NAMES: usize = 8;

/// Why a target's host certificate is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostCertificateFault {
    /// There was none.
    #[error("it showed a plain host key ({shown}) and no certificate")]
    Missing {
        /// The key.
        shown: Fingerprint,
        /// Whether that very key is registered as the CA.
        registered: bool,
    },
    /// It is of a CA that is not the target's.
    #[error("its host certificate is of another CA ({shown}; registered: {})", list(.known))]
    OtherCa {
        /// The CA that signed.
        shown: Fingerprint,
        /// Those that are registered.
        known: Vec<Fingerprint>,
    },
    /// It is for users, not for hosts.
    #[error("it showed a user certificate where a host certificate is wanted")]
    OfUser,
    /// Its time is over.
    #[error("its host certificate expired at {0}")]
    Expired(Timestamp),
    /// Its time has not come.
    #[error("its host certificate is valid from {0} on only")]
    NotYetValid(Timestamp),
    /// It names other hosts.
    #[error("its host certificate is not for `{host}` but for {names}")]
    OtherHost {
        /// What Bartizan dials.
        host: String,
        /// What it names, escaped.
        names: String,
    },
    /// Something else.
    #[error("its host certificate is not good: {0}")]
    Bad(CertificateError),
}

impl HostCertificateFault {
    /// A plain host key where a certificate of `trusted` was expected.
    pub(super) fn plain(shown: &PublicKey, trusted: &[PublicKey]) -> Self {
        Self::Missing { shown: fingerprint(shown), registered: trusted.contains(shown) }
    }

    /// What `error` says of a certificate that was to be one of `trusted` for `host`.
    pub(super) fn of(
        certificate: &Certificate,
        host: &str,
        trusted: &[PublicKey],
        error: CertificateError,
    ) -> Self {
        match error {
            CertificateError::UntrustedAuthority(_) => Self::OtherCa {
                shown: fingerprint(certificate.authority()),
                known: trusted.iter().map(fingerprint).collect(),
            },
            CertificateError::WrongKind { found: CertificateKind::User, .. } => Self::OfUser,
            CertificateError::Expired { valid_before, .. } => Self::Expired(moment(valid_before)),
            CertificateError::NotYetValid { valid_after, .. } => Self::NotYetValid(moment(valid_after)),
            CertificateError::WrongPrincipal(_) => {
                Self::OtherHost { host: host.to_owned(), names: names(certificate.principals()) }
            }
            other => Self::Bad(other),
        }
    }

    /// What an operator can type or change.
    pub(super) fn advice(&self, target: &Target) -> String {
        let certify = format!(
            "sign its host key anew with the host CA (ssh-keygen -s CA -I {} -h -n {} HOST_KEY.pub), name the result as \
             HostCertificate in its sshd_config, and reload it",
            target.name, target.host
        );
        let instead = |trust: &str| {
            let address = address(target);
            format!("bartizan target remove {0}, then bartizan target add {0} {address} {trust}", target.name)
        };
        match self {
            Self::Missing { registered: true, .. } => {
                format!(
                    "what is registered as its CA is this host key itself: {}",
                    instead("--host-key FILE")
                )
            }
            Self::Missing { .. } => {
                format!(
                    "{certify}; or, if that key is the host's, know it by the key: {}",
                    instead("--host-key FILE")
                )
            }
            Self::OtherCa { .. } => {
                format!(
                    "if the other CA is yours, register it: {}; otherwise {certify}",
                    instead("--host-ca FILE")
                )
            }
            Self::OtherHost { .. } => {
                format!(
                    "{certify}; or register the target by a name that the certificate has: {}",
                    instead("--host-ca FILE").replacen(&target.host, "NAME", 1)
                )
            }
            Self::NotYetValid(_) => {
                format!("compare the clocks of the CA's machine and of Bartizan's, or {certify}")
            }
            Self::OfUser | Self::Expired(_) | Self::Bad(_) => certify,
        }
    }
}

/// `10.0.0.5:22`, `[::1]:22`.
fn address(target: &Target) -> String {
    let Target { host, port, .. } = target;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn moment(unix_seconds: u64) -> Timestamp {
    Timestamp::from_unix_micros(unix_seconds.saturating_mul(1_000_000))
}

/// What a certificate names, escaped; the first of many.
fn names(principals: &[String]) -> String {
    let mut shown: Vec<_> =
        principals.iter().take(NAMES).map(|name| format!("`{}`", cut(&escape(name.as_bytes())))).collect();
    match principals.len() {
        0 => return "nobody: it names no host".to_owned(),
        all if all > NAMES => shown.push(format!("{} more", all - NAMES)),
        _ => {}
    }
    shown.join(", ")
}

fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(64)]
}

#[cfg(test)]
mod tests {
    use bartizan_model::{HostKeyTrust, Labels};
    use bartizan_ssh::key::{CertificateBuilder, HostIdentity, KeyKind, PrivateKey};

    use super::super::ConnectError;
    use super::super::host_key::verify;
    use super::*;

    fn key() -> PrivateKey {
        PrivateKey::generate(KeyKind::Ed25519).unwrap()
    }

    fn target(ca: &PrivateKey) -> Target {
        Target {
            name: "web-1".parse().unwrap(),
            host: "10.0.0.5".into(),
            port: 2222,
            host_key: HostKeyTrust::Authority(vec![ca.public_key().to_openssh("")]),
            labels: Labels::default(),
            created: Timestamp::from_unix_micros(0),
        }
    }

    /// The message and the advice when `shown` is all that a target of `ca` has.
    fn told(ca: &PrivateKey, shown: &HostIdentity) -> (String, String) {
        let error = verify(&target(ca), shown, 1_000).unwrap_err();
        assert!(matches!(error, ConnectError::HostCertificate { .. }), "{error}");
        (error.to_string(), error.advice().unwrap())
    }

    fn certificate(kind: CertificateKind, names: &[&str], until: u64, ca: &PrivateKey) -> HostIdentity {
        let host = key();
        let builder = CertificateBuilder::new(kind, host.public_key()).valid(10, until);
        let builder = names.iter().fold(builder, |builder, name| builder.principal(*name));
        HostIdentity::Certificate(Box::new(builder.sign(ca).unwrap()))
    }

    #[test]
    fn each_fault_names_its_cause_and_what_to_type() {
        let (ca, other) = (key(), key());
        let (user, host) = (CertificateKind::User, CertificateKind::Host);
        let fingerprint = |key: &PrivateKey| fingerprint(key.public_key()).to_string();
        let bare = HostIdentity::Key(other.public_key().clone());
        let itself = HostIdentity::Key(ca.public_key().clone());
        let add = "bartizan target add web-1 10.0.0.5:2222 --host-";
        for (shown, cause, advice) in [
            (
                bare,
                format!("a plain host key ({}) and no certificate", fingerprint(&other)),
                format!("{add}key FILE"),
            ),
            (itself, format!("a plain host key ({})", fingerprint(&ca)), "is this host key itself".into()),
            (
                certificate(host, &["10.0.0.5"], 2_000, &other),
                format!("of another CA ({}; registered: {})", fingerprint(&other), fingerprint(&ca)),
                format!("{add}ca FILE"),
            ),
            (
                certificate(user, &["10.0.0.5"], 2_000, &ca),
                "a user certificate".into(),
                "-h -n 10.0.0.5".into(),
            ),
            (
                certificate(host, &["10.0.0.5"], 900, &ca),
                "expired at 1970-01-01T00:15:00".into(),
                "ssh-keygen -s CA -I web-1".into(),
            ),
            (
                certificate(host, &["web-1", "a\u{1b}b"], 2_000, &ca),
                "not for `10.0.0.5` but for `web-1`, `a\\x1bb`".into(),
                "bartizan target add web-1 NAME:2222 --host-ca FILE".into(),
            ),
        ] {
            let (message, hint) = told(&ca, &shown);
            assert!(message.contains(&cause) && message.contains("No credential was sent"), "{message}");
            assert!(hint.contains(&advice), "{message}: {hint}");
        }
    }

    #[test]
    fn a_certificate_of_many_names_or_none_is_told_briefly() {
        assert_eq!(names(&[]), "nobody: it names no host");
        let many: Vec<String> = (0..20).map(|n| format!("{n}{}", "x".repeat(200))).collect();
        let told = names(&many);
        assert!(told.len() < 700 && told.ends_with("12 more"), "{told}");
    }
}
