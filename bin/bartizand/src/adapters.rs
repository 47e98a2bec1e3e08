//! What the API needs of rooms that it does not know: live sessions and tests of the gateway, keys and certificates of SSH.

use std::sync::Arc;

use bartizan_api::{
    CertificateIssuer, CertificateOrder, KeyParser, ParsedKey, PrivateKeyParser, UnsignedCertificate,
};
use bartizan_gateway::{CaKey, LiveSessions, TargetTests};
use bartizan_model::api::TargetTestStep;
use bartizan_model::{Fingerprint, LoginName, SessionId, SessionSummary, Target};
use bartizan_ssh::key::{CertificateBuilder, CertificateKind, PrivateKey, PublicKey};
use tokio::sync::mpsc;

/// Longest comment that is kept of a key, in bytes.
const MAX_COMMENT_BYTES: usize = 256;

/// The gateway's live sessions, for the API, which does not know the gateway.
pub(crate) struct Live(pub(crate) LiveSessions);

impl bartizan_api::LiveSessions for Live {
    fn find(&self, session: &SessionId) -> Option<SessionSummary> {
        self.0.find(session)
    }

    fn all(&self) -> Vec<SessionSummary> {
        self.0.all()
    }

    fn terminate(&self, session: &SessionId, reason: &str) -> bool {
        self.0.terminate(session, reason)
    }
}

/// The gateway's tests of targets, likewise.
pub(crate) struct Tester(pub(crate) TargetTests);

impl bartizan_api::TargetTester for Tester {
    fn begin(
        &self,
        target: Target,
        login: Option<LoginName>,
        by: String,
        steps: mpsc::Sender<TargetTestStep>,
    ) -> bool {
        self.0.begin(target, login, by, steps)
    }
}

/// Signs people's certificates by the people CA, for the API, which does not know SSH.
pub(crate) struct Issuer(pub(crate) CaKey);

impl CertificateIssuer for Issuer {
    fn prepare(&self, order: CertificateOrder) -> Result<UnsignedCertificate, String> {
        let (key, _) = PublicKey::from_openssh(&order.key).map_err(|e| e.to_string())?;
        let (ca, serial) = (self.0.current(), random_serial()?);
        let CertificateOrder { key: _, person, valid_after, valid_before, sources, permits } = order;
        let key_id = format!("bartizan person={person} serial={serial}");
        // Principals of user certificates name logins where sshd reads them; only Bartizan trusts this CA.
        let mut builder = CertificateBuilder::new(CertificateKind::User, &key)
            .serial(serial)
            .key_id(&*key_id)
            .principal(person.as_str())
            .valid(valid_after, valid_before)
            .extension("permit-pty", "");
        for permit in permits {
            builder = builder.extension(permit.extension(), "");
        }
        if !sources.is_empty() {
            let networks: Vec<_> = sources.iter().map(ToString::to_string).collect();
            builder = builder.critical_option("source-address", networks.join(","));
        }
        let fingerprint = fingerprint(ca.public_key());
        let comment = key_id.clone();
        let sign = move || {
            let certificate = builder.sign(&ca).map_err(|e| e.to_string())?;
            Ok(certificate.to_openssh(&comment).trim_end().to_owned())
        };
        Ok(UnsignedCertificate { ca: fingerprint, serial, key_id, sign: Box::new(sign) })
    }
}

/// 53 random bits, since some readers of JSON hold no more, and never 0. A counted number would come again after the database
/// was restored from a backup, and with it what was revoked.
fn random_serial() -> Result<u64, String> {
    loop {
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| "the system gives no random bytes".to_owned())?;
        match u64::from_be_bytes(random) >> 11 {
            0 => {}
            serial => return Ok(serial),
        }
    }
}

/// A public key as a line of text.
pub(crate) fn line(key: &PublicKey, comment: &str) -> String {
    key.to_openssh(comment).trim_end().to_owned()
}

/// Its fingerprint, in the words of the model.
pub(crate) fn fingerprint(key: &PublicKey) -> Fingerprint {
    Fingerprint::from_sha256(*key.fingerprint().as_bytes())
}

