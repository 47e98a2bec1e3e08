//! The first bytes of a forwarded connection: an HTTP request or a TLS `ClientHello` tells the name it is for, and SSH says
//! that it is SSH.
//!
//! Both ends are looked at, since either can be the one that connects. After [`KEPT`] bytes without a name there is
//! none; what follows is not looked at.

use bartizan_model::event::{Body, Severity};
use bartizan_model::observation::{Confidence, Decoder, Derived, ForwardGreeting};

use crate::observed::{Observed, Sink};
use crate::{Stream, text};

/// Bytes of each direction that are looked at. A `ClientHello` with hybrid key shares takes some 2 KiB.
const KEPT: usize = 8 * 1024;

/// The longest identification string of SSH, with its CR and LF (RFC 4253 §4.2).
const IDENTIFICATION: usize = 255;

/// What a beginning says so far.
enum Said {
    /// Something may come of it.
    More,
    /// Nothing we know.
    Nothing,
    /// A protocol that names the request and the host, or not.
    Told(Decoder, Option<String>, Option<String>),
    /// SSH, with its identification string.
    Ssh(String),
}

/// Looks at one forwarded channel.
pub(crate) struct Greeting {
    channel: u32,
    /// What has come, by stream, while something may come of it.
    begun: [Option<Vec<u8>>; 2],
}

impl Greeting {
    pub(crate) fn new(channel: u32) -> Self {
        Self { channel, begun: [Some(Vec::new()), Some(Vec::new())] }
    }

    pub(crate) fn feed(&mut self, stream: Stream, bytes: &[u8], sink: &mut dyn Sink) {
        let Some(begun) = &mut self.begun[stream as usize] else { return };
        let room = KEPT - begun.len();
        begun.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let said = match read(begun) {
            Said::More if begun.len() < KEPT => return,
            said => said,
        };
        self.begun[stream as usize] = None;
        let (decoder, identification, request, host) = match said {
            Said::More | Said::Nothing => return,
            Said::Told(decoder, request, host) => (decoder, None, request, host),
            Said::Ssh(identification) => (Decoder::Ssh, Some(identification), None, None),
        };
        self.begun = [None, None];
        let derived = Derived { decoder, confidence: Confidence::Medium };
        let body = ForwardGreeting { channel: self.channel, request, identification, host, derived };
        let mut observed = Observed::new(true, Body::ForwardGreeting(body));
        // What is done in a session inside is seen by nobody here.
        if decoder == Decoder::Ssh {
            observed.severity = Severity::Notice;
        }
        sink.observed(observed);
    }
}

fn read(bytes: &[u8]) -> Said {
    match bytes.first() {
        None => Said::More,
        Some(0x16) => tls(bytes),
        Some(b'S') if b"SSH-".starts_with(&bytes[..bytes.len().min(4)]) => ssh(bytes),
        Some(b'A'..=b'Z') => http(bytes),
        Some(_) => Said::Nothing,
    }
}

/// The identification string. A server may send other lines before it; its client may not.
fn ssh(bytes: &[u8]) -> Said {
    let head = &bytes[..bytes.len().min(IDENTIFICATION)];
    match head.iter().position(|&byte| byte == b'\n') {
        None if head.len() < IDENTIFICATION => Said::More,
        end => {
            let line = &head[..end.unwrap_or(head.len())];
            Said::Ssh(text::message(line.strip_suffix(b"\r").unwrap_or(line)))
        }
    }
}

/// The request line and the `Host` field (RFC 9112 §3).
fn http(bytes: &[u8]) -> Said {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let head = &bytes[..end.unwrap_or(bytes.len())];
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.next().unwrap_or_default();
    let known = first.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    // The longest registered method has 17 letters.
    if known > 17 || first.get(known).is_some_and(|&byte| byte != b' ') {
        return Said::Nothing;
    }
    if end.is_none() && bytes.len() < KEPT {
        return Said::More;
    }
    let Some(request) = first.strip_suffix(b" HTTP/1.1").or_else(|| first.strip_suffix(b" HTTP/1.0")) else {
        return Said::Nothing;
    };
    let host = lines.find_map(|line| {
        let (name, value) = line.split_at_checked(5)?;
        name.eq_ignore_ascii_case(b"host:").then(|| text::message(value.trim_ascii()))
    });
    Said::Told(Decoder::Http, Some(text::path(request)), host)
}

/// Reads numbers and slices from the front.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)))
    }

    fn vector(&mut self, length_bytes: usize) -> Option<Cursor<'a>> {
        let length = self.number(length_bytes)?;
        self.take(length).map(Cursor)
    }
}

/// The `ClientHello` (RFC 8446 §4.1.2), which may be cut into several records.
fn tls(bytes: &[u8]) -> Said {
    let mut records = Cursor(bytes);
    let mut handshake = Vec::new();
    while let (Some(kind), Some(version), Some(length)) =
        (records.number(1), records.number(2), records.number(2))
    {
        if kind != 0x16 || version >> 8 != 3 {
            return Said::Nothing;
        }
        let available = length.min(records.0.len());
        handshake.extend_from_slice(records.take(available).unwrap_or_default());
        let mut message = Cursor(&handshake);
        match message.number(1) {
            Some(1) | None => {}
            Some(_) => return Said::Nothing,
        }
        if let Some(hello) = message.vector(3) {
            return Said::Told(Decoder::Tls, None, server_name(hello));
        }
    }
    Said::More
}

