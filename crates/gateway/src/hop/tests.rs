//! What an unauthenticated peer may send.

use super::rig::{Peer, established, strangers};
use super::*;

/// PONG, which nobody asked for.
const PONG: [u8; 5] = [193, 0, 0, 0, 0];

/// Half a packet of each of thousands of strangers waits as long as they may take to log in.
#[test]
fn a_stranger_s_half_packet_keeps_a_small_buffer() {
    let (client, server) = strangers();
    let mut peer = Peer::new(client);
    let mut hop = Hop::new(server, peer.wire.clone());
    let cx = &mut Context::from_waker(std::task::Waker::noop());
    peer.transport.send(&[50; 9000]).unwrap();
    let bytes = peer.transport.outgoing()[..5000].to_vec();
    peer.wire.0.borrow_mut().to_hop.extend(bytes);
    while hop.poll_fill(cx).is_ready() {
        assert!(hop.transport.poll(Duration::ZERO).unwrap().is_none());
    }
    assert!(hop.transport.receive_space(1).len() < 4 * READ_BYTES_AT_FIRST);
}

#[test]
fn a_buffer_full_of_pongs_takes_no_more_stack_than_one() {
    let all_are_passed_over = || {
        let (client, server) = established();
        let mut peer = Peer::new(client);
        let mut hop = Hop::new(server, peer.wire.clone());
        (0..8000).for_each(|_| peer.sends(&PONG));
        peer.sends(b"\x32and then");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Step::Packet(payload) = hop.next().await.unwrap() else { panic!("a packet") };
            assert_eq!(&payload[..], b"\x32and then");
        });
    };
    std::thread::Builder::new().stack_size(512 << 10).spawn(all_are_passed_over).unwrap().join().unwrap();
}
