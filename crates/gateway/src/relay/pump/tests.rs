//! The loop between a client in memory and a target that says nothing.

use std::time::Instant;

use bartizan_ssh::connection::relay::RelayLimits;
use bartizan_ssh::wire::connection::{ChannelOpen, ChannelType, Message};
use tokio::net::TcpListener;

use super::super::host::QUESTIONS;
use super::super::host_keys::OwnHostKeys;
use super::super::judge::Judge;
use super::*;
use crate::emergency::EndPromise;
use crate::hop::rig::{Peer, Wire, established};
use crate::rig::{Rig, rule};

async fn host(rig: &Rig) -> Host {
    let grant = rig.grant();
    let trail = rig.trail().in_session(grant.session);
    let (recorder, promise) = (rig.recorder(&grant).await, Rc::new(EndPromise::new(&trail)));
    let judge = Judge::new(rig.shared.clone(), grant, trail.clone());
    let (counts, keys) = (rig.shared.counts.clone(), OwnHostKeys::new(Vec::new(), b""));
    Host::new(judge, trail, recorder, counts, Instant::now(), keys, promise)
}

/// A session over the client's peer, and the socket at which its target would be.
async fn pump(rig: &Rig) -> (Pump<Wire>, Peer, TcpListener) {
    let ((near, ours), (far, _)) = (established(), established());
    let peer = Peer::new(near);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (client, target) = (Hop::new(ours, peer.wire.clone()), Hop::new(far, stream));
    let relay = Relay::new(RelayLimits::default());
    (Pump::new(client, target, relay, host(rig).await, None), peer, listener)
}

/// Whoever asks for one thing after the other that policy refuses is read for a while, and others are after it.
#[tokio::test(flavor = "current_thread")]
async fn questions_to_policy_give_others_the_thread() {
    let rig = Rig::new(vec![rule("keeps", "exec")]).await;
    let (mut pump, mut peer, _listener) = pump(&rig).await;
    let (host, port) = (b"10.0.0.1", 80);
    for sender_channel in 0..5 * QUESTIONS {
        let channel_type =
            ChannelType::DirectTcpip { host, port, originator_address: b"", originator_port: 0 };
        let (initial_window_size, maximum_packet_size) = (2 << 20, 32 << 10);
        let open = ChannelOpen { channel_type, sender_channel, initial_window_size, maximum_packet_size };
        peer.sends(&Message::ChannelOpen(open).to_payload());
    }
    let cx = &mut Context::from_waker(std::task::Waker::noop());
    for polls in 1..=5 {
        assert!(pump.poll(cx).is_pending());
        peer.acts();
        assert_eq!(peer.got.len(), (polls * QUESTIONS) as usize, "answers after {polls}");
    }
}
