//! Which decoder reads a channel, by its first bytes: for recordings, which hold what passed and not what was asked for.

use crate::{Decoder, Options};

/// How SFTP begins: length 5, `SSH_FXP_INIT`, and a version (draft-ietf-secsh-filexfer-02 §4).
const SFTP: &[u8] = &[0, 0, 0, 5, 1];

/// Guesses by how both peers begin what they say: `SSH_FXP_INIT` is SFTP; a sink that says it is ready, and a source that
/// begins with a record, are the scp protocol. None for anything else, and while too little is there to tell.
///
/// The target's path is not in what scp peers say, so files are named as they name them.
pub fn sniff(channel: u32, input: &[u8], output: &[u8], options: &Options) -> Option<Decoder> {
    if input.starts_with(SFTP) {
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
pub const ENOUGH: usize = SFTP.len();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;

    #[test]
    fn protocols_are_known_by_how_they_begin() {
        let table: [(&[u8], &[u8], Option<Protocol>); 9] = [
            (b"\0\0\0\x05\x01\0\0\0\x03", b"", Some(Protocol::Sftp)),
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
