//! Our own host keys, announced and proved to the client (OpenSSH PROTOCOL §2.5).
//!
//! The target's announcement never reaches the client, which would store those keys under the wrong name; ours
//! takes its place, so that `UpdateHostKeys` works and a rotated key is learned.

use bartizan_ssh::key::HostKey;
use bartizan_ssh::wire::Writer as _;
use bartizan_ssh::wire::connection::HostKeyBlobs;

/// The name of the request that proves keys; it stands in what is signed.
const PROVE: &[u8] = b"hostkeys-prove-00@openssh.com";
/// Most keys that one request may ask to prove: more than any announcement of ours holds.
const MOST: usize = 16;

/// The host keys of the hop towards the client.
pub(super) struct OwnHostKeys {
    keys: Vec<HostKey>,
    session_id: Vec<u8>,
}

impl OwnHostKeys {
    pub(super) fn new(keys: Vec<HostKey>, session_id: &[u8]) -> Self {
        Self { keys, session_id: session_id.to_vec() }
    }

    /// The blobs to announce.
    pub(super) fn blobs(&self) -> Vec<Vec<u8>> {
        self.keys.iter().map(|key| key.public_key().blob().to_vec()).collect()
    }

    /// Signs for each key that the client asks about; `None` when one of them is not ours.
    pub(super) fn prove(&self, blobs: &HostKeyBlobs<'_>) -> Option<Vec<u8>> {
        let mut answer = Vec::new();
        for (n, blob) in blobs.iter().enumerate() {
            let key = self.keys.iter().find(|key| key.public_key().blob() == blob).filter(|_| n < MOST)?;
            let mut signed = Vec::new();
            signed.put_string(PROVE);
            signed.put_string(&self.session_id);
            signed.put_string(blob);
            let algorithm = key.public_key().signature_algorithms().first()?;
            answer.put_string(&key.sign(algorithm.name(), &signed).ok()?);
        }
        Some(answer)
    }
}
