//! What we say ourselves: text into a channel, and the end of one or all of them.

use super::super::progress::Progress;
use super::channel::{Backlog, Channel};
use super::flow::close_end;
use super::host::{GlobalVerdict, Output, RelayHost, Side};
use super::open::send_failure;
use super::{Held, Relay};
use crate::connection::{ChannelKey, DataKind};
use crate::wire::connection::{ChannelRequest, ExitSignal, Message, OpenFailureReason, RequestType, Signal};

/// How a channel that we end takes its leave.
pub(super) struct Farewell<'a> {
    /// For the person, on the terminal or standard error; may be empty.
    text: &'a str,
    /// Why, in the `exit-signal` and to an opener that still waits.
    description: &'a str,
    /// To an opener that still waits.
    reason: OpenFailureReason,
    /// The target is gone.
    target_lost: bool,
}

impl<'a> Farewell<'a> {
    /// Refuses a channel in the place of the other end.
    pub(super) const fn refusing(reason: OpenFailureReason, description: &'a str) -> Self {
        Self { text: "", description, reason, target_lost: false }
    }

    /// After a program was refused and nobody asked for a reply.
    pub(super) const fn refused_program() -> Self {
        Self::terminating("")
    }

    pub(super) const fn terminating(text: &'a str) -> Self {
        Self {
            text,
            description: text,
            reason: OpenFailureReason::ADMINISTRATIVELY_PROHIBITED,
            target_lost: false,
        }
    }
}

impl Relay {
    /// Puts bytes into a client's session channel, out of the reserve, and returns how many fitted.
    ///
    /// None fit after the target's EOF passed, before the channel is open, or in a channel that is no
    /// session of the client. The host does not hear them.
    pub fn inject(&mut self, key: ChannelKey, kind: DataKind, bytes: &[u8], out: &mut impl Output) -> usize {
        self.channels.by_key(key).map_or(0, |channel| put(channel, kind, bytes, out))
    }

    /// Ends one channel for both ends; in a client's session, `text` goes to the terminal if it has
    /// one, else to standard error. Returns false when there is no such channel any more.
    ///
    /// The client gets text, `exit-signal` (TERM), EOF and CLOSE, as far as they are still due; the target gets
    /// CLOSE. What either has in flight is dropped.
    pub fn terminate_channel(
        &mut self,
        key: ChannelKey,
        text: &str,
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) -> bool {
        let Some(channel) = self.channels.by_key(key).filter(|channel| !channel.severed) else {
            return false;
        };
        sever(channel, &Farewell::terminating(text), host, out);
        if channel.done() {
            self.channels.remove(key);
        }
        true
    }

    /// Ends every channel, as [`terminate_channel`](Self::terminate_channel) does, and refuses everything from now on.
    ///
    /// Held messages are settled; their end may be fed again.
    pub fn terminate(&mut self, text: &str, host: &mut impl RelayHost, out: &mut impl Output) {
        self.end_all(&Farewell::terminating(text), host, out);
    }

    /// Ends every channel because the target's connection is gone; the owner disconnects the client next.
    ///
    /// Nothing is said that could pass for success. A session that has not reported its exit gets
    /// `exit-signal` (HUP) and CLOSE, without EOF. A channel whose target had said EOF gets CLOSE. Any other gets
    /// nothing, since CLOSE alone would look like an orderly end of data that may be missing: the
    /// disconnection says it.
    pub fn lost_target(&mut self, host: &mut impl RelayHost, out: &mut impl Output) {
        self.target_lost = true;
        let farewell = Farewell {
            text: "",
            description: "the connection to the target was lost",
            reason: OpenFailureReason::CONNECT_FAILED,
            target_lost: true,
        };
        self.end_all(&farewell, host, &mut OnlyToClient(out));
        self.channels.iter_mut().for_each(|channel| channel.ends.target.finish());
        self.channels.remove_done();
    }

    fn end_all(&mut self, farewell: &Farewell<'_>, host: &mut impl RelayHost, out: &mut impl Output) {
        self.ended = true;
        self.channels.iter_mut().for_each(|channel| sever(channel, farewell, host, out));
        self.channels.remove_done();
        self.answer_waiting(out);
        for side in Side::BOTH {
            // Held opens and requests ended with their channels.
            if let Some(Held::Global { payload }) = self.held[side].take()
                && let Ok(Message::GlobalRequest(request)) = Message::parse(&payload)
            {
                self.decide_global(side, &request, GlobalVerdict::Refuse, &payload, out);
            }
        }
    }
}

/// Drops what is for a target that is gone.
struct OnlyToClient<'a, O>(&'a mut O);

impl<O: Output> Output for OnlyToClient<'_, O> {
    fn to(&mut self, side: Side, payload: &[u8]) {
        if side == Side::Client {
            self.0.to(side, payload);
        }
    }
}

