//! Transports whose configuration is made once.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bartizan_ssh::key::{HostKey, PrivateKey};
use bartizan_ssh::transport::{Algorithms, ClientConfig, ServerConfig, Transport};

static HOST_KEY: LazyLock<HostKey> =
    LazyLock::new(|| HostKey::new(PrivateKey::derive_ed25519(&[1; 32], b"fuzz").unwrap()));

/// Both roles, with these algorithms.
pub fn pair(algorithms: &Algorithms) -> [Transport; 2] {
    let server = ServerConfig { algorithms: algorithms.clone(), ..ServerConfig::new(vec![HOST_KEY.clone()]) };
    let client = ClientConfig { algorithms: algorithms.clone(), ..ClientConfig::default() };
    [
        Transport::server(Arc::new(server), Duration::ZERO).unwrap(),
        Transport::client(Arc::new(client), Duration::ZERO).unwrap(),
    ]
}
