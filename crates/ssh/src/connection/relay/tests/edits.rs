//! Data that the host changes: windows stay exact, order is kept, nothing waits for ever.

use super::super::*;
use super::rig::*;
use crate::wire::connection::*;
use proptest::prelude::*;
use std::collections::VecDeque;

/// Answers of the client's data in capitals in place of the target, drops `.`, holds `_` back until more comes, and ends
/// the channel at `!`. Of the target's data, `x` becomes `yy` and `.` is dropped.
#[derive(Default)]
struct Editor {
    held: Vec<u8>,
    heard: Vec<(Side, Vec<u8>)>,
    closed: Vec<Totals>,
}

impl RelayHost for Editor {
    fn channel_open(&mut self, _: Side, _: ChannelKey, _: &ChannelOpen<'_>) -> OpenVerdict {
        OpenVerdict::Pass
    }

    fn channel_request(&mut self, _: Side, _: ChannelKey, _: &ChannelRequest<'_>) -> RequestVerdict {
        RequestVerdict::Pass
    }

    fn global_request(&mut self, _: Side, _: &GlobalRequest<'_>) -> GlobalVerdict {
        GlobalVerdict::Pass
    }

    fn edit_data(
        &mut self,
        _: ChannelKey,
        from: Side,
        kind: DataKind,
        bytes: &[u8],
        edit: &mut DataEdit,
    ) -> DataVerdict {
        if kind != DataKind::Data {
            return DataVerdict::Replace;
        }
        if bytes.contains(&b'!') {
            return DataVerdict::End { text: "no such sign".into() };
        }
        if from == Side::Target {
            for &byte in bytes {
                match byte {
                    b'x' => edit.onward.extend(b"yy"),
                    b'.' => {}
                    byte => edit.onward.push(byte),
                }
            }
            return if edit.onward == bytes { DataVerdict::Pass } else { DataVerdict::Replace };
        }
        let before = std::mem::take(&mut self.held);
        for &byte in [&before, bytes].concat().iter() {
            match byte {
                b'A'..=b'Z' => edit.back.extend([byte; 20]),
                b'.' => {}
                b'_' if bytes.last() == Some(&b'_') => self.held.push(byte),
                byte => edit.onward.push(byte),
            }
        }
        edit.held = self.held.len();
        let same = before.is_empty() && edit.onward == bytes;
        if same && edit.back.is_empty() { DataVerdict::Pass } else { DataVerdict::Replace }
    }

    fn data(&mut self, _: ChannelKey, from: Side, _: DataKind, bytes: &[u8]) {
        self.heard.push((from, bytes.to_vec()));
    }

    fn closed(&mut self, _: ChannelKey, totals: Totals) {
        self.closed.push(totals);
    }
}

/// A relay between two ends that keep exact account of their windows.
struct Ends {
    relay: Relay,
    host: Editor,
    /// What each end may still send, as it was told.
    may_send: PerSide<i64>,
    /// What each end allows the other and was not sent yet.
    allows: PerSide<i64>,
    got: PerSide<Vec<u8>>,
    /// Names of what came besides data and adjustments.
    other: PerSide<Vec<&'static str>>,
}

const CLIENT_WINDOW: u32 = 10_000;

impl Ends {
    fn new() -> Self {
        Self::with_window(CLIENT_WINDOW)
    }

    fn with_window(window: u32) -> Self {
        let zero = PerSide { client: 0, target: 0 };
        let mut ends = Self {
            relay: Relay::new(RelayLimits::default()),
            host: Editor::default(),
            may_send: zero,
            allows: zero,
            got: PerSide::default(),
            other: PerSide::default(),
        };
        let opening = ChannelOpen {
            channel_type: ChannelType::Session,
            sender_channel: C,
            initial_window_size: window,
            maximum_packet_size: PACKET,
        };
        ends.allows.client = i64::from(window);
        ends.feed(Side::Client, &Message::ChannelOpen(opening));
        ends.allows.target = i64::from(WINDOW);
        ends.feed(Side::Target, &confirm(C, T));
        ends.feed(Side::Client, &request(T, RequestType::Subsystem { name: b"sftp" }, false));
        ends.other = PerSide::default();
        ends
    }

    #[track_caller]
    fn feed(&mut self, from: Side, message: &Message<'_>) {
        let mut sent = Sent::default();
        let fed = self.relay.on_packet(from, &message.to_payload(), &mut self.host, &mut sent);
        assert_eq!(fed, Ok(Flow::Continue));
        for (to, payload) in sent.0 {
            match Message::parse(&payload).unwrap() {
                Message::Data { data, .. } | Message::ExtendedData { data, .. } => {
                    self.allows[to] -= data.len() as i64;
                    assert!(self.allows[to] >= 0, "{to} was sent more than it allows");
                    assert!(self.got[to].len() < 10 << 20);
                    self.got[to].extend_from_slice(data);
                }
                Message::WindowAdjust { bytes_to_add, .. } => self.may_send[to] += i64::from(bytes_to_add),
                Message::ChannelOpen(open) => self.may_send[to] += i64::from(open.initial_window_size),
                Message::OpenConfirmation(open) => self.may_send[to] += i64::from(open.initial_window_size),
                other => self.other[to].push(other.name()),
            }
        }
    }

