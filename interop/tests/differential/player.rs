//! The client: sends steps, leaves out what would break the rules, answers what must be answered, notes what came.

use std::collections::VecDeque;
use std::fmt;

use bartizan_ssh::wire::connection::*;

use crate::hop::Event;
use crate::link::Link;
use crate::offences::{Ending, Offence};
use crate::programs::Program;
use crate::sequence::{Request, Step};

/// What the server did on one channel.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The reason code, when it was refused.
    refused: Option<u32>,
    replies: Vec<bool>,
    data: Vec<u8>,
    stderr: Vec<u8>,
    /// `exit-status`, `exit-signal` or any other request, as text.
    requests: Vec<String>,
    eof: bool,
    closed: bool,
    /// We closed first: what was under way may have come or not.
    cut: bool,
}

impl Seen {
    fn agrees_with(&self, other: &Self) -> bool {
        if !self.cut && !other.cut {
            return self == other;
        }
        let prefix = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
        self.replies == other.replies
            && prefix(&self.data, &other.data)
            && prefix(&self.stderr, &other.stderr)
            && self.closed == other.closed
    }
}

/// What the server did.
#[derive(Debug)]
pub(crate) struct Observed {
    channels: Vec<Seen>,
    /// Replies to global requests.
    replies: Vec<Option<Vec<u8>>>,
    /// It ended the connection.
    ended: bool,
}

impl Observed {
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        self.replies == other.replies
            && self.ended == other.ended
            && self.channels.len() == other.channels.len()
            && self.channels.iter().zip(&other.channels).all(|(a, b)| a.agrees_with(b))
    }
}

/// Data by their length, or a failure would fill the screen.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { refused, replies, data, stderr, requests, eof, closed, cut } = self;
        let (data, stderr) = (data.len(), stderr.escape_ascii());
        write!(f, "refused {refused:?}, replies {replies:?}, {data} bytes, stderr \"{stderr}\", ")?;
        write!(f, "{requests:?}, eof {eof}, closed {closed}, cut {cut}")
    }
}

/// One channel as a client knows it.
#[derive(Debug, Default)]
struct Channel {
    /// The server's number, once it has confirmed.
    peer: Option<u32>,
    program: Option<Program>,
    pty: bool,
    /// Requests that want a reply; what is true of one is that it started the program.
    awaited: VecDeque<bool>,
    /// What we may send.
    window: u64,
    maximum_packet: u32,
    /// What the server may send, in all; and how much of it our relay may keep for itself.
    granted: u64,
    reserve: u64,
    /// Data that we sent.
    sent: usize,
    eof: bool,
    close: bool,
    seen: Seen,
}

impl Channel {
    fn live(&self) -> bool {
        self.peer.is_some() && !self.close && !self.seen.closed
    }

    /// The program's input has ended, so the server may close the channel at any moment.
    fn ending(&self) -> bool {
        self.eof && self.program.is_some()
    }

    /// All has come that must come.
    fn settled(&self) -> bool {
        if self.seen.refused.is_some() || self.seen.closed {
            return true;
        }
        if self.peer.is_none() || self.close || !self.awaited.is_empty() {
            return false;
        }
        let written = self.program.map_or(0, |program| program.written(self.sent, self.eof)) as u64;
        let received = (self.seen.data.len() + self.seen.stderr.len()) as u64;
        let available = self.granted - self.reserve;
        // OpenSSH looks whether the program has ended only while it has a window to send in.
        received >= written.min(available) && !(self.ending() && written < available)
    }
}

/// The client.
pub(crate) struct Player<'a> {
    link: &'a mut dyn Link,
    channels: Vec<Channel>,
    /// Global requests that want a reply; false for our own that only mark a place.
    awaited: VecDeque<bool>,
    replies: Vec<Option<Vec<u8>>>,
    ended: bool,
}

/// The number that we give to a channel: none that a server would choose.
fn number(channel: usize) -> u32 {
    1000 + 7 * channel as u32
}

impl<'a> Player<'a> {
    pub(crate) fn new(link: &'a mut dyn Link) -> Self {
        Self { link, channels: Vec::new(), awaited: VecDeque::new(), replies: Vec::new(), ended: false }
    }

    /// Plays the steps and waits for what must follow.
    pub(crate) fn play(&mut self, steps: &[Step]) {
        steps.iter().for_each(|step| self.step(*step));
        self.settle();
    }

    /// Brings every channel to its end and tells what was seen.
    pub(crate) fn finish(mut self) -> Observed {
        self.settle();
        for channel in 0..self.channels.len() {
            self.step(Step::Adjust { channel, bytes: 1 << 20 });
            match self.channels[channel].program {
                Some(_) => self.step(Step::Eof { channel }),
                None => self.step(Step::Close { channel }),
            }
        }
        self.settle();
        let channels = self.channels.into_iter().map(|channel| channel.seen).collect();
        Observed { channels, replies: self.replies, ended: self.ended }
    }