/// Ends a channel from our side. The caller removes it when both ends are done.
pub(super) fn sever(
    channel: &mut Channel,
    farewell: &Farewell<'_>,
    host: &mut impl RelayHost,
    out: &mut impl Output,
) {
    if channel.severed {
        return;
    }
    channel.backlog = Backlog::default();
    let opened = channel.ends[channel.opener].told != Progress::Unopened;
    for side in Side::BOTH {
        let end = &channel.ends[side];
        match (end.told, end.sent) {
            (Progress::Closed, _) => {}
            (Progress::Unopened, _) => {
                if let Some(number) = end.number {
                    let Farewell { reason, description, .. } = *farewell;
                    send_failure(side, number, reason, description, out);
                }
                channel.ends[side].finish();
            }
            // Asked and not answered yet: closed as soon as it confirms.
            (_, Progress::Unopened) => {}
            (Progress::Open | Progress::Eof, _) => say_goodbye(channel, side, farewell, out),
        }
    }
    channel.severed = true;
    if opened {
        host.closed(channel.key, channel.totals);
    } else {
        host.channel_open_failed(channel.key, farewell.reason, farewell.description.as_bytes());
    }
}

fn say_goodbye(channel: &mut Channel, side: Side, farewell: &Farewell<'_>, out: &mut impl Output) {
    let Some(recipient_channel) = channel.ends[side].number else { return };
    if side == Side::Client {
        put_text(channel, farewell.text, out);
        let exit_unsaid = channel.programs > 0 && !channel.exit_seen;
        let told = channel.ends.client.told;
        if exit_unsaid {
            out.to(side, &exit_signal(recipient_channel, farewell).to_payload());
        } else if farewell.target_lost && told != Progress::Eof && channel.may_have_data() {
            return;
        }
        if told == Progress::Open && !farewell.target_lost {
            out.to(side, &Message::Eof { recipient_channel }.to_payload());
        }
    }
    close_end(channel, side, out);
}

fn exit_signal<'a>(recipient_channel: u32, farewell: &Farewell<'a>) -> Message<'a> {
    let signal = if farewell.target_lost { Signal::HUP } else { Signal::TERM };
    Message::ChannelRequest(ChannelRequest {
        recipient_channel,
        want_reply: false,
        request_type: RequestType::ExitSignal(ExitSignal {
            name: signal.name().as_bytes(),
            core_dumped: false,
            message: farewell.description.as_bytes(),
            language: b"",
        }),
    })
}

/// Tells the client how a program ended that never was.
pub(super) fn put_exit_status(channel: &Channel, status: u32, out: &mut impl Output) {
    let end = &channel.ends[Side::Client];
    if let Some(recipient_channel) = end.number.filter(|_| end.told < Progress::Closed) {
        let request_type = RequestType::ExitStatus { status };
        let request = ChannelRequest { recipient_channel, want_reply: false, request_type };
        out.to(Side::Client, &Message::ChannelRequest(request).to_payload());
    }
}

/// Shows text to the person at a client's session: on the terminal if there is one, else on standard error.
pub(super) fn put_text(channel: &mut Channel, text: &str, out: &mut impl Output) {
    if text.is_empty() {
        return;
    }
    let (kind, newline) = if channel.pty { (DataKind::Data, "\r\n") } else { (DataKind::STDERR, "\n") };
    let shown: String = text.lines().flat_map(|line| [line, newline]).collect();
    put(channel, kind, shown.as_bytes(), out);
}

/// Sends as much to the client as the reserve and the channel's state allow.
fn put(channel: &mut Channel, kind: DataKind, bytes: &[u8], out: &mut impl Output) -> usize {
    let client = &channel.ends.client;
    let able = channel.is_session()
        && !channel.severed
        && client.told == Progress::Open
        && client.sent != Progress::Closed
        && client.maximum_packet > 0;
    let Some(recipient_channel) = client.number.filter(|_| able) else { return 0 };
    let fitting = bytes.len().min(usize::try_from(channel.ends.target.kept).unwrap_or(0));
    for data in bytes[..fitting].chunks(client.maximum_packet as usize) {
        out.to(Side::Client, &data_message(recipient_channel, kind, data).to_payload());
    }
    channel.ends.target.kept -= fitting as i64;
    channel.totals.injected += fitting as u64;
    fitting
}

/// A message with data of either stream.
pub(super) const fn data_message(recipient_channel: u32, kind: DataKind, data: &[u8]) -> Message<'_> {
    match kind {
        DataKind::Data => Message::Data { recipient_channel, data },
        DataKind::Extended(data_type_code) => {
            Message::ExtendedData { recipient_channel, data_type_code, data }
        }
    }
}