/// Reads keys for the API, which does not know SSH.
pub(crate) fn key_parser() -> KeyParser {
    Arc::new(|text| {
        let (key, comment) = PublicKey::from_openssh(text).map_err(|e| e.to_string())?;
        let comment = comment[..comment.floor_char_boundary(MAX_COMMENT_BYTES)].to_owned();
        Ok(ParsedKey { key: line(&key, ""), fingerprint: fingerprint(&key), comment })
    })
}

/// Reads private keys for the API, likewise.
pub(crate) fn private_key_parser() -> PrivateKeyParser {
    Arc::new(|text| {
        let key = PrivateKey::from_openssh(text).map_err(|e| e.to_string())?;
        let key = key.public_key();
        Ok(ParsedKey { key: line(key, ""), fingerprint: fingerprint(key), comment: String::new() })
    })
}

#[cfg(test)]
mod tests {
    use bartizan_model::CertificatePermit;
    use bartizan_ssh::key::{Certificate, KeyKind};

    use super::*;

    #[test]
    fn a_certificate_says_what_was_ordered_and_no_more() {
        let ca = CaKey::new(PrivateKey::generate(KeyKind::Ed25519).unwrap());
        let key = PrivateKey::generate(KeyKind::EcdsaP256).unwrap();
        let order = |sources: &[&str], permits: &[CertificatePermit]| CertificateOrder {
            key: line(key.public_key(), ""),
            person: "alice".parse().unwrap(),
            valid_after: 100,
            valid_before: 200,
            sources: sources.iter().map(|network| network.parse().unwrap()).collect(),
            permits: permits.to_vec(),
        };
        let issue = |order| {
            let unsigned = Issuer(ca.clone()).prepare(order).unwrap();
            let text = (unsigned.sign)().unwrap();
            let (certificate, comment) = Certificate::from_openssh(&text).unwrap();
            assert_eq!((certificate.serial(), certificate.key_id()), (unsigned.serial, &*unsigned.key_id));
            assert_eq!((&*comment, unsigned.ca), (&*unsigned.key_id, fingerprint(ca.current().public_key())));
            certificate
        };
        let plain = issue(order(&[], &[]));
        assert_eq!((plain.kind(), plain.key()), (CertificateKind::User, key.public_key()));
        assert_eq!(plain.authority(), ca.current().public_key());
        assert_eq!(
            (plain.principals(), plain.valid_after(), plain.valid_before()),
            (&["alice".to_owned()][..], 100, 200)
        );
        assert!(plain.critical_options().is_empty());
        let names = |certificate: &Certificate| -> Vec<String> {
            certificate.extensions().iter().map(|extension| extension.name.clone()).collect()
        };
        assert_eq!(names(&plain), ["permit-pty"]);
        assert!((1..1 << 53).contains(&plain.serial()));

        let permits = [CertificatePermit::PortForwarding, CertificatePermit::AgentForwarding];
        let bound = issue(order(&["10.0.0.0/8", "::1"], &permits));
        assert_eq!(bound.critical_option("source-address"), Some(&b"10.0.0.0/8,::1/128"[..]));
        assert_eq!(names(&bound), ["permit-agent-forwarding", "permit-port-forwarding", "permit-pty"]);
        assert_ne!(bound.serial(), plain.serial());
    }

    #[test]
    fn keys_are_read_strictly() {
        let parse = key_parser();
        let good =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ alice@laptop";
        let parsed = parse(good).unwrap();
        assert_eq!(parsed.comment, "alice@laptop");
        assert_eq!(parsed.key, good.rsplit_once(' ').unwrap().0);
        assert!(parsed.fingerprint.to_string().starts_with("SHA256:"));
        for bad in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "ssh-dss AAAAB3NzaC1kc3M=",
            "command=\"x\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
            "ssh-ed25519-cert-v01@openssh.com AAAA",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let long = format!("{} {}", parsed.key, "é".repeat(1000));
        assert_eq!(parse(&long).unwrap().comment.len(), MAX_COMMENT_BYTES);
    }
}
