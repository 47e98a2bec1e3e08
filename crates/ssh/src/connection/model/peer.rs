//! A model of an SSH end: it does at random whatever it legally may, and panics at whatever it may not be sent.
//!
//! It knows nothing of the code under test; its rules are those of RFC 4254 §4 and §5.

use super::{Dice, Side, Wish, wish_of, wish_of_global, wish_of_open};
use crate::wire::connection::*;
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Nothing,
    Open,
    Eof,
    Close,
}

struct Channel {
    theirs: Option<u32>,
    session: bool,
    mine_said: Said,
    they_said: Said,
    /// Bytes that they may still send, and in how long packets.
    granted: u64,
    packet_in: u32,
    /// Bytes that I may still send, and in how long packets.
    allowed: u64,
    packet_out: u32,
    /// Replies that I expect, and that I owe.
    expected: VecDeque<bool>,
    owed: VecDeque<bool>,
    program: bool,
}

impl Channel {
    fn over(&self) -> bool {
        self.mine_said == Said::Close && self.they_said == Said::Close
    }
}

pub(crate) struct Peer {
    side: Side,
    channels: BTreeMap<u32, Channel>,
    /// Their opens that I have not answered.
    asked: Vec<(ChannelOpenCopy, Wish)>,
    expected: VecDeque<Option<bool>>,
    owed: VecDeque<bool>,
    wishes: Vec<Wish>,
    /// Replies need not be what was wished: the relay ended everything, or the other end is hostile.
    pub(crate) any_reply: bool,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

#[derive(Clone, Copy)]
struct ChannelOpenCopy {
    sender_channel: u32,
    window: u32,
    packet: u32,
}

impl Peer {
    pub(crate) fn new(side: Side, wishes: &[Wish]) -> Self {
        Self {
            side,
            channels: BTreeMap::new(),
            asked: Vec::new(),
            expected: VecDeque::new(),
            owed: VecDeque::new(),
            wishes: wishes.to_vec(),
            any_reply: false,
            received: 0,
            sent: 0,
        }
    }

    /// Everything that I opened or confirmed is over, and nothing is owed to me.
    pub(crate) fn settled(&self) -> bool {
        self.channels.is_empty() && self.asked.is_empty() && self.expected.is_empty()
    }

    #[track_caller]
    pub(crate) fn receive(&mut self, payload: &[u8]) {
        let message = Message::parse(payload).expect("what I am sent parses");
        let side = self.side;
        match message {
            Message::ChannelOpen(open) => self.asked_for(&open),
            Message::OpenConfirmation(confirmation) => self.confirmed(&confirmation),
            Message::OpenFailure(failure) => {
                let channel =
                    self.channels.remove(&failure.recipient_channel).expect("a channel I asked for");
                assert_eq!(channel.theirs, None, "{side}: failure of an open channel");
            }
            Message::Data { recipient_channel, data }
            | Message::ExtendedData { recipient_channel, data, .. } => {
                let channel = self.live(recipient_channel, "data");
                assert_eq!(channel.they_said, Said::Open, "{side}: data after EOF");
                assert!(data.len() <= channel.packet_in as usize, "{side}: packet too long");
                channel.granted =
                    channel.granted.checked_sub(data.len() as u64).expect("data within the window");
                self.received += data.len() as u64;
            }
            Message::WindowAdjust { recipient_channel, bytes_to_add } => {
                let channel = self.live(recipient_channel, "adjust");
                channel.allowed += u64::from(bytes_to_add);
                assert!(channel.allowed <= u64::from(u32::MAX), "{side}: window too large");
            }
            Message::Eof { recipient_channel } => {
                let channel = self.live(recipient_channel, "EOF");
                assert_eq!(channel.they_said, Said::Open, "{side}: second EOF");
                channel.they_said = Said::Eof;
            }
            Message::Close { recipient_channel } => {
                let channel = self.live(recipient_channel, "CLOSE");
                channel.they_said = Said::Close;
                self.channels.retain(|_, channel| !channel.over());
            }
            Message::ChannelRequest(request) => {
                let reply = wish_of(&request.request_type).reply();
                let channel = self.live(request.recipient_channel, "request");
                if request.want_reply {
                    channel.owed.push_back(reply);
                }
            }
            Message::ChannelSuccess { recipient_channel } | Message::ChannelFailure { recipient_channel } => {
                let ok = matches!(message, Message::ChannelSuccess { .. });
                let any_reply = self.any_reply;
                let channel = self.live(recipient_channel, "reply");
                let expected = channel.expected.pop_front().expect("a request of mine waits");
                assert!(expected == ok || any_reply, "{side}: a reply out of order");
            }
            Message::GlobalRequest(request) => {
                if request.want_reply {
                    self.owed.push_back(wish_of_global(&request.request_type).reply());
                }
            }
            Message::RequestSuccess { .. } | Message::RequestFailure => {
                let ok = matches!(message, Message::RequestSuccess { .. });
                let expected = self.expected.pop_front().expect("a global request of mine waits");
                assert!(expected == Some(ok) || self.any_reply, "{side}: a global reply out of order");
            }
        }
    }

