//! The byte stream inside a `direct-tcpip` channel, between the outer connection and the inner one.
//!
//! Both ends live on one thread. The outer connection's task pushes what the client sent and pulls
//! what is to go to it; the inner connection reads and writes it like a socket. Towards the inner
//! connection the buffer is bounded by the window that the outer one announced; towards the client by
//! [`HIGH_WATER`].

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::buffers;

/// Bytes towards the client above which the inner connection must wait.
const HIGH_WATER: usize = 256 * 1024;

#[derive(Default)]
struct State {
    /// Client → inner, from `inbound_start` on.
    inbound: Vec<u8>,
    inbound_start: usize,
    /// Bytes the inner connection has read and the outer one has not credited yet.
    consumed: usize,
    /// Inner → client.
    outbound: Vec<u8>,
    outbound_start: usize,
    client_finished: bool,
    /// The inner connection writes no more.
    inner_finished: bool,
    /// The inner connection is over.
    inner_gone: bool,
    /// The channel is gone: reads end, writes fail.
    broken: bool,
    inner_reader: Option<Waker>,
    inner_writer: Option<Waker>,
    /// Whoever wants to know that the channel is gone.
    inner_watcher: Option<Waker>,
    outer: Option<Waker>,
}

/// The outer connection's end.
pub(crate) struct OuterEnd(Rc<RefCell<State>>);

/// The inner connection's end: a stream.
pub(crate) struct InnerEnd(Rc<RefCell<State>>);

/// Makes both ends of a pipe.
pub(crate) fn pipe() -> (OuterEnd, InnerEnd) {
    let state = Rc::new(RefCell::new(State::default()));
    (OuterEnd(state.clone()), InnerEnd(state))
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// Appends to a buffer that is read from `start` on.
fn append(buffer: &mut Vec<u8>, start: &mut usize, bytes: &[u8]) {
    if *start > 0 && buffer.len() + bytes.len() > buffer.capacity() {
        buffer.drain(..*start);
        *start = 0;
    }
    buffers::prepare(buffer, bytes.len());
    buffer.extend_from_slice(bytes);
}

/// Gives a drained buffer's memory back; an idle pipe holds next to none.
fn release_when_drained(buffer: &mut Vec<u8>, start: &mut usize) {
    if *start == buffer.len() {
        *start = 0;
        buffers::release(buffer);
    }
}

impl OuterEnd {
    /// Hands bytes of the client to the inner connection. The caller keeps to the window it announced.
    pub(crate) fn push(&self, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        if state.broken || state.inner_gone {
            state.consumed += bytes.len();
            return;
        }
        let state = &mut *state;
        append(&mut state.inbound, &mut state.inbound_start, bytes);
        wake(&mut state.inner_reader);
    }

    /// The client sent EOF: the inner connection reads what is left and then the end.
    pub(crate) fn finish(&self) {
        let mut state = self.0.borrow_mut();
        state.client_finished = true;
        wake(&mut state.inner_reader);
    }

    /// Bytes consumed since the last call; the caller credits them to the client's window.
    pub(crate) fn take_consumed(&self) -> usize {
        std::mem::take(&mut self.0.borrow_mut().consumed)
    }

    /// Offers what waits for the client to `send`, which says how many bytes it took.
    pub(crate) fn drain(&self, send: impl FnOnce(&[u8]) -> usize) {
        let mut state = self.0.borrow_mut();
        let state = &mut *state;
        let waiting = &state.outbound[state.outbound_start..];
        if waiting.is_empty() {
            return;
        }
        state.outbound_start += send(waiting);
        release_when_drained(&mut state.outbound, &mut state.outbound_start);
        if state.outbound.len() - state.outbound_start < HIGH_WATER {
            wake(&mut state.inner_writer);
        }
    }

    /// True when the inner connection writes no more and everything it wrote was drained.
    pub(crate) fn is_finished(&self) -> bool {
        let state = self.0.borrow();
        (state.inner_finished || state.inner_gone) && state.outbound_start == state.outbound.len()
    }

    /// True when the inner connection is over and everything it wrote was drained.
    pub(crate) fn is_over(&self) -> bool {
        self.0.borrow().inner_gone && self.is_finished()
    }

    /// Registers the outer task to be woken when there is something to drain or to credit.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        let mut state = self.0.borrow_mut();
        if !state.outer.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.outer = Some(cx.waker().clone());
        }
    }
}

