//! What the tests of both modes converse with: a legal peer, a hostile one, and the dice they throw.

mod peer;

pub(crate) use peer::Peer;

use super::Side;
use crate::wire::connection::*;

/// A small generator; the seed is all that a failing case needs.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) const fn below(&mut self, n: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// What a request asks to become of itself: carried in `exec` commands, names of unknown requests, and global requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Passed; the other end answers with success or failure.
    Pass(bool),
    Refuse,
    Swallow,
    /// Held, then as the second letter says.
    HoldPass(bool),
    HoldRefuse,
}

impl Wish {
    pub(crate) const ALL: [Self; 7] = [
        Self::Pass(true),
        Self::Pass(false),
        Self::Refuse,
        Self::Swallow,
        Self::HoldPass(true),
        Self::HoldPass(false),
        Self::HoldRefuse,
    ];

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Pass(true) => "pass+",
            Self::Pass(false) => "pass-",
            Self::Refuse => "refuse",
            Self::Swallow => "swallow",
            Self::HoldPass(true) => "hold+",
            Self::HoldPass(false) => "hold-",
            Self::HoldRefuse => "holdrefuse",
        }
    }

    pub(crate) fn of(text: &[u8]) -> Self {
        Self::ALL.into_iter().find(|wish| wish.text().as_bytes() == text).unwrap_or(Self::Pass(true))
    }

    /// The reply that the asker gets in the end.
    pub(crate) const fn reply(self) -> bool {
        matches!(self, Self::Pass(true) | Self::HoldPass(true) | Self::Swallow)
    }

    pub(crate) const fn reaches_other_end(self) -> bool {
        matches!(self, Self::Pass(_) | Self::HoldPass(_))
    }

    pub(crate) const fn is_held(self) -> bool {
        matches!(self, Self::HoldPass(_) | Self::HoldRefuse)
    }
}

pub(crate) fn wish_of(request: &RequestType<'_>) -> Wish {
    match request {
        RequestType::Exec { command } => Wish::of(command),
        RequestType::Subsystem { name } => Wish::of(name),
        RequestType::Unknown { data, .. } => Wish::of(data),
        _ => Wish::Pass(true),
    }
}

pub(crate) fn wish_of_global(request: &GlobalRequestType<'_>) -> Wish {
    match request {
        GlobalRequestType::Unknown { data, .. } => Wish::of(data),
        _ => Wish::Pass(true),
    }
}

pub(crate) fn wish_of_open(channel_type: &ChannelType<'_>) -> Wish {
    match channel_type {
        ChannelType::Unknown { data, .. } => Wish::of(data),
        _ => Wish::Pass(true),
    }
}

/// A message with every field at random, of numbers that have a chance to mean something.
pub(crate) fn any_message(dice: &mut Dice) -> Vec<u8> {
    const BYTES: &[u8] = &[7; 2000];
    let mut number =
        || if dice.below(20) == 0 { dice.below(1 << 32) as u32 } else { dice.below(6) as u32 * 1000 };
    let (recipient_channel, sender_channel) = (number(), number());
    let amount = dice.pick(&[0, 1, 100, 10_000, 1 << 20, u32::MAX]);
    let maximum_packet_size = dice.pick(&[0, 1, 100, 32_768, u32::MAX]);
    let data = &BYTES[..dice.below(BYTES.len() as u64) as usize];
    let wish = dice.pick(&Wish::ALL).text().as_bytes();
    let want_reply = dice.below(2) == 0;
    let channel_type = dice.pick(&[
        ChannelType::Session,
        ChannelType::Session,
        ChannelType::Unknown { name: "x", data: wish },
    ]);
    let request_type = dice.pick(&[
        RequestType::Shell,
        RequestType::Exec { command: wish },
        RequestType::ExitStatus { status: 0 },
        RequestType::EndOfWrite,
        RequestType::Unknown { name: "x", data: wish },
    ]);
    let global =
        dice.pick(&[GlobalRequestType::Keepalive, GlobalRequestType::Unknown { name: "x", data: wish }]);
    let message = match dice.below(14) {
        0 => Message::GlobalRequest(GlobalRequest { want_reply, request_type: global }),
        1 => Message::RequestSuccess { data: wish },
        2 => Message::RequestFailure,
        3 => Message::ChannelOpen(ChannelOpen {
            channel_type,
            sender_channel,
            initial_window_size: amount,
            maximum_packet_size,
        }),
        4 => Message::OpenConfirmation(OpenConfirmation {
            recipient_channel,
            sender_channel,
            initial_window_size: amount,
            maximum_packet_size,
            data: b"",
        }),
        5 => {
            let reason = OpenFailureReason(amount);
            Message::OpenFailure(OpenFailure { recipient_channel, reason, description: wish, language: b"" })
        }
        6 => Message::WindowAdjust { recipient_channel, bytes_to_add: amount },
        7 => Message::Data { recipient_channel, data },
        8 => Message::ExtendedData { recipient_channel, data_type_code: amount, data },
        9 => Message::Eof { recipient_channel },
        10 => Message::Close { recipient_channel },
        11 => Message::ChannelRequest(ChannelRequest { recipient_channel, want_reply, request_type }),
        12 => Message::ChannelSuccess { recipient_channel },
        _ => Message::ChannelFailure { recipient_channel },
    };
    message.to_payload()
}
