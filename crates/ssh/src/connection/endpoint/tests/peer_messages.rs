//! Each message of the peer in each state: an event, silence, or the right error.

use super::rig::*;
use crate::connection::{ConnectionError, DataKind};
use crate::wire::connection::*;

/// How the channel numbered 0 stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    None,
    /// The peer asked; we have not answered.
    Asked,
    /// We asked; the peer has not answered.
    Opening,
    /// The same, and we have given it up since.
    GivenUp,
    Open,
    PeerEof,
    OwnEof,
    OwnClose,
    PeerEofOwnClose,
}

const STATES: [State; 9] = [
    State::None,
    State::Asked,
    State::Opening,
    State::GivenUp,
    State::Open,
    State::PeerEof,
    State::OwnEof,
    State::OwnClose,
    State::PeerEofOwnClose,
];

fn rig_in(state: State) -> Rig {
    if matches!(state, State::None | State::Asked | State::Opening | State::GivenUp) {
        let mut rig = Rig::new();
        match state {
            State::Asked => drop(rig.peer_opens(P)),
            State::Opening => drop(rig.endpoint.open(&ChannelType::Session, &mut rig.out)),
            State::GivenUp => {
                let key = rig.endpoint.open(&ChannelType::Session, &mut rig.out).unwrap();
                rig.endpoint.close(key, &mut rig.out).unwrap();
            }
            _ => {}
        }
        rig.out.clear();
        return rig;
    }
    let (mut rig, key) = Rig::with_channel();
    // A request of ours waits, so that replies are legal where they are.
    rig.endpoint.request(key, &RequestType::Keepalive, true, &mut rig.out).unwrap();
    if matches!(state, State::PeerEof | State::PeerEofOwnClose) {
        rig.feed(&Message::Eof { recipient_channel: 0 });
    }
    if state == State::OwnEof {
        rig.endpoint.eof(key, &mut rig.out).unwrap();
    }
    if matches!(state, State::OwnClose | State::PeerEofOwnClose) {
        rig.endpoint.close(key, &mut rig.out).unwrap();
    }
    rig.out.clear();
    rig
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Event(&'static str),
    Silence,
    Error,
}

fn messages() -> Vec<(Message<'static>, &'static str)> {
    let recipient_channel = 0;
    vec![
        (Message::Data { recipient_channel, data: b"x" }, "Data 1"),
        (Message::ExtendedData { recipient_channel, data_type_code: 1, data: b"xy" }, "Extended(1) 2"),
        (Message::WindowAdjust { recipient_channel, bytes_to_add: 1 }, ""),
        (Message::Eof { recipient_channel }, "eof"),
        (Message::Close { recipient_channel }, "closed"),
        (keepalive(0, true), "request keepalive@openssh.com?"),
        (Message::ChannelSuccess { recipient_channel }, "reply to Keepalive: true"),
        (Message::ChannelFailure { recipient_channel }, "reply to Keepalive: false"),
        (confirm(0, 77), "opened"),
        (failure(0), "open failed: connect failed"),
    ]
}

fn outcome(state: State, message: &Message<'_>, event: &'static str) -> Outcome {
    let answers_open = matches!(message, Message::OpenConfirmation(_) | Message::OpenFailure(_));
    let may_be_late = matches!(
        message,
        Message::ChannelRequest(_) | Message::ChannelSuccess { .. } | Message::ChannelFailure { .. }
    );
    let is_data = matches!(message, Message::Data { .. } | Message::ExtendedData { .. });
    let event = if event.is_empty() { Outcome::Silence } else { Outcome::Event(event) };
    match (state, message) {
        (State::None | State::Asked, Message::WindowAdjust { .. }) => Outcome::Silence,
        (State::None | State::Asked | State::Opening | State::GivenUp, _) if may_be_late => Outcome::Silence,
        (State::None | State::Asked, _) => Outcome::Error,
        (State::Opening, _) if answers_open => event,
        (State::GivenUp, _) if answers_open => Outcome::Silence,
        (State::Opening | State::GivenUp, _) => Outcome::Error,
        _ if answers_open => Outcome::Error,
        (State::PeerEof | State::PeerEofOwnClose, _) if is_data => Outcome::Error,
        (State::PeerEof, Message::Eof { .. }) => Outcome::Silence,
        (State::OwnClose | State::PeerEofOwnClose, Message::Close { .. }) => event,
        (State::OwnClose | State::PeerEofOwnClose, _) => Outcome::Silence,
        (State::Open | State::PeerEof | State::OwnEof, _) => event,
    }
}

#[test]
fn each_message_in_each_state() {
    for state in STATES {
        for (message, event) in messages() {
            let mut rig = rig_in(state);
            match outcome(state, &message, event) {
                Outcome::Event(event) => {
                    assert_eq!(rig.feed(&message).as_deref(), Some(event), "{message:?} in {state:?}");
                }
                Outcome::Silence => assert_eq!(rig.feed(&message), None, "{message:?} in {state:?}"),
                Outcome::Error => {
                    let reason = rig.violation(&message).disconnect_reason();
                    assert_eq!(reason.map(|r| r.code()), Some(2), "{message:?} in {state:?}");
                }
            }
            let answered = rig.sent();
            let expected: &[&str] = match (state, &message) {
                (State::Open | State::PeerEof | State::OwnEof, Message::Close { .. })
                | (State::GivenUp, Message::OpenConfirmation(_)) => &["CHANNEL_CLOSE"],
                _ => &[],
            };
            assert_eq!(answered, expected, "{message:?} in {state:?}");
        }
    }
}

#[test]
fn a_channel_given_up_and_confirmed_is_forgotten_after_its_close() {
    let mut rig = rig_in(State::GivenUp);
    rig.feed(&confirm(0, P));
    assert_eq!(rig.feed(&Message::Data { recipient_channel: 0, data: b"in flight" }), None);
    assert_eq!(rig.feed(&Message::Close { recipient_channel: 0 }), None);
    assert_eq!(rig.endpoint.open_channels(), 0);
}

#[test]
fn the_peer_keeps_to_the_window_and_packets_it_was_given() {
    let (mut rig, _) = Rig::with_channel();
    let chunk = vec![0; PACKET as usize];
    for _ in 0..WINDOW / PACKET {
        rig.feed(&Message::Data { recipient_channel: 0, data: &chunk });
    }
    rig.feed(&Message::Data { recipient_channel: 0, data: b"" });
    let error = rig.violation(&Message::ExtendedData { recipient_channel: 0, data_type_code: 1, data: b"x" });
    assert_eq!(error, ConnectionError::WindowExceeded { length: 1, window: 0 });
    let (mut rig, _) = Rig::with_channel();
    let error = rig.violation(&Message::Data { recipient_channel: 0, data: &[0; PACKET as usize + 1] });
    assert_eq!(error, ConnectionError::PacketTooLong { length: PACKET + 1, maximum: PACKET });
}

#[test]
fn the_window_holds_after_we_closed_too() {
    let (mut rig, key) = Rig::with_channel();
    rig.endpoint.close(key, &mut rig.out).unwrap();
    for _ in 0..WINDOW / PACKET {
        assert_eq!(rig.feed(&Message::Data { recipient_channel: 0, data: &[0; PACKET as usize] }), None);
    }
    let error = rig.violation(&Message::Data { recipient_channel: 0, data: b"x" });
    assert_eq!(error, ConnectionError::WindowExceeded { length: 1, window: 0 });
}

#[test]
fn no_window_grows_beyond_32_bits() {
    let (mut rig, _) = Rig::with_channel();
    let adjust = |bytes_to_add| Message::WindowAdjust { recipient_channel: 0, bytes_to_add };
    rig.feed(&adjust(u32::MAX - PEER_WINDOW));
    assert_eq!(rig.violation(&adjust(1)), ConnectionError::WindowOverflow { bytes_to_add: 1 });
}

#[test]
fn one_channel_too_many_is_refused_without_asking() {
    let mut rig = Rig::new();
    for number in 0..4 {
        rig.peer_opens(number);
    }
    assert_eq!(rig.feed(&open(4)), None);
    assert_eq!(rig.sent(), ["open failure: resource shortage"]);
    assert!(rig.endpoint.open(&ChannelType::Session, &mut rig.out).is_err());
    assert_eq!(rig.endpoint.open_channels(), 4);
}

#[test]
fn a_number_of_the_peer_is_for_one_channel() {
    let (mut rig, _) = Rig::with_channel();
    assert_eq!(rig.violation(&open(P)), ConnectionError::ChannelNumberInUse { number: P });
    let (mut rig, _) = Rig::with_channel();
    rig.endpoint.open(&ChannelType::Session, &mut rig.out).unwrap();
    assert_eq!(rig.violation(&confirm(1, P)), ConnectionError::ChannelNumberInUse { number: P });
}

#[test]
fn requests_without_our_reply_are_bounded() {
    let (mut rig, key) = Rig::with_channel();
    let limit = ConnectionError::TooManyRequests { limit: 3 };
    for _ in 0..3 {
        rig.feed(&keepalive(0, true));
        rig.feed(&global_keepalive());
    }
    rig.feed(&keepalive(0, false));
    assert_eq!(rig.violation(&global_keepalive()), limit);
    assert_eq!(rig.violation(&keepalive(0, true)), limit);
    rig.endpoint.reply(key, true, &mut rig.out).unwrap();
    assert!(rig.endpoint.reply_global(None, &mut rig.out));
    rig.feed(&keepalive(0, true));
    rig.feed(&global_keepalive());
}

#[test]
fn replies_to_nothing_mean_nothing() {
    let (mut rig, _) = Rig::with_channel();
    for message in [
        Message::ChannelSuccess { recipient_channel: 0 },
        Message::ChannelFailure { recipient_channel: 0 },
        Message::RequestSuccess { data: b"" },
        Message::RequestFailure,
    ] {
        assert_eq!(rig.feed(&message), None, "{message:?}");
    }
}

#[test]
fn streams_keep_their_names() {
    assert_eq!(DataKind::STDERR, DataKind::Extended(1));
}
