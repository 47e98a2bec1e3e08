//! What the API needs of rooms that it does not know: live sessions and tests of the gateway, keys of SSH.

use std::sync::Arc;

use bartizan_api::{KeyParser, ParsedKey, PrivateKeyParser};
use bartizan_gateway::{LiveSessions, TargetTests};
use bartizan_model::api::TargetTestStep;
use bartizan_model::{Fingerprint, LoginName, SessionId, SessionSummary, Target};
use bartizan_ssh::key::{PrivateKey, PublicKey};
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
    use super::*;

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
