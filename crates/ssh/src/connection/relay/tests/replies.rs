//! Replies keep the order of their requests, whoever answers.

use super::super::*;
use super::rig::*;
use crate::connection::model::Wish;
use crate::wire::connection::*;

/// Feeds the requests of `asker`, lets the other end answer those that reached it, and returns the replies.
fn replies_on_a_channel(asker: Side, wishes: &[Wish]) -> Vec<bool> {
    let mut rig = Rig::with_program();
    let (number, back) = if asker == Side::Client { (T, C) } else { (C, T) };
    for &wish in wishes {
        if rig.feed(asker, &wishing(number, wish)) == Ok(Flow::Held) {
            rig.release(asker);
        }
    }
    for wish in wishes.iter().filter(|wish| wish.reaches_other_end()) {
        let reply = if wish.reply() {
            Message::ChannelSuccess { recipient_channel: back }
        } else {
            Message::ChannelFailure { recipient_channel: back }
        };
        assert_eq!(rig.feed(asker.other(), &reply), Ok(Flow::Continue));
    }
    let to_asker = rig.out.0.iter().filter(|(side, _)| *side == asker);
    to_asker.map(|(_, payload)| payload[0] == SSH_MSG_CHANNEL_SUCCESS).collect()
}

fn replies_of_the_connection(asker: Side, wishes: &[Wish]) -> Vec<bool> {
    let mut rig = Rig::new();
    for &wish in wishes {
        if rig.feed(asker, &global(wish)) == Ok(Flow::Held) {
            rig.release(asker);
        }
    }
    for wish in wishes.iter().filter(|wish| wish.reaches_other_end()) {
        let reply =
            if wish.reply() { Message::RequestSuccess { data: b"" } } else { Message::RequestFailure };
        assert_eq!(rig.feed(asker.other(), &reply), Ok(Flow::Continue));
    }
    let to_asker = rig.out.0.iter().filter(|(side, _)| *side == asker);
    to_asker.map(|(_, payload)| payload[0] == SSH_MSG_REQUEST_SUCCESS).collect()
}

proptest::proptest! {
    #[test]
    fn pipelined_requests_are_answered_in_order(
        wishes in proptest::collection::vec(proptest::sample::select(&Wish::ALL[..]), 0..40),
        of_client in proptest::bool::ANY,
    ) {
        let asker = if of_client { Side::Client } else { Side::Target };
        let expected: Vec<bool> = wishes.iter().map(|wish| wish.reply()).collect();
        proptest::prop_assert_eq!(replies_on_a_channel(asker, &wishes), &expected[..]);
        proptest::prop_assert_eq!(replies_of_the_connection(asker, &wishes), expected);
    }
}

#[test]
fn an_answer_of_ours_waits_for_the_replies_before_it_and_no_longer() {
    let mut rig = Rig::with_program();
    for wish in [Wish::Refuse, Wish::Pass(true), Wish::Swallow, Wish::Refuse, Wish::Pass(true), Wish::Refuse]
    {
        rig.client_sends(&wishing(T, wish));
    }
    assert_eq!(
        rig.sent(),
        [
            "client CHANNEL_FAILURE",
            "target CHANNEL_REQUEST x@example.com",
            "target CHANNEL_REQUEST x@example.com"
        ]
    );
    rig.target_sends(&Message::ChannelFailure { recipient_channel: C });
    assert_eq!(rig.sent(), ["client CHANNEL_FAILURE", "client CHANNEL_SUCCESS", "client CHANNEL_FAILURE"]);
    rig.target_sends(&Message::ChannelSuccess { recipient_channel: C });
    assert_eq!(rig.sent(), ["client CHANNEL_SUCCESS", "client CHANNEL_FAILURE"]);
    rig.target_sends(&Message::ChannelSuccess { recipient_channel: C });
    assert_eq!(rig.sent(), [""; 0], "a reply to nothing");
}

