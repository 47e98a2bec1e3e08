//! Every message number in every state: the listed ones are accepted, the others end the connection.

use super::*;
use crate::transport::receive::Phase;
use crate::wire::transport::ExtInfo;

const ALL_PHASES: [Phase; 6] = [
    Phase::FirstKexInit,
    Phase::FirstExchange,
    Phase::FirstNewKeys,
    Phase::Open,
    Phase::RekeyExchange,
    Phase::RekeyNewKeys,
];

/// The list as the RFCs have it, written down again by hand.
fn accepted(phase: Phase, is_server: bool) -> Vec<u8> {
    let exchange = if is_server { 30 } else { 31 };
    let service = if is_server { 5 } else { 6 };
    match phase {
        // Before the peer's KEXINIT nobody knows whether it does strict KEX.
        Phase::FirstKexInit => vec![1, 2, 4, 20],
        Phase::FirstExchange => vec![1, exchange],
        Phase::FirstNewKeys => vec![1, 21],
        Phase::RekeyExchange => vec![1, 2, 3, 4, exchange],
        Phase::RekeyNewKeys => vec![1, 2, 3, 4, 21],
        Phase::Open => {
            let mut all: Vec<u8> = vec![1, 2, 3, 4, service, 7, 20];
            all.extend(8..=19);
            all.extend(22..=29);
            all.extend(50..=255);
            all
        }
    }
}

/// A transport of that role that has just reached that phase, and its peer.
fn in_phase(phase: Phase, is_server: bool) -> (Transport, Transport) {
    let first = matches!(phase, Phase::FirstKexInit | Phase::FirstExchange | Phase::FirstNewKeys);
    let (client, server) =
        if first { (client(ClientConfig::default()), server(server_config())) } else { established() };
    let (mut subject, mut peer) = if is_server { (server, client) } else { (client, server) };
    if phase == Phase::RekeyExchange {
        peer.start_rekey(NOW).unwrap();
    }
    while matches!(subject.state, exchange::State::Identification(_)) || subject.phase() != phase {
        match peer.outgoing().first().copied() {
            Some(byte) => {
                peer.sent(1);
                feed(&mut subject, &[byte]);
                drain(&mut subject).unwrap();
            }
            None => {
                feed(&mut peer, &take_outgoing(&mut subject));
                drain(&mut peer).unwrap();
            }
        }
    }
    subject.sent(usize::MAX);
    (subject, peer)
}

/// Sends a message that the peer would not send now; in the clear while keys are not in force.
fn inject(
    peer: &mut Transport,
    subject: &mut Transport,
    message: &[u8],
) -> Result<Vec<Seen>, TransportError> {
    let mut clear = packet::Outbound::new();
    let outbound = match subject.phase() {
        Phase::FirstKexInit | Phase::FirstExchange | Phase::FirstNewKeys => &mut clear,
        _ => &mut peer.outbound,
    };
    outbound.packet(message, &[]).unwrap();
    feed(subject, outbound.buffer.queued());
    outbound.buffer.consume(usize::MAX);
    drain(subject)
}

#[test]
fn the_table_is_what_the_rfcs_say() {
    use crate::transport::receive::{Action, action};
    for phase in ALL_PHASES {
        for is_server in [true, false] {
            // Strict KEX begins with the first KEXINIT.
            let strict = phase != Phase::FirstKexInit;
            for number in 0..=255 {
                let refused = action(phase, number, is_server, strict) == Action::Refuse;
                assert_eq!(
                    !refused,
                    accepted(phase, is_server).contains(&number),
                    "{number} {phase} server: {is_server}"
                );
            }
        }
    }
}

#[test]
fn without_strict_kex_only_ignore_and_debug_are_added() {
    use crate::transport::receive::{Action, action};
    for phase in [Phase::FirstExchange, Phase::FirstNewKeys] {
        for number in 0..=255 {
            let strict = action(phase, number, true, true);
            let lax = action(phase, number, true, false);
            assert_eq!(lax != strict, [2, 4].contains(&number), "{number}");
            if lax != strict {
                assert_eq!(lax, Action::Skip);
            }
        }
    }
}

