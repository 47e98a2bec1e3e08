//! One way of bytes between two streams, polled.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncWrite, ReadBuf};

/// Bytes that are moved at a time.
const CHUNK: usize = 16 * 1024;

/// What the end of the source means to the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its end, too.
    PassOn,
    /// Nothing.
    Keep,
}

/// One way of bytes. Holds a buffer only once something was moved.
#[derive(Debug, Default)]
pub(super) struct Copy {
    /// LF becomes CR LF.
    crlf: bool,
    last: u8,
    waiting: Vec<u8>,
    start: usize,
    ended: bool,
    over: bool,
}

impl Copy {
    pub(super) fn new(crlf: bool) -> Self {
        Self { crlf, ..Self::default() }
    }

    /// True when the source has ended and all of it was written.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Moves what can be moved now.
    ///
    /// # Errors
    /// Of the source or the sink.
    pub(super) fn poll<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
        mut source: impl FnMut(&mut Context<'_>, &mut ReadBuf<'_>) -> Poll<io::Result<()>>,
        end: End,
    ) -> io::Result<()> {
        while !self.over {
            if self.start < self.waiting.len() {
                match Pin::new(&mut *sink).poll_write(cx, &self.waiting[self.start..]) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(written) => self.start += written?,
                }
            } else if self.ended {
                if end == End::PassOn && Pin::new(&mut *sink).poll_shutdown(cx)?.is_pending() {
                    return Ok(());
                }
                self.over = true;
            } else {
                let mut buffer = [0; CHUNK];
                let mut space = ReadBuf::new(&mut buffer);
                match source(cx, &mut space) {
                    Poll::Pending => {
                        self.waiting = Vec::new();
                        self.start = 0;
                        return Ok(());
                    }
                    Poll::Ready(read) => read?,
                }
                self.take(space.filled());
            }
        }
        Ok(())
    }

    /// Puts words of ours into the way, after what waits.
    pub(super) fn inject(&mut self, text: &str) {
        self.waiting.extend_from_slice(text.as_bytes());
    }

    fn take(&mut self, bytes: &[u8]) {
        self.start = 0;
        self.waiting.clear();
        self.ended = bytes.is_empty();
        if !self.crlf {
            return self.waiting.extend_from_slice(bytes);
        }
        for &byte in bytes {
            if byte == b'\n' && self.last != b'\r' {
                self.waiting.push(b'\r');
            }
            self.waiting.push(byte);
            self.last = byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    async fn copied(crlf: bool, pieces: &[&[u8]]) -> Vec<u8> {
        let ((mut writer, mut reader), (mut sink, mut read)) = (duplex(8), duplex(8));
        let mut copy = Copy::new(crlf);
        let moving = poll_fn(|cx| {
            let source = |cx: &mut Context<'_>, space: &mut ReadBuf<'_>| {
                tokio::io::AsyncRead::poll_read(Pin::new(&mut reader), cx, space)
            };
            copy.poll(cx, &mut sink, source, End::PassOn).unwrap();
            if copy.is_over() { Poll::Ready(()) } else { Poll::Pending }
        });
        let writing = async {
            for piece in pieces {
                writer.write_all(piece).await.unwrap();
            }
            drop(writer);
        };
        let mut all = Vec::new();
        let (_, _, read) = tokio::join!(moving, writing, read.read_to_end(&mut all));
        read.unwrap();
        all
    }

    #[tokio::test]
    async fn bytes_pass_in_order_and_the_end_after_them() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        assert_eq!(copied(false, &[&bytes, b"end"]).await, [&bytes[..], b"end"].concat());
        assert_eq!(copied(false, &[]).await, b"");
    }

    #[tokio::test]
    async fn lines_get_their_carriage_return_once() {
        assert_eq!(copied(true, &[b"a\nb\r", b"\n\n"]).await, b"a\r\nb\r\n\r\n");
    }
}
