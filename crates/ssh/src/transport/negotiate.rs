//! Algorithm negotiation: what we propose, and what follows from both KEXINITs. Source: RFC 4253 §7.1.

use aws_lc_rs::rand;

use super::cipher::{Cipher, Mac, Protection};
use super::config::Algorithms;
use super::error::TransportError;
use super::kex::KexMethod;
use crate::key::PublicKeyAlgorithm;
use crate::wire::transport::KexInit;
use crate::wire::{Malformed, NameList};

/// Markers among `kex_algorithms`: EXT_INFO wanted (RFC 8308 §2.1), and OpenSSH's strict KEX. They
/// count in the first KEXINIT of each side only.
pub(super) const EXT_INFO_C: &str = "ext-info-c";
pub(super) const EXT_INFO_S: &str = "ext-info-s";
pub(super) const STRICT_C: &str = "kex-strict-c-v00@openssh.com";
pub(super) const STRICT_S: &str = "kex-strict-s-v00@openssh.com";

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The key exchange method.
    pub kex: KexMethod,
    /// The host key algorithm.
    pub host_key: PublicKeyAlgorithm,
    /// Cipher and MAC from client to server.
    pub client_to_server: Protection,
    /// Cipher and MAC from server to client.
    pub server_to_client: Protection,
}

/// Everything that goes into one of our KEXINITs.
pub(super) struct Proposal<'a> {
    pub(super) algorithms: &'a Algorithms,
    pub(super) host_keys: Vec<&'static str>,
    /// EXT_INFO and strict KEX markers; empty on rekeys.
    pub(super) markers: &'a [&'a str],
    /// Offer AES-GCM alone.
    pub(super) gcm_only: bool,
}

impl Proposal<'_> {
    /// Writes the KEXINIT payload with a fresh cookie.
    pub(super) fn kexinit(&self) -> Result<Vec<u8>, TransportError> {
        let mut cookie = [0; 16];
        rand::fill(&mut cookie).map_err(|_| TransportError::Crypto("random cookie"))?;
        let kex = self.algorithms.kex.iter().map(|k| k.name());
        let kex = join(kex.chain(self.markers.iter().copied()));
        let host_keys = join(self.host_keys.iter().copied());
        let ciphers = self.algorithms.ciphers.iter();
        let ciphers = ciphers.filter(|c| !self.gcm_only || c.is_gcm());
        let ciphers = join(ciphers.map(|c| c.name()));
        let macs = join(self.algorithms.macs.iter().map(|m| m.name()));
        let mut payload = Vec::new();
        KexInit {
            cookie,
            kex_algorithms: list(&kex)?,
            server_host_key_algorithms: list(&host_keys)?,
            encryption_client_to_server: list(&ciphers)?,
            encryption_server_to_client: list(&ciphers)?,
            mac_client_to_server: list(&macs)?,
            mac_server_to_client: list(&macs)?,
            compression_client_to_server: list("none")?,
            compression_server_to_client: list("none")?,
            first_kex_packet_follows: false,
        }
        .write(&mut payload);
        Ok(payload)
    }
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(",")
}

fn list(names: &str) -> Result<NameList<'_>, Malformed> {
    NameList::parse(names.as_bytes()).ok_or(Malformed::new("our own name-list"))
}

/// True when the client can do AES-GCM both ways, so that nothing else need be offered to it.
pub(super) fn has_gcm_both_ways(client: &KexInit<'_>, ours: &Algorithms) -> bool {
    let common = |list: NameList<'_>| ours.ciphers.iter().any(|c| c.is_gcm() && list.contains(c.name()));
    common(client.encryption_client_to_server) && common(client.encryption_server_to_client)
}

