//! Bounds on what an unauthenticated client may send.

use crate::key::SignatureAlgorithm;

/// What a client may do before it has authenticated.
#[derive(Clone, Debug)]
pub struct AuthLimits {
    /// Rejected passwords, responses, signatures and unknown methods; the last one ends the connection. Default 6.
    pub tries: u32,
    /// Offered keys, accepted or not, since agents hold many. Default 64.
    pub offered_keys: u32,
    /// Length of a payload in bytes. Default 72 KiB: a large certificate and its signature.
    pub packet_bytes: usize,
    /// Length of a user name in bytes. Default 256.
    pub user_name_bytes: usize,
    /// Length of a password or response in bytes. Default 1,024.
    pub secret_bytes: usize,
    /// What users may sign with. Default: everything but SHA-1.
    pub algorithms: Vec<SignatureAlgorithm>,
}

impl Default for AuthLimits {
    fn default() -> Self {
        Self {
            tries: 6,
            offered_keys: 64,
            packet_bytes: 72 * 1024,
            user_name_bytes: 256,
            secret_bytes: 1024,
            algorithms: SignatureAlgorithm::ALL.to_vec(),
        }
    }
}
