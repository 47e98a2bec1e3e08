//! Signed notes and checkpoints.
//!
//! Source: C2SP signed-note (signature type `0x01`, Ed25519) and tlog-checkpoint.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64ct::{Base64, Encoding as _};

use crate::origin::Origin;
use crate::tree::TreeHead;

const ED25519_TYPE: u8 = 0x01;
/// Longer notes are not read: a checkpoint with 16 witnesses is a tenth of it.
pub(crate) const MAX_NOTE_BYTES: usize = 100_000;

/// The log's signing key.
pub struct Signer {
    key: Ed25519KeyPair,
    public: VerifierKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}, <secret>)", self.public)
    }
}

/// A seed that is no Ed25519 key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the seed of the log's key is not accepted as an Ed25519 key")]
pub struct InvalidSeed;

impl Signer {
    /// The key that the 32 bytes of `seed` give (RFC 8032), under the name of the log.
    ///
    /// # Errors
    /// [`InvalidSeed`] when the cryptographic library refuses it.
    pub fn from_seed(origin: &Origin, seed: &[u8; 32]) -> Result<Self, InvalidSeed> {
        let key = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| InvalidSeed)?;
        let public = key.public_key().as_ref().try_into().map_err(|_| InvalidSeed)?;
        Ok(Self { key, public: VerifierKey { name: origin.to_string(), public } })
    }

    /// The public half, for those who verify.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.public
    }

    /// Signs a text that ends with a newline.
    fn sign(&self, text: &str) -> String {
        let mut signature = self.public.id().to_vec();
        signature.extend_from_slice(self.key.sign(text.as_bytes()).as_ref());
        format!("{text}\n— {} {}\n", self.public.name, Base64::encode_string(&signature))
    }
}

/// The public key of a log, shown as note tools take it: `NAME+ID+KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public: [u8; 32],
}

/// A text that is not a verifier key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a log's public key: expected NAME+ID+KEY, as bartizand prints it")]
pub struct InvalidVerifierKey;

impl VerifierKey {
    /// The name of the key: the log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key ID. Source: C2SP signed-note, "Signatures".
    fn id(&self) -> [u8; 4] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(self.name.as_bytes());
        context.update(&[b'\n', ED25519_TYPE]);
        context.update(&self.public);
        let mut id = [0; 4];
        id.copy_from_slice(&context.finish().as_ref()[..4]);
        id
    }

    /// The text of a note that this key has signed.
    fn open<'a>(&self, note: &'a str) -> Result<&'a str, CheckpointError> {
        let (text, signatures) = split(note)?;
        let mut signed = false;
        for line in signatures.lines() {
            let (name, signature) = signature_line(line)?;
            let Some((id, signature)) = signature.split_first_chunk::<4>() else {
                return Err(CheckpointError::Malformed("a signature is shorter than a key id"));
            };
            // Others may sign, too: witnesses, keys that are to come.
            if name != self.name || *id != self.id() {
                continue;
            }
            UnparsedPublicKey::new(&ED25519, self.public)
                .verify(text.as_bytes(), signature)
                .map_err(|_| CheckpointError::BadSignature)?;
            signed = true;
        }
        if signed { Ok(text) } else { Err(CheckpointError::NotSigned(self.to_string())) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id());
        let mut key = vec![ED25519_TYPE];
        key.extend_from_slice(&self.public);
        write!(f, "{}+{id:08x}+{}", self.name, Base64::encode_string(&key))
    }
}

impl FromStr for VerifierKey {
    type Err = InvalidVerifierKey;

    fn from_str(text: &str) -> Result<Self, InvalidVerifierKey> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(InvalidVerifierKey);
        };
        let name: Origin = name.parse().map_err(|_| InvalidVerifierKey)?;
        let key = Base64::decode_vec(key).map_err(|_| InvalidVerifierKey)?;
        let Some((&ED25519_TYPE, public)) = key.split_first() else { return Err(InvalidVerifierKey) };
        let public = public.try_into().map_err(|_| InvalidVerifierKey)?;
        let parsed = Self { name: name.to_string(), public };
        // The ID between is checked by writing the key again.
        if parsed.to_string() == text { Ok(parsed) } else { Err(InvalidVerifierKey) }
    }
}

/// A checkpoint: which log, how many entries, what root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's origin.
    pub origin: Origin,
    /// Its tree.
    pub head: TreeHead,
}

/// Why a checkpoint is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It has not the form of a signed checkpoint.
    #[error("not a signed checkpoint: {0}")]
    Malformed(&'static str),
    /// No signature in it is by the key.
    #[error("the checkpoint has no signature by {0}")]
    NotSigned(String),
    /// A signature under the key's name and ID does not hold.
    #[error("the checkpoint's signature does not hold: it was changed, or signed with another key")]
    BadSignature,
    /// It belongs to another log.
    #[error("the checkpoint is that of another log, {0}")]
    OtherOrigin(String),
}

impl Checkpoint {
    /// Signs the checkpoint.
    pub fn sign(&self, signer: &Signer) -> String {
        signer.sign(&format!("{}\n{}\n{}\n", self.origin, self.head.size, self.head.root))
    }

