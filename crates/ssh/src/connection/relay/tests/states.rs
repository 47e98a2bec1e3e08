//! Each message, from each end, in each state of a channel: accepted or the right error.

use super::super::*;
use super::rig::*;
use crate::connection::model::Wish;
use crate::wire::connection::*;

/// States of a channel as one end has brought it about; the table asks what that end may send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No channel of that number.
    None,
    /// The client's open went on; the target has not answered.
    Opening,
    Open,
    /// That end sent EOF.
    SentEof,
    /// The other end sent EOF.
    GotEof,
    /// That end sent CLOSE.
    SentClose,
    /// The other end sent CLOSE.
    GotClose,
}

const STATES: [State; 7] = [
    State::None,
    State::Opening,
    State::Open,
    State::SentEof,
    State::GotEof,
    State::SentClose,
    State::GotClose,
];

fn rig_in(state: State, from: Side) -> Rig {
    let number = |side: Side| if side == Side::Client { T } else { C };
    let say = |rig: &mut Rig, side: Side, message: fn(u32) -> Message<'static>| {
        assert_eq!(rig.feed(side, &message(number(side))), Ok(Flow::Continue));
    };
    let eof = |recipient_channel| Message::Eof { recipient_channel };
    let close = |recipient_channel| Message::Close { recipient_channel };
    let mut rig = match state {
        State::None => return Rig::new(),
        State::Opening => {
            let mut rig = Rig::new();
            rig.client_sends(&open(C, ChannelType::Session));
            rig.out.0.clear();
            return rig;
        }
        _ => Rig::with_program(),
    };
    // A request of the other end is waiting, so that a reply is legal where replies are.
    let other = from.other();
    assert_eq!(rig.feed(other, &wishing(number(other), Wish::Pass(true))), Ok(Flow::Continue));
    match state {
        State::SentEof => say(&mut rig, from, eof),
        State::GotEof => say(&mut rig, other, eof),
        State::SentClose => say(&mut rig, from, close),
        State::GotClose => say(&mut rig, other, close),
        State::None | State::Opening | State::Open => {}
    }
    rig.out.0.clear();
    rig
}

/// One of each message about a channel.
fn messages(recipient_channel: u32) -> Vec<Message<'static>> {
    vec![
        Message::Data { recipient_channel, data: b"x" },
        Message::ExtendedData { recipient_channel, data_type_code: 1, data: b"x" },
        Message::WindowAdjust { recipient_channel, bytes_to_add: 1 },
        Message::Eof { recipient_channel },
        Message::Close { recipient_channel },
        request(recipient_channel, RequestType::Keepalive, true),
        Message::ChannelSuccess { recipient_channel },
        Message::ChannelFailure { recipient_channel },
        confirm(recipient_channel, 77),
        failure(recipient_channel),
    ]
}

/// What the table says: is this message accepted in this state and goes no further?
fn goes_nowhere(state: State, from: Side, message: &Message<'_>) -> bool {
    // The client cannot know a number of the target's yet.
    let unknown = state == State::None || state == State::Opening && from == Side::Client;
    let over = unknown || state == State::SentClose;
    match message {
        Message::WindowAdjust { .. } => over,
        Message::ChannelSuccess { .. } | Message::ChannelFailure { .. } => over || state == State::Opening,
        Message::ChannelRequest(_) => from == Side::Target && matches!(state, State::None | State::Opening),
        Message::ExtendedData { .. } => {
            from == Side::Client && matches!(state, State::Open | State::GotEof | State::GotClose)
        }
        Message::Eof { .. } => state == State::SentEof,
        _ => false,
    }
}

/// What the table says: is this message passed on in this state?
fn accepted(state: State, from: Side, message: &Message<'_>) -> bool {
    let answers_open = matches!(message, Message::OpenConfirmation(_) | Message::OpenFailure(_));
    match state {
        State::None | State::SentClose => false,
        State::Opening => answers_open && from == Side::Target,
        State::Open | State::GotEof | State::GotClose => !answers_open,
        State::SentEof => {
            !answers_open && !matches!(message, Message::Data { .. } | Message::ExtendedData { .. })
        }
    }
}

#[test]
fn each_message_in_each_state_is_passed_or_ends_the_connection() {
    for from in Side::BOTH {
        for state in STATES {
            let number = if from == Side::Client { T } else { C };
            for message in messages(number) {
                let mut rig = rig_in(state, from);
                let what = format!("{message:?} from the {from} in {state:?}");
                let late_request = state == State::SentClose && matches!(message, Message::ChannelRequest(_));
                if goes_nowhere(state, from, &message) {
                    assert_eq!(rig.feed(from, &message), Ok(Flow::Continue), "{what}");
                    assert!(rig.out.0.is_empty(), "{what}");
                } else if late_request {
                    assert_eq!(rig.feed(from, &message), Ok(Flow::Continue), "{what}");
                    assert_eq!(rig.sent(), [format!("{from} CHANNEL_FAILURE")], "{what}");
                } else if accepted(state, from, &message) {
                    assert_eq!(rig.feed(from, &message), Ok(Flow::Continue), "{what}");
                    assert_eq!(rig.out.0, [(from.other(), message.to_payload())], "{what}");
                } else {
                    let error = rig.violation(from, &message);
                    let reason = error.disconnect_reason().expect("a reason to disconnect");
                    assert_eq!(reason.code(), 2, "{what}: {error}");
                    assert!(rig.out.0.is_empty(), "{what}");
                }
            }
        }
    }
}

