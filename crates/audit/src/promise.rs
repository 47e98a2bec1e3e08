//! Promises of room in the journal for what will have to be closed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::shared::Shared;

/// Room in the journal for the [closing](crate::Urgency::Closing) events of something that was begun. Dropped, it is
/// given back.
pub struct Promise {
    shared: Arc<Shared>,
    bytes: AtomicU64,
}

impl Promise {
    pub(crate) fn new(shared: Arc<Shared>, bytes: u64) -> Self {
        shared.promised.fetch_add(bytes, Ordering::SeqCst);
        Self { shared, bytes: AtomicU64::new(bytes) }
    }

    /// Promises more, from the receipt of an event that is submitted after this on.
    pub fn add(&self, bytes: u64) {
        self.shared.promised.fetch_add(bytes, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Gives back what was needed for something that is closed; at most what is promised.
    pub fn release(&self, bytes: u64) {
        let less = |promised: u64| Some(promised.saturating_sub(bytes));
        let before = self.bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).unwrap_or_default();
        self.shared.promised.fetch_sub(bytes.min(before), Ordering::SeqCst);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.shared.promised.fetch_sub(self.bytes.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

impl fmt::Debug for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Promise").field(&self.bytes).finish()
    }
}
