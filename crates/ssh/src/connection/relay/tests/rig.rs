//! A relay with a host that judges by what the request says, and outputs that are kept.

use super::super::*;
use crate::connection::model::{Wish, wish_of, wish_of_global, wish_of_open};
use crate::wire::connection::*;
use std::borrow::Cow;

/// What is held, to be released by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeldKind {
    Open,
    Request,
    Global,
}

/// Judges by the wish and keeps what it heard.
#[derive(Default)]
pub(super) struct Judge {
    pub(super) heard: Vec<String>,
    pub(super) keys: Vec<ChannelKey>,
    pub(super) held: PerSide<Option<(HeldKind, Wish)>>,
    pub(super) data: Vec<(Side, DataKind, Vec<u8>)>,
    pub(super) closed: Vec<(ChannelKey, Totals)>,
    pub(super) refusal_text: &'static str,
    /// What passes on a channel is to be confirmed.
    pub(super) confirms: bool,
}

impl RelayHost for Judge {
    fn channel_open(&mut self, from: Side, key: ChannelKey, open: &ChannelOpen<'_>) -> OpenVerdict {
        self.keys.push(key);
        let wish = wish_of_open(&open.channel_type);
        if wish.is_held() {
            self.held[from] = Some((HeldKind::Open, wish));
        }
        match wish {
            Wish::Pass(_) => OpenVerdict::Pass,
            Wish::Refuse | Wish::Swallow => OpenVerdict::prohibited("no"),
            Wish::HoldPass(_) | Wish::HoldRefuse => OpenVerdict::Hold,
        }
    }

    fn channel_request(&mut self, from: Side, _: ChannelKey, request: &ChannelRequest<'_>) -> RequestVerdict {
        let wish = wish_of(&request.request_type);
        if wish.is_held() {
            self.held[from] = Some((HeldKind::Request, wish));
        }
        match wish {
            Wish::Pass(_) if self.confirms => RequestVerdict::Confirm,
            Wish::Pass(_) => RequestVerdict::Pass,
            Wish::Refuse => RequestVerdict::Refuse { text: Cow::Borrowed(self.refusal_text) },
            Wish::Swallow => RequestVerdict::Swallow,
            Wish::HoldPass(_) | Wish::HoldRefuse => RequestVerdict::Hold,
        }
    }

    fn global_request(&mut self, from: Side, request: &GlobalRequest<'_>) -> GlobalVerdict {
        let wish = wish_of_global(&request.request_type);
        if wish.is_held() {
            self.held[from] = Some((HeldKind::Global, wish));
        }
        match wish {
            Wish::Pass(_) => GlobalVerdict::Pass,
            Wish::Refuse => GlobalVerdict::Refuse,
            Wish::Swallow => GlobalVerdict::Answer(b"ours".to_vec()),
            Wish::HoldPass(_) | Wish::HoldRefuse => GlobalVerdict::Hold,
        }
    }

    fn data(&mut self, _: ChannelKey, from: Side, kind: DataKind, bytes: &[u8]) {
        self.data.push((from, kind, bytes.to_vec()));
    }

    fn channel_opened(&mut self, key: ChannelKey) {
        self.heard.push(format!("{key} opened"));
    }

    fn channel_open_failed(&mut self, key: ChannelKey, reason: OpenFailureReason, _: &[u8]) {
        self.heard.push(format!("{key} open failed: {reason}"));
    }

    fn channel_refused(&mut self, from: Side, _: &ChannelOpen<'_>, why: Refusal) {
        self.heard.push(format!("{from} refused: {why:?}"));
    }

    fn channel_request_reply(&mut self, key: ChannelKey, from: Side, request: RequestKind, ok: bool) {
        self.heard.push(format!("{key} {from} replied to {request:?}: {ok}"));
    }

    fn global_request_reply(&mut self, from: Side, request: GlobalKind, ok: bool, _: &[u8]) {
        self.heard.push(format!("{from} replied to {request:?}: {ok}"));
    }

    fn own_request_reply(&mut self, from: Side, ok: bool, _: &[u8]) {
        self.heard.push(format!("{from} replied to us: {ok}"));
    }

    fn eof(&mut self, key: ChannelKey, from: Side) {
        self.heard.push(format!("{key} {from} eof"));
    }

    fn close(&mut self, key: ChannelKey, from: Side) {
        self.heard.push(format!("{key} {from} close"));
    }

    fn closed(&mut self, key: ChannelKey, totals: Totals) {
        self.heard.push(format!("{key} closed"));
        self.closed.push((key, totals));
    }
}

/// Keeps what goes out, in order.
#[derive(Default)]
pub(super) struct Sent(pub(super) Vec<(Side, Vec<u8>)>);

impl Output for Sent {
    fn to(&mut self, side: Side, payload: &[u8]) {
        self.0.push((side, payload.to_vec()));
    }
}

/// The relay with everything around it.
pub(super) struct Rig {
    pub(super) relay: Relay,
    pub(super) host: Judge,
    pub(super) out: Sent,
}

/// Numbers that the two ends give to the channel of [`Rig::with_channel`].
pub(super) const C: u32 = 3;
pub(super) const T: u32 = 40;
pub(super) const WINDOW: u32 = 100_000;
pub(super) const PACKET: u32 = 32_768;

impl Rig {
    pub(super) fn new() -> Self {
        Self::with_limits(RelayLimits::default())
    }

    pub(super) fn with_limits(limits: RelayLimits) -> Self {
        Self { relay: Relay::new(limits), host: Judge::default(), out: Sent::default() }
    }

    /// A session channel, opened and confirmed, with nothing running.
    pub(super) fn with_channel() -> Self {
        let mut rig = Self::new();
        rig.open_channel(C, T);
        rig.out.0.clear();
        rig.host.heard.clear();
        rig
    }

