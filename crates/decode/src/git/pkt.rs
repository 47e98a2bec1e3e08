//! Cutting packets out of a stream (gitprotocol-common, *pkt-line*).

use bartizan_model::escape;

use crate::head::Head;

/// One packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pkt<'a> {
    /// `0000`, `0001` or `0002`: ends a list.
    Flush,
    /// Anything else, without its length.
    Line(&'a [u8]),
}

/// Cuts one direction into packets, until it is raw.
pub(super) struct Packets {
    head: Head,
    start: u64,
    end: u64,
    raw: bool,
    raw_bytes: u64,
}

impl Packets {
    pub(super) fn new() -> Self {
        Self { head: Head::default(), start: 0, end: 0, raw: false, raw_bytes: 0 }
    }

    /// How many bytes of the stream came before the packet that was read last.
    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// From here on there are no packets, if `raw`.
    pub(super) const fn raw(&mut self, raw: bool) {
        self.raw = raw;
    }

    pub(super) const fn is_raw(&self) -> bool {
        self.raw
    }

    /// How many bytes came after the last packet.
    pub(super) const fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    /// The next packet; none when it needs more, or when what comes is raw.
    pub(super) fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Result<Option<Pkt<'s>>, String> {
        if self.raw {
            self.raw_bytes += input.len() as u64;
            *input = &[];
            return Ok(None);
        }
        self.start = self.end;
        let Some(length) = self.head.peek(input, 4).map(length) else { return Ok(None) };
        let length = length?;
        if self.head.peek(input, length).is_none() {
            return Ok(None);
        }
        self.end = self.start + length as u64;
        let packet = self.head.take(input, length);
        Ok(Some(match packet {
            [_, _, _, _] if length_field(packet) < 4 => Pkt::Flush,
            packet => Pkt::Line(&packet[4..]),
        }))
    }
}

fn length_field(packet: &[u8]) -> usize {
    let digits = packet.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| usize::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

/// The whole packet's length, by its four digits.
fn length(head: &[u8]) -> Result<usize, String> {
    match head.iter().all(u8::is_ascii_hexdigit) {
        true => Ok(length_field(head).max(4)),
        false => Err(format!("not a packet of git: {}", escape(head))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_whole_however_they_are_cut() {
        let stream = b"0006a\n0000000100040005bPACK";
        for size in 1..stream.len() {
            let (mut packets, mut found) = (Packets::new(), Vec::new());
            for chunk in stream.chunks(size) {
                let mut chunk = chunk;
                loop {
                    match packets.next(&mut chunk) {
                        Ok(Some(Pkt::Line(line))) => found.push(line.to_vec()),
                        Ok(Some(Pkt::Flush)) => found.push(b"flush".to_vec()),
                        Ok(None) => break,
                        Err(error) => {
                            found.push(error.into_bytes());
                            break;
                        }
                    }
                }
                if found.len() == 6 {
                    break;
                }
            }
            let expected: [&[u8]; 6] = [b"a\n", b"flush", b"flush", b"", b"b", b"not a packet of git: PACK"];
            assert_eq!(found, expected, "chunks of {size}");
            assert_eq!(packets.start(), 23);
        }
    }
}