    /// Sends data, as much as the window allows.
    fn sends(&mut self, from: Side, bytes: &[u8]) {
        let fitting = bytes.len().min(usize::try_from(self.may_send[from]).unwrap()).min(PACKET as usize);
        self.may_send[from] -= fitting as i64;
        let number = if from == Side::Client { T } else { C };
        self.feed(from, &data(number, &bytes[..fitting]));
    }

    fn adjusts(&mut self, from: Side, bytes_to_add: u32) {
        self.allows[from] += i64::from(bytes_to_add);
        let recipient_channel = if from == Side::Client { T } else { C };
        self.feed(from, &Message::WindowAdjust { recipient_channel, bytes_to_add });
    }
}

#[test]
fn what_is_withheld_is_credited_and_what_is_held_is_not() {
    let mut ends = Ends::new();
    ends.sends(Side::Client, b"a_");
    assert_eq!(ends.got.target, b"a");
    ends.sends(Side::Client, b"b");
    assert_eq!(ends.got.target, b"a_b");
    for _ in 0..50 {
        ends.sends(Side::Client, &[b'.'; 20_000]);
    }
    assert_eq!(ends.got.target, b"a_b", "a million bytes went nowhere");
    assert!(ends.may_send.client > i64::from(WINDOW) - 40_000, "{}", ends.may_send.client);
    ends.sends(Side::Target, b"axb.");
    assert_eq!(ends.got.client, b"ayyb");
    assert_eq!(ends.host.heard.last().unwrap(), &(Side::Target, b"ayyb".to_vec()));
}

#[test]
fn extended_data_between_do_not_credit_what_is_held() {
    let mut ends = Ends::new();
    (0..2).for_each(|_| ends.sends(Side::Client, &[b'_'; PACKET as usize]));
    ends.may_send.client -= 1;
    ends.feed(Side::Client, &Message::ExtendedData { recipient_channel: T, data_type_code: 1, data: b"e" });
    assert!(ends.got.target.is_empty());
    assert!(ends.may_send.client + 2 * i64::from(PACKET) <= i64::from(WINDOW), "{}", ends.may_send.client);
    // No more goes on than the target allows: see [`Ends::feed`].
    while ends.may_send.client > 0 {
        ends.sends(Side::Client, &[b'a'; PACKET as usize]);
    }
    assert_eq!(ends.got.target.len(), WINDOW as usize);
}

/// OpenSSH adjusts its window after it has read 96 KiB: answers must not wait for that.
#[test]
fn answers_beyond_the_reserve_come_at_once_and_the_target_pays_later() {
    let mut ends = Ends::new();
    ends.sends(Side::Client, &[b'A'; 400]);
    assert_eq!(ends.got.client, [b'A'; 8000], "more than the reserve, less than the window");
    // The target was told of more than is left: what has no room waits, in order, and EOF and CLOSE behind it.
    let told = ends.may_send.target;
    ends.sends(Side::Target, &vec![b't'; told as usize]);
    assert_eq!(ends.got.client.len(), CLIENT_WINDOW as usize);
    ends.feed(Side::Target, &Message::Eof { recipient_channel: C });
    ends.feed(Side::Target, &Message::Close { recipient_channel: C });
    assert!(ends.other.client.is_empty(), "{:?}", ends.other.client);
    ends.adjusts(Side::Client, 1000);
    assert_eq!(ends.got.client.len(), CLIENT_WINDOW as usize + 1000);
    assert!(ends.other.client.is_empty() && ends.may_send.target == 0);
    ends.adjusts(Side::Client, CLIENT_WINDOW);
    assert_eq!(ends.got.client.len(), 8000 + told as usize);
    assert!(ends.got.client[8000..].iter().all(|byte| *byte == b't'));
    assert_eq!(ends.other.client, ["CHANNEL_EOF", "CHANNEL_CLOSE"]);
    ends.feed(Side::Client, &Message::Close { recipient_channel: T });
    assert_eq!((ends.relay.open_channels(), ends.host.closed.len()), (0, 1));
    assert_eq!(ends.host.closed[0].injected, 8000);
}

#[test]
fn a_client_that_closes_gets_its_close_although_data_wait() {
    let mut ends = Ends::new();
    ends.sends(Side::Client, &[b'A'; 600]);
    ends.feed(Side::Target, &Message::Eof { recipient_channel: C });
    ends.feed(Side::Target, &Message::Close { recipient_channel: C });
    assert!(ends.other.client.is_empty());
    ends.feed(Side::Client, &Message::Close { recipient_channel: T });
    assert_eq!(ends.other.client, ["CHANNEL_EOF", "CHANNEL_CLOSE"]);
    assert_eq!((ends.relay.open_channels(), ends.host.closed.len()), (0, 1));
}