/// True when both sides' first choices are the same, so that a guessed packet counts (RFC 4253 §7).
pub(super) fn guess_is_right(client: &KexInit<'_>, server: &KexInit<'_>) -> bool {
    let same = |a: NameList<'_>, b: NameList<'_>| a.iter().next() == b.iter().next();
    same(client.kex_algorithms, server.kex_algorithms)
        && same(client.server_host_key_algorithms, server.server_host_key_algorithms)
}

/// Chooses the first of the client's names that the server has too, list by list.
///
/// `peer_is_client` says whose list to name when there is none.
pub(super) fn negotiate(
    client: &KexInit<'_>,
    server: &KexInit<'_>,
    peer_is_client: bool,
) -> Result<Negotiated, TransportError> {
    let pick = Pick { peer_is_client };
    let kex =
        pick.first("kex_algorithms", client.kex_algorithms, server.kex_algorithms, KexMethod::from_name)?;
    let host_key = pick.first(
        "server_host_key_algorithms",
        client.server_host_key_algorithms,
        server.server_host_key_algorithms,
        PublicKeyAlgorithm::from_name,
    )?;
    let client_to_server = pick.protection(
        ["encryption_algorithms_client_to_server", "mac_algorithms_client_to_server"],
        [client.encryption_client_to_server, server.encryption_client_to_server],
        [client.mac_client_to_server, server.mac_client_to_server],
    )?;
    let server_to_client = pick.protection(
        ["encryption_algorithms_server_to_client", "mac_algorithms_server_to_client"],
        [client.encryption_server_to_client, server.encryption_server_to_client],
        [client.mac_server_to_client, server.mac_server_to_client],
    )?;
    for (kind, client, server) in [
        (
            "compression_algorithms_client_to_server",
            client.compression_client_to_server,
            server.compression_client_to_server,
        ),
        (
            "compression_algorithms_server_to_client",
            client.compression_server_to_client,
            server.compression_server_to_client,
        ),
    ] {
        pick.first(kind, client, server, |name| (name == "none").then_some(()))?;
    }
    Ok(Negotiated { kex, host_key, client_to_server, server_to_client })
}

struct Pick {
    peer_is_client: bool,
}

impl Pick {
    fn first<T>(
        &self,
        kind: &'static str,
        client: NameList<'_>,
        server: NameList<'_>,
        known: impl Fn(&str) -> Option<T>,
    ) -> Result<T, TransportError> {
        let common = client.iter().filter(|name| server.contains(name));
        common.filter_map(known).next().ok_or_else(|| {
            let peer = if self.peer_is_client { client } else { server };
            TransportError::NoCommonAlgorithm { kind, offered: peer.as_str().to_owned() }
        })
    }

