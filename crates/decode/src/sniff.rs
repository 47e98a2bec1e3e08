//! Which decoder reads a channel, by its first bytes: for recordings, which hold what passed and not what was asked for, and
//! for programs of which the command line does not tell what they speak.

use bartizan_model::observation::Confidence;

use crate::{Decoder, Kind, Options, Sink, Stream, sftp};

/// How long the beginning of SFTP is: a packet's length, `SSH_FXP_INIT`, and a version (draft-ietf-secsh-filexfer-02 §4).
const INIT: usize = 9;
/// Lengths of that packet. Extensions may follow the version; OpenSSH's server takes them and whatever else is there.
const LENGTHS: std::ops::RangeInclusive<u32> = 5..=32 << 10;

/// Guesses by how both peers begin what they say: `SSH_FXP_INIT` is SFTP; a sink that says it is ready, and a source that
/// begins with a record, are the scp protocol. None for anything else, and while too little is there to tell.
///
/// The target's path is not in what scp peers say, so files are named as they name them.
pub fn sniff(channel: u32, input: &[u8], output: &[u8], options: &Options) -> Option<Decoder> {
    if is_sftp(input) {
        return Decoder::for_subsystem(channel, b"sftp", options);
    }
    let source = |bytes: &[u8]| matches!(bytes, [b'C' | b'D' | b'T', digits @ ..] if digits.first().is_some_and(u8::is_ascii_digit));
    let sink = |bytes: &[u8]| bytes.first() == Some(&0);
    match () {
        () if sink(output) && source(input) => Decoder::for_exec(channel, b"scp -r -d -t .", options),
        () if sink(input) && source(output) => Decoder::for_exec(channel, b"scp -r -f .", options),
        () => None,
    }
}

/// Bytes from either side after which [`sniff`] cannot change its mind.
pub const ENOUGH: usize = INIT;

/// Whether a client that says this speaks SFTP. No version is so high as to need more than one byte.
fn is_sftp(input: &[u8]) -> bool {
    let Some([a, b, c, d, kind, version @ .., _]) = input.first_chunk::<INIT>() else { return false };
    LENGTHS.contains(&u32::from_be_bytes([*a, *b, *c, *d])) && *kind == 1 && *version == [0; 3]
}

/// A program that is not known by its command line: reads on until it is clear whether it speaks SFTP.
pub(crate) struct Unknown {
    channel: u32,
    options: Options,
    begin: Vec<u8>,
    /// It speaks something else.
    other: bool,
}

impl Unknown {
    pub(crate) const fn new(channel: u32, options: &Options) -> Self {
        Self { channel, options: *options, begin: Vec::new(), other: false }
    }

    /// Takes bytes; gives the decoder that reads on, once it is known. A server of SFTP says nothing before the client does.
    pub(crate) fn feed(&mut self, stream: Stream, bytes: &[u8], sink: &mut dyn Sink) -> Option<Kind> {
        if self.other || stream == Stream::Output {
            return None;
        }
        let (begin, rest) = bytes.split_at(bytes.len().min(INIT - self.begin.len()));
        self.begin.extend_from_slice(begin);
        if self.begin.len() < INIT {
            return None;
        }
        if !is_sftp(&self.begin) {
            self.other = true;
            return None;
        }
        let mut sftp = sftp::Sftp::new(self.channel, Confidence::Low, &self.options);
        sftp.feed(stream, &self.begin, sink);
        sftp.feed(stream, rest, sink);
        Some(Kind::Sftp(Box::new(sftp)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;

    #[test]
    fn protocols_are_known_by_how_they_begin() {
        let table: [(&[u8], &[u8], Option<Protocol>); 13] = [
            (b"\0\0\0\x05\x01\0\0\0\x03", b"", Some(Protocol::Sftp)),
            // With an extension, or with anything.
            (b"\0\0\0\x0D\x01\0\0\0\x03\0\0\0\0\0\0\0\0", b"", Some(Protocol::Sftp)),
            (b"\0\0\0\x04\x01\0\0\0\x03", b"", None),
            (b"\0\0\x80\x01\x01\0\0\0\x03", b"", None),
            (b"\0\0\0\x05\x01\0\0\x01\x03", b"", None),
            (b"C0644 5 a\nhello\0", b"\0", Some(Protocol::Scp)),
            (b"T1 0 1 0\n", b"\0\0", Some(Protocol::Scp)),
            (b"\0", b"D0755 0 a\n", Some(Protocol::Scp)),
            // Only one has spoken yet.
            (b"", b"\0", None),
            (b"C0644 5 a\n", b"", None),
            (b"\0\0\0\x05", b"", None),
            (b"Cheers\n", b"\0", None),
            (b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", None),
        ];
        for (input, output, protocol) in table {
            let found = sniff(0, input, output, &Options::default());
            assert_eq!(found.and_then(|decoder| decoder.protocol()), protocol, "{input:?} {output:?}");
        }
    }
}
