//! The host of a relay between a client and a target that are played by hand.

use bartizan_model::event::Event;
use bartizan_ssh::connection::relay::{
    GlobalVerdict, OpenVerdict, Output, Relay, RelayLimits, RequestVerdict, Side,
};
use bartizan_ssh::wire::connection::{
    ChannelOpen, ChannelRequest, ChannelType, Message, OpenConfirmation, RequestType,
};

use super::*;
use crate::rig::{Rig, rule, ruled};

mod files;
mod opens;
mod programs;
mod requests;

/// One session.
struct Wire {
    rig: Rig,
    relay: Relay,
    host: Host,
    sent: Sent,
}

#[derive(Default)]
struct Sent(Vec<(Side, Vec<u8>)>);

impl Output for Sent {
    fn to(&mut self, side: Side, payload: &[u8]) {
        self.0.push((side, payload.to_vec()));
    }
}

impl Wire {
    async fn new(rig: Rig) -> Self {
        let grant = rig.grant();
        let trail = rig.trail().in_session(grant.session);
        let (recorder, promise) = (rig.recorder(&grant).await, Rc::new(EndPromise::new(&trail)));
        let judge = Judge::new(rig.shared.clone(), grant, trail.clone());
        let (counts, keys) = (rig.shared.counts.clone(), OwnHostKeys::new(Vec::new(), b""));
        let host = Host::new(judge, trail, recorder, counts, Instant::now(), keys, promise);
        Self { rig, relay: Relay::new(RelayLimits::default()), host, sent: Sent::default() }
    }

    /// One end says something; true when that is held.
    fn says(&mut self, side: Side, message: &Message<'_>) -> bool {
        let _held =
            self.relay.on_packet(side, &message.to_payload(), &mut self.host, &mut self.sent).unwrap();
        self.relay.is_held(side)
    }

    fn client(&mut self, message: &Message<'_>) -> bool {
        self.says(Side::Client, message)
    }

    fn target(&mut self, message: &Message<'_>) {
        assert!(!self.says(Side::Target, message));
    }

    /// The event of what is held is durable: it goes on.
    async fn release(&mut self) {
        let Held { message, receipt } = self.host.held.take().expect("something is held");
        receipt.await.unwrap();
        let Self { relay, host, sent, .. } = self;
        match message {
            HeldMessage::Open(_) => relay.release_open(Side::Client, OpenVerdict::Pass, sent),
            HeldMessage::Request(..) => relay.release_request(Side::Client, RequestVerdict::Pass, host, sent),
            HeldMessage::Global { .. } => relay.release_global(Side::Client, GlobalVerdict::Pass, sent),
        }
        .unwrap();
    }

    /// A session channel with this number at both ends.
    fn session(&mut self, number: u32) {
        assert!(!self.client(&open(number, ChannelType::Session)));
        self.target(&confirmed(number));
    }

    fn asks(&mut self, number: u32, request_type: RequestType<'_>) -> bool {
        self.client(&request(number, request_type, true))
    }

    /// Asks for a program that is permitted, and lets it go on.
    async fn starts(&mut self, number: u32, request_type: RequestType<'_>) {
        assert!(self.asks(number, request_type), "it is permitted");
        self.release().await;
    }

    /// What went to an end since this was asked last.
    fn heard(&mut self, side: Side) -> Vec<Vec<u8>> {
        let (its, others) = std::mem::take(&mut self.sent.0).into_iter().partition(|(to, _)| *to == side);
        self.sent.0 = others;
        let its: Vec<(Side, Vec<u8>)> = its;
        its.into_iter().map(|(_, payload)| payload).collect()
    }

    /// The recording fails, and the session goes on by break-glass grants.
    async fn emergency(&mut self) {
        let declared = self.host.goes_on_unrecorded(RecordError::Internal("the test says so".into()));
        declared.unwrap().await.unwrap();
        self.host.refuse_held(&mut self.relay, &mut self.sent).unwrap();
    }

    async fn events(&self, kind: &str) -> Vec<Event> {
        let events = self.rig.events().await;
        events.into_iter().filter(|event| event.kind() == kind).collect()
    }
}

fn open(number: u32, channel_type: ChannelType<'_>) -> Message<'_> {
    Message::ChannelOpen(ChannelOpen {
        channel_type,
        sender_channel: number,
        initial_window_size: 2 << 20,
        maximum_packet_size: 32 << 10,
    })
}

fn confirmed(number: u32) -> Message<'static> {
    Message::OpenConfirmation(OpenConfirmation {
        recipient_channel: number,
        sender_channel: number,
        initial_window_size: 2 << 20,
        maximum_packet_size: 32 << 10,
        data: b"",
    })
}

fn request(number: u32, request_type: RequestType<'_>, want_reply: bool) -> Message<'_> {
    Message::ChannelRequest(ChannelRequest { recipient_channel: number, want_reply, request_type })
}

const SFTP: RequestType<'static> = RequestType::Subsystem { name: b"sftp" };

fn failure(number: u32) -> Message<'static> {
    Message::ChannelFailure { recipient_channel: number }
}

fn success(number: u32) -> Message<'static> {
    Message::ChannelSuccess { recipient_channel: number }
}

fn data(number: u32, data: &[u8]) -> Message<'_> {
    Message::Data { recipient_channel: number, data }
}

/// `SSH_FXP_INIT`, and a request by path.
fn init() -> Vec<u8> {
    vec![0, 0, 0, 5, 1, 0, 0, 0, 3]
}

fn by_path(kind: u8, id: u32, path: &[u8]) -> Vec<u8> {
    let length = |count: usize| (count as u32).to_be_bytes();
    let body = [&[kind][..], &id.to_be_bytes(), &length(path.len()), path].concat();
    [&length(body.len())[..], &body].concat()
}

fn remove(id: u32, path: &[u8]) -> Vec<u8> {
    by_path(13, id, path)
}
