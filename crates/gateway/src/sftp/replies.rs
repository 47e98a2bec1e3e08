//! What is learnt from the target's answers, and answers of our own.

use bartizan_access::FilePath;

use super::cut::{Head, MAX_HANDLE, Pass, number};
use super::{Broken, Gate, MAX_PATH, Waiting, kind};

/// Status codes (draft-ietf-secsh-filexfer-02 §7).
pub(super) const PERMISSION_DENIED: u32 = 3;
pub(super) const FAILURE: u32 = 4;
pub(super) const OP_UNSUPPORTED: u32 = 8;

/// The longest answer that is read to learn where relative paths begin: a path, twice, and attributes.
const MAX_START: usize = 10 << 10;

/// How much of an answer must be read, at most: the whole of some, the beginning of most.
pub(super) fn wanted(waiting: Option<&Waiting>) -> usize {
    match waiting {
        Some(Waiting::Opening(_)) => 13 + MAX_HANDLE,
        Some(Waiting::Start) => MAX_START,
        _ => 0,
    }
}

/// `SSH_FXP_STATUS` in the place of the target.
pub(super) fn status(id: u32, code: u32, reason: &str) -> Vec<u8> {
    let message = format!("bartizan: {reason}");
    let mut packet = vec![kind::STATUS];
    packet.extend(id.to_be_bytes());
    packet.extend(code.to_be_bytes());
    packet.extend((message.len() as u32).to_be_bytes());
    packet.extend(message.bytes());
    packet.extend([0; 4]);
    [&(packet.len() as u32).to_be_bytes()[..], &packet].concat()
}

impl Gate {
    /// Follows one answer of the target.
    pub(super) fn answered(&mut self, head: &Head) -> Result<Pass, Broken> {
        let [kind, body @ ..] = head.bytes.as_slice() else { return Err(Broken("an empty packet".into())) };
        if *kind == kind::VERSION {
            return match number(body, 0) {
                0..=3 => Ok(Pass::On),
                newer => Err(Broken(format!("SFTP version {newer}, which cannot be judged"))),
            };
        }
        let id = number(body, 0);
        match (self.waited(id), *kind) {
            (Some(Waiting::Opening(file)), kind::HANDLE) => {
                let handle = body.get(8..).filter(|handle| number(body, 4) as usize == handle.len());
                let handle = handle.filter(|handle| handle.len() <= MAX_HANDLE);
                let handle = handle.ok_or_else(|| Broken("a handle that is none".into()))?;
                self.opens(handle, *file);
            }
            (Some(Waiting::Start), kind::NAME) => self.learn_start(body),
            (Some(Waiting::Reading { most, handle }), kind::DATA) if number(body, 4) > most => {
                let reason = self.note_too_long(&handle);
                return Ok(Pass::Not(status(id, PERMISSION_DENIED, &reason)));
            }
            // A handle that nobody asked for would be one without rights.
            (_, kind::HANDLE) => return Err(Broken("a handle for no request that opens anything".into())),
            _ => {}
        }
        Ok(Pass::On)
    }

    /// The first answer counts: a server does not move.
    fn learn_start(&mut self, body: &[u8]) {
        let length = number(body, 8) as usize;
        let path = body.get(12..).and_then(|names| names.get(..length));
        if let (None, Some(path @ [b'/', ..])) = (&self.start, path)
            && path.len() <= MAX_PATH
            && let FilePath::Plain(path) = FilePath::new(path, None)
        {
            self.start = Some(path.into_owned());
        }
    }
}
