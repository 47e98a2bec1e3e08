//! The two ways from the player to the server.

use std::sync::Arc;
use std::time::Duration;

use bartizan_ssh::connection::ConnectionError;
use bartizan_ssh::connection::relay::{
    ChannelKey, DataKind, GlobalVerdict, OpenVerdict, Output, Relay, RelayError, RelayHost, RelayLimits,
    RequestVerdict, Side,
};
use bartizan_ssh::key::{HostKey, KeyKind, PrivateKey};
use bartizan_ssh::transport::{ClientConfig, DisconnectReason, Incoming, ServerConfig, Transport};
use bartizan_ssh::wire::connection::{ChannelOpen, ChannelRequest, GlobalRequest, GlobalRequestType};

use crate::hop::{Event, Hop, poll};

/// A way to the server: payloads of the connection protocol in both directions.
pub(crate) trait Link {
    fn send(&mut self, payload: &[u8]);
    /// A payload, the end, or silence.
    fn next(&mut self) -> Event;
    fn rekey(&mut self);
}

/// Nothing between.
pub(crate) struct Direct(Hop);

impl Direct {
    pub(crate) fn new(hop: Hop) -> Self {
        Self(hop)
    }
}

impl Link for Direct {
    fn send(&mut self, payload: &[u8]) {
        // A connection that has ended tells so with the next payload that is asked for.
        let _ = self.0.transport.send(payload);
    }

    fn next(&mut self) -> Event {
        self.0.next()
    }

    fn rekey(&mut self) {
        let _ = self.0.transport.start_rekey(Duration::ZERO);
    }
}

/// Our relay between: one hop in memory, one on the wire.
pub(crate) struct Relayed {
    /// The player's transport.
    player: Transport,
    /// The relay's transport towards the player.
    near: Transport,
    relay: Relay,
    far: Hop,
    /// What the relay said to whom, until it is sent.
    said: Said,
}

impl Relayed {
    pub(crate) fn new(far: Hop) -> Self {
        let key = HostKey::new(PrivateKey::generate(KeyKind::Ed25519).unwrap());
        let config = ServerConfig { wait_for_client_kexinit: None, ..ServerConfig::new(vec![key]) };
        let near = Transport::server(Arc::new(config), Duration::ZERO).unwrap();
        let player = Transport::client(Arc::new(ClientConfig::default()), Duration::ZERO).unwrap();
        let relay = Relay::new(RelayLimits::default());
        let mut link = Self { player, near, relay, far, said: Said::default() };
        while !link.player.can_send() || !link.near.can_send() {
            link.move_near();
            let event = poll(&mut link.player).unwrap();
            assert!(matches!(event, None | Some(Event::Established)), "{event:?}");
        }
        link
    }

    /// Moves bytes between the player and the relay in both directions, and relays what came.
    fn move_near(&mut self) {
        pipe(&mut self.player, &mut self.near);
        loop {
            let payload = match self.near.poll(Duration::ZERO) {
                Ok(None) | Err(_) => break,
                Ok(Some(Incoming::Packet(payload))) => payload.to_vec(),
                Ok(Some(_)) => continue,
            };
            self.relay(Side::Client, &payload);
        }
        pipe(&mut self.near, &mut self.player);
    }

    fn relay(&mut self, from: Side, payload: &[u8]) {
        let result = self.relay.on_packet(from, payload, &mut PassAll, &mut self.said);
        for (to, payload) in self.said.0.drain(..) {
            // A connection that has ended takes nothing more, and says so by itself.
            let _ = match to {
                Side::Client => self.near.send(&payload),
                Side::Target => self.far.transport.send(&payload),
            };
        }
        match result {
            Ok(_) => {}
            Err(RelayError::Unimplemented { from: Side::Client, .. }) => self.near.unimplemented().unwrap(),
            Err(RelayError::Unimplemented { from: Side::Target, .. }) => {
                self.far.transport.unimplemented().unwrap();
            }
            Err(RelayError::Violation { error, .. }) => self.end(error),
            Err(error @ RelayError::Misused(_)) => panic!("{error}"),
        }
    }

    /// An end broke the protocol: both connections end.
    fn end(&mut self, error: ConnectionError) {
        let reason = error.disconnect_reason().unwrap_or(DisconnectReason::ProtocolError);
        self.near.disconnect(reason, &error.to_string());
        self.far.transport.disconnect(DisconnectReason::ByApplication, "");
        self.far.flush();
    }
}

impl Link for Relayed {
    fn send(&mut self, payload: &[u8]) {
        let _ = self.player.send(payload);
    }

    fn next(&mut self) -> Event {
        loop {
            self.move_near();
            if let Some(event) = poll(&mut self.player).unwrap() {
                return event;
            }
            let moved = self.player.outgoing().is_empty() && self.near.outgoing().is_empty();
            match self.far.poll() {
                Some(Event::Packet(payload)) => self.relay(Side::Target, &payload),
                Some(Event::End) => self.near.disconnect(DisconnectReason::ConnectionLost, "target lost"),
                Some(other) => return other,
                None if moved && !self.far.receive() => return Event::Silence,
                None => {}
            }
        }
    }

    /// Of both hops, at the same time.
    fn rekey(&mut self) {
        let _ = self.player.start_rekey(Duration::ZERO);
        let _ = self.far.transport.start_rekey(Duration::ZERO);
    }
}

fn pipe(from: &mut Transport, to: &mut Transport) {
    let bytes = from.outgoing();
    let length = bytes.len();
    if to.is_closed() {
        return;
    }
    to.receive_space(length)[..length].copy_from_slice(bytes);
    to.received(length);
    from.sent(length);
}

/// Lets everything pass, but for host keys, which belong to a hop.
struct PassAll;

impl RelayHost for PassAll {
    fn channel_open(&mut self, _: Side, _: ChannelKey, _: &ChannelOpen<'_>) -> OpenVerdict {
        OpenVerdict::Pass
    }

    fn channel_request(&mut self, _: Side, _: ChannelKey, _: &ChannelRequest<'_>) -> RequestVerdict {
        RequestVerdict::Pass
    }

    fn global_request(&mut self, _: Side, request: &GlobalRequest<'_>) -> GlobalVerdict {
        match request.request_type {
            GlobalRequestType::HostKeys(_) => GlobalVerdict::Swallow,
            _ => GlobalVerdict::Pass,
        }
    }

    fn data(&mut self, _: ChannelKey, _: Side, _: DataKind, _: &[u8]) {}
}

#[derive(Default)]
struct Said(Vec<(Side, Vec<u8>)>);

impl Output for Said {
    fn to(&mut self, side: Side, payload: &[u8]) {
        self.0.push((side, payload.to_vec()));
    }
}
