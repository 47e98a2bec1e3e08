//! The same messages to the same server, once directly and once through our relay: what comes back must be the same.
//!
//! ```text
//!   direct     Player ── Transport ═══ TCP ═══════════════════════════════ OpenSSH or russh
//!   relayed    Player ── Transport ═ memory ═ Transport ── Relay ── Transport ═══ TCP ═══ OpenSSH or russh
//! ```
//!
//! A seed makes a random sequence of what a client may do (`sequence`); the player sends it in bursts, waits after each
//! for what must follow, and notes what came (`player`). What a client may *not* do comes last, one offence at a time, and
//! the table in `offences` says where we deliberately differ from which server.
//!
//! What is not compared, because it depends on the moment also without us: how data are cut into messages, the
//! order of streams that RFC 4254 does not order, what was under way on a channel that the client closed, window
//! adjustments, and the texts of errors.
//!
//! What is left out because the servers fail at it: EOF before a program is started (OpenSSH forgets it and the program
//! waits for ever; our relay keeps it until there is a program); and with russh channel types that it does not know
//! (it refuses them twice; OpenSSH's client ends the connection over it, as we do) and CLOSE while its data wait for a
//! window (it does not answer).
//!
//! `INTEROP_SEEDS=1000..1200` plays other seeds than the usual ones, and prints each.

mod dice;
mod hop;
mod link;
mod offences;
mod openssh;
mod player;
mod programs;
mod russh_server;
mod sequence;

use link::{Direct, Link, Relayed};
use offences::{Ending, OFFENCES};
use player::{Observed, Player};
use sequence::{Other, Step, sequence};

/// A server that can be connected to again and again.
trait Server {
    fn name(&self) -> &'static str;
    /// A new connection, authenticated.
    fn connect(&self) -> hop::Hop;
}

fn seeds(usual: u64) -> std::ops::Range<u64> {
    let Ok(wanted) = std::env::var("INTEROP_SEEDS") else { return 0..usual };
    let (from, to) = wanted.split_once("..").expect("INTEROP_SEEDS=FROM..TO");
    from.parse().expect("FROM is a number")..to.parse().expect("TO is a number")
}

/// Says on a failure what was being played.
struct Playing(String);

impl Drop for Playing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

/// The sequence of a seed, less what is left out.
fn steps_for(server: &dyn Server, seed: u64) -> Vec<Step> {
    let steps = sequence(seed).into_iter();
    if server.name() != "russh" {
        return steps.collect();
    }
    let mended = steps.flat_map(|step| match step {
        Step::OpenOther(Other::Unknown) => vec![Step::OpenOther(Other::X11)],
        Step::Close { channel } => vec![Step::Adjust { channel, bytes: 1 << 20 }, step],
        _ => vec![step],
    });
    mended.collect()
}

fn play(link: &mut dyn Link, steps: &[Step]) -> Observed {
    let mut player = Player::new(link);
    player.play(steps);
    player.finish()
}

fn same_when_legal(server: &dyn Server) {
    for seed in seeds(40) {
        let steps = steps_for(server, seed);
        let _playing = Playing(format!("{}, seed {seed}: {steps:#?}", server.name()));
        let direct = play(&mut Direct::new(server.connect()), &steps);
        let relayed = play(&mut Relayed::new(server.connect()), &steps);
        assert!(direct.agrees_with(&relayed), "direct: {direct:#?}\nrelayed: {relayed:#?}");
    }
}

fn as_listed_when_not(server: &dyn Server) {
    for seed in seeds(2) {
        let steps = &steps_for(server, seed)[..8];
        for offence in OFFENCES {
            let _playing = Playing(format!("{}, seed {seed}: {steps:#?}, then {offence:?}", server.name()));
            let (mut direct, mut relayed) = (Direct::new(server.connect()), Relayed::new(server.connect()));
            let mut players = [Player::new(&mut direct), Player::new(&mut relayed)];
            let endings = players.each_mut().map(|player| {
                player.play(steps);
                player.offend(*offence)
            });
            assert_eq!(endings, offence.listed(server.name()));
            if endings == [Ending::Survived; 2] && offence.seen_alike() {
                let [direct, relayed] = players.map(Player::finish);
                assert!(direct.agrees_with(&relayed), "direct: {direct:#?}\nrelayed: {relayed:#?}");
            }
        }
    }
}

#[test]
fn openssh_with_a_client_that_keeps_to_the_rules() {
    same_when_legal(&openssh::Sshd::new());
}

#[test]
fn openssh_with_a_client_that_does_not() {
    as_listed_when_not(&openssh::Sshd::new());
}

#[test]
fn russh_with_a_client_that_keeps_to_the_rules() {
    same_when_legal(&russh_server::RusshServer::new());
}

#[test]
fn russh_with_a_client_that_does_not() {
    as_listed_when_not(&russh_server::RusshServer::new());
}
