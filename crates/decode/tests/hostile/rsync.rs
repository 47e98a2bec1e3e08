//! Arguments of rsync, many and long.

use bartizan_decode::Stream::Input;
use bartizan_decode::{Decoder, Observed, Options};
use bartizan_model::event::Body;
use bartizan_model::observation::Confidence;

use crate::packets::stops;

/// What is made of an rsync whose arguments are inside the stream.
fn secluded(arguments: &[u8]) -> Vec<Observed> {
    let (mut seen, options) = (Vec::new(), Options::default());
    let Some(mut rsync) = Decoder::for_exec(0, b"rsync --server -se.LsfxCIvu", &options) else {
        unreachable!("rsync is known")
    };
    rsync.feed(Input, arguments, &mut seen);
    rsync.finish(Some(0), &mut seen);
    seen
}

#[test]
fn arguments_that_are_remembered_are_bounded_by_their_number_too() {
    let list = |words: usize| [b"rsync\0.\0", &b"x\0".repeat(words)[..], b"\0"].concat();
    assert!(stops(&secluded(&list(10_000))).is_empty());
    let seen = secluded(&list(2_000_000));
    assert_eq!(stops(&seen)[0].reason, "more arguments than are remembered");
    // It gives up where it is too much, and not when all has come.
    assert!(stops(&seen)[0].bytes_in < 40_000, "{seen:#?}");
    let Some(Body::RsyncEnd(end)) = seen.last().map(|observed| &observed.body) else { unreachable!() };
    assert_eq!((end.derived.confidence, end.paths.len()), (Confidence::Low, 0), "where it goes was not read");
}
