//! What an SSH agent answers (draft-ietf-sshm-ssh-agent): the keys it holds, and a signature.
//!
//! Whoever asks frames the messages and bounds the length of an answer. `None` stands for an answer of another kind: the
//! agent refused. Whether a signature is good, whoever uses it finds out.

use super::UserIdentity;
use crate::key::{Certificate, PublicKey};
use crate::wire::{Malformed, Reader};

const IDENTITIES_ANSWER: u8 = 12;
const SIGN_RESPONSE: u8 = 14;

/// The first keys and certificates that we can read, `most` at most.
///
/// # Errors
///
/// [`Malformed`] if the answer ends within what it announces.
pub fn identities(answer: &[u8], most: usize) -> Result<Option<Vec<UserIdentity>>, Malformed> {
    let mut reader = Reader::new(answer);
    if reader.u8("agent message")? != IDENTITIES_ANSWER {
        return Ok(None);
    }
    let mut identities = Vec::new();
    for _ in 0..reader.u32("number of keys")? {
        let blob = reader.string("key blob")?;
        reader.string("comment")?;
        let key = PublicKey::from_blob(blob).map(UserIdentity::from).ok();
        let identity = key.or_else(|| Certificate::from_blob(blob).map(UserIdentity::from).ok());
        identities.extend(identity);
        if identities.len() >= most {
            break;
        }
    }
    Ok(Some(identities))
}

/// The signature.
///
/// # Errors
///
/// [`Malformed`] if the answer ends within it.
pub fn signature(answer: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let mut reader = Reader::new(answer);
    if reader.u8("agent message")? != SIGN_RESPONSE {
        return Ok(None);
    }
    reader.string("signature").map(Some)
}
