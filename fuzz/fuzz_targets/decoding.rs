//! Both streams of one channel out of one input, to a decoder; the same must come of it in other chunks.

use bartizan_decode::{Decoder, Observed, Options, Stream};

use super::common::pieces;

/// Reads `input`: pieces, the first byte of each says its stream and the size of chunks to cut it into.
pub fn decode(command: &[u8], input: &[u8]) {
    decode_by(|options| Decoder::for_exec(0, command, options).expect("a known program"), input);
}

/// As [`decode`], by decoders that `new` makes.
pub fn decode_by(new: impl Fn(&Options) -> Decoder, input: &[u8]) {
    let whole = observed(&new, input, |_| usize::MAX);
    let cut = observed(&new, input, |first| usize::from(first >> 1) + 1);
    assert_eq!(whole, cut, "the chunking must not matter");
    let stops = whole.iter().filter(|seen| seen.body.kind() == "decode.stop").count();
    assert!(stops <= 1, "it gives up once");
}

fn observed(new: impl Fn(&Options) -> Decoder, input: &[u8], chunk: impl Fn(u8) -> usize) -> Vec<Observed> {
    let options = Options {
        window_bytes: 1 << 12,
        names_bytes: 1 << 14,
        in_flight: 64,
        handles: 16,
        ..Options::default()
    };
    let mut decoder = new(&options);
    let mut seen = Vec::new();
    for piece in pieces(input) {
        let Some((&first, bytes)) = piece.split_first() else { continue };
        let stream = if first & 1 == 0 { Stream::Input } else { Stream::Output };
        bytes.chunks(chunk(first)).for_each(|chunk| decoder.feed(stream, chunk, &mut seen));
    }
    decoder.finish(Some(0), &mut seen);
    seen
}
