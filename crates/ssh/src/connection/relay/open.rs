//! Channels being opened: judged, refused in place, or passed on with a smaller window.

use super::super::progress::Progress;
use super::ending::{Farewell, sever};
use super::flow::close_end;
use super::host::{OpenVerdict, Output, Refusal, RelayHost, Side};
use super::{ConnectionError, Flow, Held, Relay, RelayError};
use crate::connection::ChannelKey;
use crate::wire::connection::{ChannelOpen, Message, OpenConfirmation, OpenFailure, OpenFailureReason};

impl Relay {
    pub(super) fn channel_open(
        &mut self,
        from: Side,
        open: &ChannelOpen<'_>,
        payload: &[u8],
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) -> Result<Flow, ConnectionError> {
        if let Some(why) = self.refusal(from, open)? {
            host.channel_refused(from, open, why);
            send_failure(from, open.sender_channel, why.reason(), why.text(), out);
            return Ok(Flow::Continue);
        }
        let key = self.channels.add(from, open).key;
        match host.channel_open(from, key, open) {
            OpenVerdict::Hold => {
                self.held[from] = Some(Held::Open { key, payload: payload.to_vec() });
                Ok(Flow::Held)
            }
            verdict => {
                self.decide_open(key, open, &verdict, payload, out);
                Ok(Flow::Continue)
            }
        }
    }

    /// Whether we refuse a channel whatever the host would say.
    fn refusal(&mut self, from: Side, open: &ChannelOpen<'_>) -> Result<Option<Refusal>, ConnectionError> {
        let number = open.sender_channel;
        if let Some(channel) = self.channels.by_number(from, number) {
            // Done with the opener, because we ended it, but not with the other end: two channels of
            // one number would be too much for it.
            return if channel.ends[from].done() {
                Ok(Some(Refusal::NumberInUse))
            } else {
                Err(ConnectionError::ChannelNumberInUse { number })
            };
        }
        let session_of_client = from == Side::Client && open.channel_type.name() == "session";
        Ok(if self.ended {
            Some(Refusal::Ended)
        } else if self.no_more_sessions && session_of_client {
            Some(Refusal::NoMoreSessions)
        } else if self.channels.len() >= self.limits.max_channels {
            Some(Refusal::TooManyChannels)
        } else {
            None
        })
    }

    fn decide_open(
        &mut self,
        key: ChannelKey,
        open: &ChannelOpen<'_>,
        verdict: &OpenVerdict,
        payload: &[u8],
        out: &mut impl Output,
    ) {
        let limits = self.limits;
        let Some(channel) = self.channels.by_key(key) else { return };
        let opener = channel.opener;
        if let OpenVerdict::Refuse { reason, text } = verdict {
            send_failure(opener, open.sender_channel, *reason, text, out);
            self.channels.remove(key);
            return;
        }
        let reserve = if channel.is_session() { limits.reserve_of(open.initial_window_size) } else { 0 };
        channel.ends[opener].maximum_packet = open.maximum_packet_size.min(limits.maximum_packet);
        let maximum_packet_size = channel.ends[opener].maximum_packet;
        let other = &mut channel.ends[opener.other()];
        other.window = open.initial_window_size - reserve;
        (other.kept, other.reserve) = (i64::from(reserve), reserve);
        other.told = Progress::Open;
        let passed = ChannelOpen { initial_window_size: other.window, maximum_packet_size, ..*open };
        if passed == *open {
            out.to(opener.other(), payload);
        } else {
            out.to(opener.other(), &Message::ChannelOpen(passed).to_payload());
        }
    }

    pub(super) fn open_confirmation(
        &mut self,
        from: Side,
        confirmation: &OpenConfirmation<'_>,
        payload: &[u8],
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        const NAME: &str = "CHANNEL_OPEN_CONFIRMATION";
        let number = confirmation.sender_channel;
        let limit = self.limits.maximum_packet;
        let channel = self.channels.named_by(from, confirmation.recipient_channel, NAME)?;
        channel.ends[from].sent.check_unopened(NAME)?;
        let key = channel.key;
        let number_clashes = match self.channels.by_number(from, number) {
            Some(other) if other.ends[from].done() => true,
            Some(_) => return Err(ConnectionError::ChannelNumberInUse { number }),
            None => false,
        };
        self.channels.claim(from, number, key);
        let Some(channel) = self.channels.by_key(key) else { return Ok(()) };
        let end = &mut channel.ends[from];
        (end.number, end.sent) = (Some(number), Progress::Open);
        end.maximum_packet = confirmation.maximum_packet_size.min(limit);
        let maximum_packet_size = end.maximum_packet;
        if number_clashes && !channel.severed {
            // The number is free for this end, but the other one has not closed the channel that we
            // ended under it: it could not tell the two apart.
            let text = Refusal::NumberInUse.text();
            sever(channel, &Farewell::refusing(Refusal::NumberInUse.reason(), text), host, out);
        } else if channel.severed {
            close_end(channel, from, out);
        } else {
            let opener = &mut channel.ends[from.other()];
            opener.window = confirmation.initial_window_size;
            opener.told = Progress::Open;
            host.channel_opened(key);
            let passed = OpenConfirmation { maximum_packet_size, ..*confirmation };
            if passed == *confirmation {
                out.to(from.other(), payload);
            } else {
                out.to(from.other(), &Message::OpenConfirmation(passed).to_payload());
            }
        }
        Ok(())
    }

    pub(super) fn open_failure(
        &mut self,
        from: Side,
        failure: &OpenFailure<'_>,
        payload: &[u8],
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        const NAME: &str = "CHANNEL_OPEN_FAILURE";
        let channel = self.channels.named_by(from, failure.recipient_channel, NAME)?;
        channel.ends[from].sent.check_unopened(NAME)?;
        let (key, severed) = (channel.key, channel.severed);
        self.channels.remove(key);
        if !severed {
            host.channel_open_failed(key, failure.reason, failure.description);
            out.to(from.other(), payload);
        }
        Ok(())
    }

    /// Gives the verdict on a held `CHANNEL_OPEN`; that end may then be fed again.
    ///
    /// When the channel was ended in the meantime, the verdict has no effect.
    ///
    /// # Errors
    /// [`RelayError::Misused`] when no open of this end is held, or the verdict is to hold on.
    pub fn release_open(
        &mut self,
        from: Side,
        verdict: OpenVerdict,
        out: &mut impl Output,
    ) -> Result<(), RelayError> {
        if verdict == OpenVerdict::Hold {
            return Err(RelayError::Misused("released with the verdict to hold"));
        }
        match self.held[from].take() {
            Some(Held::Open { key, payload }) => {
                if let Ok(Message::ChannelOpen(open)) = Message::parse(&payload) {
                    self.decide_open(key, &open, &verdict, &payload, out);
                }
                Ok(())
            }
            None if self.ended => Ok(()),
            other => {
                self.held[from] = other;
                Err(RelayError::Misused("no CHANNEL_OPEN of this end is held"))
            }
        }
    }
}

pub(super) fn send_failure(
    side: Side,
    recipient_channel: u32,
    reason: OpenFailureReason,
    text: &str,
    out: &mut impl Output,
) {
    let failure = OpenFailure { recipient_channel, reason, description: text.as_bytes(), language: b"" };
    out.to(side, &Message::OpenFailure(failure).to_payload());
}