    /// A session channel in which a program runs.
    pub(super) fn with_program() -> Self {
        let mut rig = Self::with_channel();
        rig.client_sends(&request(T, RequestType::Exec { command: b"pass+" }, true));
        rig.target_sends(&Message::ChannelSuccess { recipient_channel: C });
        rig.out.0.clear();
        rig.host.heard.clear();
        rig
    }

    pub(super) fn open_channel(&mut self, client: u32, target: u32) {
        self.client_sends(&open(client, ChannelType::Session));
        self.target_sends(&confirm(client, target));
    }

    pub(super) fn feed(&mut self, from: Side, message: &Message<'_>) -> Result<Flow, RelayError> {
        self.relay.on_packet(from, &message.to_payload(), &mut self.host, &mut self.out)
    }

    /// Feeds what must be accepted and not be held.
    #[track_caller]
    pub(super) fn client_sends(&mut self, message: &Message<'_>) {
        assert_eq!(self.feed(Side::Client, message), Ok(Flow::Continue), "{message:?}");
    }

    /// Feeds what must be accepted and not be held.
    #[track_caller]
    pub(super) fn target_sends(&mut self, message: &Message<'_>) {
        assert_eq!(self.feed(Side::Target, message), Ok(Flow::Continue), "{message:?}");
    }

    /// Feeds what must be refused as a violation.
    #[track_caller]
    pub(super) fn violation(&mut self, from: Side, message: &Message<'_>) -> ConnectionError {
        match self.feed(from, message) {
            Err(RelayError::Violation { from: blamed, error }) => {
                assert_eq!(blamed, from);
                error
            }
            other => panic!("{message:?}: {other:?}"),
        }
    }

    pub(super) fn key(&self) -> ChannelKey {
        self.host.keys[0]
    }

    /// What went out since the last call, named and addressed.
    pub(super) fn sent(&mut self) -> Vec<String> {
        std::mem::take(&mut self.out.0).iter().map(|(side, payload)| describe(*side, payload)).collect()
    }

    /// Releases what is held of an end, as it wished.
    pub(super) fn release(&mut self, from: Side) {
        let (kind, wish) = self.host.held[from].take().expect("something is held");
        let pass = wish.reaches_other_end();
        let result = match kind {
            HeldKind::Open => {
                let verdict = if pass { OpenVerdict::Pass } else { OpenVerdict::prohibited("no") };
                self.relay.release_open(from, verdict, &mut self.out)
            }
            HeldKind::Request => {
                let refuse = RequestVerdict::Refuse { text: Cow::Borrowed(self.host.refusal_text) };
                let verdict = if pass { RequestVerdict::Pass } else { refuse };
                self.relay.release_request(from, verdict, &mut self.host, &mut self.out)
            }
            HeldKind::Global => {
                let verdict = if pass { GlobalVerdict::Pass } else { GlobalVerdict::Refuse };
                self.relay.release_global(from, verdict, &mut self.out)
            }
        };
        assert_eq!(result, Ok(()));
    }
}

pub(super) fn describe(side: Side, payload: &[u8]) -> String {
    let message = Message::parse(payload).expect("we send what parses");
    let detail = match message {
        Message::Data { data, .. } | Message::ExtendedData { data, .. } => {
            format!(" {:?}", String::from_utf8_lossy(data))
        }
        Message::WindowAdjust { bytes_to_add, .. } => format!(" {bytes_to_add}"),
        Message::ChannelRequest(request) => format!(" {}", request.request_type.name()),
        Message::GlobalRequest(request) => format!(" {}", request.request_type.name()),
        Message::OpenFailure(failure) => format!(" {}", failure.reason),
        Message::RequestSuccess { data } => format!(" {:?}", String::from_utf8_lossy(data)),
        _ => String::new(),
    };
    format!("{side} {}{detail}", message.name())
}

pub(super) fn open(sender_channel: u32, channel_type: ChannelType<'_>) -> Message<'_> {
    Message::ChannelOpen(ChannelOpen {
        channel_type,
        sender_channel,
        initial_window_size: WINDOW,
        maximum_packet_size: PACKET,
    })
}

pub(super) fn confirm(recipient_channel: u32, sender_channel: u32) -> Message<'static> {
    Message::OpenConfirmation(OpenConfirmation {
        recipient_channel,
        sender_channel,
        initial_window_size: WINDOW,
        maximum_packet_size: PACKET,
        data: b"",
    })
}

pub(super) fn failure(recipient_channel: u32) -> Message<'static> {
    Message::OpenFailure(OpenFailure {
        recipient_channel,
        reason: OpenFailureReason::CONNECT_FAILED,
        description: b"",
        language: b"",
    })
}

pub(super) fn request(
    recipient_channel: u32,
    request_type: RequestType<'_>,
    want_reply: bool,
) -> Message<'_> {
    Message::ChannelRequest(ChannelRequest { recipient_channel, want_reply, request_type })
}

/// A channel request of no known type that wants a reply and says what is to become of it.
pub(super) fn wishing(recipient_channel: u32, wish: Wish) -> Message<'static> {
    request(
        recipient_channel,
        RequestType::Unknown { name: "x@example.com", data: wish.text().as_bytes() },
        true,
    )
}

/// A global request that wants a reply and says what is to become of it.
pub(super) fn global(wish: Wish) -> Message<'static> {
    let request_type = GlobalRequestType::Unknown { name: "x@example.com", data: wish.text().as_bytes() };
    Message::GlobalRequest(GlobalRequest { want_reply: true, request_type })
}

pub(super) fn data(recipient_channel: u32, data: &[u8]) -> Message<'_> {
    Message::Data { recipient_channel, data }
}
