//! The beginnings of packets, whole although they come in several chunks.

/// A buffer that grew beyond this is given back.
const KEPT: usize = 4 << 10;

/// Gives the next bytes of a stream in one piece: from the chunk itself where they are whole in it, else collected.
#[derive(Default)]
pub(crate) struct Head {
    buffer: Vec<u8>,
    /// What is in the buffer has been given.
    used: bool,
}

impl Head {
    /// The next `need` bytes, once they are there. Takes from `input` only what it must keep.
    pub(crate) fn peek<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8], need: usize) -> Option<&'s [u8]> {
        if std::mem::take(&mut self.used) {
            self.buffer.clear();
            self.buffer.shrink_to(KEPT);
        }
        if self.buffer.is_empty() && input.len() >= need {
            return input.get(..need);
        }
        let missing = need.saturating_sub(self.buffer.len());
        self.buffer.extend_from_slice(split(input, missing));
        self.buffer.get(..need)
    }

    /// Takes the bytes that [`peek`](Self::peek) has just shown.
    pub(crate) fn take<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8], need: usize) -> &'s [u8] {
        if self.buffer.is_empty() {
            return split(input, need);
        }
        self.used = true;
        &self.buffer
    }
}

/// Takes up to `most` bytes from the front.
pub(crate) fn split<'i>(input: &mut &'i [u8], most: usize) -> &'i [u8] {
    let (taken, left) = input.split_at(most.min(input.len()));
    *input = left;
    taken
}
