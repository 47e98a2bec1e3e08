//! A pool of large buffers, one per worker thread.
//!
//! A connection holds a buffer only while bytes are in it, so a thousand idle sessions share a
//! handful of buffers instead of pinning a quarter of a gigabyte.

use std::cell::RefCell;

/// Size of a pooled buffer: what a busy relay moves in one read or write, and a packet more.
pub(crate) const BUFFER_BYTES: usize = 288 * 1024;
/// Buffers that a worker keeps for later; more are given back to the system.
const KEPT: usize = 8;

/// Growable buffers above this capacity go back to the pool when they are drained, smaller ones stay.
const SMALL_BYTES: usize = 4 * 1024;
/// Growable buffers above this capacity are not kept: they were needed for a stall.
const LARGE_BYTES: usize = 1024 * 1024;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
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

/// Makes sure that a growable buffer which is to take `more` bytes starts with a roomy one from the pool.
pub(crate) fn prepare(buffer: &mut Vec<u8>, more: usize) {
    if buffer.is_empty() && more > buffer.capacity() {
        *buffer = SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES));
    }
}

/// Empties a growable buffer, and gives its memory back unless it is small.
pub(crate) fn release(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > SMALL_BYTES {
        let spare = std::mem::take(buffer);
        SPARE.with_borrow_mut(|pool| {
            if pool.len() < KEPT && spare.capacity() <= LARGE_BYTES {
                pool.push(spare);
            }
        });
    }
}