fn server_name(mut hello: Cursor<'_>) -> Option<String> {
    hello.take(2 + 32)?;
    hello.vector(1)?;
    hello.vector(2)?;
    hello.vector(1)?;
    let mut extensions = hello.vector(2)?;
    loop {
        let kind = extensions.number(2)?;
        let mut content = extensions.vector(2)?;
        if kind == 0 {
            let mut names = content.vector(2)?;
            let kind = names.number(1)?;
            let name = names.vector(2)?;
            return (kind == 0).then(|| text::message(name.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn greeted(bytes: &[u8], size: usize) -> Option<(Option<String>, Option<String>)> {
        let (mut greeting, mut seen) = (Greeting::new(2), Vec::new());
        bytes.chunks(size).for_each(|chunk| greeting.feed(Stream::Input, chunk, &mut seen));
        assert!(seen.len() <= 1);
        seen.pop().map(|observed: Observed| match observed.body {
            Body::ForwardGreeting(greeting) => (greeting.request.or(greeting.identification), greeting.host),
            other => panic!("{other:?}"),
        })
    }

    fn hello(name: &str) -> Vec<u8> {
        let vector = |bytes: usize, content: &[u8]| {
            let mut out = (content.len() as u32).to_be_bytes()[4 - bytes..].to_vec();
            out.extend_from_slice(content);
            out
        };
        let entry = [&[0][..], &vector(2, name.as_bytes())].concat();
        let extensions =
            [&[0, 43][..], &vector(2, &[2, 3, 4]), &[0, 0], &vector(2, &vector(2, &entry))].concat();
        let body = [
            &[3, 3][..],
            &[7; 32],
            &vector(1, &[]),
            &vector(2, &[0x13, 1]),
            &vector(1, &[0]),
            &vector(2, &extensions),
        ]
        .concat();
        let message = [&[1][..], &vector(3, &body)].concat();
        // In two records, as large ones come.
        let (first, second) = message.split_at(message.len() / 2);
        [&[0x16, 3, 1][..], &vector(2, first), &[0x16, 3, 1], &vector(2, second)].concat()
    }

    #[test]
    fn names_are_read_however_they_are_cut() {
        let http = b"GET /a?b HTTP/1.1\r\nAccept: */*\r\nhOST:  intranet \r\n\r\nbody";
        for size in 1..=http.len() {
            assert_eq!(greeted(http, size), Some((Some("GET /a?b".into()), Some("intranet".into()))));
        }
        let tls = hello("db.example.com");
        for size in 1..=tls.len() {
            assert_eq!(greeted(&tls, size), Some((None, Some("db.example.com".into()))), "{size}");
        }
        for other in [
            &b"SSHD\r\n\r\n"[..],
            b"SSH",
            b"SSH-2.0-x",
            b"\x16\x01\x00\x00\x05hello",
            b"HELO there\r\n\r\n",
            b"\0\0",
            b"",
        ] {
            assert_eq!(greeted(other, 3), None, "{other:?}");
        }
    }

    /// A session inside a forwarded connection is opaque: that there is one is told, once.
    #[test]
    fn ssh_inside_is_told() {
        let client = b"SSH-2.0-OpenSSH_9.9 \x1b[2J\r\n\0\0\x05\x14";
        for size in 1..=client.len() {
            let told = Some((Some("SSH-2.0-OpenSSH_9.9 \\x1b[2J".into()), None));
            assert_eq!(greeted(client, size), told, "{size}");
        }
        let endless = [&b"SSH-2.0-"[..], &[b'a'; 1000]].concat();
        assert!(matches!(greeted(&endless, 100), Some((Some(said), None)) if said.len() <= IDENTIFICATION));
        let (mut greeting, mut seen) = (Greeting::new(2), Vec::new());
        greeting.feed(Stream::Output, b"hello\r\nSSH-2.0-server\r\n", &mut seen);
        greeting.feed(Stream::Input, b"SSH-2.0-client\n", &mut seen);
        greeting.feed(Stream::Output, b"SSH-2.0-server\n", &mut seen);
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].severity, Severity::Notice);
    }

    #[test]
    fn only_the_beginning_is_kept() {
        let endless = [&b"GET /"[..], &vec![b'a'; 100_000]].concat();
        assert_eq!(greeted(&endless, 1000), None);
        let (mut greeting, mut seen) = (Greeting::new(2), Vec::new());
        greeting.feed(Stream::Output, &endless, &mut seen);
        assert!(greeting.begun[Stream::Output as usize].is_none() && greeting.begun[0].is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunks_give_the_same(
            start in prop::sample::select(vec![&b""[..], b"GET ", b"SSH-", b"SSH-2.0-", b"\x16\x03\x01", b"\x16\x03\x01\0\x30\x01\0\0\x2c"]),
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            size in 1..50_usize,
        ) {
            let bytes = [start, &bytes].concat();
            prop_assert_eq!(greeted(&bytes, size), greeted(&bytes, usize::MAX));
        }
    }
}
