//! Full bundles on their way from the writer to the integrator.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::bundle::FullBundle;
use crate::layout::SegmentName;

/// The bundles that wait, bounded in bytes, and the journal's segments, which writer and integrator both change.
pub(crate) struct Backlog {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    bundles: VecDeque<FullBundle>,
    bytes: usize,
    segments: Vec<SegmentName>,
    shut: bool,
}

/// The most bytes of bundles that may wait; then the writer waits, and behind it the queue fills.
const MAX_BACKLOG_BYTES: usize = 64 * 1024 * 1024;

/// From so many bytes on nobody waits for more.
const ENOUGH_BYTES: usize = 8 * 1024 * 1024;

impl Backlog {
    /// The journal's segments, and the bundles that recovery read from them.
    pub(crate) fn new(segments: Vec<SegmentName>, bundles: Vec<FullBundle>) -> Self {
        let bytes = bundles.iter().map(|bundle| bundle.bytes.len()).sum();
        let state = State { bundles: bundles.into(), bytes, segments, shut: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Hands over a full bundle, waiting while too much waits already; false when the integrator has ended.
    pub(crate) fn push(&self, bundle: FullBundle) -> bool {
        let state = self.lock();
        let mut state = self
            .changed
            .wait_while(state, |state| state.bytes >= MAX_BACKLOG_BYTES && !state.shut)
            .unwrap_or_else(PoisonError::into_inner);
        state.bytes += bundle.bytes.len();
        state.bundles.push_back(bundle);
        self.changed.notify_all();
        !state.shut
    }

    /// Tells that the journal goes on in another segment.
    pub(crate) fn rotated(&self, segment: SegmentName) {
        self.lock().segments.push(segment);
    }

    /// Nothing more comes, or nothing more is taken.
    pub(crate) fn shut(&self) {
        self.lock().shut = true;
        self.changed.notify_all();
    }

    /// All that waits, which is nothing when nothing came for `patience`. None when nothing more comes.
    ///
    /// Where little waits, it waits for `gather` for more: each round of files makes the disk commit several times, and
    /// the journal's syncs wait for that.
    pub(crate) fn take(&self, patience: Duration, gather: Duration) -> Option<Vec<FullBundle>> {
        let state = self.lock();
        let waited =
            self.changed.wait_timeout_while(state, patience, |state| state.bundles.is_empty() && !state.shut);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if !state.bundles.is_empty() {
            let more = |state: &mut State| state.bytes < ENOUGH_BYTES && !state.shut;
            let waited = self.changed.wait_timeout_while(state, gather, more);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.bundles.is_empty() && state.shut {
            return None;
        }
        state.bytes = 0;
        let taken = state.bundles.drain(..).collect();
        self.changed.notify_all();
        Some(taken)
    }

    /// Waits for `time`, but not when nothing more comes: true then.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, time, |state| !state.shut);
        waited.unwrap_or_else(PoisonError::into_inner).0.shut
    }

    /// The journal's segments, in order.
    pub(crate) fn segments(&self) -> Vec<SegmentName> {
        self.lock().segments.clone()
    }

    /// Tells that the oldest `count` segments are gone.
    pub(crate) fn released(&self, count: usize) {
        self.lock().segments.drain(..count);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
