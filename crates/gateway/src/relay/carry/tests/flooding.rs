//! Ends that ask and do not read the answers.

use bartizan_ssh::wire::connection::ChannelType;

use super::*;

/// More than may ever wait: the mark, and what comes of a read that began below it.
const MOST: usize = UNREAD + 256 * 1024;
/// Channels asked for: their answers are several times as much.
const ASKED: u32 = 60_000;

/// A channel that is refused in place.
fn asking(number: u32) -> Vec<u8> {
    let open = ChannelOpen {
        channel_type: ChannelType::Unknown { name: "x@example.com", data: b"" },
        sender_channel: number,
        initial_window_size: 0,
        maximum_packet_size: 0,
    };
    Message::ChannelOpen(open).to_payload()
}

impl Rig {
    /// An end asks without reading until it has asked enough or is ended; gives why.
    fn floods(&mut self, side: Side, most: usize) -> Result<(), Stop> {
        for number in 0..ASKED {
            self.peers[side].sends(&asking(number));
            if number % 100 == 0 {
                self.turns()?;
                assert!(self.hop(side).transport.pending() < most, "{side}");
            }
        }
        self.turns()
    }
}

#[test]
fn an_end_that_reads_no_answer_is_not_read_and_goes_on_when_it_reads() {
    for side in Side::BOTH {
        let mut rig = Rig::new();
        rig.floods(side, MOST).unwrap();
        assert!(rig.hop(side).transport.unread_replies() >= UNREAD, "{side}");
        assert!(
            rig.peers[side].wire.0.borrow().to_hop.len() > 1024 * 1024,
            "{side}: the rest waits in its socket"
        );

        // The other end is served meanwhile, and so is this one: what the other sends waits with the answers.
        rig.peers[side.other()].sends(&passing(1, 10));
        rig.settle();
        assert_eq!(rig.peers[side].got.len(), ASKED as usize + 1, "{side}: every answer came");
        assert_eq!(rig.hop(side).transport.pending(), 0, "{side}");
    }
}

/// Messages that nobody hears of fill no turn beyond its measure, and none of them is forgotten.
#[test]
fn messages_that_mean_nothing_have_their_turns_like_others() {
    let mut rig = Rig::new();
    let (many, ignored) = (3 * WORK, [50_u8, 0]);
    (0..many).for_each(|_| rig.peers.client.sends(&ignored));
    rig.peers.client.sends(&passing(1, 10));
    let cx = &mut Context::from_waker(Waker::noop());
    let Rig { client, target, relay, host, back, .. } = &mut rig;
    assert!(carry(Side::Client, client, target, relay, host, back, cx).unwrap(), "more may come");
    assert_eq!(rig.target.transport.pending(), 0, "what comes last waits for the next turn");
    rig.settle();
    assert_eq!(rig.peers.target.got, [passing(1, 10)]);
}

/// One that writes before it reads is well: what waits for it is the other's.
#[test]
fn an_end_that_reads_no_data_is_read_all_the_same() {
    for side in Side::BOTH {
        let mut rig = Rig::new();
        for number in 0..100 {
            rig.peers[side.other()].sends(&passing(number, 30_000));
            rig.peers[side].sends(&passing(number, 30_000));
            rig.peers[side].sends(&asking(number as u32));
        }
        loop {
            rig.turns().unwrap();
            if !rig.peers[side.other()].acts() {
                break;
            }
        }
        assert_eq!(rig.peers[side.other()].got.len(), 100, "{side}");
        let waiting = rig.hop(side).transport.pending();
        assert!((WORTH_WRITING..HIGH_WATER + 64 * 1024).contains(&waiting), "{side}: {waiting}");
    }
}

#[test]
fn an_end_that_leaves_our_rekey_without_an_answer_is_ended() {
    for side in Side::BOTH {
        let mut rig = Rig::new();
        rig.hop(side).transport.start_rekey(Duration::ZERO).unwrap();
        let stop = rig.floods(side, 5 * 1024 * 1024);
        let (Err(Stop::Client(error) | Stop::Target(error)), transport) = (stop, &rig.hop(side).transport)
        else {
            panic!("{side} goes on")
        };
        assert!(matches!(error, HopError::Transport(TransportError::PeerNotReading)), "{side}: {error}");
        assert!(transport.pending() < MOST, "{side}: nothing of it is kept");
    }
}
