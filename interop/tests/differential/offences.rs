//! What a client may not do, and how the connection ends for it: directly, and through our relay.
//!
//! The relay knows each channel's state and window and ends the connection where the RFC is broken. Servers
//! overlook some of it. A client that depends on that would be cut off by us and not by them: these rows are the
//! deliberate differences, and all of them.

use bartizan_ssh::wire::connection::*;

/// Whether the connection outlives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Survived,
    Ended,
}

use Ending::{Ended, Survived};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offence {
    DataForUnknownChannel,
    EofForUnknownChannel,
    CloseForUnknownChannel,
    AdjustForUnknownChannel,
    RequestForUnknownChannel,
    ReplyForUnknownChannel,
    ConfirmationOfNothing,
    FailureOfNothing,
    ChannelReplyToNothing,
    GlobalReplyToNothing,
    ChannelNumberInUse,
    SessionAfterNoMoreSessions,
    DataBeforeProgram,
    DataAfterEof,
    SecondEof,
    DataBeyondWindow,
    PacketTooLong,
    StderrOfTheClient,
    WindowBeyondAllNumbers,
    TruncatedMessage,
    TrailingBytes,
    UnknownMessage,
    MessageOfAuthentication,
}

pub(crate) const OFFENCES: &[Offence] = &[
    Offence::DataForUnknownChannel,
    Offence::EofForUnknownChannel,
    Offence::CloseForUnknownChannel,
    Offence::AdjustForUnknownChannel,
    Offence::RequestForUnknownChannel,
    Offence::ReplyForUnknownChannel,
    Offence::ConfirmationOfNothing,
    Offence::FailureOfNothing,
    Offence::ChannelReplyToNothing,
    Offence::GlobalReplyToNothing,
    Offence::ChannelNumberInUse,
    Offence::SessionAfterNoMoreSessions,
    Offence::DataBeforeProgram,
    Offence::DataAfterEof,
    Offence::SecondEof,
    Offence::DataBeyondWindow,
    Offence::PacketTooLong,
    Offence::StderrOfTheClient,
    Offence::WindowBeyondAllNumbers,
    Offence::TruncatedMessage,
    Offence::TrailingBytes,
    Offence::UnknownMessage,
    Offence::MessageOfAuthentication,
];

/// A number that no server gives.
const NOBODY: u32 = 77_777;

impl Offence {
    /// How it ends directly and through the relay.
    pub(crate) fn listed(self, server: &str) -> [Ending; 2] {
        let (openssh, russh) = match self {
            // OpenSSH disconnects as we do; russh looks away.
            Self::DataForUnknownChannel
            | Self::EofForUnknownChannel
            | Self::CloseForUnknownChannel
            | Self::RequestForUnknownChannel => ([Ended, Ended], [Survived, Ended]),
            // Late adjustments are common, and mean nothing to anybody.
            Self::AdjustForUnknownChannel => ([Survived; 2], [Survived; 2]),
            Self::ConfirmationOfNothing | Self::FailureOfNothing => ([Ended; 2], [Ended; 2]),
            // Replies that nobody asked for answer nobody.
            Self::ReplyForUnknownChannel | Self::ChannelReplyToNothing | Self::GlobalReplyToNothing => {
                ([Survived; 2], [Survived; 2])
            }
            // Two channels of one number could not be told apart in the evidence.
            Self::ChannelNumberInUse => ([Survived, Ended], [Survived, Ended]),
            // OpenSSH takes it for an attack; we refuse the channel.
            Self::SessionAfterNoMoreSessions => ([Ended, Survived], [Survived; 2]),
            // OpenSSH grants no window before a program runs, and ignores what comes all the same.
            Self::DataBeforeProgram => ([Survived, Ended], [Survived; 2]),
            Self::DataAfterEof => ([Survived, Ended], [Survived, Ended]),
            Self::SecondEof => ([Survived; 2], [Survived; 2]),
            // OpenSSH drops it, and from some version on disconnects when it is much.
            Self::DataBeyondWindow => ([Survived, Ended], [Survived, Ended]),
            Self::PacketTooLong => ([Survived, Ended], [Survived, Ended]),
            Self::StderrOfTheClient => ([Survived; 2], [Survived; 2]),
            Self::WindowBeyondAllNumbers => ([Ended; 2], [Survived, Ended]),
            Self::TruncatedMessage | Self::TrailingBytes => ([Ended; 2], [Ended; 2]),
            Self::UnknownMessage | Self::MessageOfAuthentication => ([Survived; 2], [Survived; 2]),
        };
        if server == "openssh" { openssh } else { russh }
    }

