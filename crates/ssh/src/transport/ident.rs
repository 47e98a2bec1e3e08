//! The protocol version exchange: one line each way. Source: RFC 4253 §4.2.

use super::buffer::Buffer;
use super::config::SoftwareVersion;
use super::error::TransportError;

/// The longest identification, CR LF included.
const MAX_LINE: usize = 255;
/// Text lines that a server may send first, all together; they are dropped.
const MAX_PREAMBLE: usize = 16 * 1024;

/// Our identification without CR LF, as it enters the exchange hash.
pub(super) fn identification(software: &SoftwareVersion) -> String {
    format!("SSH-2.0-{}", software.as_str())
}

/// Looks for the peer's identification.
pub(super) struct Scanner {
    /// A server may send other lines first, a client may not.
    preamble_allowed: bool,
    preamble: usize,
}

impl Scanner {
    pub(super) const fn new(peer_is_server: bool) -> Self {
        Self { preamble_allowed: peer_is_server, preamble: 0 }
    }

    /// Takes lines out of the buffer up to the identification, which is returned without CR LF.
    /// `None` while it is incomplete.
    pub(super) fn scan(&mut self, buffer: &mut Buffer) -> Result<Option<Vec<u8>>, TransportError> {
        loop {
            let queued = buffer.queued();
            let looks_like_ssh = queued.iter().zip(b"SSH-").all(|(a, b)| a == b);
            if !looks_like_ssh && !self.preamble_allowed {
                return Err(TransportError::Identification("it does not begin with SSH-"));
            }
            let limit = if looks_like_ssh { MAX_LINE } else { MAX_PREAMBLE - self.preamble };
            let within = &queued[..queued.len().min(limit)];
            let Some(newline) = within.iter().position(|&b| b == b'\n') else {
                if queued.len() < limit {
                    return Ok(None);
                }
                return Err(TransportError::Identification("line too long"));
            };
            let line = &queued[..newline];
            let identification = looks_like_ssh.then(|| line.strip_suffix(b"\r").unwrap_or(line).to_vec());
            buffer.consume(newline + 1);
            match identification {
                Some(line) => return check(&line).map(|()| Some(line)),
                None => self.preamble += newline + 1,
            }
        }
    }
}

fn check(line: &[u8]) -> Result<(), TransportError> {
    let version_2 = [&b"SSH-2.0-"[..], b"SSH-1.99-"].iter().find_map(|prefix| line.strip_prefix(*prefix));
    let software = version_2.ok_or(TransportError::Identification("protocol version is not 2.0"))?;
    if !software.iter().all(|b| matches!(b, b' '..=b'~')) {
        return Err(TransportError::Identification("bytes that are not printable ASCII"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds one byte at a time, so that every line is also seen incomplete.
    fn scan(bytes: &[u8], peer_is_server: bool) -> Result<Option<(Vec<u8>, usize)>, TransportError> {
        let mut buffer = Buffer::default();
        let mut scanner = Scanner::new(peer_is_server);
        for (i, &byte) in bytes.iter().enumerate() {
            buffer.space(1, usize::MAX)[0] = byte;
            buffer.commit(1);
            if let Some(line) = scanner.scan(&mut buffer)? {
                return Ok(Some((line, i + 1)));
            }
        }
        Ok(None)
    }

    #[test]
    fn lines_end_with_lf_or_crlf() {
        for line in ["SSH-2.0-a", "SSH-1.99-OpenSSH_3.4p1 Debian", "SSH-2.0-"] {
            for end in ["\n", "\r\n"] {
                let bytes = format!("{line}{end}");
                let found = scan(bytes.as_bytes(), false).unwrap().unwrap();
                assert_eq!(found, (line.as_bytes().to_vec(), bytes.len()));
            }
        }
    }

    #[test]
    fn other_peers_are_refused_as_early_as_possible() {
        for line in ["GET / HTTP/1.1\r\n", "\n", "\r\n", "ssh-2.0-a\n", "\x16\x03\x01", "SSX"] {
            assert!(
                matches!(scan(line.as_bytes(), false), Err(TransportError::Identification(_))),
                "{line:?}"
            );
        }
        for line in
            ["SSH-1.5-a\n", "SSH-2.0\n", "SSH-\n", "SSH-2.0-a\0b\n", "SSH-2.0-a\x1b[2J\n", "SSH-2.0-a\rb\n"]
        {
            for peer_is_server in [false, true] {
                let result = scan(line.as_bytes(), peer_is_server);
                assert!(matches!(result, Err(TransportError::Identification(_))), "{line:?}");
            }
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let fits = format!("SSH-2.0-{}\r\n", "x".repeat(245));
        assert_eq!(fits.len(), 255);
        assert!(scan(fits.as_bytes(), false).unwrap().is_some());
        let too_long = format!("SSH-2.0-{}\r\n", "x".repeat(246));
        assert!(scan(too_long.as_bytes(), false).is_err());
        assert!(scan(&[b'x'; MAX_PREAMBLE + 1], true).is_err());
        assert!(scan(&[b'\n'; MAX_PREAMBLE + 1], true).is_err());
        assert!(scan("hello\n".repeat(10_000).as_bytes(), true).is_err());
    }

    #[test]
    fn servers_may_greet_first() {
        let found = scan(b"welcome\r\n\r\nSSX\nSSH-2.0-a\r\n", true).unwrap().unwrap();
        assert_eq!(found.0, b"SSH-2.0-a");
        assert!(scan(b"welcome\r\nSSH-2.0-a\r\n", false).is_err());
    }
}
