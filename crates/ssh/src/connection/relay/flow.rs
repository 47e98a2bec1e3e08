//! Data, windows, EOF and CLOSE.

use super::super::progress::Progress;
use super::channel::{Channel, End};
use super::edit::{edited, end, flush, must_wait, release, wait};
use super::host::{DataEdit, DataVerdict, Output, RelayHost, Side};
use super::{ConnectionError, Relay};
use crate::connection::DataKind;
use crate::wire::connection::Message;

/// A data message, taken apart.
pub(super) struct Chunk<'a> {
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) kind: DataKind,
    pub(super) data: &'a [u8],
}

impl Relay {
    /// The data path: one look-up, counters, the host, the other transport.
    pub(super) fn data(
        &mut self,
        from: Side,
        chunk: &Chunk<'_>,
        payload: &[u8],
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        let channel = self.channels.named_by(from, chunk.number, chunk.name)?;
        channel.ends[from].sent.check_data(chunk.name)?;
        let length = chunk.data.len() as u32;
        let maximum = channel.ends[from.other()].maximum_packet;
        if length > maximum {
            return Err(ConnectionError::PacketTooLong { length, maximum });
        }
        let sender = &mut channel.ends[from];
        let window = sender.window;
        sender.window =
            window.checked_sub(length).ok_or(ConnectionError::WindowExceeded { length, window })?;
        if channel.severed {
            return Ok(());
        }
        // Servers drop what is no plain data of a client's: passed on, it would be evidence of what nothing ever read.
        let unread = channel.withholds_from_target() || chunk.kind != DataKind::Data;
        if from == Side::Client && unread {
            withhold(channel, length, out);
            return Ok(());
        }
        if channel.is_session() && !passes_unchanged(channel, from, chunk, host, out) {
            return Ok(());
        }
        channel.totals.passed[from] += u64::from(length);
        host.data(channel.key, from, chunk.kind, chunk.data);
        if from == Side::Target && must_wait(channel) {
            wait(channel, chunk.kind, chunk.data, out);
        } else {
            out.to(from.other(), payload);
        }
        // What was kept before must not be all that is left to an end.
        credit_back(&mut channel.ends[from], from, out);
        Ok(())
    }

    pub(super) fn window_adjust(
        &mut self,
        from: Side,
        number: u32,
        bytes_to_add: u32,
        payload: &[u8],
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        // For a channel that it has closed, a late adjustment means nothing, and some servers send one;
        // OpenSSH ignores it likewise.
        let Ok(channel) = self.channels.named_by(from, number, "CHANNEL_WINDOW_ADJUST") else {
            return Ok(());
        };
        if channel.ends[from].sent == Progress::Closed {
            return Ok(());
        }
        channel.ends[from].sent.check_live("CHANNEL_WINDOW_ADJUST")?;
        let sender = &mut channel.ends[from.other()];
        let waiting = if from == Side::Client { channel.backlog.length as i64 } else { 0 };
        let granted = i64::from(sender.window) + sender.kept + waiting + i64::from(bytes_to_add);
        if granted > i64::from(u32::MAX) {
            return Err(ConnectionError::WindowOverflow { bytes_to_add });
        }
        // What we injected came out of the reserve: fill it up before the sender gets more.
        let refill = (i64::from(sender.reserve) - sender.kept).clamp(0, i64::from(bytes_to_add)) as u32;
        let passed = bytes_to_add - refill;
        sender.kept += i64::from(refill);
        sender.window += passed;
        if channel.severed {
            return Ok(());
        }
        if refill == 0 {
            out.to(from.other(), payload);
        } else {
            credit(sender, passed, from.other(), out);
        }
        if from == Side::Client && waiting > 0 {
            flush(channel, out);
            self.settle(number, from, host);
        }
        Ok(())
    }

    pub(super) fn eof(
        &mut self,
        from: Side,
        number: u32,
        payload: &[u8],
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        let channel = self.channels.named_by(from, number, "CHANNEL_EOF")?;
        channel.ends[from].sent.check_live("CHANNEL_EOF")?;
        // A second EOF says nothing new; some clients send one when asked twice to shut down.
        if channel.ends[from].sent == Progress::Eof {
            return Ok(());
        }
        channel.ends[from].sent = Progress::Eof;
        if channel.severed {
            return Ok(());
        }
        if from == Side::Client && channel.withholds_from_target() {
            channel.eof_withheld = true;
            return Ok(());
        }
        host.eof(channel.key, from);
        if from == Side::Target && channel.backlog.length > 0 {
            channel.backlog.eof = true;
            return Ok(());
        }
        channel.ends[from.other()].told = Progress::Eof;
        out.to(from.other(), payload);
        Ok(())
    }

