//! Key exchanges of both hops, whoever starts them.

use super::*;

impl Rig {
    fn hashes(&mut self) -> [Vec<u8>; 2] {
        Side::BOTH.map(|side| self.hop(side).transport.exchange_hash().unwrap().to_vec())
    }

    /// Both hops have new keys, the same as their peers, and nothing runs any more.
    #[track_caller]
    fn has_new_keys(&mut self, before: &[Vec<u8>; 2]) {
        let now = self.hashes();
        for (place, side) in Side::BOTH.into_iter().enumerate() {
            assert_ne!(now[place], before[place], "{side}");
            assert_eq!(self.peers[side].transport.exchange_hash(), Some(&now[place][..]), "{side}");
            let hop = self.hop(side);
            assert!(!exchanges(hop), "{side}");
            assert_eq!(hop.transport.pending(), 0, "{side}");
        }
    }
}

#[test]
fn our_rekey_waits_for_one_that_the_other_peer_started() {
    let mut rig = Rig::new();
    let before = rig.hashes();
    rig.host.clock = Duration::from_secs(3000);
    rig.peers.target.transport.start_rekey(Duration::ZERO).unwrap();
    rig.peers.target.speaks();
    rig.turns().unwrap();
    assert!(!rig.target.transport.can_send(), "its KEXINIT was answered, and its REPLY does not come yet");

    rig.host.clock = Duration::from_secs(3601);
    rig.client.transport.handle_deadline(rig.host.clock).unwrap();
    rig.peers.client.sends(&passing(1, 10));
    rig.turns().unwrap();
    assert!(rig.client.transport.wants_rekey() && rig.client.transport.can_send());

    rig.settle();
    rig.has_new_keys(&before);
    assert_eq!(rig.peers.target.got, [passing(1, 10)]);
}

#[test]
fn our_rekey_of_one_hop_waits_for_ours_of_the_other() {
    let mut rig = Rig::new();
    let before = rig.hashes();
    rig.host.clock = Duration::from_secs(3601);
    for side in Side::BOTH {
        rig.hop(side).transport.handle_deadline(Duration::from_secs(3601)).unwrap();
    }
    rig.turns().unwrap();
    assert!(!rig.client.transport.can_send() && rig.target.transport.wants_rekey());
    rig.settle();
    rig.has_new_keys(&before);
}

#[test]
fn both_peers_may_start_at_once() {
    let mut rig = Rig::new();
    let before = rig.hashes();
    for side in Side::BOTH {
        rig.peers[side].sends(&passing(1, 30_000));
        rig.peers[side].transport.start_rekey(Duration::ZERO).unwrap();
        rig.peers[side].sends(&passing(2, 30_000));
    }
    rig.settle();
    rig.has_new_keys(&before);
    for side in Side::BOTH {
        assert_eq!(rig.peers[side].got, [passing(1, 30_000), passing(2, 30_000)], "{side}");
    }
}

/// However it came to that, and with more on the way than any hop is read for otherwise.
#[test]
fn hops_that_exchange_keys_at_once_do_not_wait_for_each_other() {
    for peers_start in [false, true] {
        let mut rig = Rig::new();
        let before = rig.hashes();
        for side in Side::BOTH {
            rig.hop(side).transport.start_rekey(Duration::ZERO).unwrap();
            (0..40).for_each(|number| rig.peers[side].sends(&passing(number, 30_000)));
            if peers_start {
                rig.peers[side].transport.start_rekey(Duration::ZERO).unwrap();
            }
            (40..80).for_each(|number| rig.peers[side].sends(&passing(number, 30_000)));
        }
        rig.settle();
        rig.has_new_keys(&before);
        for side in Side::BOTH {
            let sent: Vec<_> = (0..80).map(|number| passing(number, 30_000)).collect();
            assert!(rig.peers[side].got == sent, "{side}: all of it, in order");
        }
    }
}