#[test]
fn the_errors_say_what_was_wrong() {
    let mut rig = Rig::with_program();
    let recipient_channel = C;
    rig.target_sends(&Message::Eof { recipient_channel });
    assert_eq!(rig.violation(Side::Target, &data(C, b"late")).to_string(), "CHANNEL_DATA after CHANNEL_EOF");
    rig.target_sends(&Message::Close { recipient_channel });
    assert_eq!(
        rig.violation(Side::Target, &data(C, b"late")).to_string(),
        "CHANNEL_DATA after CHANNEL_CLOSE"
    );
    let unknown = rig.violation(Side::Client, &data(9, b""));
    assert_eq!(unknown.to_string(), "CHANNEL_DATA for channel 9, which does not exist");
    let mut rig = Rig::new();
    rig.client_sends(&open(C, ChannelType::Session));
    let early = rig.violation(Side::Target, &data(C, b"early"));
    assert_eq!(early.to_string(), "CHANNEL_DATA before CHANNEL_OPEN_CONFIRMATION");
}

#[test]
fn a_target_that_was_not_asked_cannot_answer() {
    let hold = ChannelType::Unknown { name: "x", data: b"hold+" };
    let mut rig = Rig::new();
    assert_eq!(rig.feed(Side::Client, &open(C, hold)), Ok(Flow::Held));
    let (harmless, others): (Vec<_>, Vec<_>) =
        messages(C).into_iter().partition(|message| goes_nowhere(State::None, Side::Target, message));
    for message in harmless {
        rig.target_sends(&message);
    }
    assert!(rig.out.0.is_empty());
    for message in others {
        let error = rig.violation(Side::Target, &message);
        assert!(matches!(error, ConnectionError::UnknownChannel { .. }), "{message:?}: {error}");
    }
}

/// OpenSSH's server with `ClientAliveInterval` asks on the channel of a program that is over, while the client reads.
#[test]
fn requests_after_an_end_s_close_are_refused_in_their_place() {
    let mut rig = Rig::with_program();
    rig.target_sends(&wishing(C, Wish::Pass(true)));
    rig.target_sends(&Message::Close { recipient_channel: C });
    rig.out.0.clear();
    rig.target_sends(&request(C, RequestType::Keepalive, true));
    rig.target_sends(&request(C, RequestType::Keepalive, false));
    assert_eq!(rig.sent(), [""; 0], "the client owes a reply before");
    rig.client_sends(&Message::ChannelSuccess { recipient_channel: T });
    assert_eq!(rig.sent(), ["target CHANNEL_SUCCESS", "target CHANNEL_FAILURE"]);
    rig.target_sends(&request(C, RequestType::Keepalive, true));
    assert_eq!(rig.sent(), ["target CHANNEL_FAILURE"]);
    rig.client_sends(&Message::Close { recipient_channel: T });
    assert_eq!(rig.sent(), ["target CHANNEL_CLOSE"]);
    // It may have asked before it read that.
    rig.target_sends(&request(C, RequestType::Keepalive, true));
    rig.client_sends(&open(C, ChannelType::Session));
    rig.target_sends(&request(C, RequestType::Keepalive, true));
    assert_eq!(rig.sent(), ["target CHANNEL_OPEN"]);
    rig.target_sends(&confirm(C, T));
    assert_eq!(rig.sent(), ["client CHANNEL_OPEN_CONFIRMATION"]);
}

#[test]
fn late_requests_without_number_are_dropped_once_many_wait() {
    let mut rig = Rig::with_program();
    rig.target_sends(&wishing(C, Wish::Pass(true)));
    rig.target_sends(&Message::Close { recipient_channel: C });
    rig.out.0.clear();
    for _ in 0..5000 {
        rig.target_sends(&request(C, RequestType::Keepalive, true));
    }
    rig.client_sends(&Message::ChannelSuccess { recipient_channel: T });
    assert!((1..=1000).contains(&rig.sent().len()));
}

#[test]
fn a_number_in_use_cannot_be_given_again() {
    let mut rig = Rig::with_channel();
    let error = rig.violation(Side::Client, &open(C, ChannelType::Session));
    assert_eq!(error, ConnectionError::ChannelNumberInUse { number: C });
    let mut rig = Rig::with_channel();
    rig.client_sends(&open(C + 1, ChannelType::Session));
    let error = rig.violation(Side::Target, &confirm(C + 1, T));
    assert_eq!(error, ConnectionError::ChannelNumberInUse { number: T });
}