    fn protection(
        &self,
        [cipher_kind, mac_kind]: [&'static str; 2],
        [client_ciphers, server_ciphers]: [NameList<'_>; 2],
        [client_macs, server_macs]: [NameList<'_>; 2],
    ) -> Result<Protection, TransportError> {
        let cipher = self.first(cipher_kind, client_ciphers, server_ciphers, Cipher::from_name)?;
        // The MAC lists of an AEAD cipher don't matter, not even when they have nothing in common.
        let mac = if cipher.is_aead() {
            None
        } else {
            Some(self.first(mac_kind, client_macs, server_macs, Mac::from_name)?)
        };
        Ok(Protection { cipher, mac })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists<'a>(kex: &'a str, host_key: &'a str, cipher: &'a str, mac: &'a str) -> KexInit<'a> {
        let none = list("none").unwrap();
        KexInit {
            cookie: [0; 16],
            kex_algorithms: list(kex).unwrap(),
            server_host_key_algorithms: list(host_key).unwrap(),
            encryption_client_to_server: list(cipher).unwrap(),
            encryption_server_to_client: list(cipher).unwrap(),
            mac_client_to_server: list(mac).unwrap(),
            mac_server_to_client: list(mac).unwrap(),
            compression_client_to_server: none,
            compression_server_to_client: none,
            first_kex_packet_follows: false,
        }
    }

    #[test]
    fn the_clients_order_wins() {
        let client = lists(
            "sntrup761x25519-sha512,ecdh-sha2-nistp384,curve25519-sha256",
            "ssh-rsa,rsa-sha2-512,ssh-ed25519",
            "aes128-ctr,aes256-gcm@openssh.com",
            "hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com",
        );
        let server = lists(
            "curve25519-sha256,ecdh-sha2-nistp384",
            "ssh-ed25519,rsa-sha2-512,ssh-rsa",
            "aes256-gcm@openssh.com,aes128-ctr",
            "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com",
        );
        let chosen = negotiate(&client, &server, true).unwrap();
        assert_eq!(chosen.kex, KexMethod::EcdhSha2Nistp384);
        assert_eq!(chosen.host_key.name(), "rsa-sha2-512", "ssh-rsa is SHA-1, though both list it");
        let expected = Protection { cipher: Cipher::Aes128Ctr, mac: Some(Mac::HmacSha512Etm) };
        assert_eq!((chosen.client_to_server, chosen.server_to_client), (expected, expected));
    }

    #[test]
    fn macs_only_matter_to_ciphers_that_need_one() {
        let client =
            lists("curve25519-sha256", "ssh-ed25519", "aes256-gcm@openssh.com", "umac-64@openssh.com");
        let server = lists("curve25519-sha256", "ssh-ed25519", "aes256-gcm@openssh.com", "");
        assert_eq!(negotiate(&client, &server, true).unwrap().client_to_server.mac, None);
        let client = lists("curve25519-sha256", "ssh-ed25519", "aes256-ctr", "umac-64@openssh.com");
        let server = lists("curve25519-sha256", "ssh-ed25519", "aes256-ctr", "hmac-sha2-256-etm@openssh.com");
        assert!(negotiate(&client, &server, true).is_err());
    }

    #[test]
    fn nothing_in_common_names_the_list_and_the_peers_offer() {
        let client = lists("diffie-hellman-group1-sha1", "ssh-ed25519", "aes256-ctr", "");
        let server = lists("curve25519-sha256", "ssh-ed25519", "aes256-ctr", "");
        let error = negotiate(&client, &server, true).unwrap_err();
        assert_eq!(error.to_string(), "no common kex_algorithms: peer offers diffie-hellman-group1-sha1");
        let error = negotiate(&client, &server, false).unwrap_err();
        assert_eq!(error.to_string(), "no common kex_algorithms: peer offers curve25519-sha256");
        // Markers are no methods.
        let both = lists("ext-info-c,kex-strict-c-v00@openssh.com", "ssh-ed25519", "aes256-ctr", "");
        assert!(negotiate(&both, &both, true).is_err());
    }

    #[test]
    fn compression_must_be_none() {
        let mut client = lists("curve25519-sha256", "ssh-ed25519", "aes256-gcm@openssh.com", "");
        let server = client;
        client.compression_client_to_server = list("zlib@openssh.com").unwrap();
        assert!(negotiate(&client, &server, true).is_err());
        client.compression_client_to_server = list("zlib@openssh.com,none").unwrap();
        assert!(negotiate(&client, &server, true).is_ok());
    }

    #[test]
    fn guesses_compare_first_choices() {
        let a = lists("curve25519-sha256,ecdh-sha2-nistp256", "ssh-ed25519", "aes256-ctr", "");
        let b = lists("curve25519-sha256", "ssh-ed25519,rsa-sha2-512", "aes128-ctr", "");
        assert!(guess_is_right(&a, &b));
        let c = lists("ecdh-sha2-nistp256,curve25519-sha256", "ssh-ed25519", "aes256-ctr", "");
        assert!(!guess_is_right(&a, &c));
        let d = lists("curve25519-sha256", "rsa-sha2-512,ssh-ed25519", "aes256-ctr", "");
        assert!(!guess_is_right(&a, &d));
    }
}
