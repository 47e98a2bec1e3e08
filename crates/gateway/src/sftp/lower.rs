//! The version of a channel whose requests are not judged.

use bartizan_ssh::connection::relay::DataEdit;

use super::{Gated, VERSION, kind};

/// Where the version begins in a stream of SFTP: behind the first packet's length and type.
const VERSION_AT: usize = 5;

/// Asks the target for no newer version of SFTP than what is understood here, so that what passes can be told in events.
///
/// It changes bytes of a client's first packet in place, whatever the chunks are, holds nothing back and touches nothing else.
#[derive(Default)]
pub(crate) struct Lower {
    /// How many bytes have passed, up to the end of the version.
    at: usize,
    /// It is no SFTP: the first packet is of another type.
    other: bool,
    /// The version is larger than fits its last byte.
    large: bool,
}

impl Lower {
    /// Takes what the client sends.
    pub(crate) fn input(&mut self, bytes: &[u8], edit: &mut DataEdit) -> Gated {
        let mut changed = None;
        for (index, &byte) in bytes.iter().enumerate() {
            if self.other || self.at >= VERSION_AT + 4 {
                break;
            }
            let lowered = self.next(byte);
            if lowered != byte {
                changed.get_or_insert_with(|| bytes.to_vec())[index] = lowered;
            }
        }
        match changed {
            Some(changed) => {
                edit.onward = changed;
                Gated::Changed
            }
            None => Gated::Unchanged,
        }
    }

    fn next(&mut self, byte: u8) -> u8 {
        let at = self.at;
        self.at += 1;
        match at {
            4 => self.other = byte != kind::INIT,
            VERSION_AT..8 => {
                self.large |= byte != 0;
                return 0;
            }
            8 if self.large || u32::from(byte) > VERSION => return VERSION as u8,
            _ => {}
        }
        byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(stream: &[u8], chunk: usize) -> Vec<u8> {
        let mut lower = Lower::default();
        let mut onward = Vec::new();
        for chunk in stream.chunks(chunk) {
            let mut edit = DataEdit::default();
            match lower.input(chunk, &mut edit) {
                Gated::Unchanged => onward.extend(chunk),
                Gated::Changed => onward.extend(&edit.onward),
            }
            assert_eq!((edit.back.len(), edit.held), (0, 0));
        }
        onward
    }

    #[test]
    fn newer_versions_are_lowered_and_nothing_else() {
        let stream = |kind: u8, version: u32| {
            let rest = [6, 6, 6, 6, 6, 6, 6, 6, 6, 6];
            [&[0, 0, 0, 5, kind][..], &version.to_be_bytes(), &rest].concat()
        };
        for chunk in [1, 2, 5, 7, 100] {
            for (asked, passes) in
                [(0, 0), (1, 1), (3, 3), (4, 3), (6, 3), (256, 3), (u32::MAX, 3), (1 << 24, 3)]
            {
                assert_eq!(passed(&stream(1, asked), chunk), stream(1, passes), "{asked}");
            }
            assert_eq!(passed(&stream(3, 6), chunk), stream(3, 6), "no SFTP that begins as it must");
        }
    }
}
