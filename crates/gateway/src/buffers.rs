//! A pool of large buffers, one per worker thread.
//!
//! A connection holds a buffer only while bytes are in it, so a thousand idle sessions share a
//! handful of buffers instead of pinning a quarter of a gigabyte.

use std::cell::RefCell;

/// Size of a pooled buffer: as much as one read or write of a busy relay moves.
pub(crate) const BUFFER_BYTES: usize = 256 * 1024;
/// Buffers that a worker keeps for later; more are given back to the system.
const KEPT: usize = 8;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Takes a buffer of [`BUFFER_BYTES`] initialized bytes; their contents are stale ciphertext or cleartext
/// of this process and must be overwritten before they are read.
pub(crate) fn take() -> Vec<u8> {
    POOL.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; BUFFER_BYTES])
}

/// Gives a buffer back. One of another size is dropped.
pub(crate) fn give(buffer: Vec<u8>) {
    if buffer.len() == BUFFER_BYTES {
        POOL.with_borrow_mut(|pool| {
            if pool.len() < KEPT {
                pool.push(buffer);
            }
        });
    }
}
