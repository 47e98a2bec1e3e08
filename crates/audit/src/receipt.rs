//! What an append gives back.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::error::LogError;

/// Proof that an event is durable: it was on the disk before this was made. Only the log makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt {
    index: u64,
}

impl Receipt {
    pub(crate) const fn new(index: u64) -> Self {
        Self { index }
    }

    /// The event's position in the log, from 0.
    pub const fn index(&self) -> u64 {
        self.index
    }
}

/// An event on its way to the disk: a future of its [`Receipt`].
///
/// # Cancel safety
/// Dropping it forgets the receipt, not the event: the event is logged all the same.
#[derive(Debug)]
#[must_use = "an event is durable only when its receipt is there"]
pub struct Pending {
    receipt: oneshot::Receiver<Result<Receipt, LogError>>,
}

impl Pending {
    pub(crate) const fn new(receipt: oneshot::Receiver<Result<Receipt, LogError>>) -> Self {
        Self { receipt }
    }

    /// Waits for the receipt, blocking the thread.
    ///
    /// # Errors
    /// As awaiting it: the log failed or was closed before the event was durable.
    ///
    /// # Panics
    /// Panics in a thread that drives asynchronous tasks, as blocking there would stop them.
    pub fn wait_blocking(self) -> Result<Receipt, LogError> {
        self.receipt.blocking_recv().unwrap_or_else(|_| Err(writer_gone()))
    }
}

impl Future for Pending {
    type Output = Result<Receipt, LogError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let receipt = Pin::new(&mut self.receipt).poll(context);
        receipt.map(|received| received.unwrap_or_else(|_| Err(writer_gone())))
    }
}

fn writer_gone() -> LogError {
    LogError::Failed("its writer ended unexpectedly".into())
}

/// A value that may be used because the event about it is durable: evidence before effect.
///
/// Only [`crate::Log::append_for`] makes one, after the event is on the disk. A function that takes
/// `Logged<Grant>` therefore cannot be called before the grant was logged.
#[derive(Debug)]
pub struct Logged<T> {
    receipt: Receipt,
    value: T,
}

impl<T> Logged<T> {
    pub(crate) const fn new(receipt: Receipt, value: T) -> Self {
        Self { receipt, value }
    }

    /// The receipt of the event.
    pub const fn receipt(&self) -> Receipt {
        self.receipt
    }

    /// The value, given up as proof.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> AsRef<T> for Logged<T> {
    fn as_ref(&self) -> &T {
        &self.value
    }
}
