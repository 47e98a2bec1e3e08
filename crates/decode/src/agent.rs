//! The SSH agent protocol, as it passes through a forwarded agent's channel.
//!
//! The target asks, the client's agent answers, one message after the other, each a length and a body whose first byte
//! is its number. Of a request only the beginning is kept: enough for the key and for the account of a login.

use std::collections::VecDeque;

use aws_lc_rs::digest::{SHA256, digest};
use bartizan_model::Fingerprint;
use bartizan_model::event::Body;
use bartizan_model::observation::{AgentRequest, Confidence, Decoder};

use crate::head::split;
use crate::observed::{Observed, Origin, Sink};
use crate::{Stream, text};

/// Longest message that OpenSSH's agent takes.
const MAX_MESSAGE: u32 = 256 * 1024;
/// Bytes of a request that are kept: the largest key is below half of it.
const KEPT: usize = 16 * 1024;
/// Requests that may wait for their answers. Clients send one at a time.
const MAX_WAITING: usize = 64;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const SIGN_REQUEST: u8 = 13;
const EXTENSION_FAILURE: u8 = 28;
/// `SSH_MSG_USERAUTH_REQUEST` (RFC 4252 §7), which is in what a client signs to log in.
const USERAUTH_REQUEST: u8 = 50;

/// Cuts one direction into messages, of which it keeps the beginnings.
#[derive(Default)]
struct Messages {
    length: Vec<u8>,
    /// Bytes of the message that are still to come; none between messages.
    left: Option<u32>,
    kept: Vec<u8>,
}

/// A length that no agent takes.
struct TooLong;

impl Messages {
    /// The beginning of the next message that is there to its end.
    fn next(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, TooLong> {
        let left = match self.left {
            Some(left) => left,
            None => {
                let missing = 4 - self.length.len();
                self.length.extend_from_slice(split(input, missing));
                let Some(length) = self.length.first_chunk() else { return Ok(None) };
                let length = u32::from_be_bytes(*length);
                if length > MAX_MESSAGE {
                    return Err(TooLong);
                }
                self.length.clear();
                length
            }
        };
        let bytes = split(input, left as usize);
        let room = KEPT - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let left = left - bytes.len() as u32;
        if left > 0 {
            self.left = Some(left);
            return Ok(None);
        }
        self.left = None;
        Ok(Some(std::mem::take(&mut self.kept)))
    }
}

/// A request that waits for its answer; `None` for those that are not told.
type Waiting = Option<(String, Option<Fingerprint>, Option<String>)>;

/// Decodes one channel of a forwarded agent.
pub(crate) struct Agent {
    origin: Origin,
    asked: Messages,
    answered: Messages,
    waiting: VecDeque<Waiting>,
}

impl Agent {
    pub(crate) fn new(channel: u32) -> Self {
        Self {
            origin: Origin::new(channel, Decoder::Agent, Confidence::High),
            asked: Messages::default(),
            answered: Messages::default(),
            waiting: VecDeque::new(),
        }
    }

    pub(crate) fn feed(&mut self, stream: Stream, mut bytes: &[u8], sink: &mut dyn Sink) {
        while !self.origin.stopped && !bytes.is_empty() {
            // The target is the one that asks.
            let (messages, read) = match stream {
                Stream::Output => (&mut self.asked, &mut self.origin.bytes_out),
                Stream::Input => (&mut self.answered, &mut self.origin.bytes_in),
            };
            let before = bytes.len();
            let next = messages.next(&mut bytes);
            *read += (before - bytes.len()) as u64;
            match (next, stream) {
                (Err(TooLong), _) => self.origin.stop("a message is longer than any agent takes", sink),
                (Ok(None), _) => {}
                (Ok(Some(message)), Stream::Output) => self.request(&message, sink),
                (Ok(Some(message)), Stream::Input) => self.answer(&message, sink),
            }
        }
    }

    fn request(&mut self, message: &[u8], sink: &mut dyn Sink) {
        if self.waiting.len() >= MAX_WAITING {
            return self.origin.stop("more requests than an agent answers at a time", sink);
        }
        self.waiting.push_back(told(message));
    }

    fn answer(&mut self, message: &[u8], sink: &mut dyn Sink) {
        let Some(waiting) = self.waiting.pop_front() else {
            return self.origin.stop("an answer to nothing that was asked", sink);
        };
        let refused = matches!(message.first(), None | Some(&(FAILURE | EXTENSION_FAILURE)));
        self.tell(waiting, if refused { "refused" } else { text::OK }, sink);
    }

    fn tell(&self, waiting: Waiting, status: &str, sink: &mut dyn Sink) {
        let Some((request, key, user)) = waiting else { return };
        let derived = self.origin.derived(Confidence::High);
        let channel = self.origin.channel;
        let body = AgentRequest { channel, request, key, user, status: status.to_owned(), derived };
        sink.observed(Observed::new(status == text::OK, Body::AgentRequest(body)));
    }

