//! Keys, signatures and OpenSSH certificates.
//!
//! Public keys and certificates keep the exact bytes they came from, since these are what fingerprints, signatures and
//! comparisons are about. A value that exists is valid: points are on their curves, RSA moduli have 2048 to 8192 bits, and a
//! [`Certificate`] carries a good signature by the CA it names. Signatures by SHA-1 (`ssh-rsa`) exist nowhere in here.
//!
//! ```text
//!   file ─► PrivateKey ─┬─► PublicKey ─► authorized_keys line, Fingerprint
//!                       ├─► HostKey (with its Certificate) ─► signs exchange hashes ─► verify_host_signature ─► HostIdentity
//!                       └─► CertificateBuilder::sign ─► Certificate ─► check(kind, CA, hour, name, options)
//! ```
//!
//! What this module does not do: passphrases, agents and hardware tokens (a caller signs with these itself), DSA, trust. It
//! never decides whether a key is known; it only says what a key has really signed.

mod algorithm;
mod certificate;
mod certificate_builder;
mod der;
mod derive;
mod error;
mod host;
pub mod known_hosts;
mod private;
mod private_file;
mod public;
mod rsa_file;
mod signature;

pub use algorithm::{KeyKind, PublicKeyAlgorithm, SignatureAlgorithm};
pub use certificate::{Certificate, CertificateCheck, CertificateKind, CertificateOption};
pub use certificate_builder::CertificateBuilder;
pub(crate) use error::shown;
pub use error::{CertificateError, KeyError, SignatureError};
pub use host::{HostIdentity, HostKey, verify_host_signature};
pub use private::PrivateKey;
pub use public::{Fingerprint, PublicKey};
pub use signature::{SkFlags, Verified};

#[cfg(test)]
mod tests;