#[test]
fn numbers_are_free_again_once_both_ends_closed() {
    let mut rig = Rig::with_channel();
    rig.client_sends(&Message::Close { recipient_channel: T });
    rig.target_sends(&Message::Close { recipient_channel: C });
    assert_eq!(rig.relay.open_channels(), 0);
    rig.open_channel(C, T);
    assert_eq!(rig.host.keys[0].slot(), rig.host.keys[1].slot());
    assert_ne!(rig.host.keys[0], rig.host.keys[1]);
}

#[test]
fn a_refused_channel_reaches_nobody() {
    for from in Side::BOTH {
        let mut rig = Rig::new();
        let refused = open(C, ChannelType::Unknown { name: "y", data: b"refuse" });
        assert_eq!(rig.feed(from, &refused), Ok(Flow::Continue));
        assert_eq!(rig.sent(), [format!("{from} CHANNEL_OPEN_FAILURE administratively prohibited")]);
        assert_eq!(rig.relay.open_channels(), 0);
        // The number was never in use.
        assert_eq!(rig.feed(from, &open(C, ChannelType::Session)), Ok(Flow::Continue));
    }
}

#[test]
fn messages_that_nobody_knows_are_unimplemented_and_harmless() {
    let mut rig = Rig::with_program();
    for number in [83, 101, 127, 255] {
        let result = rig.relay.on_packet(Side::Target, &[number, 0], &mut rig.host, &mut rig.out);
        assert_eq!(result, Err(RelayError::Unimplemented { from: Side::Target, number }));
    }
    rig.target_sends(&data(C, b"still here"));
}

#[test]
fn no_more_sessions_is_passed_on_and_honoured() {
    let mut rig = Rig::with_channel();
    let request_type = GlobalRequestType::NoMoreSessions;
    rig.client_sends(&Message::GlobalRequest(GlobalRequest { want_reply: false, request_type }));
    rig.client_sends(&open(8, ChannelType::Session));
    assert_eq!(
        rig.sent(),
        [
            "target GLOBAL_REQUEST no-more-sessions@openssh.com",
            "client CHANNEL_OPEN_FAILURE administratively prohibited"
        ]
    );
    assert_eq!(rig.host.heard, ["client refused: NoMoreSessions"]);
    // Other channels, and the target's, are not meant.
    rig.client_sends(&open(8, ChannelType::Unknown { name: "y", data: b"" }));
    rig.target_sends(&open(9, ChannelType::AuthAgent));
    assert_eq!(rig.sent(), ["target CHANNEL_OPEN", "client CHANNEL_OPEN"]);
}

#[test]
fn what_the_host_hears_is_the_life_of_the_channel() {
    let mut rig = Rig::new();
    rig.open_channel(C, T);
    rig.client_sends(&request(T, RequestType::Shell, true));
    rig.target_sends(&Message::ChannelSuccess { recipient_channel: C });
    rig.client_sends(&data(T, b"ls\n"));
    rig.target_sends(&Message::ExtendedData { recipient_channel: C, data_type_code: 1, data: b"oops" });
    rig.target_sends(&request(C, RequestType::ExitStatus { status: 7 }, false));
    rig.target_sends(&Message::Eof { recipient_channel: C });
    rig.target_sends(&Message::Close { recipient_channel: C });
    rig.client_sends(&Message::Close { recipient_channel: T });
    let heard = [
        "0 opened",
        "0 target replied to Shell: true",
        "0 target eof",
        "0 target close",
        "0 client close",
        "0 closed",
    ];
    assert_eq!(rig.host.heard, heard);
    assert_eq!(
        rig.host.data,
        [
            (Side::Client, DataKind::Data, b"ls\n".to_vec()),
            (Side::Target, DataKind::STDERR, b"oops".to_vec())
        ]
    );
    let passed = PerSide { client: 3, target: 4 };
    assert_eq!(rig.host.closed, [(rig.key(), Totals { passed, ..Totals::default() })]);
}

#[test]
fn an_owner_that_feeds_what_it_must_not_is_told_and_nothing_changes() {
    let mut rig = Rig::with_channel();
    assert_eq!(rig.feed(Side::Client, &wishing(T, Wish::HoldPass(true))), Ok(Flow::Held));
    assert!(rig.relay.is_held(Side::Client));
    assert!(matches!(rig.feed(Side::Client, &data(T, b"")), Err(RelayError::Misused(_))));
    let wrong = rig.relay.release_global(Side::Client, GlobalVerdict::Pass, &mut rig.out);
    assert!(matches!(wrong, Err(RelayError::Misused(_))));
    let wrong = rig.relay.release_open(Side::Client, OpenVerdict::Pass, &mut rig.out);
    assert!(matches!(wrong, Err(RelayError::Misused(_))));
    let wrong = rig.relay.release_request(Side::Client, RequestVerdict::Hold, &mut rig.host, &mut rig.out);
    assert!(matches!(wrong, Err(RelayError::Misused(_))));
    assert!(rig.out.0.is_empty());
    rig.release(Side::Client);
    assert_eq!(rig.sent(), ["target CHANNEL_REQUEST x@example.com"]);
    let wrong = rig.relay.release_request(Side::Client, RequestVerdict::Pass, &mut rig.host, &mut rig.out);
    assert!(matches!(wrong, Err(RelayError::Misused(_))));
}
