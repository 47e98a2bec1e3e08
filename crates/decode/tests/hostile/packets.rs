//! SFTP packets put together by hand, and what is made of a conversation of them.

use bartizan_decode::{Decoder, Observed, Options, Stream};
use bartizan_model::event::Body;
use bartizan_model::observation::{DecodeStop, Transfer};

/// An SFTP packet of a type, with fields that follow.
pub(crate) fn packet(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let body = fields.concat();
    let mut packet = (body.len() as u32 + 1).to_be_bytes().to_vec();
    packet.push(kind);
    packet.extend(body);
    packet
}

pub(crate) fn n(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    [&n(bytes.len() as u32)[..], bytes].concat()
}

pub(crate) fn open(id: u32, path: &[u8], flags: u32) -> Vec<u8> {
    packet(3, &[&n(id), &string(path), &n(flags), &n(0)])
}

pub(crate) fn write(id: u32, handle: &[u8], offset: u64, data: &[u8]) -> Vec<u8> {
    packet(6, &[&n(id), &string(handle), &offset.to_be_bytes(), &string(data)])
}

pub(crate) fn read(id: u32, handle: &[u8], offset: u64, length: u32) -> Vec<u8> {
    packet(5, &[&n(id), &string(handle), &offset.to_be_bytes(), &n(length)])
}

pub(crate) fn close(id: u32, handle: &[u8]) -> Vec<u8> {
    packet(4, &[&n(id), &string(handle)])
}

pub(crate) fn status(id: u32, code: u32) -> Vec<u8> {
    packet(101, &[&n(id), &n(code), &string(b""), &string(b"")])
}

pub(crate) fn handle(id: u32, handle: &[u8]) -> Vec<u8> {
    packet(102, &[&n(id), &string(handle)])
}

pub(crate) fn data(id: u32, bytes: &[u8]) -> Vec<u8> {
    packet(103, &[&n(id), &string(bytes)])
}

/// Decodes a conversation as it is; the same must come of it byte by byte.
#[track_caller]
pub(crate) fn sftp(said: &[(Stream, Vec<u8>)]) -> Vec<Observed> {
    let whole = decode(said, usize::MAX, &Options::default());
    assert_eq!(whole, decode(said, 1, &Options::default()), "byte by byte");
    whole
}

pub(crate) fn decode(said: &[(Stream, Vec<u8>)], chunk: usize, options: &Options) -> Vec<Observed> {
    let mut seen = Vec::new();
    let Some(mut decoder) = Decoder::for_subsystem(0, b"sftp", options) else { panic!("sftp is known") };
    for (stream, bytes) in said {
        bytes.chunks(chunk.min(bytes.len().max(1))).for_each(|piece| decoder.feed(*stream, piece, &mut seen));
    }
    decoder.finish(None, &mut seen);
    seen
}

pub(crate) fn stops(seen: &[Observed]) -> Vec<&DecodeStop> {
    let found = seen.iter().filter_map(|observed| match &observed.body {
        Body::DecodeStop(stop) => Some(stop),
        _ => None,
    });
    found.collect()
}

pub(crate) fn transfers(seen: &[Observed]) -> Vec<&Transfer> {
    let found = seen.iter().filter_map(|observed| match &observed.body {
        Body::Transfer(transfer) => Some(transfer),
        _ => None,
    });
    found.collect()
}

#[track_caller]
pub(crate) fn stopped(said: &[(Stream, Vec<u8>)]) -> String {
    let seen = sftp(said);
    assert_eq!(stops(&seen).len(), 1, "{seen:#?}");
    stops(&seen)[0].reason.clone()
}