#[test]
fn every_message_number_in_every_state() {
    // RekeyNewKeys is missing: the peer has new keys then, and cannot send with the old ones. The table has it.
    for is_server in [true, false] {
        for phase in ALL_PHASES.into_iter().filter(|p| *p != Phase::RekeyNewKeys) {
            for number in 0..=255u8 {
                let (mut subject, mut peer) = in_phase(phase, is_server);
                let result = inject(&mut peer, &mut subject, &[number, 0, 0, 0, 0]);
                let unexpected = matches!(result, Err(TransportError::Unexpected { .. }));
                let accepts = accepted(phase, is_server).contains(&number);
                assert_eq!(unexpected, !accepts, "{number} {phase} server: {is_server}: {result:?}");
                if unexpected {
                    assert!(subject.is_closed() && !subject.outgoing().is_empty());
                }
            }
        }
    }
}

#[test]
fn strict_kex_resets_sequence_numbers_with_every_newkeys() {
    let (mut client, mut server) = established();
    assert!(server.strict_kex());
    for _ in 0..2 {
        // Nothing was sent by the client since NEWKEYS: this packet is number 0.
        client.outbound.packet(&[150], &[]).unwrap();
        feed(&mut server, &take_outgoing(&mut client));
        assert_eq!(drain(&mut server).unwrap(), [Seen::Packet(vec![150])]);
        assert_eq!(server.last_sequence, 0);
        client.start_rekey(NOW).unwrap();
        pump(&mut client, &mut server);
    }
}

#[test]
fn unknown_messages_are_answered_with_their_sequence_number() {
    let (mut client, mut server) = established();
    for number in [8, 19, 22, 29, 194, 255] {
        client.outbound.packet(&[number], &[]).unwrap();
    }
    client.send(&payload(1, 1)).unwrap();
    feed(&mut server, &take_outgoing(&mut client));
    assert_eq!(drain(&mut server).unwrap(), [Seen::Packet(payload(1, 1))]);
    server.unimplemented().unwrap();
    feed(&mut client, &take_outgoing(&mut server));
    for sequence in 0..7u8 {
        let opened = client.inbound.open().unwrap().unwrap();
        assert_eq!(client.inbound.buffer.at(opened.payload), [3, 0, 0, 0, sequence]);
    }
    assert!(client.inbound.open().unwrap().is_none());
}

#[test]
fn extension_information_is_taken_twice_at_most() {
    let (mut client, mut server) = established();
    let ext_info = [7, 0, 0, 0, 0];
    assert_eq!(inject(&mut server, &mut client, &ext_info).unwrap(), []);
    let before = client.peer_extensions().clone();
    let mut third = Vec::new();
    let entries: [(&str, &[u8]); 1] = [("server-sig-algs", b"ssh-ed25519")];
    ExtInfo::write(&entries, &mut third);
    assert_eq!(inject(&mut server, &mut client, &third).unwrap(), []);
    assert_eq!(*client.peer_extensions(), before, "what comes after the second is passed over");
}

#[test]
fn a_peer_that_asks_without_reading_is_cut_off() {
    for (authenticated, limit) in [(false, send::REPLY_LIMIT_AT_FIRST), (true, send::REPLY_LIMIT)] {
        let (mut client, mut server) = established();
        if authenticated {
            server.send(&[52]).unwrap();
        }
        let mut ping = vec![192];
        ping.extend(10_000u32.to_be_bytes());
        ping.resize(10_005, 0);
        let mut most = 0;
        let error = loop {
            client.outbound.packet(&ping, &[]).unwrap();
            feed(&mut server, &take_outgoing(&mut client));
            if let Err(error) = drain(&mut server) {
                break error;
            }
            most = server.outgoing().len();
            assert!(most < limit + 20_000);
        };
        assert_eq!(error, TransportError::PeerNotReading);
        assert!(most >= limit, "authenticated {authenticated}: {most}");
    }
}

