//! What a transport offers and demands. Safe without settings.

use std::fmt;
use std::time::Duration;

use super::cipher::{Cipher, Mac};
use super::kex::KexMethod;
use super::rekey::RekeyLimits;
use crate::key::{HostKey, PublicKeyAlgorithm, SignatureAlgorithm};

/// The algorithms to offer, best first. Compression is never offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithms {
    /// Key exchange methods.
    pub kex: Vec<KexMethod>,
    /// Ciphers, the same both ways.
    pub ciphers: Vec<Cipher>,
    /// MACs for ciphers that need one, the same both ways. [`Mac::ALL`] instead of the default
    /// reaches peers that know encrypt-and-MAC only.
    pub macs: Vec<Mac>,
}

impl Default for Algorithms {
    fn default() -> Self {
        Self {
            kex: KexMethod::ALL.to_vec(),
            ciphers: Cipher::ALL.to_vec(),
            macs: Mac::ENCRYPT_THEN_MAC.to_vec(),
        }
    }
}

/// `softwareversion` of our identification (RFC 4253 §4.2): printable ASCII without space and minus.
#[derive(Clone, PartialEq, Eq)]
pub struct SoftwareVersion(String);

impl SoftwareVersion {
    /// The longest accepted; leaves the line far below 255 bytes.
    pub const MAX_LEN: usize = 200;

    /// Checks the text.
    ///
    /// Returns `None` when it is empty, too long, or holds anything but printable ASCII without
    /// space and `-`.
    pub fn new(text: &str) -> Option<Self> {
        let clean = text.bytes().all(|b| b.is_ascii_graphic() && b != b'-');
        (clean && (1..=Self::MAX_LEN).contains(&text.len())).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for SoftwareVersion {
    /// `OpenSSH_Bartizan_` and the version of this crate.
    ///
    /// OpenSSH sends `eow@openssh.com` and `no-more-sessions@openssh.com` only to who begins with its name, and without the
    /// first a program whose output nobody reads any more runs on. What follows is no number, so that no list of the
    /// faults of old versions fits.
    fn default() -> Self {
        Self(concat!("OpenSSH_Bartizan_", env!("CARGO_PKG_VERSION")).to_owned())
    }
}

impl fmt::Debug for SoftwareVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SoftwareVersion({})", self.0)
    }
}

/// The server's side of a transport.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Our name in the identification.
    pub software: SoftwareVersion,
    /// The host keys, best first; at least one, or no key exchange can succeed.
    pub host_keys: Vec<HostKey>,
    /// What to offer. With [`Self::wait_for_client_kexinit`] clients that have AES-GCM are offered
    /// no other cipher.
    pub algorithms: Algorithms,
    /// When new keys are wanted.
    pub rekey: RekeyLimits,
    /// How long to wait for the client's KEXINIT, after its identification, before ours is sent. The
    /// client's order decides (RFC 4253 §7.1), and OpenSSH's begins with chacha20-poly1305 and AES-CTR,
    /// which cost ten times as much as AES-GCM and more: knowing the client's list, we can leave them out.
    /// `None`: don't wait, offer everything. Clients that wait for us too cost this long once.
    pub wait_for_client_kexinit: Option<Duration>,
    /// What `server-sig-algs` says (RFC 8308 §3.1): the signatures accepted from users.
    pub server_sig_algs: Vec<SignatureAlgorithm>,
}

impl ServerConfig {
    /// Defaults with these host keys.
    pub fn new(host_keys: Vec<HostKey>) -> Self {
        Self {
            software: SoftwareVersion::default(),
            host_keys,
            algorithms: Algorithms::default(),
            rekey: RekeyLimits::default(),
            wait_for_client_kexinit: Some(Duration::from_secs(1)),
            server_sig_algs: SignatureAlgorithm::ALL.to_vec(),
        }
    }

    /// The names for `server_host_key_algorithms`.
    pub(super) fn host_key_algorithms(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for name in self.host_keys.iter().flat_map(HostKey::algorithms) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The first host key that offers this algorithm, and the blob it shows for it.
    pub(super) fn host_key(&self, algorithm: PublicKeyAlgorithm) -> Option<(&HostKey, &[u8])> {
        self.host_keys.iter().find_map(|key| Some((key, key.blob_for(algorithm.name())?)))
    }
}

/// The client's side of a transport.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Our name in the identification.
    pub software: SoftwareVersion,
    /// What to offer.
    pub algorithms: Algorithms,
    /// When new keys are wanted.
    pub rekey: RekeyLimits,
    /// Host key algorithms, best first. Put the kinds of the keys known for this host first, so
    /// that the server shows one of them.
    pub host_key_algorithms: Vec<PublicKeyAlgorithm>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        let with = |certificate| {
            SignatureAlgorithm::ALL.map(move |signature| PublicKeyAlgorithm { signature, certificate })
        };
        Self {
            software: SoftwareVersion::default(),
            algorithms: Algorithms::default(),
            rekey: RekeyLimits::default(),
            host_key_algorithms: [with(true), with(false)].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_versions_keep_to_the_rfc() {
        assert_eq!(SoftwareVersion::new("Bartizan_0.1").unwrap().as_str(), "Bartizan_0.1");
        let long = "x".repeat(SoftwareVersion::MAX_LEN + 1);
        for refused in ["", "a b", "a-b", "a\r", "a\nb", "ü", long.as_str()] {
            assert!(SoftwareVersion::new(refused).is_none(), "{refused:?}");
        }
        assert!(SoftwareVersion::new(SoftwareVersion::default().as_str()).is_some());
    }
}
