//! Channel requests and their replies, in order.

use super::super::progress::Progress;
use super::channel::Channel;
use super::ending::{Farewell, put_exit_status, put_text, sever};
use super::host::{Output, RelayHost, RequestVerdict, Side};
use super::replies::Pending;
use super::{ConnectionError, Flow, Held, Relay, RelayError};
use crate::wire::connection::{ChannelRequest, Message, RequestKind};

/// Exit status of a program that was refused, as OpenSSH's client gives for its own failures.
const REFUSED: u32 = 255;

impl Relay {
    pub(super) fn channel_request(
        &mut self,
        from: Side,
        request: &ChannelRequest<'_>,
        payload: &[u8],
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) -> Result<Flow, ConnectionError> {
        let limit = self.limits.max_pending_replies;
        let channel = match self.channels.named_by(from, request.recipient_channel, "CHANNEL_REQUEST") {
            Ok(channel) if from == Side::Client || channel.ends[from].sent != Progress::Unopened => channel,
            // A server that asks on a channel which it has closed may meet the client's CLOSE on the way, and even the
            // client's next channel of that number; OpenSSH's client ignores it likewise.
            Err(error) if from == Side::Client => return Err(error),
            _ => return Ok(Flow::Continue),
        };
        if channel.severed {
            return Ok(Flow::Continue);
        }
        if channel.ends[from].sent == Progress::Closed {
            refuse_late(channel, from, request.want_reply, limit, out);
            return Ok(Flow::Continue);
        }
        channel.ends[from].sent.check_live("CHANNEL_REQUEST")?;
        let full = channel.ends[from.other()].replies.len() >= limit;
        if request.want_reply && full {
            return Err(ConnectionError::TooManyRequests { limit });
        }
        match host.channel_request(from, channel.key, request) {
            RequestVerdict::Hold => {
                self.held[from] = Some(Held::Request { key: channel.key, payload: payload.to_vec() });
                Ok(Flow::Held)
            }
            RequestVerdict::Confirm if full => Err(ConnectionError::TooManyRequests { limit }),
            verdict => {
                decide_request(channel, from, request, &verdict, payload, host, out);
                Ok(Flow::Continue)
            }
        }
    }

    pub(super) fn channel_reply(
        &mut self,
        from: Side,
        number: u32,
        ok: bool,
        payload: &[u8],
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) {
        let message = if ok { "CHANNEL_SUCCESS" } else { "CHANNEL_FAILURE" };
        // Some peers answer on a channel that they have closed. Nobody waits for that, nor for a reply to nothing: it
        // puts no other out of order. OpenSSH ignores both.
        let Ok(channel) = self.channels.named_by(from, number, message) else { return };
        if channel.ends[from].sent == Progress::Closed {
            return;
        }
        let (kind, wanted) = match channel.ends[from].replies.pop_front() {
            Some(Pending::Passed(kind)) => (kind, true),
            Some(Pending::Confirmed(kind)) => (kind, false),
            Some(Pending::Ours(_)) | None => return,
        };
        if !channel.severed {
            if from == Side::Target && !ok {
                note_failed(channel, kind);
            }
            host.channel_request_reply(channel.key, from, kind, ok);
            if wanted {
                out.to(from.other(), payload);
            }
        }
        while let Some(&Pending::Ours(ok)) = channel.ends[from].replies.front() {
            channel.ends[from].replies.pop_front();
            send_reply(channel, from.other(), ok, out);
        }
    }

    /// Gives the verdict on a held `CHANNEL_REQUEST`; that end may then be fed again.
    ///
    /// When the channel was ended in the meantime, the verdict has no effect.
    ///
    /// # Errors
    /// [`RelayError::Misused`] when no request of this end is held, or the verdict is to hold on or to confirm.
    pub fn release_request(
        &mut self,
        from: Side,
        verdict: RequestVerdict,
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) -> Result<(), RelayError> {
        if matches!(verdict, RequestVerdict::Hold | RequestVerdict::Confirm) {
            return Err(RelayError::Misused("released with a verdict that is for at once"));
        }
        match self.held[from].take() {
            Some(Held::Request { key, payload }) => {
                let channel = self.channels.by_key(key).filter(|channel| !channel.severed);
                if let (Some(channel), Ok(Message::ChannelRequest(request))) =
                    (channel, Message::parse(&payload))
                {
                    decide_request(channel, from, &request, &verdict, &payload, host, out);
                }
                Ok(())
            }
            None if self.ended => Ok(()),
            other => {
                self.held[from] = other;
                Err(RelayError::Misused("no CHANNEL_REQUEST of this end is held"))
            }
        }
    }
}

