//! A peer that asks and does not read the answers.

use std::task::Waker;

use bartizan_ssh::transport::TransportError;
use bartizan_ssh::wire::connection::{ChannelOpen, ChannelType, Message, OpenFailureReason};

use super::*;
use crate::hop::rig::{Peer, Wire, established};

/// Refuses every channel.
struct Refuser;

impl MuxHost for Refuser {
    type End = ();

    fn on_event(&mut self, event: EndpointEvent<'_>, channels: &mut Channels) -> Result<(), ()> {
        if let EndpointEvent::Open { channel, .. } = event {
            let (reason, text) = (OpenFailureReason::CONNECT_FAILED, "no such channels here, ".repeat(5));
            channels.endpoint.refuse(channel, reason, &text, &mut channels.out).unwrap();
        }
        Ok(())
    }

    fn poll_own(&mut self, _: &mut Channels, _: &mut Context<'_>) -> Result<bool, ()> {
        Ok(false)
    }
}

/// Turns until nothing moves.
fn turns(mux: &mut Mux<Wire, Refuser>) -> Result<(), MuxEnd<()>> {
    while mux.turn(&mut Context::from_waker(Waker::noop()))? {}
    Ok(())
}

/// The peer asks without reading until it has asked enough or is ended.
fn flooded(peer: &mut Peer, mux: &mut Mux<Wire, Refuser>, most: usize) -> Result<(), MuxEnd<()>> {
    for number in 0..ASKED {
        let open = ChannelOpen {
            channel_type: ChannelType::Session,
            sender_channel: number,
            initial_window_size: 0,
            maximum_packet_size: 0,
        };
        peer.sends(&Message::ChannelOpen(open).to_payload());
        if number % 100 == 0 {
            turns(mux)?;
            assert!(mux.hop.transport.pending() < most);
        }
    }
    turns(mux)
}

/// Channels asked for: their answers are several times as much.
const ASKED: u32 = 60_000;

fn rig() -> (Peer, Mux<Wire, Refuser>) {
    let (client, server) = established();
    let peer = Peer::new(client);
    let hop = Hop::new(server, peer.wire.clone());
    (peer, Mux::new(hop, EndpointConfig::default(), Refuser))
}

#[tokio::test(flavor = "current_thread")]
async fn a_peer_that_reads_no_answer_is_not_read_and_goes_on_when_it_reads() {
    let (mut peer, mut mux) = rig();
    flooded(&mut peer, &mut mux, STALLED + 256 * 1024).unwrap();
    assert!(mux.hop.transport.pending() >= STALLED);
    loop {
        turns(&mut mux).unwrap();
        if !peer.acts() {
            break;
        }
    }
    assert_eq!((peer.got.len(), mux.hop.transport.pending()), (ASKED as usize, 0));
}

#[tokio::test(flavor = "current_thread")]
async fn a_peer_that_leaves_our_rekey_without_an_answer_is_ended() {
    let (mut peer, mut mux) = rig();
    mux.hop.transport.start_rekey(Duration::ZERO).unwrap();
    let end = flooded(&mut peer, &mut mux, 5 * 1024 * 1024);
    assert!(matches!(end, Err(MuxEnd::Hop(HopError::Transport(TransportError::PeerNotReading)))), "{end:?}");
}
