//! Random sequences of what a client may do.

use bartizan_ssh::wire::connection::*;

use crate::dice::Dice;
use crate::programs::Program;

/// One thing that the client does. Channels are counted in the order of their opening; the player leaves out what
/// would break the rules in the state it is in, the same in both runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `CHANNEL_OPEN` of a session.
    OpenSession { window: u32, maximum_packet: u32 },
    /// `CHANNEL_OPEN` of something that is refused.
    OpenOther(Other),
    /// `CHANNEL_REQUEST`.
    Request { channel: usize, request: Request, want_reply: bool },
    /// `CHANNEL_DATA`.
    Data { channel: usize, length: usize },
    /// `CHANNEL_WINDOW_ADJUST`.
    Adjust { channel: usize, bytes: u32 },
    /// `CHANNEL_EOF`.
    Eof { channel: usize },
    /// `CHANNEL_CLOSE`.
    Close { channel: usize },
    /// `GLOBAL_REQUEST`.
    Global { name: &'static str, want_reply: bool },
    /// KEXINIT, on each hop.
    Rekey,
    /// Waits for all that must follow from what was sent.
    Settle,
}

/// A channel type that no server of ours opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    /// To a port where nobody listens.
    DirectTcpip,
    X11,
    Unknown,
}

/// A channel request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// `exec`, or `shell`.
    Start(Program),
    /// One that the server allows or one that it doesn't.
    Env {
        allowed: bool,
    },
    PtyReq,
    WindowChange,
    X11Req,
    Break,
    /// Of a signal that nobody knows.
    Signal,
    UnknownSubsystem,
    Unknown,
}

impl Other {
    pub(crate) const fn channel_type(self) -> ChannelType<'static> {
        let (originator_address, originator_port) = (b"127.0.0.1".as_slice(), 50_000);
        match self {
            Other::DirectTcpip => {
                let (host, port) = (originator_address, 1);
                ChannelType::DirectTcpip { host, port, originator_address, originator_port }
            }
            Other::X11 => ChannelType::X11 { originator_address, originator_port },
            Other::Unknown => ChannelType::Unknown { name: "unknown@example.com", data: b"more" },
        }
    }
}

impl Request {
    pub(crate) const fn request_type(self) -> RequestType<'static> {
        let size = WindowSize { cols: 80, rows: 24, width_pixels: 0, height_pixels: 0 };
        match self {
            Self::Start(program) => match program.command() {
                Some(command) => RequestType::Exec { command: command.as_bytes() },
                None => RequestType::Shell,
            },
            Self::Env { allowed: true } => RequestType::Env { name: b"LC_TEST", value: b"x" },
            Self::Env { allowed: false } => RequestType::Env { name: b"LD_PRELOAD", value: b"x" },
            Self::PtyReq => RequestType::PtyReq(PtyRequest { term: b"vt100", size, modes: PtyModes(&[0]) }),
            Self::WindowChange => RequestType::WindowChange(size),
            Self::X11Req => RequestType::X11Req(X11Request {
                single_connection: false,
                protocol: b"MIT-MAGIC-COOKIE-1",
                cookie: X11Cookie(b"0123456789abcdef"),
                screen: 0,
            }),
            Self::Break => RequestType::Break { milliseconds: 500 },
            Self::Signal => RequestType::Signal { name: b"NONE@example.com" },
            Self::UnknownSubsystem => RequestType::Subsystem { name: b"none" },
            Self::Unknown => RequestType::Unknown { name: "unknown@example.com", data: b"more" },
        }
    }
}

const REQUESTS: [Request; 9] = [
    Request::Env { allowed: true },
    Request::Env { allowed: false },
    Request::PtyReq,
    Request::WindowChange,
    Request::X11Req,
    Request::Break,
    Request::Signal,
    Request::UnknownSubsystem,
    Request::Unknown,
];

/// Windows with and without a reserve taken out, larger and smaller than what programs write.
const WINDOWS: [u32; 6] = [0, 100, 8191, 8192, 65_536, 2 << 20];

/// The steps that this seed stands for.
pub(crate) fn sequence(seed: u64) -> Vec<Step> {
    let mut dice = Dice(seed);
    let mut steps = vec![open(&mut dice)];
    let mut channels = 1;
    for _ in 0..10 + dice.below(40) {
        let step = step(&mut dice, channels);
        channels += usize::from(matches!(step, Step::OpenSession { .. } | Step::OpenOther(_)));
        steps.push(step);
    }
    steps
}

fn open(dice: &mut Dice) -> Step {
    Step::OpenSession {
        window: dice.pick(&WINDOWS),
        maximum_packet: dice.pick(&[100, 1000, 32_768, 1 << 20]),
    }
}

fn step(dice: &mut Dice, channels: usize) -> Step {
    // The latest channels are the liveliest.
    let channel = channels - 1 - dice.below(channels.min(3) as u64) as usize;
    let want_reply = dice.chance(70);
    match dice.below(100) {
        0..8 => open(dice),
        8..12 => Step::OpenOther(dice.pick(&[Other::DirectTcpip, Other::X11, Other::Unknown])),
        12..28 => Step::Request { channel, request: Request::Start(dice.pick(&Program::ALL)), want_reply },
        28..46 => Step::Request { channel, request: dice.pick(&REQUESTS), want_reply },
        46..62 => Step::Data { channel, length: dice.pick(&[0, 1, 100, 5000, 20_000]) },
        62..67 => Step::Adjust { channel, bytes: dice.pick(&[0, 1, 1000, 100_000]) },
        67..72 => Step::Eof { channel },
        72..75 => Step::Close { channel },
        75..83 => {
            let names = ["keepalive@openssh.com", "unknown@example.com", "cancel-tcpip-forward"];
            Step::Global { name: dice.pick(&names), want_reply }
        }
        83..86 => Step::Rekey,
        _ => Step::Settle,
    }
}