    /// Breaks the rules on a new channel and tells whether the connection outlives it.
    pub(crate) fn offend(&mut self, offence: Offence) -> Ending {
        let channel = self.channels.len();
        // Without a window for the server: nothing is under way towards us while we send.
        self.step(Step::OpenSession { window: 0, maximum_packet: 32 << 10 });
        self.settle();
        if offence.needs_program() {
            let request = Request::Start(Program::Echo);
            self.step(Step::Request { channel, request, want_reply: true });
            self.settle();
        }
        let Channel { peer: Some(peer), window, .. } = self.channels[channel] else { return Ending::Ended };
        match offence {
            Offence::SessionAfterNoMoreSessions => {
                self.step(Step::Global { name: "no-more-sessions@openssh.com", want_reply: false });
                self.step(Step::OpenSession { window: 0, maximum_packet: 32 << 10 });
            }
            _ => offence
                .payloads(peer, number(channel), window as usize)
                .iter()
                .for_each(|p| self.link.send(p)),
        }
        self.channels[channel].eof |= matches!(offence, Offence::DataAfterEof | Offence::SecondEof);
        self.settle();
        if self.ended { Ending::Ended } else { Ending::Survived }
    }

    fn step(&mut self, step: Step) {
        if self.ended {
            return;
        }
        match step {
            Step::OpenSession { window, maximum_packet } => {
                self.open(ChannelType::Session, window, maximum_packet)
            }
            Step::OpenOther(other) => self.open(other.channel_type(), 65_536, 32_768),
            Step::Global { name, want_reply } => self.global(name, want_reply),
            Step::Rekey => self.link.rekey(),
            Step::Settle => self.settle(),
            Step::Request { channel, .. }
            | Step::Data { channel, .. }
            | Step::Adjust { channel, .. }
            | Step::Eof { channel }
            | Step::Close { channel } => {
                if self.channels[channel].live() {
                    self.step_on_channel(channel, step);
                }
            }
        }
    }

    fn step_on_channel(&mut self, at: usize, step: Step) {
        let channel = &mut self.channels[at];
        let Some(recipient_channel) = channel.peer else { return };
        let filling: Vec<u8>;
        let message = match step {
            Step::Request { request, want_reply, .. } => {
                if !may_request(channel, request, want_reply) {
                    return;
                }
                let starts = matches!(request, Request::Start(_)) && channel.program.is_none();
                if let (Request::Start(program), true) = (request, starts) {
                    channel.program = Some(program);
                }
                channel.pty |= request == Request::PtyReq;
                if want_reply {
                    channel.awaited.push_back(starts);
                }
                let request_type = request.request_type();
                Message::ChannelRequest(ChannelRequest { recipient_channel, want_reply, request_type })
            }
            Step::Data { length, .. } => {
                let fits = length as u64 <= channel.window.min(channel.maximum_packet.into());
                if channel.program != Some(Program::Echo) || channel.eof || !fits {
                    return;
                }
                filling = (0..length).map(|i| ((channel.sent + i) % 251) as u8).collect();
                channel.sent += length;
                channel.window -= length as u64;
                Message::Data { recipient_channel, data: &filling }
            }
            Step::Adjust { bytes, .. } => {
                channel.granted += u64::from(bytes);
                Message::WindowAdjust { recipient_channel, bytes_to_add: bytes }
            }
            // Before a program: see the module's documentation.
            Step::Eof { .. } if channel.eof || channel.program.is_none() => return,
            Step::Eof { .. } => {
                channel.eof = true;
                Message::Eof { recipient_channel }
            }
            _ => {
                channel.close = true;
                channel.seen.cut = true;
                Message::Close { recipient_channel }
            }
        };
        self.link.send(&message.to_payload());
    }

    fn open(&mut self, channel_type: ChannelType<'_>, window: u32, maximum_packet: u32) {
        let reserve = if window < 8192 { 0 } else { (window / 4).min(4096) };
        let open = ChannelOpen {
            channel_type,
            sender_channel: number(self.channels.len()),
            initial_window_size: window,
            maximum_packet_size: maximum_packet,
        };
        self.link.send(&Message::ChannelOpen(open).to_payload());
        let (granted, reserve) = (window.into(), reserve.into());
        self.channels.push(Channel { granted, reserve, ..Channel::default() });
    }

    fn global(&mut self, name: &'static str, want_reply: bool) {
        let request_type = match name {
            "cancel-tcpip-forward" => {
                GlobalRequestType::CancelTcpipForward { address: b"localhost", port: 80 }
            }
            name => GlobalRequestType::Unknown { name, data: b"" },
        };
        self.link.send(&Message::GlobalRequest(GlobalRequest { want_reply, request_type }).to_payload());
        if want_reply {
            self.awaited.push_back(true);
        }
    }

