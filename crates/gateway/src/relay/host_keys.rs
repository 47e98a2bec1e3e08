//! Our own host keys, announced and proved to the client (OpenSSH PROTOCOL §2.5).
//!
//! The target's announcement never reaches the client, which would store those keys under the wrong name; ours
//! takes its place, so that `UpdateHostKeys` works and a rotated key is learned.

use bartizan_ssh::key::HostKey;
use bartizan_ssh::wire::Writer as _;
use bartizan_ssh::wire::connection::HostKeyBlobs;

/// The name of the request that proves keys; it stands in what is signed.
const PROVE: &[u8] = b"hostkeys-prove-00@openssh.com";

/// The host keys of the hop towards the client.
pub(super) struct OwnHostKeys {
    keys: Vec<OwnHostKey>,
    session_id: Vec<u8>,
}

struct OwnHostKey {
    key: HostKey,
    /// What proves it in this connection, once that was asked: a signature with RSA takes milliseconds.
    proof: Option<Vec<u8>>,
}

impl OwnHostKeys {
    pub(super) fn new(keys: Vec<HostKey>, session_id: &[u8]) -> Self {
        let keys = keys.into_iter().map(|key| OwnHostKey { key, proof: None }).collect();
        Self { keys, session_id: session_id.to_vec() }
    }

    /// The blobs to announce.
    pub(super) fn blobs(&self) -> Vec<Vec<u8>> {
        self.keys.iter().map(|own| own.key.public_key().blob().to_vec()).collect()
    }

    /// Signs for each key that the client asks about; `None` when one of them is not ours, or asked for twice.
    pub(super) fn prove(&mut self, blobs: &HostKeyBlobs<'_>) -> Option<Vec<u8>> {
        let (mut answer, mut asked) = (Vec::new(), vec![false; self.keys.len()]);
        for blob in blobs.iter() {
            let place = self.keys.iter().position(|own| own.key.public_key().blob() == blob)?;
            if std::mem::replace(&mut asked[place], true) {
                return None;
            }
            answer.put_string(self.keys[place].proof(&self.session_id)?);
        }
        Some(answer)
    }
}

impl OwnHostKey {
    /// The signature that proves the key; what is signed is the same as long as the connection lives.
    fn proof(&mut self, session_id: &[u8]) -> Option<&[u8]> {
        if self.proof.is_none() {
            let mut signed = Vec::new();
            signed.put_string(PROVE);
            signed.put_string(session_id);
            signed.put_string(self.key.public_key().blob());
            let algorithm = self.key.public_key().signature_algorithms().first()?;
            self.proof = self.key.sign(algorithm.name(), &signed).ok();
        }
        self.proof.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use bartizan_ssh::key::{KeyKind, PrivateKey};
    use bartizan_ssh::wire::Reader;

    use super::*;

    fn asking(blobs: &[&[u8]]) -> Vec<u8> {
        let mut list = Vec::new();
        blobs.iter().for_each(|blob| list.put_string(blob));
        list
    }

    fn prove(keys: &mut OwnHostKeys, blobs: &[&[u8]]) -> Option<Vec<u8>> {
        keys.prove(&HostKeyBlobs::parse(Reader::new(&asking(blobs))).unwrap())
    }

    #[test]
    fn each_key_is_signed_for_once() {
        // ECDSA draws a number for each signature, so that another one would differ.
        let key = || HostKey::new(PrivateKey::generate(KeyKind::EcdsaP256).unwrap());
        let mut keys = OwnHostKeys::new(vec![key(), key()], b"session id");
        let blobs = keys.blobs();
        let (first, second) = (&blobs[0][..], &blobs[1][..]);

        let both = prove(&mut keys, &[first, second]).unwrap();
        assert_eq!(prove(&mut keys, &[first, second]), Some(both.clone()), "not signed again");
        let other = prove(&mut keys, &[second]).unwrap();
        assert!(both.ends_with(&other) && both.len() > other.len());
        assert_eq!(prove(&mut keys, &[first, first]), None);
        assert_eq!(prove(&mut keys, &[first, b"not ours"]), None);
        let elsewhere = OwnHostKeys::new(keys.keys.into_iter().map(|own| own.key).collect(), b"another");
        let mut elsewhere = elsewhere;
        assert_ne!(prove(&mut elsewhere, &[first, second]), Some(both));
    }
}