#[test]
fn both_directions_and_both_queues_are_independent() {
    let mut rig = Rig::with_program();
    rig.client_sends(&wishing(T, Wish::Pass(true)));
    rig.target_sends(&wishing(C, Wish::Pass(true)));
    rig.client_sends(&global(Wish::Pass(true)));
    rig.target_sends(&global(Wish::Pass(true)));
    rig.out.0.clear();
    rig.target_sends(&Message::RequestFailure);
    rig.client_sends(&Message::ChannelSuccess { recipient_channel: T });
    rig.client_sends(&Message::RequestSuccess { data: b"\0\0\0\x16" });
    rig.target_sends(&Message::ChannelFailure { recipient_channel: C });
    assert_eq!(
        rig.sent(),
        [
            "client REQUEST_FAILURE",
            "target CHANNEL_SUCCESS",
            "target REQUEST_SUCCESS \"\\0\\0\\0\\u{16}\"",
            "client CHANNEL_FAILURE"
        ]
    );
}

#[test]
fn requests_without_reply_get_none() {
    for wish in Wish::ALL {
        let mut rig = Rig::with_program();
        let request_type = RequestType::Unknown { name: "x", data: wish.text().as_bytes() };
        if rig.feed(Side::Client, &request(T, request_type, false)) == Ok(Flow::Held) {
            rig.release(Side::Client);
        }
        let request_type = GlobalRequestType::Unknown { name: "x", data: wish.text().as_bytes() };
        let request = Message::GlobalRequest(GlobalRequest { want_reply: false, request_type });
        if rig.feed(Side::Client, &request) == Ok(Flow::Held) {
            rig.release(Side::Client);
        }
        let expected: &[&str] = if wish.reaches_other_end() {
            &["target CHANNEL_REQUEST x", "target GLOBAL_REQUEST x"]
        } else {
            &[]
        };
        assert_eq!(rig.sent(), expected, "{wish:?}");
    }
}

#[test]
fn our_own_global_requests_do_not_disturb_the_order() {
    let mut rig = Rig::new();
    let keepalive = GlobalRequest { want_reply: true, request_type: GlobalRequestType::Keepalive };
    rig.relay.send_global_request(Side::Client, &keepalive, &mut rig.out).unwrap();
    rig.target_sends(&global(Wish::Refuse));
    assert_eq!(
        rig.sent(),
        ["client GLOBAL_REQUEST keepalive@openssh.com", "target REQUEST_FAILURE"],
        "nothing that passes back is before our answer"
    );
    rig.target_sends(&global(Wish::Pass(true)));
    rig.relay.send_global_request(Side::Client, &keepalive, &mut rig.out).unwrap();
    rig.target_sends(&global(Wish::Swallow));
    rig.out.0.clear();
    rig.client_sends(&Message::RequestFailure);
    assert_eq!(rig.sent(), [""; 0], "the reply to our first keepalive goes no further");
    rig.client_sends(&Message::RequestSuccess { data: b"theirs" });
    assert_eq!(rig.sent(), ["target REQUEST_SUCCESS \"theirs\"", "target REQUEST_SUCCESS \"ours\""]);
    rig.client_sends(&Message::RequestSuccess { data: b"" });
    assert_eq!(rig.sent(), [""; 0]);
    assert_eq!(
        rig.host.heard,
        ["client replied to us: false", "client replied to Unknown: true", "client replied to us: true"]
    );
    rig.client_sends(&Message::RequestFailure);
    assert_eq!(rig.sent(), [""; 0], "a reply to nothing");
}

