//! Data that the host changes on their way: requests of a client that are answered in place, answers of a target that
//! are replaced.
//!
//! Windows stay exact. Bytes of an end that do not go on are credited back to it. Bytes that we add for the client come
//! out of the reserve, and beyond it out of what the target may still send: what the client's window then has no
//! room for waits here, in order, and the client's next adjustments pay for it before the target gets any. So what
//! waits is never longer than what we added. A client that has closed adjusts no more: what would wait is dropped then.
//!
//! ```text
//!   client's window  =  target may send (window)  +  kept  +  backlog
//!   we add n bytes:   kept − n, backlog + n        the client adjusts:  kept is filled up first
//! ```

use super::super::progress::Progress;
use super::channel::Channel;
use super::ending::{Farewell, data_message, sever};
use super::flow::{close_end, credit_back};
use super::host::{DataEdit, Output, RelayHost, Side};
use crate::connection::DataKind;
use crate::wire::connection::Message;

/// Most bytes that we add without the client allowing for them. A client that asks for so many answers and reads none
/// is no client.
const MAX_OWED: i64 = 256 * 1024;

/// Passes on what the host made of a chunk of `length` bytes.
pub(super) fn edited(
    channel: &mut Channel,
    from: Side,
    length: u32,
    edit: &DataEdit,
    host: &mut impl RelayHost,
    out: &mut impl Output,
) {
    let sender = &mut channel.ends[from];
    sender.kept += i64::from(length) - edit.onward.len() as i64;
    channel.totals.passed[from] += edit.onward.len() as u64;
    channel.totals.withheld += u64::from(length).saturating_sub(edit.onward.len() as u64);
    if !edit.onward.is_empty() {
        host.data(channel.key, from, DataKind::Data, &edit.onward);
        match from {
            Side::Client => to_target(channel, &edit.onward, out),
            Side::Target => wait(channel, DataKind::Data, &edit.onward, out),
        }
    }
    // After its EOF the target has no more to say, and so have we in its place.
    if !edit.back.is_empty() && channel.ends.target.sent == Progress::Open {
        host.data(channel.key, Side::Target, DataKind::Data, &edit.back);
        channel.totals.injected += edit.back.len() as u64;
        channel.ends.target.kept -= edit.back.len() as i64;
        wait(channel, DataKind::Data, &edit.back, out);
    }
    if channel.ends.target.kept < -MAX_OWED {
        end(channel, "bartizan: more answers than the client reads", host, out);
        return;
    }
    credit_back(&mut channel.ends[from], from, out);
}

/// Ends a channel with a text for the person.
pub(super) fn end(channel: &mut Channel, text: &str, host: &mut impl RelayHost, out: &mut impl Output) {
    sever(channel, &Farewell::terminating(text), host, out);
}

/// True while data of the target must not go to the client at once.
pub(super) fn must_wait(channel: &Channel) -> bool {
    let target = &channel.ends.target;
    channel.backlog.length > 0 || i64::from(target.window) + target.kept < 0
}

fn to_target(channel: &Channel, bytes: &[u8], out: &mut impl Output) {
    let end = &channel.ends.target;
    let Some(recipient_channel) = end.number else { return };
    for data in bytes.chunks(end.maximum_packet.max(1) as usize) {
        out.to(Side::Target, &Message::Data { recipient_channel, data }.to_payload());
    }
}

/// Sends data to the client, behind what waits. After its CLOSE nothing may wait: it allows no more, and what comes
/// behind would wait for ever.
pub(super) fn wait(channel: &mut Channel, kind: DataKind, bytes: &[u8], out: &mut impl Output) {
    if channel.ends.client.sent == Progress::Closed {
        return;
    }
    let backlog = &mut channel.backlog;
    backlog.length += bytes.len();
    match backlog.chunks.back_mut() {
        Some((last, chunk)) if *last == kind => chunk.extend_from_slice(bytes),
        _ if bytes.is_empty() => {}
        _ => backlog.chunks.push_back((kind, bytes.to_vec())),
    }
    flush(channel, out);
}

/// Sends the client as much of what waits as its window has room for.
pub(super) fn flush(channel: &mut Channel, out: &mut impl Output) {
    let (client, target, backlog) = (&channel.ends.client, &channel.ends.target, &mut channel.backlog);
    let room = i64::from(target.window) + target.kept + backlog.length as i64;
    let mut room = usize::try_from(room).unwrap_or(0);
    let number = client.number.filter(|_| client.told < Progress::Closed);
    let most = client.maximum_packet.max(1) as usize;
    while let Some((kind, chunk)) = backlog.chunks.front_mut().filter(|_| room > 0) {
        let fitting = chunk.len().min(room);
        // Cut off once for all its packets, which may be of one byte.
        if let Some(recipient_channel) = number {
            for data in chunk[..fitting].chunks(most) {
                out.to(Side::Client, &data_message(recipient_channel, *kind, data).to_payload());
            }
        }
        (room, backlog.length) = (room - fitting, backlog.length - fitting);
        if fitting == chunk.len() {
            backlog.chunks.pop_front();
        } else {
            chunk.drain(..fitting);
        }
    }
    release(channel, out);
}

/// Says the EOF and CLOSE of the target that waited, once nothing waits before them.
pub(super) fn release(channel: &mut Channel, out: &mut impl Output) {
    if channel.backlog.length > 0 {
        return;
    }
    let client = &mut channel.ends.client;
    if std::mem::take(&mut channel.backlog.eof) && client.told == Progress::Open {
        client.told = Progress::Eof;
        if let Some(recipient_channel) = client.number {
            out.to(Side::Client, &Message::Eof { recipient_channel }.to_payload());
        }
    }
    if std::mem::take(&mut channel.backlog.close) && client.told < Progress::Closed {
        close_end(channel, Side::Client, out);
    }
}
