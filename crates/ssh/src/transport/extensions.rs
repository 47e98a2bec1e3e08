//! EXT_INFO: what we announce, and what the peer did. Source: RFC 8308, OpenSSH's `PROTOCOL`.

use super::config::ServerConfig;
use crate::key::SignatureAlgorithm;
use crate::wire::transport::ExtInfo;
use crate::wire::{Malformed, NameList};

const SERVER_SIG_ALGS: &str = "server-sig-algs";
const HOSTBOUND: &str = "publickey-hostbound@openssh.com";
const PING: &str = "ping@openssh.com";
const EXT_INFO_IN_AUTH: &str = "ext-info-in-auth@openssh.com";

/// Extensions that the peer announced; everything absent until its EXT_INFO came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerExtensions {
    server_sig_algs: Option<Vec<SignatureAlgorithm>>,
    /// `publickey-hostbound@openssh.com`: user authentication may bind the host key.
    pub hostbound: bool,
    /// `ping@openssh.com`: the peer answers PING.
    pub ping: bool,
    /// `ext-info-in-auth@openssh.com`: the peer takes a second EXT_INFO during authentication.
    pub ext_info_in_auth: bool,
}

impl PeerExtensions {
    /// The signature algorithms of `server-sig-algs` that we know too, in the server's order;
    /// `None` when the server did not say.
    pub fn server_sig_algs(&self) -> Option<&[SignatureAlgorithm]> {
        self.server_sig_algs.as_deref()
    }

    /// Takes over what an EXT_INFO says; unknown extensions are ignored (RFC 8308 §2.5).
    pub(super) fn learn(&mut self, info: ExtInfo<'_>) -> Result<(), Malformed> {
        for (name, value) in info.iter() {
            if name == SERVER_SIG_ALGS.as_bytes() {
                let names = NameList::parse(value).ok_or(Malformed::new(SERVER_SIG_ALGS))?;
                // Only what we know is kept, each once: a long list costs the peer, not us.
                let mut known: Vec<SignatureAlgorithm> = Vec::new();
                for algorithm in names.iter().filter_map(SignatureAlgorithm::from_name) {
                    if !known.contains(&algorithm) {
                        known.push(algorithm);
                    }
                }
                self.server_sig_algs = Some(known);
            } else if name == HOSTBOUND.as_bytes() {
                self.hostbound = value == b"0";
            } else if name == PING.as_bytes() {
                self.ping = value == b"0";
            } else if name == EXT_INFO_IN_AUTH.as_bytes() {
                self.ext_info_in_auth = value == b"0";
            }
        }
        Ok(())
    }
}

/// The server's EXT_INFO payload.
pub(super) fn server_ext_info(config: &ServerConfig) -> Vec<u8> {
    let names: Vec<_> = config.server_sig_algs.iter().map(|a| a.name()).collect();
    let names = names.join(",");
    let mut payload = Vec::new();
    let extensions = [(SERVER_SIG_ALGS, names.as_bytes()), (HOSTBOUND, b"0"), (PING, b"0")];
    ExtInfo::write(&extensions, &mut payload);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_announces_is_understood() {
        let payload = server_ext_info(&ServerConfig::new(Vec::new()));
        let mut extensions = PeerExtensions::default();
        assert_eq!(extensions.server_sig_algs(), None);
        extensions.learn(ExtInfo::parse(&payload).unwrap()).unwrap();
        assert_eq!(extensions.server_sig_algs(), Some(&SignatureAlgorithm::ALL[..]));
        assert!(extensions.hostbound && extensions.ping && !extensions.ext_info_in_auth);
    }

    #[test]
    fn unknown_names_values_and_repetitions_are_harmless() {
        let mut payload = Vec::new();
        let sig_algs = b"ssh-ed25519,ssh-ed25519,ssh-dss,rsa-sha2-256";
        let entries: [(&str, &[u8]); 3] = [("\0\n", b"?"), (PING, b"7"), (SERVER_SIG_ALGS, sig_algs)];
        ExtInfo::write(&entries, &mut payload);
        let mut extensions = PeerExtensions::default();
        extensions.learn(ExtInfo::parse(&payload).unwrap()).unwrap();
        let known = [SignatureAlgorithm::Ed25519, SignatureAlgorithm::RsaSha256];
        assert_eq!(extensions.server_sig_algs(), Some(&known[..]));
        assert!(!extensions.ping);
        let mut payload = Vec::new();
        ExtInfo::write(&[(SERVER_SIG_ALGS, b"a,\nb")], &mut payload);
        assert!(extensions.learn(ExtInfo::parse(&payload).unwrap()).is_err());
    }
}
