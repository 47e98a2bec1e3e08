//! Control sequences (ECMA-48), one character at a time.

/// What a character completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// A character to show.
    Print(char),
    /// A control character, C0 or C1.
    Execute(char),
    /// `ESC` and one character.
    Escape(char),
    /// G0 (false) or G1 (true) is line drawing (true) or not.
    Designate(bool, bool),
    /// `ESC [` …
    Csi { private: bool, params: Vec<u16>, last: char },
}

/// Most parameters that a sequence may have; more are ignored.
const MAX_PARAMS: usize = 16;
/// Longest string (a title, an image) that is skipped. A longer one is text that somebody wants to hide.
const MAX_STRING: usize = 64 << 10;

#[derive(Default)]
enum State {
    #[default]
    Ground,
    Escape,
    /// `ESC` and an intermediate character.
    Intermediate(char),
    Csi(Csi),
    /// Skips OSC, DCS, SOS, PM and APC up to their end.
    String(usize),
}

#[derive(Default)]
struct Csi {
    private: bool,
    intermediate: bool,
    params: Vec<u16>,
}

#[derive(Default)]
pub(super) struct Parser {
    state: State,
}

impl Parser {
    pub(super) fn next(&mut self, c: char) -> Option<Control> {
        match c {
            '\x1b' => {
                self.state = State::Escape;
                return None;
            }
            '\x18' | '\x1a' => {
                self.state = State::Ground;
                return None;
            }
            '\u{9b}' => {
                self.state = State::Csi(Csi::default());
                return None;
            }
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => {
                self.state = State::String(0);
                return None;
            }
            '\u{80}'..='\u{9c}' => {
                self.state = State::Ground;
                return Some(Control::Execute(c));
            }
            _ => {}
        }
        match std::mem::take(&mut self.state) {
            State::Ground if c.is_ascii_control() => Some(Control::Execute(c)),
            State::Ground => Some(Control::Print(c)),
            State::String(length) => {
                if c != '\x07' && length < MAX_STRING {
                    self.state = State::String(length + 1);
                }
                None
            }
            state if c.is_ascii_control() => {
                // A control character inside a sequence acts at once (ECMA-48, VT100).
                self.state = state;
                Some(Control::Execute(c))
            }
            State::Escape => self.escape(c),
            State::Intermediate(of) => match (of, c) {
                (_, ' '..='/') => {
                    self.state = State::Intermediate(of);
                    None
                }
                ('(', _) => Some(Control::Designate(false, c == '0')),
                (')', _) => Some(Control::Designate(true, c == '0')),
                _ => None,
            },
            State::Csi(csi) => self.csi(csi, c),
        }
    }

    fn escape(&mut self, c: char) -> Option<Control> {
        match c {
            '[' => self.state = State::Csi(Csi::default()),
            ']' | 'P' | 'X' | '^' | '_' => self.state = State::String(0),
            ' '..='/' => self.state = State::Intermediate(c),
            _ => return Some(Control::Escape(c)),
        }
        None
    }

    fn csi(&mut self, mut csi: Csi, c: char) -> Option<Control> {
        match c {
            '0'..='9' => {
                if csi.params.is_empty() {
                    csi.params.push(0);
                }
                if let Some(last) = csi.params.last_mut() {
                    *last = last.saturating_mul(10).saturating_add(c as u16 - u16::from(b'0'));
                }
            }
            ';' | ':' => {
                if csi.params.is_empty() {
                    csi.params.push(0);
                }
                if csi.params.len() < MAX_PARAMS {
                    csi.params.push(0);
                }
            }
            '<'..='?' => csi.private = true,
            ' '..='/' => csi.intermediate = true,
            // Sequences with intermediates (cursor shapes, soft resets) draw nothing.
            '@'..='~' if csi.intermediate => return None,
            '@'..='~' => return Some(Control::Csi { private: csi.private, params: csi.params, last: c }),
            _ => return Some(Control::Print(c)),
        }
        self.state = State::Csi(csi);
        None
    }
}
