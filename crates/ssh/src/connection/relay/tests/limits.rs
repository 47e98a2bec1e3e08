//! What a peer does a thousand times too often is refused, and memory stays bounded.

use super::super::*;
use super::rig::*;
use crate::connection::model::Wish;
use crate::wire::connection::*;

#[test]
fn the_channel_after_the_last_is_refused_and_the_others_stay() {
    let mut rig = Rig::new();
    for number in 0..1000 {
        let from = if number % 2 == 0 { Side::Client } else { Side::Target };
        // Scattered numbers: they are the peers' to choose.
        assert_eq!(rig.feed(from, &open(number * 4_000_037, ChannelType::Session)), Ok(Flow::Continue));
    }
    rig.out.0.clear();
    for from in Side::BOTH {
        assert_eq!(rig.feed(from, &open(7, ChannelType::Session)), Ok(Flow::Continue));
        assert_eq!(rig.sent(), [format!("{from} CHANNEL_OPEN_FAILURE resource shortage")]);
    }
    assert_eq!(rig.relay.open_channels(), 1000);
    rig.target_sends(&confirm(0, 5));
    rig.client_sends(&Message::Close { recipient_channel: 5 });
    rig.target_sends(&Message::Close { recipient_channel: 0 });
    rig.client_sends(&open(7, ChannelType::Session));
    assert_eq!(rig.relay.open_channels(), 1000);
}

#[test]
fn requests_nobody_answers_end_the_connection_at_the_limit() {
    for from in Side::BOTH {
        let mut rig = Rig::with_program();
        let number = if from == Side::Client { T } else { C };
        let (mut on_channel, mut global_requests) = (0, 0);
        let mut refused = None;
        for _ in 0..100_000 {
            match rig.feed(from, &wishing(number, Wish::Pass(true))) {
                Ok(_) => on_channel += 1,
                Err(error) => refused = Some(error),
            }
            rig.out.0.clear();
        }
        let error = ConnectionError::TooManyRequests { limit: 1000 };
        assert_eq!((on_channel, refused), (1000, Some(RelayError::Violation { from, error })));
        for _ in 0..100_000 {
            global_requests += usize::from(rig.feed(from, &global(Wish::Swallow)).is_ok());
            global_requests += usize::from(rig.feed(from, &global(Wish::Pass(true))).is_ok());
            rig.out.0.clear();
        }
        // The first is answered at once; then both kinds wait.
        assert_eq!(global_requests, 1001);
    }
}

#[test]
fn answered_requests_do_not_count() {
    let mut rig = Rig::with_program();
    for _ in 0..5000 {
        rig.client_sends(&wishing(T, Wish::Pass(true)));
        rig.client_sends(&wishing(T, Wish::Refuse));
        rig.target_sends(&Message::ChannelSuccess { recipient_channel: C });
        rig.client_sends(&global(Wish::Pass(true)));
        rig.client_sends(&global(Wish::Swallow));
        rig.target_sends(&Message::RequestFailure);
        assert_eq!(rig.out.0.len(), 6);
        rig.out.0.clear();
    }
}

#[test]
fn waiting_answers_are_bounded_in_bytes_too() {
    /// Answers everything but the first with 64 KiB.
    struct Talkative(bool);
    impl RelayHost for Talkative {
        fn channel_open(&mut self, _: Side, _: ChannelKey, _: &ChannelOpen<'_>) -> OpenVerdict {
            OpenVerdict::Pass
        }
        fn channel_request(&mut self, _: Side, _: ChannelKey, _: &ChannelRequest<'_>) -> RequestVerdict {
            RequestVerdict::Pass
        }
        fn global_request(&mut self, _: Side, _: &GlobalRequest<'_>) -> GlobalVerdict {
            if std::mem::take(&mut self.0) {
                GlobalVerdict::Pass
            } else {
                GlobalVerdict::Answer(vec![0; 65_536])
            }
        }
        fn data(&mut self, _: ChannelKey, _: Side, _: DataKind, _: &[u8]) {}
    }
    let mut rig = Rig::new();
    let mut host = Talkative(true);
    let request = global(Wish::Pass(true)).to_payload();
    let accepted = (0..1000)
        .take_while(|_| rig.relay.on_packet(Side::Client, &request, &mut host, &mut rig.out).is_ok())
        .count();
    assert_eq!(accepted, 6, "one passed, and answers until they exceed 256 KiB");
    let reply = Message::RequestFailure.to_payload();
    assert_eq!(rig.relay.on_packet(Side::Target, &reply, &mut host, &mut rig.out), Ok(Flow::Continue));
    assert!(rig.relay.on_packet(Side::Client, &request, &mut host, &mut rig.out).is_ok(), "they went out");
}

#[test]
fn a_hundred_thousand_short_channels_leave_nothing() {
    let mut rig = Rig::new();
    for round in 0..100_000u32 {
        rig.open_channel(round % 3, round % 5);
        rig.client_sends(&Message::Close { recipient_channel: round % 5 });
        rig.target_sends(&Message::Close { recipient_channel: round % 3 });
        rig.out.0.clear();
        rig.host = Judge::default();
    }
    assert_eq!(rig.relay.open_channels(), 0);
}
