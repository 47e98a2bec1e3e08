//! The data types of RFC 4251 §5: a cursor that reads them and a trait that writes them.

use std::fmt;

/// A message or field that does not parse; says which field, never its contents.
///
/// Whose fault: the peer's. The connection ends with `SSH_DISCONNECT_PROTOCOL_ERROR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what}")]
pub struct Malformed {
    /// The field or message that did not parse, as the RFC names it.
    pub what: &'static str,
}

impl Malformed {
    /// Names the field that did not parse.
    pub const fn new(what: &'static str) -> Self {
        Self { what }
    }
}

/// A cursor over a packet's payload; every read checks what is left first.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// True when every byte was read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes the next `n` bytes as they are.
    ///
    /// # Errors
    /// `what` when fewer are left.
    pub fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or(Malformed::new(what))?;
        self.rest = tail;
        Ok(head)
    }

    /// `byte`.
    ///
    /// # Errors
    /// `what` when nothing is left.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        let (&first, tail) = self.rest.split_first().ok_or(Malformed::new(what))?;
        self.rest = tail;
        Ok(first)
    }

    /// `boolean`: any value but 0 is true (RFC 4251 §5).
    ///
    /// # Errors
    /// `what` when nothing is left.
    pub fn bool(&mut self, what: &'static str) -> Result<bool, Malformed> {
        Ok(self.u8(what)? != 0)
    }

    /// `uint32`.
    ///
    /// # Errors
    /// `what` when fewer than four bytes are left.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        let (head, tail) = self.rest.split_first_chunk::<4>().ok_or(Malformed::new(what))?;
        self.rest = tail;
        Ok(u32::from_be_bytes(*head))
    }

    /// `uint64`.
    ///
    /// # Errors
    /// `what` when fewer than eight bytes are left.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let (head, tail) = self.rest.split_first_chunk::<8>().ok_or(Malformed::new(what))?;
        self.rest = tail;
        Ok(u64::from_be_bytes(*head))
    }

    /// `string`: a length and as many bytes, which need not be text.
    ///
    /// # Errors
    /// `what` when the length exceeds what is left.
    pub fn string(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let len = self.u32(what)?;
        self.take(usize::try_from(len).map_err(|_| Malformed::new(what))?, what)
    }

    /// `string` that the RFC defines as UTF-8 or ASCII text.
    ///
    /// # Errors
    /// `what` when it is too long or not UTF-8.
    pub fn text(&mut self, what: &'static str) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.string(what)?).map_err(|_| Malformed::new(what))
    }

    /// `name-list`: names separated by commas (RFC 4251 §5), US-ASCII, checked once here.
    ///
    /// # Errors
    /// `what` when it is too long or not printable ASCII.
    pub fn name_list(&mut self, what: &'static str) -> Result<NameList<'a>, Malformed> {
        NameList::parse(self.string(what)?).ok_or(Malformed::new(what))
    }

    /// `mpint` that is not negative, as its minimal big-endian magnitude (no leading zero; zero is empty).
    ///
    /// # Errors
    /// `what` when negative, or with needless leading zeros (RFC 4251 §5 forbids them).
    pub fn mpint(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let bytes = self.string(what)?;
        match bytes {
            [] => Ok(bytes),
            [0, next, ..] if next & 0x80 != 0 => Ok(&bytes[1..]),
            [first, ..] if *first != 0 && first & 0x80 == 0 => Ok(bytes),
            _ => Err(Malformed::new(what)),
        }
    }

    /// Ends the message: nothing may follow.
    ///
    /// # Errors
    /// `what` when bytes are left.
    pub fn end(self, what: &'static str) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::new(what)) }
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payloads hold passwords and other people's bytes: lengths only.
        write!(f, "Reader({} bytes left)", self.rest.len())
    }
}

/// A `name-list` whose bytes were checked: printable ASCII.
///
/// Empty names and spaces around names, which RFC 4251 §5 forbids, are passed over: lists are only searched, and some peers send
/// a comma or a space too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameList<'a>(&'a str);