/// A relay lets more than the limit wait for one end while the other exchanges keys: that is not the end's fault.
#[test]
fn a_peer_for_which_much_waits_may_ask() {
    let much = |server: &mut Transport| {
        (0..48).for_each(|number| server.send(&payload(number, 128 * 1024)).unwrap());
        assert!(server.pending() > send::REPLY_LIMIT + send::REPLY_LIMIT / 2);
    };
    let (mut client, mut server) = established();
    much(&mut server);
    let ping = [&[192, 0, 0, 0, 4][..], b"ping"].concat();
    assert_eq!(inject(&mut client, &mut server, &ping), Ok(vec![]));
    assert_eq!(inject(&mut client, &mut server, &[22]), Ok(vec![]), "UNIMPLEMENTED follows");
    let (at_client, _) = pump(&mut client, &mut server);
    assert_eq!((at_client.len(), &at_client[48]), (49, &Seen::Pong(b"ping".to_vec())));
    assert_eq!((server.pending(), server.unread_replies()), (0, 0));

    let (mut client, mut server) = established();
    much(&mut server);
    client.start_rekey(NOW).unwrap();
    feed(&mut server, &take_outgoing(&mut client));
    assert_eq!(drain(&mut server), Ok(vec![]));
    let (at_client, at_server) = pump(&mut client, &mut server);
    assert_eq!(
        (at_client.len(), at_client.last(), at_server),
        (49, Some(&Seen::Rekeyed), vec![Seen::Rekeyed])
    );
}

/// While a peer leaves our KEXINIT without an answer, nothing goes out.
#[test]
fn replies_that_wait_for_an_exchange_are_bounded_too() {
    let (_, mut server) = established();
    server.send(&[52]).unwrap();
    server.start_rekey(NOW).unwrap();
    server.send(&payload(1, 100_000)).unwrap();
    let sent = (0..).map_while(|number| server.send_reply(&payload(number, 10_000)).ok()).count();
    assert!((400..430).contains(&sent), "{sent}");
    assert!(server.is_closed() && server.pending() < 10_000, "what was queued is gone");
}

#[test]
fn replies_that_were_read_do_not_count() {
    let (mut client, mut server) = established();
    server.inbound.admit();
    let mut ping = vec![192];
    ping.extend(100_000u32.to_be_bytes());
    ping.resize(100_005, 0);
    for _ in 0..100 {
        client.outbound.packet(&ping, &[]).unwrap();
        feed(&mut server, &take_outgoing(&mut client));
        assert_eq!(drain(&mut server), Ok(vec![]));
        assert!(server.unread_replies() > 100_000);
        // The last byte of each stays behind for a while.
        server.sent(server.outgoing().len() - 1);
        assert_eq!(server.unread_replies(), 1);
    }
}

#[test]
fn disconnects_that_do_not_parse_still_end_the_connection() {
    for body in [&[][..], &[0, 0], &[0, 0, 0, 11, 0, 0, 0, 200, 1]] {
        let (mut client, mut server) = established();
        let message = [&[1], body].concat();
        assert_eq!(inject(&mut client, &mut server, &message).unwrap(), [Seen::Disconnect(0)]);
        assert!(server.is_closed());
    }
    let (mut client, mut server) = established();
    client.disconnect(DisconnectReason::ByApplication, "bye\x1b[2J");
    feed(&mut server, &take_outgoing(&mut client));
    let expected = Incoming::Disconnect { reason: 11, description: b"bye\x1b[2J" };
    assert_eq!(server.poll(NOW).unwrap(), Some(expected));
    for end in [&mut client, &mut server] {
        assert_eq!(end.send(&payload(1, 1)), Err(TransportError::Closed));
        assert_eq!(end.next_deadline(), None);
        end.disconnect(DisconnectReason::ByApplication, "again");
        assert!(end.outgoing().is_empty());
    }
}

#[test]
fn newkeys_has_no_body() {
    for is_server in [true, false] {
        let (mut subject, mut peer) = in_phase(Phase::FirstNewKeys, is_server);
        let result = inject(&mut peer, &mut subject, &[21, 0]);
        assert_eq!(result, Err(TransportError::Protocol("NEWKEYS with a body")));
    }
}

#[test]
fn long_texts_of_disconnects_are_cut_between_characters() {
    let (mut client, mut server) = established();
    client.disconnect(DisconnectReason::ByApplication, &"ä".repeat(100_000).replacen('ä', "x", 1));
    feed(&mut server, &take_outgoing(&mut client));
    let Some(Incoming::Disconnect { description, .. }) = server.poll(NOW).unwrap() else { panic!("the end") };
    assert_eq!(description.len(), 1023);
    assert!(std::str::from_utf8(description).is_ok());
}
