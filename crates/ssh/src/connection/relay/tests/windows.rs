//! Windows: end to end, less the reserve; withheld data are credited; overruns end the connection.

use super::super::*;
use super::rig::*;
use crate::connection::model::Wish;
use crate::wire::connection::*;

const RESERVE: u32 = 4096;

fn opening(initial_window_size: u32, maximum_packet_size: u32) -> Message<'static> {
    Message::ChannelOpen(ChannelOpen {
        channel_type: ChannelType::Session,
        sender_channel: C,
        initial_window_size,
        maximum_packet_size,
    })
}

/// The window and packet size that the target is told of.
fn announced(rig: &mut Rig) -> (u32, u32) {
    let (side, payload) = rig.out.0.pop().expect("an open went out");
    assert_eq!(side, Side::Target);
    match Message::parse(&payload) {
        Ok(Message::ChannelOpen(open)) => (open.initial_window_size, open.maximum_packet_size),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_reserve_is_4_kib_of_a_window_that_can_spare_it() {
    for (window, told) in [
        (0, 0),
        (8191, 8191),
        (8192, 6144),
        (16_384, 12_288),
        (100_000, 95_904),
        (u32::MAX, u32::MAX - RESERVE),
    ] {
        let mut rig = Rig::new();
        rig.client_sends(&opening(window, PACKET));
        assert_eq!(announced(&mut rig), (told, PACKET), "{window}");
    }
}

#[test]
fn only_sessions_of_the_client_give_a_reserve() {
    let mut rig = Rig::new();
    let direct =
        ChannelType::DirectTcpip { host: b"h", port: 1, originator_address: b"o", originator_port: 2 };
    rig.client_sends(&open(C, direct));
    assert_eq!(announced(&mut rig), (WINDOW, PACKET));
    rig.target_sends(&open(T, ChannelType::Session));
    let (side, payload) = rig.out.0.pop().unwrap();
    assert_eq!((side, payload), (Side::Client, open(T, ChannelType::Session).to_payload()), "unchanged");
}

#[test]
fn no_end_may_ask_for_packets_that_our_transports_refuse() {
    let mut rig = Rig::new();
    rig.client_sends(&opening(WINDOW, 0x7fff_ffff));
    assert_eq!(announced(&mut rig).1, 128 * 1024);
    let huge = OpenConfirmation {
        recipient_channel: C,
        sender_channel: T,
        initial_window_size: u32::MAX,
        maximum_packet_size: u32::MAX,
        data: b"",
    };
    rig.target_sends(&Message::OpenConfirmation(huge));
    let expected = OpenConfirmation { maximum_packet_size: 128 * 1024, ..huge };
    assert_eq!(rig.out.0.pop().unwrap(), (Side::Client, Message::OpenConfirmation(expected).to_payload()));
    rig.client_sends(&request(T, RequestType::Shell, false));
    rig.client_sends(&data(T, &vec![0; 128 * 1024]));
    let error = rig.violation(Side::Client, &data(T, &vec![0; 128 * 1024 + 1]));
    assert_eq!(error, ConnectionError::PacketTooLong { length: 131_073, maximum: 131_072 });
}

#[test]
fn a_byte_beyond_the_window_ends_the_connection_of_who_sent_it() {
    for (from, number, window) in [(Side::Client, T, WINDOW), (Side::Target, C, WINDOW - RESERVE)] {
        let mut rig = Rig::with_program();
        let mut left = window;
        while left > 0 {
            let length = left.min(PACKET);
            let chunk = vec![0; length as usize];
            // Both streams of a target count.
            let message = if left % 2 == 0 || from == Side::Client {
                data(number, &chunk)
            } else {
                Message::ExtendedData { recipient_channel: number, data_type_code: 1, data: &chunk }
            };
            assert_eq!(rig.feed(from, &message), Ok(Flow::Continue));
            left -= length;
        }
        assert_eq!(rig.feed(from, &data(number, b"")), Ok(Flow::Continue), "no bytes need no window");
        let error = rig.violation(from, &data(number, b"x"));
        assert_eq!(error, ConnectionError::WindowExceeded { length: 1, window: 0 });
        assert!(error.disconnect_reason().is_some());
    }
}

#[test]
fn a_packet_longer_than_announced_ends_the_connection() {
    let mut rig = Rig::with_program();
    let long = vec![0; PACKET as usize + 1];
    let error = rig.violation(Side::Target, &data(C, &long));
    assert_eq!(error, ConnectionError::PacketTooLong { length: PACKET + 1, maximum: PACKET });
}

#[test]
fn adjustments_pass_unchanged_up_to_the_largest_window() {
    let mut rig = Rig::with_program();
    let adjust = |recipient_channel, bytes_to_add| Message::WindowAdjust { recipient_channel, bytes_to_add };
    let most = u32::MAX - WINDOW;
    for (from, number) in [(Side::Client, T), (Side::Target, C)] {
        assert_eq!(rig.feed(from, &adjust(number, 0)), Ok(Flow::Continue));
        assert_eq!(rig.feed(from, &adjust(number, most)), Ok(Flow::Continue));
        let to = from.other();
        assert_eq!(
            rig.sent(),
            [format!("{to} CHANNEL_WINDOW_ADJUST 0"), format!("{to} CHANNEL_WINDOW_ADJUST {most}")]
        );
        let error = rig.violation(from, &adjust(number, 1));
        assert_eq!(error, ConnectionError::WindowOverflow { bytes_to_add: 1 });
    }
}

#[test]
fn injected_bytes_come_out_of_the_reserve_and_adjustments_fill_it_up_first() {
    let mut rig = Rig::with_program();
    let key = rig.key();
    assert_eq!(rig.relay.inject(key, DataKind::STDERR, b"notice\n", &mut rig.out), 7);
    assert_eq!(rig.sent(), ["client CHANNEL_EXTENDED_DATA \"notice\\n\""]);
    let adjust = |bytes_to_add| Message::WindowAdjust { recipient_channel: T, bytes_to_add };
    rig.client_sends(&adjust(5));
    assert_eq!(rig.sent(), [""; 0], "all of it fills the reserve");
    rig.client_sends(&adjust(5));
    assert_eq!(rig.sent(), ["target CHANNEL_WINDOW_ADJUST 3"]);
    rig.client_sends(&adjust(5));
    assert_eq!(rig.sent(), ["target CHANNEL_WINDOW_ADJUST 5"]);
    // The whole reserve and no more, in packets that the client accepts.
    let long = vec![b'x'; 10_000];
    assert_eq!(rig.relay.inject(key, DataKind::Data, &long, &mut rig.out), RESERVE as usize);
    assert_eq!(rig.relay.inject(key, DataKind::Data, &long, &mut rig.out), 0);
    assert!(rig.host.data.is_empty(), "the host knows what it injected");
}

#[test]
fn injection_keeps_to_the_packets_and_states_of_the_client() {
    let mut rig = Rig::new();
    rig.client_sends(&opening(WINDOW, 1000));
    let key = rig.key();
    assert_eq!(rig.relay.inject(key, DataKind::Data, b"early", &mut rig.out), 0, "not open yet");
    rig.target_sends(&confirm(C, T));
    rig.out.0.clear();
    assert_eq!(rig.relay.inject(key, DataKind::Data, &[0; 2500], &mut rig.out), 2500);
    assert_eq!(rig.out.0.iter().map(|(_, payload)| payload.len() - 9).collect::<Vec<_>>(), [1000, 1000, 500]);
    rig.target_sends(&Message::Eof { recipient_channel: C });
    assert_eq!(rig.relay.inject(key, DataKind::Data, b"late", &mut rig.out), 0, "after EOF");
    rig.client_sends(&Message::Close { recipient_channel: T });
    rig.target_sends(&Message::Close { recipient_channel: C });
    assert_eq!(rig.relay.inject(key, DataKind::Data, b"late", &mut rig.out), 0, "void");
    let mut silent = Rig::new();
    silent.client_sends(&opening(WINDOW, 0));
    silent.target_sends(&confirm(C, T));
    let key = silent.key();
    assert_eq!(silent.relay.inject(key, DataKind::Data, b"x", &mut silent.out), 0, "packets of no bytes");
}

#[test]
fn data_before_a_permitted_program_never_reach_the_target_and_are_credited() {
    let mut rig = Rig::with_channel();
    rig.client_sends(&data(T, &[1; 20_000]));
    assert_eq!(rig.sent(), [""; 0]);
    rig.client_sends(&data(T, &[1; 20_000]));
    assert_eq!(rig.sent(), ["client CHANNEL_WINDOW_ADJUST 40000"]);
    rig.client_sends(&request(T, RequestType::Exec { command: b"refuse" }, true));
    assert_eq!(rig.sent(), ["client CHANNEL_FAILURE"]);
    rig.client_sends(&data(T, b"after a refusal"));
    rig.client_sends(&Message::ExtendedData { recipient_channel: T, data_type_code: 1, data: b"either" });
    assert_eq!(rig.sent(), [""; 0]);
    rig.client_sends(&request(T, RequestType::Exec { command: b"pass-" }, true));
    rig.client_sends(&data(T, b"in flight"));
    assert_eq!(rig.sent(), ["target CHANNEL_REQUEST exec", "target CHANNEL_DATA \"in flight\""]);
    rig.target_sends(&Message::ChannelFailure { recipient_channel: C });
    rig.client_sends(&data(T, b"after it failed"));
    assert_eq!(rig.sent(), ["client CHANNEL_FAILURE"]);
    rig.client_sends(&Message::Close { recipient_channel: T });
    assert_eq!(rig.sent(), ["target CHANNEL_CLOSE"], "or its channel would stay open for ever");
    rig.target_sends(&Message::Close { recipient_channel: C });
    let (_, totals) = rig.host.closed[0];
    assert_eq!((totals.withheld, totals.passed.client), (40_036, 9));
}

#[test]
fn a_client_whose_data_are_withheld_never_runs_out_of_window() {
    for (packet, granted) in [(1, WINDOW), (100, WINDOW), (9999, WINDOW), (1, 1), (7, 100), (500, 40_000)] {
        let mut rig = Rig::new();
        rig.client_sends(&open(C, ChannelType::Session));
        let confirmation = OpenConfirmation {
            recipient_channel: C,
            sender_channel: T,
            initial_window_size: granted,
            maximum_packet_size: PACKET,
            data: b"",
        };
        rig.target_sends(&Message::OpenConfirmation(confirmation));
        rig.out.0.clear();
        let (mut window, mut adjusts, rounds) = (u64::from(granted), 0, 20_000);
        for _ in 0..rounds {
            let length = window.min(packet);
            assert_ne!(length, 0, "packets of {packet}");
            rig.client_sends(&data(T, &vec![0; length as usize]));
            window -= length;
            for (side, payload) in std::mem::take(&mut rig.out.0) {
                assert_eq!(side, Side::Client);
                match Message::parse(&payload) {
                    Ok(Message::WindowAdjust { bytes_to_add, .. }) => window += u64::from(bytes_to_add),
                    other => panic!("{other:?}"),
                }
                adjusts += 1;
            }
            assert!(window <= u64::from(granted));
        }
        if granted == WINDOW {
            assert!(adjusts <= rounds * packet / 32_768, "{adjusts} adjustments for packets of {packet}");
        }
    }
}

#[test]
fn nothing_is_credited_after_close() {
    let mut rig = Rig::with_channel();
    rig.target_sends(&Message::Close { recipient_channel: C });
    rig.out.0.clear();
    rig.client_sends(&data(T, &[0; 30_000]));
    rig.client_sends(&data(T, &[0; 30_000]));
    assert_eq!(rig.sent(), [""; 0]);
}

#[test]
fn an_eof_before_the_program_follows_it() {
    let mut rig = Rig::with_channel();
    rig.client_sends(&Message::Eof { recipient_channel: T });
    assert_eq!(rig.sent(), [""; 0]);
    rig.client_sends(&request(T, RequestType::Exec { command: b"refuse" }, true));
    assert_eq!(rig.sent(), ["client CHANNEL_FAILURE"]);
    rig.client_sends(&request(T, RequestType::Shell, true));
    assert_eq!(rig.sent(), ["target CHANNEL_REQUEST shell", "target CHANNEL_EOF"]);
    assert_eq!(rig.violation(Side::Client, &data(T, b"x")).to_string(), "CHANNEL_DATA after CHANNEL_EOF");
}

#[test]
fn a_refused_program_says_why_on_standard_error() {
    let mut rig = Rig::with_channel();
    rig.host.refusal_text = "exec is not permitted\nask for it";
    rig.client_sends(&request(T, RequestType::Exec { command: b"refuse" }, true));
    assert_eq!(
        rig.sent(),
        [
            "client CHANNEL_SUCCESS",
            "client CHANNEL_EXTENDED_DATA \"exec is not permitted\\nask for it\\n\"",
            "client CHANNEL_REQUEST exit-status",
            "client CHANNEL_EOF",
            "client CHANNEL_CLOSE",
            "target CHANNEL_CLOSE"
        ]
    );
}

#[test]
fn a_refused_subsystem_fails_so_that_the_client_tries_another_way() {
    let mut rig = Rig::with_channel();
    rig.host.refusal_text = "no";
    rig.client_sends(&request(T, RequestType::Subsystem { name: b"refuse" }, true));
    assert_eq!(rig.sent(), ["client CHANNEL_EXTENDED_DATA \"no\\n\"", "client CHANNEL_FAILURE"]);
}

#[test]
fn the_person_is_not_told_what_the_target_was_refused() {
    let mut rig = Rig::with_program();
    rig.host.refusal_text = "no";
    rig.target_sends(&wishing(C, Wish::Refuse));
    assert_eq!(rig.sent(), ["target CHANNEL_FAILURE"]);
}

#[test]
fn a_refused_program_that_wants_no_reply_ends_the_channel() {
    let mut rig = Rig::with_channel();
    rig.host.refusal_text = "no";
    rig.client_sends(&request(T, RequestType::Exec { command: b"refuse" }, false));
    assert_eq!(
        rig.sent(),
        [
            "client CHANNEL_EXTENDED_DATA \"no\\n\"",
            "client CHANNEL_REQUEST exit-status",
            "client CHANNEL_EOF",
            "client CHANNEL_CLOSE",
            "target CHANNEL_CLOSE"
        ]
    );
    rig.client_sends(&data(T, b"in flight"));
    rig.client_sends(&Message::Close { recipient_channel: T });
    rig.target_sends(&Message::Close { recipient_channel: C });
    assert_eq!((rig.sent(), rig.relay.open_channels()), (vec![], 0));
}