    pub(crate) fn finish(mut self, sink: &mut dyn Sink) {
        for waiting in std::mem::take(&mut self.waiting) {
            self.tell(waiting, "unanswered", sink);
        }
    }
}

/// What is said of a request; none for one that only looks.
fn told(message: &[u8]) -> Waiting {
    let (&number, rest) = message.split_first().unwrap_or((&0, &[]));
    let name = match number {
        REQUEST_IDENTITIES | 1 => return None,
        SIGN_REQUEST => {
            let mut rest = rest;
            let key = string(&mut rest).map(fingerprint);
            let user = string(&mut rest).and_then(login);
            return Some(("sign".to_owned(), key, user));
        }
        17 | 20 | 25 | 26 => "add",
        18 => {
            let mut rest = rest;
            return Some(("remove".to_owned(), string(&mut rest).map(fingerprint), None));
        }
        21 => "remove",
        9 | 19 => "remove_all",
        22 => "lock",
        23 => "unlock",
        27 => "extension",
        other => return Some((format!("message {other}"), None, None)),
    };
    Some((name.to_owned(), None, None))
}

/// An SSH string (RFC 4251 §5), as far as it was kept whole.
fn string<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = input.split_first_chunk()?;
    let (content, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *input = rest;
    Some(content)
}

fn fingerprint(blob: &[u8]) -> Fingerprint {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, blob).as_ref());
    Fingerprint::from_sha256(sha256)
}

/// The user name in what a client signs to log in: session identifier, then the request (RFC 4252 §7).
fn login(mut signed: &[u8]) -> Option<String> {
    string(&mut signed)?;
    let mut request = signed.strip_prefix(&[USERAUTH_REQUEST])?;
    let user = string(&mut request)?;
    let service = string(&mut request)?;
    (service == b"ssh-connection").then(|| text::message(user))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put(out: &mut Vec<u8>, content: &[u8]) {
        out.extend((content.len() as u32).to_be_bytes());
        out.extend(content);
    }

    fn message(number: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut body = vec![number];
        parts.iter().for_each(|part| put(&mut body, part));
        let mut message = Vec::new();
        put(&mut message, &body);
        message
    }

    fn login_request(user: &[u8]) -> Vec<u8> {
        let mut signed = Vec::new();
        put(&mut signed, b"session identifier");
        signed.push(USERAUTH_REQUEST);
        for part in [user, b"ssh-connection", b"publickey"] {
            put(&mut signed, part);
        }
        signed
    }

    fn decode(asked: &[u8], answered: &[u8], size: usize) -> Vec<Observed> {
        let (mut agent, mut seen) = (Agent::new(7), Vec::new());
        asked.chunks(size).for_each(|chunk| agent.feed(Stream::Output, chunk, &mut seen));
        answered.chunks(size).for_each(|chunk| agent.feed(Stream::Input, chunk, &mut seen));
        agent.finish(&mut seen);
        seen
    }

    fn shown(seen: &[Observed]) -> Vec<(String, String, Option<String>)> {
        let one = |observed: &Observed| match &observed.body {
            Body::AgentRequest(a) => (a.request.clone(), a.status.clone(), a.user.clone()),
            other => (format!("{other:?}"), String::new(), None),
        };
        seen.iter().map(one).collect()
    }

    #[test]
    fn signatures_and_changes_are_told_however_they_are_cut() {
        let blob = b"the key";
        let asked = [
            message(REQUEST_IDENTITIES, &[]),
            message(SIGN_REQUEST, &[blob, &login_request(b"git\x1b")]),
            message(SIGN_REQUEST, &[blob, b"something else"]),
            message(19, &[]),
            message(200, &[]),
        ]
        .concat();
        let answered =
            [message(12, &[]), message(14, &[b"signature"]), message(FAILURE, &[]), message(6, &[])].concat();
        let all = decode(&asked, &answered, usize::MAX);
        let expected = [
            ("sign", "ok", Some("git\\u{1b}")),
            ("sign", "refused", None),
            ("remove_all", "ok", None),
            ("message 200", "unanswered", None),
        ];
        let expected = expected.map(|(request, status, user)| {
            (request.to_owned(), status.to_owned(), user.map(|_| bartizan_model::escape(b"git\x1b")))
        });
        assert_eq!(shown(&all), expected);
        assert!(matches!(&all[0].body, Body::AgentRequest(a) if a.key == Some(fingerprint(blob))));
        for size in 1..20 {
            assert_eq!(decode(&asked, &answered, size), all, "chunks of {size}");
        }
    }

    #[test]
    fn what_no_agent_would_take_stops_it_once() {
        let mut asked = (MAX_MESSAGE + 1).to_be_bytes().to_vec();
        asked.extend([1; 100]);
        let seen = decode(&asked, &[], 3);
        assert!(matches!(&seen[..], [Observed { body: Body::DecodeStop(_), .. }]), "{seen:?}");
        let seen = decode(&[], &message(6, &[]), 3);
        assert!(matches!(&seen[..], [Observed { body: Body::DecodeStop(_), .. }]), "{seen:?}");
        let many = message(19, &[]).repeat(1000);
        let seen = decode(&many, &[], 1 << 20);
        assert_eq!(seen.len(), 1 + MAX_WAITING);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunks_give_the_same(
            asked in prop::collection::vec(any::<u8>(), 0..300),
            answered in prop::collection::vec(any::<u8>(), 0..300),
            size in 1..50_usize,
        ) {
            prop_assert_eq!(decode(&asked, &answered, size), decode(&asked, &answered, usize::MAX));
        }
    }
}
