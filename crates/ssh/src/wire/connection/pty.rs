//! `pty-req` and the encoding of terminal modes (RFC 4254 §6.2 and §8).

use super::super::{Malformed, Reader, Writer};
use super::WindowSize;

/// The body of a `pty-req`.
///
/// Source: RFC 4254 §6.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PtyRequest<'a> {
    /// Value of `TERM`, in the peer's bytes.
    pub term: &'a [u8],
    /// Size of the terminal.
    pub size: WindowSize,
    /// Encoded terminal modes.
    pub modes: PtyModes<'a>,
}

impl<'a> PtyRequest<'a> {
    pub(super) fn parse(r: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            term: r.string("TERM environment variable value")?,
            size: WindowSize::parse(r)?,
            modes: PtyModes(r.string("encoded terminal modes")?),
        })
    }

    pub(super) fn write(&self, out: &mut impl Writer) {
        out.put_string(self.term);
        self.size.write(out);
        out.put_string(self.modes.0);
    }
}

/// Encoded terminal modes, kept as they came; [`PtyModes::iter`] reads them.
///
/// Source: RFC 4254 §8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PtyModes<'a>(pub &'a [u8]);

impl<'a> PtyModes<'a> {
    /// The modes in order, up to `TTY_OP_END`, an opcode that stops parsing (160–255), or the end of the bytes.
    ///
    /// ```
    /// use bartizan_ssh::wire::connection::{PtyMode, PtyModes};
    ///
    /// let modes = PtyModes(&[PtyMode::ECHO, 0, 0, 0, 1, 0]);
    /// assert_eq!(modes.value_of(PtyMode::ECHO), Some(1));
    /// assert_eq!(modes.iter().count(), 1);
    /// ```
    pub fn iter(self) -> impl Iterator<Item = PtyMode> + 'a {
        let mut rest = Reader::new(self.0);
        std::iter::from_fn(move || {
            let opcode = rest.u8("opcode").ok().filter(|opcode| (1..160).contains(opcode))?;
            Some(PtyMode { opcode, value: rest.u32("argument").ok()? })
        })
    }

    /// The argument of the last mode with this opcode, as a later one overrides an earlier one.
    pub fn value_of(self, opcode: u8) -> Option<u32> {
        self.iter().filter(|mode| mode.opcode == opcode).last().map(|mode| mode.value)
    }
}

/// One terminal mode: an opcode of 1–159 and its argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PtyMode {
    /// The opcode of RFC 4254 §8 (or RFC 8160 for `IUTF8`).
    pub opcode: u8,
    /// Its argument.
    pub value: u32,
}

impl PtyMode {
    /// Interrupt character.
    pub const VINTR: u8 = 1;
    /// The terminal handles text as UTF-8 (RFC 8160).
    pub const IUTF8: u8 = 42;
    /// Signals for INTR, QUIT and SUSP characters.
    pub const ISIG: u8 = 50;
    /// Input line by line.
    pub const ICANON: u8 = 51;
    /// Echo of what is typed.
    pub const ECHO: u8 = 53;
    /// Newline becomes CR-NL on output.
    pub const ONLCR: u8 = 72;
    /// Input speed in bits per second.
    pub const TTY_OP_ISPEED: u8 = 128;
    /// Output speed in bits per second.
    pub const TTY_OP_OSPEED: u8 = 129;
}