impl<'a> NameList<'a> {
    /// Checks the contents of a `name-list` string.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        text.bytes().all(|b| b.is_ascii_graphic() || b == b' ').then_some(Self(text))
    }

    /// The names, in the sender's order of preference.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        self.0.split(',').map(|name| name.trim_matches(' ')).filter(|name| !name.is_empty())
    }

    /// True when `name` is one of the names.
    pub fn contains(self, name: &str) -> bool {
        self.iter().any(|n| n == name)
    }

    /// The list as it stands on the wire.
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

/// Appends the data types of RFC 4251 §5 to a buffer.
///
/// Lengths above `u32::MAX` cannot be sent; callers' inputs are bounded far below by the packet size.
pub trait Writer {
    /// Appends bytes as they are.
    fn put(&mut self, bytes: &[u8]);

    /// `byte`.
    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    /// `boolean`.
    fn put_bool(&mut self, value: bool) {
        self.put(&[u8::from(value)]);
    }

    /// `uint32`.
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    /// `uint64`.
    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_be_bytes());
    }

    /// `string`.
    fn put_string(&mut self, bytes: &[u8]) {
        debug_assert!(u32::try_from(bytes.len()).is_ok(), "an SSH string is at most 4 GiB");
        self.put_u32(bytes.len() as u32);
        self.put(bytes);
    }

    /// `name-list`.
    fn put_name_list<'n>(&mut self, names: impl IntoIterator<Item = &'n str>)
    where
        Self: Sized,
    {
        let joined = names.into_iter().collect::<Vec<_>>().join(",");
        self.put_string(joined.as_bytes());
    }

    /// `mpint` of a non-negative big-endian magnitude; leading zeros are dropped.
    fn put_mpint(&mut self, magnitude: &[u8]) {
        let start = magnitude.iter().position(|&b| b != 0).unwrap_or(magnitude.len());
        let digits = &magnitude[start..];
        let sign_byte = digits.first().is_some_and(|b| b & 0x80 != 0);
        self.put_u32((digits.len() + usize::from(sign_byte)) as u32);
        if sign_byte {
            self.put_u8(0);
        }
        self.put(digits);
    }
}

impl Writer for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mpint_follows_the_examples_of_rfc_4251() {
        for (magnitude, wire) in [
            (&[][..], &[0, 0, 0, 0][..]),
            (&[0x09, 0xa3, 0x78], &[0, 0, 0, 3, 0x09, 0xa3, 0x78]),
            (&[0x80], &[0, 0, 0, 2, 0, 0x80]),
        ] {
            let mut out = Vec::new();
            out.put_mpint(magnitude);
            assert_eq!(out, wire);
            assert_eq!(Reader::new(wire).mpint("x").unwrap(), magnitude);
        }
        for refused in [&[0, 0, 0, 1, 0x80][..], &[0, 0, 0, 2, 0, 1], &[0, 0, 0, 1, 0], &[0, 0, 0, 9, 1]] {
            assert!(Reader::new(refused).mpint("x").is_err(), "{refused:?}");
        }
    }

    #[test]
    fn a_length_beyond_the_packet_is_refused_before_it_is_used() {
        for len in [1u32, 35_000, u32::MAX] {
            assert!(Reader::new(&len.to_be_bytes()).string("x").is_err());
        }
    }

    #[test]
    fn name_lists_pass_over_empty_names_and_refuse_control_bytes() {
        for none in [&b""[..], b",", b" ", b" , "] {
            assert_eq!(NameList::parse(none).unwrap().iter().count(), 0);
        }
        for two in [&b"a,b"[..], b"a,,b", b"a,b,", b",a,b", b"a, b", b" a ,b "] {
            assert_eq!(NameList::parse(two).unwrap().iter().collect::<Vec<_>>(), ["a", "b"]);
        }
        assert!(NameList::parse(b"a b").unwrap().contains("a b"), "one name, which nobody knows");
        for refused in [&b"a\n"[..], b"a,\tb", b"a\0", b"\xff"] {
            assert!(NameList::parse(refused).is_none(), "{refused:?}");
        }
    }
}