    pub(super) fn close(
        &mut self,
        from: Side,
        number: u32,
        payload: &[u8],
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        let channel = self.channels.named_by(from, number, "CHANNEL_CLOSE")?;
        channel.ends[from].sent.check_live("CHANNEL_CLOSE")?;
        channel.ends[from].sent = Progress::Closed;
        if channel.severed {
            // Ended without CLOSE, as a channel of a lost target may be.
            if channel.ends[from].told < Progress::Closed {
                close_end(channel, from, out);
            }
        } else {
            host.close(channel.key, from);
            if from == Side::Client {
                // Nobody takes what waits, and a CLOSE that waited behind it is due.
                channel.backlog.chunks.clear();
                channel.backlog.length = 0;
                release(channel, out);
            }
            if from == Side::Target && channel.backlog.length > 0 {
                channel.backlog.close = true;
            } else {
                channel.ends[from.other()].told = Progress::Closed;
                out.to(from.other(), payload);
            }
        }
        self.settle(number, from, host);
        Ok(())
    }

    /// Forgets a channel that both ends are done with; `from` knows it by the number.
    fn settle(&mut self, number: u32, from: Side, host: &mut impl RelayHost) {
        let Some(channel) = self.channels.by_number(from.other(), number).filter(|channel| channel.done())
        else {
            return;
        };
        let (key, severed, totals) = (channel.key, channel.severed, channel.totals);
        self.channels.remove(key);
        if !severed {
            host.closed(key, totals);
        }
    }
}

/// Asks the host about data of a session; false when it wanted something else done, and that was done.
fn passes_unchanged(
    channel: &mut Channel,
    from: Side,
    chunk: &Chunk<'_>,
    host: &mut impl RelayHost,
    out: &mut impl Output,
) -> bool {
    let mut edit = DataEdit::default();
    let verdict = host.edit_data(channel.key, from, chunk.kind, chunk.data, &mut edit);
    if chunk.kind == DataKind::Data {
        channel.ends[from].held = edit.held;
    } else {
        edit = DataEdit::default();
    }
    match verdict {
        DataVerdict::Pass => return true,
        DataVerdict::Replace => edited(channel, from, chunk.data.len() as u32, &edit, host, out),
        DataVerdict::End { text } => end(channel, &text, host, out),
    }
    false
}

/// Sends `CHANNEL_CLOSE` to an end.
pub(super) fn close_end(channel: &mut Channel, side: Side, out: &mut impl Output) {
    let end = &mut channel.ends[side];
    end.told = Progress::Closed;
    if let Some(recipient_channel) = end.number {
        out.to(side, &Message::Close { recipient_channel }.to_payload());
    }
}

/// Drops data of the client and credits them back, some packets at a time.
fn withhold(channel: &mut Channel, length: u32, out: &mut impl Output) {
    channel.totals.withheld += u64::from(length);
    let client = &mut channel.ends.client;
    client.kept += i64::from(length);
    credit_back(client, Side::Client, out);
}

/// Gives back to an end what we kept of its window, but for what the host still holds, when it is worth a message.
///
/// Often enough that the end never waits, seldom enough that one-byte packets cost little.
pub(super) fn credit_back(end: &mut End, side: Side, out: &mut impl Output) {
    let due = u32::try_from(end.kept - end.held as i64 - i64::from(end.reserve)).unwrap_or(0);
    if due >= 32 * 1024 || due >= end.window {
        end.window += due;
        end.kept -= i64::from(due);
        if end.told < Progress::Closed {
            credit(end, due, side, out);
        }
    }
}

/// Sends `WINDOW_ADJUST` to an end.
pub(super) fn credit(end: &End, bytes_to_add: u32, side: Side, out: &mut impl Output) {
    if let Some(recipient_channel) = end.number.filter(|_| bytes_to_add > 0) {
        out.to(side, &Message::WindowAdjust { recipient_channel, bytes_to_add }.to_payload());
    }
}