/// Answers a request that an end made after its CLOSE: OpenSSH's server asks so whether the client lives while the client
/// still reads what was sent before, and ends the connection when nothing is said.
fn refuse_late(channel: &mut Channel, from: Side, want_reply: bool, limit: usize, out: &mut impl Output) {
    if want_reply && channel.ends[from.other()].replies.len() < limit {
        answer(channel, from, false, out);
    }
}

fn decide_request(
    channel: &mut Channel,
    from: Side,
    request: &ChannelRequest<'_>,
    verdict: &RequestVerdict,
    payload: &[u8],
    host: &mut impl RelayHost,
    out: &mut impl Output,
) {
    let kind = request.request_type.kind();
    match verdict {
        RequestVerdict::Pass | RequestVerdict::Confirm => {
            let replies = &mut channel.ends[from.other()].replies;
            if request.want_reply {
                replies.push_back(Pending::Passed(kind));
                out.to(from.other(), payload);
            } else if *verdict == RequestVerdict::Confirm {
                replies.push_back(Pending::Confirmed(kind));
                let asking = ChannelRequest { want_reply: true, ..*request };
                out.to(from.other(), &Message::ChannelRequest(asking).to_payload());
            } else {
                out.to(from.other(), payload);
            }
            note_passed(channel, from, kind, host, out);
        }
        RequestVerdict::Refuse { text } => {
            let first_program =
                from == Side::Client && kind.starts_program() && channel.withholds_from_target();
            // Clients try another way where a subsystem is not to be had. Of a shell or a command they say that the
            // request failed, and forget what stood on standard error: so it is as if it had run, said why and failed.
            let ran = first_program && kind != RequestKind::Subsystem && !text.is_empty();
            if request.want_reply && ran {
                answer(channel, from, true, out);
            }
            if from == Side::Client {
                put_text(channel, text, out);
            }
            if request.want_reply && !ran {
                answer(channel, from, false, out);
            } else if first_program {
                if ran {
                    put_exit_status(channel, REFUSED, out);
                }
                // Nothing else would tell the client, and it would wait for ever.
                sever(channel, &Farewell::refused_program(), host, out);
            }
        }
        RequestVerdict::Swallow => {
            if request.want_reply {
                answer(channel, from, true, out);
            }
        }
        // Both callers keep a held request instead of coming here.
        RequestVerdict::Hold => {}
    }
}

/// Draws the consequences of a request that went on to the other end.
fn note_passed(
    channel: &mut Channel,
    from: Side,
    kind: RequestKind,
    host: &mut impl RelayHost,
    out: &mut impl Output,
) {
    match from {
        Side::Target => channel.exit_seen |= kind.reports_exit(),
        Side::Client => {
            channel.pty |= kind == RequestKind::PtyReq;
            if kind.starts_program() {
                channel.programs = channel.programs.saturating_add(1);
                pass_withheld_eof(channel, host, out);
            }
        }
    }
}

/// Takes back what [`note_passed`] noted.
fn note_failed(channel: &mut Channel, kind: RequestKind) {
    channel.pty &= kind != RequestKind::PtyReq;
    if kind.starts_program() {
        channel.programs = channel.programs.saturating_sub(1);
        if channel.programs == 0 {
            // With the program ends what the host held of its data.
            Side::BOTH.into_iter().for_each(|side| channel.ends[side].held = 0);
        }
    }
}

/// The client said EOF before it said what to run: now the program learns of it.
fn pass_withheld_eof(channel: &mut Channel, host: &mut impl RelayHost, out: &mut impl Output) {
    let target = &mut channel.ends.target;
    if !std::mem::take(&mut channel.eof_withheld) {
        return;
    }
    target.told = Progress::Eof;
    host.eof(channel.key, Side::Client);
    if let Some(recipient_channel) = target.number {
        out.to(Side::Target, &Message::Eof { recipient_channel }.to_payload());
    }
}

/// Answers a request of `asker` in the place of the other end: at once, or after the replies before it.
fn answer(channel: &mut Channel, asker: Side, ok: bool, out: &mut impl Output) {
    let replies = &mut channel.ends[asker.other()].replies;
    if replies.is_empty() {
        send_reply(channel, asker, ok, out);
    } else {
        replies.push_back(Pending::Ours(ok));
    }
}

fn send_reply(channel: &Channel, asker: Side, ok: bool, out: &mut impl Output) {
    let end = &channel.ends[asker];
    // After CHANNEL_CLOSE nothing may follow, and nobody waits.
    if let Some(recipient_channel) = end.number.filter(|_| end.told < Progress::Closed) {
        let reply = if ok {
            Message::ChannelSuccess { recipient_channel }
        } else {
            Message::ChannelFailure { recipient_channel }
        };
        out.to(asker, &reply.to_payload());
    }
}