    #[track_caller]
    fn live(&mut self, number: u32, what: &str) -> &mut Channel {
        let side = self.side;
        let channel = self.channels.get_mut(&number).unwrap_or_else(|| panic!("{side}: {what} for {number}"));
        assert!(channel.theirs.is_some(), "{side}: {what} before the confirmation");
        assert!(channel.they_said < Said::Close, "{side}: {what} after CLOSE");
        channel
    }

    fn asked_for(&mut self, open: &ChannelOpen<'_>) {
        assert!(!self.they_use(open.sender_channel), "{}: number in use", self.side);
        assert!(self.asked.iter().all(|(other, _)| other.sender_channel != open.sender_channel));
        let copy = ChannelOpenCopy {
            sender_channel: open.sender_channel,
            window: open.initial_window_size,
            packet: open.maximum_packet_size,
        };
        self.asked.push((copy, wish_of_open(&open.channel_type)));
    }

    fn they_use(&self, number: u32) -> bool {
        self.channels.values().any(|channel| channel.theirs == Some(number))
    }

    fn confirmed(&mut self, confirmation: &OpenConfirmation<'_>) {
        assert!(!self.they_use(confirmation.sender_channel), "{}: number in use", self.side);
        let channel = self.channels.get_mut(&confirmation.recipient_channel).expect("a channel I asked for");
        assert_eq!(channel.theirs, None, "{}: confirmed twice", self.side);
        channel.theirs = Some(confirmation.sender_channel);
        channel.they_said = Said::Open;
        channel.allowed = u64::from(confirmation.initial_window_size);
        channel.packet_out = confirmation.maximum_packet_size;
    }

    /// Does one legal thing, if the dice find one.
    pub(crate) fn act(&mut self, dice: &mut Dice) -> Option<Vec<u8>> {
        match dice.below(20) {
            0 | 1 => self.open(dice),
            2 | 3 => self.answer_open(dice),
            4 => {
                let wish = dice.pick(&self.wishes);
                let want_reply = dice.below(3) > 0;
                if want_reply {
                    self.expected.push_back(Some(wish.reply()));
                }
                let request_type =
                    GlobalRequestType::Unknown { name: "x@example.com", data: wish.text().as_bytes() };
                Some(Message::GlobalRequest(GlobalRequest { want_reply, request_type }).to_payload())
            }
            5 | 6 => self.reply_global(),
            _ => self.act_on_channel(dice),
        }
    }

    /// Winds up: answers what is owed and closes what is open.
    pub(crate) fn wind_up(&mut self, dice: &mut Dice) -> Option<Vec<u8>> {
        if !self.asked.is_empty() {
            return self.answer_open(dice);
        }
        if !self.owed.is_empty() {
            return self.reply_global();
        }
        let close = |channel: &&mut Channel| channel.theirs.is_some() && channel.mine_said < Said::Close;
        let channel = self.channels.values_mut().find(close)?;
        channel.mine_said = Said::Close;
        let recipient_channel = channel.theirs?;
        self.channels.retain(|_, channel| !channel.over());
        Some(Message::Close { recipient_channel }.to_payload())
    }

    fn reply_global(&mut self) -> Option<Vec<u8>> {
        let reply = if self.owed.pop_front()? {
            Message::RequestSuccess { data: b"theirs" }
        } else {
            Message::RequestFailure
        };
        Some(reply.to_payload())
    }

    fn free_number(&self, dice: &mut Dice) -> Option<u32> {
        // Few numbers, so that they are reused soon.
        Some(dice.below(6) as u32 * 1000).filter(|number| !self.channels.contains_key(number))
    }

    fn new_channel(dice: &mut Dice, session: bool) -> Channel {
        Channel {
            theirs: None,
            session,
            mine_said: Said::Open,
            they_said: Said::Nothing,
            granted: dice.pick(&[0, 1, 100, 5000, 8192, 20_000, 50_000]),
            packet_in: dice.pick(&[1, 50, 1000, 32_768, 131_072]),
            allowed: 0,
            packet_out: 0,
            expected: VecDeque::new(),
            owed: VecDeque::new(),
            program: false,
        }
    }