    /// False when a connection that outlives it was answered differently.
    pub(crate) const fn seen_alike(self) -> bool {
        !matches!(self, Self::SessionAfterNoMoreSessions)
    }

    /// Whether a program runs, or the session is idle.
    pub(crate) const fn needs_program(self) -> bool {
        !matches!(self, Self::DataBeforeProgram)
    }

    /// What is sent: `peer` is the server's number of an open channel, `own` ours, `window` what we may send.
    pub(crate) fn payloads(self, peer: u32, own: u32, window: usize) -> Vec<Vec<u8>> {
        let data = |recipient_channel, length| {
            Message::Data { recipient_channel, data: &vec![b'x'; length] }.to_payload()
        };
        let eof = |recipient_channel| Message::Eof { recipient_channel }.to_payload();
        match self {
            Self::DataForUnknownChannel => vec![data(NOBODY, 5)],
            Self::EofForUnknownChannel => vec![eof(NOBODY)],
            Self::CloseForUnknownChannel => vec![Message::Close { recipient_channel: NOBODY }.to_payload()],
            Self::AdjustForUnknownChannel => {
                vec![Message::WindowAdjust { recipient_channel: NOBODY, bytes_to_add: 1 }.to_payload()]
            }
            Self::RequestForUnknownChannel => vec![request(NOBODY)],
            Self::ReplyForUnknownChannel => {
                vec![Message::ChannelSuccess { recipient_channel: NOBODY }.to_payload()]
            }
            Self::ConfirmationOfNothing => vec![
                Message::OpenConfirmation(OpenConfirmation {
                    recipient_channel: peer,
                    sender_channel: own,
                    initial_window_size: 0,
                    maximum_packet_size: 0,
                    data: b"",
                })
                .to_payload(),
            ],
            Self::FailureOfNothing => vec![
                Message::OpenFailure(OpenFailure {
                    recipient_channel: peer,
                    reason: OpenFailureReason::CONNECT_FAILED,
                    description: b"",
                    language: b"",
                })
                .to_payload(),
            ],
            Self::ChannelReplyToNothing => {
                vec![Message::ChannelFailure { recipient_channel: peer }.to_payload()]
            }
            Self::GlobalReplyToNothing => vec![Message::RequestSuccess { data: b"" }.to_payload()],
            Self::ChannelNumberInUse => vec![open(own)],
            // The player knows how.
            Self::SessionAfterNoMoreSessions => Vec::new(),
            Self::DataBeforeProgram => vec![data(peer, 5)],
            Self::DataAfterEof => vec![eof(peer), data(peer, 5)],
            Self::SecondEof => vec![eof(peer), eof(peer)],
            Self::DataBeyondWindow => {
                let all = window + 1;
                (0..all.div_ceil(32_768)).map(|at| data(peer, (all - at * 32_768).min(32_768))).collect()
            }
            Self::PacketTooLong => vec![data(peer, 32_769)],
            Self::StderrOfTheClient => {
                vec![
                    Message::ExtendedData { recipient_channel: peer, data_type_code: 1, data: b"x" }
                        .to_payload(),
                ]
            }
            Self::WindowBeyondAllNumbers => [u32::MAX, 1]
                .map(|bytes_to_add| {
                    Message::WindowAdjust { recipient_channel: peer, bytes_to_add }.to_payload()
                })
                .to_vec(),
            Self::TruncatedMessage => vec![data(peer, 5)[..10].to_vec()],
            Self::TrailingBytes => vec![[eof(peer), vec![0]].concat()],
            Self::UnknownMessage => vec![vec![101, 0, 0, 0, 0]],
            Self::MessageOfAuthentication => vec![vec![53, 0, 0, 0, 0, 0, 0, 0, 0]],
        }
    }
}

fn open(sender_channel: u32) -> Vec<u8> {
    let (initial_window_size, maximum_packet_size) = (65_536, 32_768);
    let channel_type = ChannelType::Session;
    Message::ChannelOpen(ChannelOpen {
        channel_type,
        sender_channel,
        initial_window_size,
        maximum_packet_size,
    })
    .to_payload()
}

fn request(recipient_channel: u32) -> Vec<u8> {
    let request_type = RequestType::Env { name: b"LC_TEST", value: b"x" };
    Message::ChannelRequest(ChannelRequest { recipient_channel, want_reply: true, request_type }).to_payload()
}