    /// Marks the place with a request that every server answers, and listens until all is settled.
    fn settle(&mut self) {
        if self.ended {
            return;
        }
        let mark = GlobalRequest { want_reply: true, request_type: GlobalRequestType::Keepalive };
        self.link.send(&Message::GlobalRequest(mark).to_payload());
        self.awaited.push_back(false);
        while !self.awaited.is_empty() || !self.channels.iter().all(Channel::settled) {
            match self.link.next() {
                Event::Packet(payload) => {
                    let message = Message::parse(&payload);
                    self.hear(message.unwrap_or_else(|error| panic!("{payload:?}: {error}")));
                }
                Event::End => {
                    self.ended = true;
                    return;
                }
                other => panic!("{other:?}; awaited: {:?} and {:#?}", self.awaited, self.channels),
            }
        }
    }

    fn hear(&mut self, message: Message<'_>) {
        match message {
            Message::GlobalRequest(request) => {
                if request.want_reply {
                    self.link.send(&Message::RequestFailure.to_payload());
                }
            }
            Message::RequestSuccess { data } => self.hear_global_reply(Some(data.to_vec())),
            Message::RequestFailure => self.hear_global_reply(None),
            Message::ChannelOpen(open) => panic!("{open:?}"),
            Message::OpenConfirmation(OpenConfirmation { recipient_channel, .. })
            | Message::OpenFailure(OpenFailure { recipient_channel, .. })
            | Message::WindowAdjust { recipient_channel, .. }
            | Message::Data { recipient_channel, .. }
            | Message::ExtendedData { recipient_channel, .. }
            | Message::Eof { recipient_channel }
            | Message::Close { recipient_channel }
            | Message::ChannelRequest(ChannelRequest { recipient_channel, .. })
            | Message::ChannelSuccess { recipient_channel }
            | Message::ChannelFailure { recipient_channel } => {
                let named = (0..self.channels.len()).find(|at| number(*at) == recipient_channel);
                let at = named.unwrap_or_else(|| panic!("{message:?}: no such channel"));
                if let Some(answer) = self.channels[at].hear(message) {
                    self.link.send(&answer);
                }
            }
        }
    }

    fn hear_global_reply(&mut self, reply: Option<Vec<u8>>) {
        // One too many would be seen as well.
        if self.awaited.pop_front() != Some(false) {
            self.replies.push(reply);
        }
    }
}

impl Channel {
    /// Takes a message and returns the payload that must answer it.
    fn hear(&mut self, message: Message<'_>) -> Option<Vec<u8>> {
        assert!(!self.seen.closed, "{message:?} after CLOSE");
        match message {
            Message::OpenConfirmation(confirmation) => {
                // Of a number that we gave twice, which is one of the offences.
                if self.peer.is_some() {
                    return None;
                }
                self.peer = Some(confirmation.sender_channel);
                self.window = confirmation.initial_window_size.into();
                self.maximum_packet = confirmation.maximum_packet_size;
            }
            Message::OpenFailure(failure) => self.seen.refused = Some(failure.reason.0),
            Message::WindowAdjust { bytes_to_add, .. } => self.window += u64::from(bytes_to_add),
            Message::Data { data, .. } => self.seen.data.extend(data),
            Message::ExtendedData { data, .. } => self.seen.stderr.extend(data),
            Message::Eof { .. } => self.seen.eof = true,
            Message::ChannelRequest(request) => {
                assert!(!request.want_reply, "{request:?}");
                self.seen.requests.push(format!("{:?}", request.request_type));
            }
            Message::ChannelSuccess { .. } | Message::ChannelFailure { .. } => {
                let ok = matches!(message, Message::ChannelSuccess { .. });
                if self.awaited.pop_front() == Some(true) && !ok {
                    self.program = None;
                }
                self.seen.replies.push(ok);
            }
            _ => {
                self.seen.closed = true;
                let recipient_channel = self.peer.filter(|_| !self.close)?;
                return Some(Message::Close { recipient_channel }.to_payload());
            }
        }
        let received = (self.seen.data.len() + self.seen.stderr.len()) as u64;
        assert!(received <= self.granted, "more than the window allows");
        None
    }
}

/// Whether the reply to a request would not depend on the moment.
fn may_request(channel: &Channel, request: Request, want_reply: bool) -> bool {
    if channel.ending() {
        return false;
    }
    match request {
        // A terminal echoes and knows no end of input. A second program is refused, but without a reply who knows.
        Request::Start(_) => !channel.pty && (want_reply || channel.program.is_none()),
        _ => true,
    }
}