impl Drop for OuterEnd {
    fn drop(&mut self) {
        let mut state = self.0.borrow_mut();
        state.broken = true;
        wake(&mut state.inner_reader);
        wake(&mut state.inner_writer);
        wake(&mut state.inner_watcher);
    }
}

impl InnerEnd {
    /// Writes no more; what was written still arrives.
    pub(crate) fn finish_writing(&self) {
        let mut state = self.0.borrow_mut();
        state.inner_finished = true;
        wake(&mut state.outer);
    }

    /// Ready when the channel is gone, as opposed to the client sending no more.
    pub(crate) fn poll_gone(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.borrow_mut();
        if state.broken {
            return Poll::Ready(());
        }
        state.inner_watcher = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for InnerEnd {
    fn drop(&mut self) {
        let mut state = self.0.borrow_mut();
        state.inner_gone = true;
        wake(&mut state.outer);
    }
}

impl AsyncRead for InnerEnd {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        let state = &mut *state;
        let waiting = &state.inbound[state.inbound_start..];
        if waiting.is_empty() {
            if state.client_finished || state.broken {
                return Poll::Ready(Ok(()));
            }
            state.inner_reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let n = waiting.len().min(buf.remaining());
        buf.put_slice(&waiting[..n]);
        state.inbound_start += n;
        state.consumed += n;
        release_when_drained(&mut state.inbound, &mut state.inbound_start);
        wake(&mut state.outer);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for InnerEnd {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        if state.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.outbound.len() - state.outbound_start >= HIGH_WATER {
            state.inner_writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let state = &mut *state;
        append(&mut state.outbound, &mut state.outbound_start, buf);
        wake(&mut state.outer);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish_writing();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn bytes_pass_in_order_and_are_credited_only_when_read() {
        let (outer, mut inner) = pipe();
        outer.push(b"hello ");
        outer.push(b"world");
        assert_eq!(outer.take_consumed(), 0, "nothing was read yet");
        let mut read = [0; 8];
        inner.read_exact(&mut read).await.unwrap();
        assert_eq!((&read, outer.take_consumed()), (b"hello wo", 8));
        outer.finish();
        let mut rest = Vec::new();
        inner.read_to_end(&mut rest).await.unwrap();
        assert_eq!((rest.as_slice(), outer.take_consumed()), (&b"rld"[..], 3));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_writer_waits_above_high_water_until_the_client_takes_some() {
        let (outer, mut inner) = pipe();
        inner.write_all(&vec![7; HIGH_WATER]).await.unwrap();
        let blocked = poll_fn(|cx| Poll::Ready(Pin::new(&mut inner).poll_write(cx, b"x").is_pending())).await;
        assert!(blocked);
        outer.drain(|bytes| bytes.len().min(10));
        inner.write_all(b"x").await.unwrap();
        let mut total = 0;
        outer.drain(|bytes| {
            total = bytes.len();
            total
        });
        assert_eq!(total, HIGH_WATER - 10 + 1);
        inner.shutdown().await.unwrap();
        assert!(outer.is_finished() && !outer.is_over(), "EOF goes out, the channel stays open");
        drop(inner);
        assert!(outer.is_over());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_closed_channel_ends_reads_and_fails_writes() {
        let (outer, mut inner) = pipe();
        drop(outer);
        assert_eq!(inner.read(&mut [0; 4]).await.unwrap(), 0);
        assert_eq!(inner.write_all(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
