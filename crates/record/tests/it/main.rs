//! Tests of the room as others use it, one file a subject.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod faults;
mod process;
mod support;
mod tools;
mod torn;
mod writer;
