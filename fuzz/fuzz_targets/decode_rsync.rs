//! rsync: setup with arguments inside the stream, a daemon, plain; then messages, lists and contents in both directions.
#![no_main]
use libfuzzer_sys::fuzz_target;

mod common;
mod decoding;

fuzz_target!(|input: &[u8]| {
    decoding::decode(b"rsync --server -ze.iLsfxCIvu . /x", input);
    decoding::decode(b"rsync --server --sender -se.iLsfxCIvu", input);
    decoding::decode(b"rsync --server --daemon .", input);
    decoding::decode(b"rsync --server -Ire.iLsfxCIvu . /x", input);
    decoding::decode(b"rsync --server --sender -Ire.iLsfxCIvu . /x", input);
    decoding::decode(b"rsync --server -logDtprce.iLsfxCIvu --delete . /x", input);
    decoding::decode(b"rsync --server --sender -logDtprHAXUe.iLsfxCIvu . /x", input);
});