    /// Reads a signed checkpoint and checks its signature and that it belongs to the key's log.
    ///
    /// # Errors
    /// [`CheckpointError`]; nothing of the checkpoint is to be believed then.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let checkpoint = Self::parse(key.open(note)?)?;
        if checkpoint.origin.to_string() == key.name {
            Ok(checkpoint)
        } else {
            Err(CheckpointError::OtherOrigin(checkpoint.origin.to_string()))
        }
    }

    /// Reads a checkpoint without believing it: its signatures are not checked.
    pub(crate) fn open_unverified(note: &str) -> Result<Self, CheckpointError> {
        Self::parse(split(note)?.0)
    }

    fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(malformed("it has fewer than three lines"));
        };
        let origin = origin.parse().map_err(|_| malformed("its first line is no origin"))?;
        let parsed = size.parse::<u64>().map_err(|_| malformed("its second line is no tree size"))?;
        if parsed.to_string() != size {
            return Err(malformed("its tree size is not written as it must be"));
        }
        let root = root.parse().map_err(|_| malformed("its third line is no root hash"))?;
        Ok(Self { origin, head: TreeHead { size: parsed, root } })
    }
}

/// Splits a note into its text, with the newline at its end, and its signature lines.
fn split(note: &str) -> Result<(&str, &str), CheckpointError> {
    let malformed = CheckpointError::Malformed;
    if note.len() > MAX_NOTE_BYTES {
        return Err(malformed("it is longer than 100,000 bytes"));
    }
    if note.contains(|c: char| c < ' ' && c != '\n') {
        return Err(malformed("it has control characters"));
    }
    let at = note.rfind("\n\n").ok_or(malformed("no empty line stands before its signatures"))?;
    let (text, signatures) = (&note[..=at], &note[at + 2..]);
    if signatures.is_empty() || !signatures.ends_with('\n') {
        return Err(malformed("it has no signature line, or not all of one"));
    }
    Ok((text, signatures))
}

fn signature_line(line: &str) -> Result<(&str, Vec<u8>), CheckpointError> {
    let malformed = CheckpointError::Malformed("a signature line is not `— NAME BASE64`");
    let parts = line.strip_prefix("— ").and_then(|rest| rest.split_once(' '));
    let (name, signature) = parts.ok_or(malformed.clone())?;
    let signature = Base64::decode_vec(signature).map_err(|_| malformed)?;
    Ok((name, signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::TreeHash;

    fn signer() -> Signer {
        Signer::from_seed(&"example.com/node-1".parse().unwrap(), &[7; 32]).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        let head = TreeHead { size: 20_852_163, root: TreeHash([9; 32]) };
        Checkpoint { origin: "example.com/node-1".parse().unwrap(), head }
    }

    #[test]
    fn the_example_of_the_specification_is_read() {
        let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
                    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
        let read = Checkpoint::open_unverified(note).unwrap();
        assert_eq!(
            (read.origin.to_string().as_str(), read.head.size),
            ("example.com/behind-the-sofa", 20_852_163)
        );
        assert!(matches!(
            Checkpoint::open(note, signer().verifier_key()),
            Err(CheckpointError::NotSigned(_))
        ));
    }

    #[test]
    fn a_signed_checkpoint_opens_and_a_changed_one_does_not() {
        let signer = signer();
        let key: VerifierKey = signer.verifier_key().to_string().parse().unwrap();
        assert_eq!(&key, signer.verifier_key());
        let note = checkpoint().sign(&signer);
        assert_eq!(Checkpoint::open(&note, &key), Ok(checkpoint()));
        for at in 0..note.len() {
            let mut changed = note.clone().into_bytes();
            changed[at] ^= 1;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            assert!(Checkpoint::open(&changed, &key).is_err(), "{changed}");
        }
        for at in (0..note.len()).filter(|at| note.is_char_boundary(*at)) {
            assert!(Checkpoint::open(&note[..at], &key).is_err());
        }
        let witnessed = format!("{note}— witness.example/w AAAAAAAA\n");
        assert_eq!(Checkpoint::open(&witnessed, &key), Ok(checkpoint()));
        assert_eq!(format!("{signer:?}"), format!("Signer({key}, <secret>)"));
    }

    #[test]
    fn another_log_and_another_key_are_told_apart() {
        let signer = signer();
        let other = Signer::from_seed(&"example.com/node-1".parse().unwrap(), &[8; 32]).unwrap();
        let note = checkpoint().sign(&other);
        assert!(matches!(Checkpoint::open(&note, signer.verifier_key()), Err(CheckpointError::NotSigned(_))));
        let elsewhere = Checkpoint { origin: "example.com/node-2".parse().unwrap(), ..checkpoint() };
        let note = elsewhere.sign(&signer);
        assert!(matches!(
            Checkpoint::open(&note, signer.verifier_key()),
            Err(CheckpointError::OtherOrigin(_))
        ));
        for wrong in ["", "a+b", "example.com+00000000+AQ==", "example.com/node-1+12345678+AAAA"] {
            assert_eq!(wrong.parse::<VerifierKey>(), Err(InvalidVerifierKey), "{wrong}");
        }
    }
}