/// What the target had on the way is more than the client's window has room for, after our answers.
#[test]
fn a_client_that_closes_first_gets_its_close_although_we_owe_it_room() {
    let mut ends = Ends::with_window(8192);
    ends.sends(Side::Client, &[b'A'; 1024]);
    assert_eq!(ends.got.client.len(), 8192, "of 20 KiB");
    ends.feed(Side::Client, &Message::Close { recipient_channel: T });
    ends.sends(Side::Target, b"axb");
    ends.sends(Side::Target, &[b't'; 1000]);
    ends.feed(Side::Target, &Message::Eof { recipient_channel: C });
    ends.feed(Side::Target, &Message::Close { recipient_channel: C });
    assert_eq!(
        (ends.got.client.len(), &ends.other.client[..]),
        (8192, &["CHANNEL_EOF", "CHANNEL_CLOSE"][..])
    );
    assert_eq!((ends.relay.open_channels(), ends.host.closed.len()), (0, 1));
    let heard: Vec<_> = ends.host.heard.iter().map(|(from, bytes)| (*from, bytes.len())).collect();
    assert_eq!(heard[1..], [(Side::Target, 4), (Side::Target, 1000)], "it is heard as before");
}

#[test]
fn a_client_that_reads_no_answer_is_ended() {
    let mut ends = Ends::new();
    let asked = (0..100).take_while(|_| {
        ends.sends(Side::Client, &[b'A'; 300]);
        ends.host.closed.is_empty()
    });
    assert!(asked.count() < 60, "bounded at 256 KiB");
    assert!(ends.other.client.contains(&"CHANNEL_CLOSE") && ends.other.target.contains(&"CHANNEL_CLOSE"));
}

#[test]
fn extended_data_can_be_kept_back_and_not_changed() {
    let mut ends = Ends::new();
    let extended =
        |recipient_channel, data| Message::ExtendedData { recipient_channel, data_type_code: 1, data };
    ends.feed(Side::Client, &extended(T, b"a"));
    ends.feed(Side::Target, &extended(C, b"b"));
    assert!(ends.got.target.is_empty() && ends.got.client.is_empty() && ends.host.heard.is_empty());
}

#[test]
fn the_host_may_end_the_channel() {
    let mut ends = Ends::new();
    ends.sends(Side::Client, b"a!");
    assert!(ends.got.target.is_empty(), "nothing of what is judged passes");
    assert_eq!(ends.got.client, b"no such sign\n");
    assert!(ends.other.client.contains(&"CHANNEL_CLOSE") && ends.other.target.contains(&"CHANNEL_CLOSE"));
}

proptest! {
    /// Whatever both ends send and allow: no window is overrun (see [`Ends::feed`]), all comes in order, and once the
    /// client reads, nothing waits and the windows are what they were.
    #[test]
    fn windows_are_conserved(steps in prop::collection::vec((0_u8..5, 1_usize..700), 1..60)) {
        let mut ends = Ends::new();
        let mut unread: VecDeque<u32> = VecDeque::new();
        let (mut asked, mut answered) = (0_usize, 0_usize);
        for (step, size) in steps {
            let before = ends.got.client.len();
            match step {
                0 if ends.may_send.client >= size as i64 && asked < 6000 => {
                    asked += size;
                    ends.sends(Side::Client, &vec![b'A'; size]);
                }
                1 => ends.sends(Side::Client, &[&vec![b'a'; size][..], b"_"].concat()),
                2 => ends.sends(Side::Target, &[&vec![b'x'; size][..], &vec![b'.'; size], &vec![b't'; size]].concat()),
                3 => {
                    let read: u32 = unread.drain(..).sum();
                    ends.adjusts(Side::Client, read);
                }
                _ => {
                    let got = ends.got.target.len() as u32;
                    ends.got.target.clear();
                    ends.adjusts(Side::Target, got);
                }
            }
            unread.push_back((ends.got.client.len() - before) as u32);
            answered = ends.got.client.iter().filter(|byte| **byte == b'A').count();
        }
        // The client reads all.
        for _ in 0..100 {
            let before = ends.got.client.len();
            let read: u32 = unread.drain(..).sum();
            ends.adjusts(Side::Client, read);
            unread.push_back((ends.got.client.len() - before) as u32);
        }
        answered = answered.max(ends.got.client.iter().filter(|byte| **byte == b'A').count());
        prop_assert_eq!(answered, asked * 20);
        prop_assert_eq!(ends.allows.client + i64::from(unread.iter().sum::<u32>()), i64::from(CLIENT_WINDOW));
        // What the target may send is the client's window, less the reserve and what is not worth a message yet.
        let reserve = i64::from(CLIENT_WINDOW / 4);
        prop_assert!(ends.may_send.target <= i64::from(CLIENT_WINDOW) - reserve);
        prop_assert!(ends.may_send.target > 0, "it may go on");
    }
}