#[test]
fn while_one_end_is_held_the_other_goes_on() {
    let mut rig = Rig::with_program();
    rig.client_sends(&wishing(T, Wish::Pass(true)));
    assert_eq!(rig.feed(Side::Client, &wishing(T, Wish::HoldRefuse)), Ok(Flow::Held));
    rig.out.0.clear();
    rig.target_sends(&data(C, b"output"));
    rig.target_sends(&Message::ChannelSuccess { recipient_channel: C });
    assert_eq!(rig.sent(), ["client CHANNEL_DATA \"output\"", "client CHANNEL_SUCCESS"]);
    rig.release(Side::Client);
    assert_eq!(rig.sent(), ["client CHANNEL_FAILURE"]);
    rig.client_sends(&data(T, b"input"));
    assert_eq!(rig.sent(), ["target CHANNEL_DATA \"input\""]);
}

#[test]
fn a_held_open_goes_on_or_not() {
    for (wish, expected) in [
        ("hold+", "target CHANNEL_OPEN"),
        ("holdrefuse", "client CHANNEL_OPEN_FAILURE administratively prohibited"),
    ] {
        let mut rig = Rig::new();
        let held = open(C, ChannelType::Unknown { name: "x", data: wish.as_bytes() });
        assert_eq!(rig.feed(Side::Client, &held), Ok(Flow::Held));
        assert_eq!(rig.sent(), [""; 0]);
        rig.release(Side::Client);
        assert_eq!(rig.sent(), [expected]);
    }
}

#[test]
fn a_close_that_comes_while_a_request_is_held_spares_the_answer() {
    for wish in [Wish::HoldRefuse, Wish::HoldPass(true)] {
        let mut rig = Rig::with_program();
        assert_eq!(rig.feed(Side::Client, &wishing(T, wish)), Ok(Flow::Held));
        rig.target_sends(&Message::Close { recipient_channel: C });
        rig.out.0.clear();
        rig.release(Side::Client);
        // Passed on, as what is in flight when the other end closes; or not answered, since CLOSE was sent.
        let expected: &[&str] =
            if wish.reaches_other_end() { &["target CHANNEL_REQUEST x@example.com"] } else { &[] };
        assert_eq!(rig.sent(), expected);
        rig.client_sends(&Message::Close { recipient_channel: T });
        assert_eq!(rig.relay.open_channels(), 0);
    }
}

#[test]
fn what_must_be_confirmed_is_answered_to_whoever_wanted_it() {
    for wanted in [true, false] {
        let mut rig = Rig::with_program();
        rig.host.confirms = true;
        let request_type = RequestType::Unknown { name: "x", data: Wish::Pass(true).text().as_bytes() };
        rig.client_sends(&request(T, request_type, wanted));
        let asking = request(T, request_type, true).to_payload();
        assert_eq!(rig.out.0, [(Side::Target, asking)], "{wanted}");
        rig.out.0.clear();
        rig.host.heard.clear();
        // One of ours keeps its place.
        rig.client_sends(&wishing(T, Wish::Refuse));
        rig.target_sends(&Message::ChannelSuccess { recipient_channel: C });
        let expected: &[&str] = if wanted {
            &["client CHANNEL_SUCCESS", "client CHANNEL_FAILURE"]
        } else {
            &["client CHANNEL_FAILURE"]
        };
        assert_eq!(rig.sent(), expected);
        assert!(rig.host.heard[0].ends_with("target replied to Unknown: true"), "{:?}", rig.host.heard);
        // A reply to nothing goes nowhere.
        rig.out.0.clear();
        rig.target_sends(&Message::ChannelSuccess { recipient_channel: C });
        assert!(rig.sent().is_empty());
    }
}

#[test]
fn confirmations_that_wait_are_bounded() {
    let limits = RelayLimits { max_pending_replies: 3, ..RelayLimits::default() };
    let mut rig = Rig::with_limits(limits);
    rig.open_channel(C, T);
    rig.host.confirms = true;
    let request_type = RequestType::Unknown { name: "x", data: Wish::Pass(true).text().as_bytes() };
    for _ in 0..3 {
        rig.client_sends(&request(T, request_type, false));
    }
    let error = rig.violation(Side::Client, &request(T, request_type, false));
    assert_eq!(error, ConnectionError::TooManyRequests { limit: 3 });
}
