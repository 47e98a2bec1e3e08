//! Where a console reads and writes: the channel's streams, recorded on the way.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bartizan_record::Stream;
use bartizan_ssh::wire::connection::WindowSize;
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::sync::watch;
use tokio::task::yield_now;

use super::record::Record;
use crate::pipe::InnerEnd;

/// Ctrl-C.
const INTERRUPT: u8 = 3;
/// Bytes of what was typed that are held at a time.
const TYPED: usize = 1024;

/// The channel of a console.
pub(super) struct Channel {
    pub(super) main: InnerEnd,
    pub(super) error: InnerEnd,
    /// Whether the client has a terminal: then lines end with CR LF, and all goes to one stream.
    pub(super) has_terminal: bool,
    pub(super) size: watch::Receiver<WindowSize>,
    pub(super) record: Rc<Record>,
    /// What was typed and not used yet.
    typed: Vec<u8>,
}

impl Channel {
    pub(super) fn new(
        (main, error): (InnerEnd, InnerEnd),
        has_terminal: bool,
        size: watch::Receiver<WindowSize>,
        record: Rc<Record>,
    ) -> Self {
        Self { main, error, has_terminal, size, record, typed: Vec::new() }
    }

    /// Writes to the person: text whose lines end with LF.
    pub(super) async fn print(&mut self, text: &str) -> io::Result<()> {
        if self.has_terminal {
            let text = text.replace('\n', "\r\n");
            return self.write(text.as_bytes()).await;
        }
        self.write(text.as_bytes()).await
    }

    /// Tells the person what went wrong.
    pub(super) async fn complain(&mut self, text: &str) -> io::Result<()> {
        let text = format!("{text}\n");
        if self.has_terminal {
            return self.print(&text).await;
        }
        self.record.output(Stream::Error, text.as_bytes()).await;
        self.error.write_all(text.as_bytes()).await
    }

    /// Writes bytes for the terminal as they are.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.record.output(Stream::Output, bytes).await;
        self.main.write_all(bytes).await
    }

    /// The next byte typed; `None` at the end. Bytes are recorded as they are used.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn next_byte(&mut self) -> io::Result<Option<u8>> {
        if self.typed.is_empty() {
            self.fill().await?;
        }
        if self.typed.is_empty() {
            return Ok(None);
        }
        // At most a kilobyte is moved, when a line is pasted.
        let byte = self.typed.remove(0);
        self.record.input(&[byte]);
        Ok(Some(byte))
    }

    /// Reads when what came before is recorded, and lets others have their turn first: all that is typed may be there already,
    /// with nothing in it that would wait.
    async fn fill(&mut self) -> io::Result<()> {
        yield_now().await;
        self.record.room().await;
        let mut buffer = [0; TYPED];
        let mut space = ReadBuf::new(&mut buffer);
        poll_fn(|cx| Pin::new(&mut self.main).poll_read(cx, &mut space)).await?;
        self.typed.extend_from_slice(space.filled());
        Ok(())
    }

    /// True when more was typed than was used: no need to draw yet.
    pub(super) fn has_typed(&self) -> bool {
        !self.typed.is_empty()
    }

    /// Reads what was typed for somebody else: not recorded here.
    pub(super) fn poll_typed(
        &mut self,
        cx: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.typed.is_empty() {
            return Pin::new(&mut self.main).poll_read(cx, space);
        }
        let n = self.typed.len().min(space.remaining());
        space.put_slice(&self.typed[..n]);
        self.typed.drain(..n);
        Poll::Ready(Ok(()))
    }

    /// Ready when Ctrl-C was typed, while nobody reads what is typed; what came before it is forgotten with it.
    pub(super) fn poll_interrupt(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(at) = self.typed.iter().position(|&byte| byte == INTERRUPT) {
                self.typed.drain(..=at);
                return Poll::Ready(Ok(()));
            }
            if self.typed.len() >= TYPED {
                return Poll::Pending;
            }
            let mut buffer = [0; TYPED];
            let mut space = ReadBuf::new(&mut buffer);
            match Pin::new(&mut self.main).poll_read(cx, &mut space) {
                Poll::Ready(Ok(())) if !space.filled().is_empty() => {
                    self.typed.extend_from_slice(space.filled())
                }
                // The end of what is typed is for whoever reads it.
                Poll::Ready(Ok(())) | Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// The size of the terminal, in columns and rows.
    pub(super) fn cols_and_rows(&self) -> (u32, u32) {
        let size = *self.size.borrow();
        (size.cols, size.rows)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;
    use crate::console::{Asked, Console};
    use crate::pipe::pipe;
    use crate::rig::{Rig, rule, source};

    async fn record(rig: &Rig, size: watch::Receiver<WindowSize>) -> Rc<Record> {
        let console = Console {
            asked: Asked::Shell,
            terminal: None,
            environment: Vec::new(),
            size,
            agent: None,
            client: "test".into(),
            who: rig.who(),
            source: source(),
            trail: rig.trail(),
            shared: rig.shared.clone(),
        };
        Record::begin(&console).await.unwrap()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn others_have_their_turn_between_lines_that_say_nothing() {
        let rig = Rig::new(vec![rule("g1", "shell")]).await;
        let size = watch::channel(WindowSize::default()).1;
        let record = record(&rig, size.clone()).await;
        let ((outer, main), (_error, error)) = (pipe(), pipe());
        let mut channel = Channel::new((main, error), false, size, record);
        outer.push(&[b'\n'; 64 * TYPED]);
        outer.finish();
        let mut all = pin!(async {
            let mut used = 0;
            while channel.next_byte().await.unwrap().is_some() {
                used += 1;
            }
            used
        });
        let mut turns = 0;
        let used = poll_fn(|cx| {
            turns += 1;
            all.as_mut().poll(cx)
        });
        assert_eq!(used.await, 64 * TYPED);
        assert!(turns > 64, "{turns}");
    }
}
