//! What the owner may call, and what goes out.

use super::super::*;
use super::rig::*;
use crate::connection::DataKind;
use crate::wire::connection::*;

#[test]
fn data_are_cut_to_the_peers_packets_and_window() {
    let (mut rig, key) = Rig::with_channel();
    assert_eq!(rig.endpoint.room(key), PEER_WINDOW as usize);
    let bytes: Vec<u8> = (0..6000u32).map(|n| n as u8).collect();
    assert_eq!(rig.endpoint.data(key, DataKind::Data, &bytes, &mut rig.out), Ok(5000));
    let mut received: Vec<u8> = Vec::new();
    for payload in std::mem::take(&mut rig.out) {
        match Message::parse(&payload) {
            Ok(Message::Data { recipient_channel: P, data }) if data.len() <= 700 => received.extend(data),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received, bytes[..5000]);
    assert_eq!(rig.endpoint.data(key, DataKind::STDERR, &bytes[5000..], &mut rig.out), Ok(0));
    let adjust = |bytes_to_add| Message::WindowAdjust { recipient_channel: 0, bytes_to_add };
    assert_eq!(rig.feed(&adjust(0)), None, "no room yet");
    assert_eq!(rig.feed(&adjust(999)).as_deref(), Some("writable"));
    assert_eq!(rig.feed(&adjust(1)), None, "told once");
    assert_eq!(rig.endpoint.data(key, DataKind::STDERR, &bytes[5000..], &mut rig.out), Ok(1000));
    assert_eq!(rig.sent(), ["data 700", "data 300"]);
    assert_eq!(rig.feed(&adjust(5)), None, "nobody waits");
}

#[test]
fn a_peer_that_takes_packets_of_no_bytes_gets_none() {
    let mut rig = Rig::new();
    let payload = Message::ChannelOpen(ChannelOpen {
        channel_type: ChannelType::Session,
        sender_channel: P,
        initial_window_size: PEER_WINDOW,
        maximum_packet_size: 0,
    });
    rig.feed(&payload);
    let key = crate::connection::ChannelKey { serial: 0, slot: 0 };
    rig.endpoint.confirm(key, &mut rig.out).unwrap();
    rig.out.clear();
    assert_eq!(rig.endpoint.data(key, DataKind::Data, b"x", &mut rig.out), Ok(0));
    assert_eq!((rig.endpoint.room(key), rig.sent()), (0, vec![]));
}

#[test]
fn packets_are_no_longer_than_our_own_limit_whatever_the_peer_takes() {
    let mut rig = Rig::new();
    let key = rig.endpoint.open(&ChannelType::Session, &mut rig.out).unwrap();
    let confirmation = OpenConfirmation {
        recipient_channel: 0,
        sender_channel: P,
        initial_window_size: u32::MAX,
        maximum_packet_size: u32::MAX,
        data: b"",
    };
    assert_eq!(rig.feed(&Message::OpenConfirmation(confirmation)).as_deref(), Some("opened"));
    let huge = ChannelOpen {
        channel_type: ChannelType::Session,
        sender_channel: P + 1,
        initial_window_size: u32::MAX,
        maximum_packet_size: u32::MAX,
    };
    rig.feed(&Message::ChannelOpen(huge));
    let theirs = crate::connection::ChannelKey { serial: 1, slot: 1 };
    rig.endpoint.confirm(theirs, &mut rig.out).unwrap();
    rig.out.clear();
    for key in [key, theirs] {
        assert_eq!(rig.endpoint.data(key, DataKind::Data, &[0; 2500], &mut rig.out), Ok(2500));
        assert_eq!(rig.sent(), ["data 1000", "data 1000", "data 500"]);
    }
}

#[test]
fn the_window_is_credited_as_bytes_are_consumed_and_in_good_sizes() {
    let (mut rig, key) = Rig::with_channel();
    for _ in 0..WINDOW / PACKET {
        rig.feed(&Message::Data { recipient_channel: 0, data: &[0; PACKET as usize] });
    }
    assert_eq!(rig.sent(), [""; 0], "nothing for receiving");
    rig.endpoint.consumed(key, 2999, &mut rig.out).unwrap();
    assert_eq!(rig.sent(), [""; 0]);
    rig.endpoint.consumed(key, 1, &mut rig.out).unwrap();
    assert_eq!(rig.sent(), ["adjust 3000"]);
    // More than was received is not there to be consumed.
    rig.endpoint.consumed(key, usize::MAX, &mut rig.out).unwrap();
    assert_eq!(rig.sent(), ["adjust 7000"]);
    rig.endpoint.consumed(key, 5000, &mut rig.out).unwrap();
    assert_eq!(rig.sent(), [""; 0]);
}

#[test]
fn nothing_is_credited_to_a_peer_that_said_eof() {
    let (mut rig, key) = Rig::with_channel();
    for _ in 0..5 {
        rig.feed(&Message::Data { recipient_channel: 0, data: &[0; PACKET as usize] });
    }
    rig.feed(&Message::Eof { recipient_channel: 0 });
    rig.endpoint.consumed(key, 5000, &mut rig.out).unwrap();
    assert_eq!(rig.sent(), [""; 0]);
}

#[test]
fn each_direction_ends_by_itself() {
    let (mut rig, key) = Rig::with_channel();
    rig.endpoint.eof(key, &mut rig.out).unwrap();
    rig.endpoint.eof(key, &mut rig.out).unwrap();
    assert_eq!(rig.sent(), ["CHANNEL_EOF"], "once");
    assert_eq!(rig.endpoint.data(key, DataKind::Data, b"x", &mut rig.out), Err(ChannelGone));
    assert_eq!(rig.feed(&Message::Data { recipient_channel: 0, data: b"still" }).as_deref(), Some("Data 5"));
    rig.endpoint.exit_status(key, 0, &mut rig.out).unwrap();
    assert_eq!(rig.sent(), ["CHANNEL_REQUEST"], "requests go on after EOF");
    let (mut rig, key) = Rig::with_channel();
    rig.feed(&Message::Eof { recipient_channel: 0 });
    assert_eq!(rig.endpoint.data(key, DataKind::Data, b"x", &mut rig.out), Ok(1));
}

#[test]
fn replies_are_counted() {
    let (mut rig, key) = Rig::with_channel();
    assert_eq!(rig.endpoint.reply(key, true, &mut rig.out), Err(ChannelGone));
    assert!(!rig.endpoint.reply_global(None, &mut rig.out));
    rig.feed(&keepalive(0, true));
    rig.feed(&keepalive(0, false));
    rig.feed(&keepalive(0, true));
    rig.endpoint.reply(key, true, &mut rig.out).unwrap();
    rig.endpoint.reply(key, false, &mut rig.out).unwrap();
    assert_eq!(rig.endpoint.reply(key, false, &mut rig.out), Err(ChannelGone));
    rig.feed(&global_keepalive());
    assert!(rig.endpoint.reply_global(Some(b"data"), &mut rig.out));
    assert_eq!(rig.sent(), ["CHANNEL_SUCCESS", "CHANNEL_FAILURE", "REQUEST_SUCCESS"]);
}

#[test]
fn replies_to_our_requests_come_in_their_order() {
    let (mut rig, key) = Rig::with_channel();
    rig.endpoint.request(key, &RequestType::Shell, true, &mut rig.out).unwrap();
    rig.endpoint.request(key, &RequestType::Keepalive, false, &mut rig.out).unwrap();
    rig.endpoint.request(key, &RequestType::AuthAgentReq, true, &mut rig.out).unwrap();
    rig.endpoint.global_request(&GlobalRequestType::NoMoreSessions, false, &mut rig.out);
    rig.endpoint.global_request(&GlobalRequestType::Keepalive, true, &mut rig.out);
    let success = Message::ChannelSuccess { recipient_channel: 0 };
    let failure = Message::ChannelFailure { recipient_channel: 0 };
    assert_eq!(rig.feed(&failure).as_deref(), Some("reply to Shell: false"));
    assert_eq!(rig.feed(&Message::RequestFailure).as_deref(), Some("global reply to Keepalive: false"));
    assert_eq!(rig.feed(&success).as_deref(), Some("reply to AuthAgentReq: true"));
}

#[test]
fn numbers_are_used_again_and_old_keys_stay_void() {
    let (mut rig, old) = Rig::with_channel();
    rig.feed(&Message::Close { recipient_channel: 0 });
    let new = rig.peer_opens(P);
    assert_eq!(new.slot(), old.slot());
    rig.endpoint.confirm(new, &mut rig.out).unwrap();
    rig.out.clear();
    let Rig { endpoint, out } = &mut rig;
    assert_eq!(endpoint.data(old, DataKind::Data, b"x", out), Err(ChannelGone));
    assert_eq!(endpoint.consumed(old, 1, out), Err(ChannelGone));
    assert_eq!(endpoint.reply(old, true, out), Err(ChannelGone));
    assert_eq!(endpoint.request(old, &RequestType::Shell, true, out), Err(ChannelGone));
    assert_eq!(endpoint.eof(old, out), Err(ChannelGone));
    assert_eq!(endpoint.close(old, out), Err(ChannelGone));
    assert_eq!(endpoint.confirm(old, out), Err(ChannelGone));
    assert_eq!(endpoint.refuse(old, OpenFailureReason::CONNECT_FAILED, "", out), Err(ChannelGone));
    assert_eq!(endpoint.room(old), 0);
    assert_eq!(rig.sent(), [""; 0]);
}

#[test]
fn a_number_stays_taken_until_both_have_closed() {
    let (mut rig, key) = Rig::with_channel();
    rig.endpoint.close(key, &mut rig.out).unwrap();
    assert_eq!(rig.endpoint.close(key, &mut rig.out), Err(ChannelGone), "once");
    assert_eq!(rig.peer_opens(P + 1).slot(), 1);
    assert_eq!(rig.feed(&Message::Close { recipient_channel: 0 }).as_deref(), Some("closed"));
    assert_eq!(rig.sent(), ["CHANNEL_CLOSE"], "each side says it once");
    assert_eq!(rig.peer_opens(P).slot(), 0);
}

#[test]
fn an_open_is_answered_once() {
    let mut rig = Rig::new();
    let key = rig.peer_opens(P);
    assert_eq!(rig.endpoint.data(key, DataKind::Data, b"x", &mut rig.out), Err(ChannelGone), "not yet");
    rig.endpoint.refuse(key, OpenFailureReason::UNKNOWN_CHANNEL_TYPE, "what?", &mut rig.out).unwrap();
    assert_eq!(rig.endpoint.confirm(key, &mut rig.out), Err(ChannelGone));
    let key = rig.peer_opens(P);
    rig.endpoint.confirm(key, &mut rig.out).unwrap();
    assert_eq!(rig.endpoint.confirm(key, &mut rig.out), Err(ChannelGone));
    let key = rig.peer_opens(P + 1);
    rig.endpoint.close(key, &mut rig.out).unwrap();
    assert_eq!(
        rig.sent(),
        [
            "open failure: unknown channel type",
            "CHANNEL_OPEN_CONFIRMATION",
            "open failure: administratively prohibited"
        ]
    );
    assert_eq!(rig.endpoint.open_channels(), 1);
}