    fn open(&mut self, dice: &mut Dice) -> Option<Vec<u8>> {
        let number = self.free_number(dice)?;
        let session = self.side == Side::Client && dice.below(4) > 0;
        let wish = dice.pick(&self.wishes);
        let channel_type = if session {
            ChannelType::Session
        } else {
            ChannelType::Unknown { name: "x@example.com", data: wish.text().as_bytes() }
        };
        let channel = Self::new_channel(dice, session);
        let open = ChannelOpen {
            channel_type,
            sender_channel: number,
            initial_window_size: channel.granted as u32,
            maximum_packet_size: channel.packet_in,
        };
        self.channels.insert(number, channel);
        Some(Message::ChannelOpen(open).to_payload())
    }

    fn answer_open(&mut self, dice: &mut Dice) -> Option<Vec<u8>> {
        let chosen = dice.below(self.asked.len().max(1) as u64) as usize;
        let &(open, wish) = self.asked.get(chosen)?;
        let recipient_channel = open.sender_channel;
        if !wish.reply() || dice.below(10) == 0 {
            self.asked.swap_remove(chosen);
            let reason = OpenFailureReason::CONNECT_FAILED;
            let failure = OpenFailure { recipient_channel, reason, description: b"no", language: b"" };
            return Some(Message::OpenFailure(failure).to_payload());
        }
        let number = self.free_number(dice)?;
        self.asked.swap_remove(chosen);
        let mut channel = Self::new_channel(dice, false);
        channel.theirs = Some(recipient_channel);
        channel.they_said = Said::Open;
        channel.allowed = u64::from(open.window);
        channel.packet_out = open.packet;
        let confirmation = OpenConfirmation {
            recipient_channel,
            sender_channel: number,
            initial_window_size: channel.granted as u32,
            maximum_packet_size: channel.packet_in,
            data: b"",
        };
        self.channels.insert(number, channel);
        Some(Message::OpenConfirmation(confirmation).to_payload())
    }

    fn act_on_channel(&mut self, dice: &mut Dice) -> Option<Vec<u8>> {
        let chosen = dice.below(self.channels.len().max(1) as u64) as usize;
        let number = *self.channels.keys().nth(chosen)?;
        let wish = dice.pick(&self.wishes);
        let channel = self.channels.get_mut(&number)?;
        let recipient_channel = channel.theirs.filter(|_| channel.mine_said < Said::Close)?;
        let payload = match dice.below(16) {
            0 if dice.below(3) == 0 => {
                channel.mine_said = Said::Close;
                Message::Close { recipient_channel }.to_payload()
            }
            1 if channel.mine_said == Said::Open && dice.below(3) == 0 => {
                channel.mine_said = Said::Eof;
                Message::Eof { recipient_channel }.to_payload()
            }
            2 | 3 => {
                let bytes_to_add = dice.below(30_000) as u32;
                channel.granted += u64::from(bytes_to_add);
                Message::WindowAdjust { recipient_channel, bytes_to_add }.to_payload()
            }
            4 => channel_request(channel, recipient_channel, wish, dice),
            5..=7 => {
                let reply = if channel.owed.pop_front()? {
                    Message::ChannelSuccess { recipient_channel }
                } else {
                    Message::ChannelFailure { recipient_channel }
                };
                reply.to_payload()
            }
            8 if channel.session && !channel.program => {
                channel.program = true;
                channel.expected.push_back(true);
                let request_type = RequestType::Exec { command: b"pass+" };
                let request = ChannelRequest { recipient_channel, want_reply: true, request_type };
                Message::ChannelRequest(request).to_payload()
            }
            _ if channel.mine_said == Said::Open && (channel.program || !channel.session) => {
                let most = channel.allowed.min(u64::from(channel.packet_out));
                let length = if dice.below(4) == 0 { most } else { most.min(dice.below(300)) };
                channel.allowed -= length;
                self.sent += length;
                let bytes = vec![dice.below(256) as u8; length as usize];
                let message = match dice.below(3) {
                    // What is no plain data of a client's goes nowhere.
                    0 if self.side == Side::Target => {
                        Message::ExtendedData { recipient_channel, data_type_code: 1, data: &bytes }
                    }
                    _ => Message::Data { recipient_channel, data: &bytes },
                };
                message.to_payload()
            }
            _ => return None,
        };
        self.channels.retain(|_, channel| !channel.over());
        Some(payload)
    }
}

fn channel_request(channel: &mut Channel, recipient_channel: u32, wish: Wish, dice: &mut Dice) -> Vec<u8> {
    let want_reply = dice.below(3) > 0;
    if want_reply {
        channel.expected.push_back(wish.reply());
    }
    let request_type = RequestType::Unknown { name: "x@example.com", data: wish.text().as_bytes() };
    Message::ChannelRequest(ChannelRequest { recipient_channel, want_reply, request_type }).to_payload()
}
