//! The format of channels without a terminal: exact bytes in both directions, with times.
//!
//! ```text
//! file    = header *record                 (cut into zstd frames; a record never spans two)
//! header  = JSON object, one line: {"bartizan":"bytes","version":1,"session":…,"channel":…,"kind":…,…}
//! record  = tag time [length content]
//! tag     = 'T'  absolute time: the frame's first record (in the first frame, after the header)
//!         | 'I'  client to target
//!         | 'O'  target to client, standard output
//!         | 'E'  target to client, standard error and other extended data
//!         | 'M'  a remark of the proxy, UTF-8
//!         | 'C'  the cap is reached: from here on only lengths and digests, which are in the manifest
//! time    = varint, microseconds: for 'T' since the session started, else since the record before
//! length  = varint, bytes of content; only with I, O, E, M
//! varint  = 7 bits a byte, least significant first, the high bit says that more follow
//! ```

use crate::Stream;

/// What one record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    Data(Stream, &'a [u8]),
    Marker(&'a [u8]),
    Capped,
}

/// Most bytes that a record takes besides its content.
pub(crate) const MAX_OVERHEAD: usize = 1 + 10 + 5;

pub(crate) fn time_into(out: &mut Vec<u8>, micros: u64) {
    out.push(b'T');
    varint_into(out, micros);
}

pub(crate) fn record_into(out: &mut Vec<u8>, since_last: u64, record: Record<'_>) {
    let (tag, content) = match record {
        Record::Data(Stream::Input, bytes) => (b'I', bytes),
        Record::Data(Stream::Output, bytes) => (b'O', bytes),
        Record::Data(Stream::Error, bytes) => (b'E', bytes),
        Record::Marker(text) => (b'M', text),
        Record::Capped => {
            out.push(b'C');
            return varint_into(out, since_last);
        }
    };
    out.push(tag);
    varint_into(out, since_last);
    varint_into(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn varint_into(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Reads the records of one frame, without the header.
#[derive(Clone, Debug)]
pub(crate) struct Records<'a> {
    rest: &'a [u8],
    micros: u64,
}

/// A frame that does not hold to the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl<'a> Records<'a> {
    pub(crate) fn new(frame: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = frame.strip_prefix(b"T").ok_or(Malformed)?;
        let micros = varint(&mut rest).ok_or(Malformed)?;
        Ok(Self { rest, micros })
    }

    fn read(&mut self) -> Option<(u64, Record<'a>)> {
        let (&tag, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.micros = self.micros.checked_add(varint(&mut self.rest)?)?;
        if tag == b'C' {
            return Some((self.micros, Record::Capped));
        }
        let length = usize::try_from(varint(&mut self.rest)?).ok()?;
        let (content, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        let record = match tag {
            b'I' => Record::Data(Stream::Input, content),
            b'O' => Record::Data(Stream::Output, content),
            b'E' => Record::Data(Stream::Error, content),
            b'M' => Record::Marker(content),
            _ => return None,
        };
        Some((self.micros, record))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(u64, Record<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = self.read();
        if record.is_none() {
            self.rest = &[];
        }
        Some(record.ok_or(Malformed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream() -> impl Strategy<Value = Stream> {
        prop_oneof![Just(Stream::Input), Just(Stream::Output), Just(Stream::Error)]
    }

    proptest! {
        #[test]
        fn records_come_back(start: u64, records in prop::collection::vec((0..1_u64 << 40, stream(), prop::collection::vec(any::<u8>(), 0..200)), 0..20)) {
            let start = start >> 1;
            let mut frame = Vec::new();
            time_into(&mut frame, start);
            for (delta, stream, bytes) in &records {
                record_into(&mut frame, *delta, Record::Data(*stream, bytes));
            }
            record_into(&mut frame, 1, Record::Capped);
            let mut micros = start;
            let mut back = Records::new(&frame).unwrap();
            prop_assert_eq!(back.micros, start);
            for (delta, stream, bytes) in &records {
                micros += delta;
                prop_assert_eq!(back.next(), Some(Ok((micros, Record::Data(*stream, bytes)))));
            }
            prop_assert_eq!(back.next(), Some(Ok((micros + 1, Record::Capped))));
            prop_assert_eq!(back.next(), None);
        }

        #[test]
        fn anything_can_be_read_and_ends(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut frame = b"T\0".to_vec();
            frame.extend_from_slice(&bytes);
            prop_assert!(Records::new(&frame).unwrap().count() <= bytes.len());
        }
    }

    #[test]
    fn a_malformed_record_is_said_once() {
        for frame in [
            &b"T\0X\0\0"[..],
            b"T\0O\0\x05abc",
            b"T\0O",
            b"T\0O\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0",
        ] {
            let records: Vec<_> = Records::new(frame).unwrap().collect();
            assert_eq!(records, [Err(Malformed)]);
        }
        assert!(Records::new(b"").is_err());
        assert!(Records::new(b"O\0\0").is_err());
    }
}
