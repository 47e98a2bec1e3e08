//! A login's SFTP server that was reached, or is on its way.

use std::pin::Pin;
use std::task::{Context, Poll};

use bartizan_model::{LoginName, TargetName, escape};
use bartizan_ssh::sftp::{PlaceId, Root};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_local};

use super::{CHUNK, SHOWN, drain};
use crate::console::remote::{Link, link};
use crate::mux::Streams;

/// What words of ours begin with where people read them.
const OURS: &[u8] = b"bartizan: ";

/// One session on a place. Dropped, it ends.
pub(super) struct Reached {
    target: TargetName,
    login: LoginName,
    session: JoinHandle<Option<String>>,
    /// How the session went, once it is over.
    ended: Option<Option<String>>,
    opened: Option<oneshot::Receiver<Streams>>,
    streams: Option<Streams>,
    /// Its server has said something.
    served: bool,
    /// Its server says no more.
    silent: bool,
    /// The last that came by standard error.
    words: Vec<u8>,
}

/// How a place ended.
pub(super) struct End {
    pub(super) target: TargetName,
    pub(super) login: LoginName,
    /// Whether it had come to be.
    pub(super) served: bool,
    /// Why; escaped.
    pub(super) why: String,
}

impl Reached {
    pub(super) fn new(to: Link) -> Self {
        let (target, login) = (to.target.name.clone(), to.login.clone());
        let (sender, opened) = oneshot::channel();
        Self {
            target,
            login,
            session: spawn_local(link(to, sender)),
            ended: None,
            opened: Some(opened),
            streams: None,
            served: false,
            silent: false,
            words: Vec::new(),
        }
    }

    /// Moves what can be moved: whether something was, and the end when it is over and everything was read.
    pub(super) fn poll(
        &mut self,
        place: PlaceId,
        root: &mut Root,
        cx: &mut Context<'_>,
    ) -> (bool, Option<End>) {
        if let Some(opened) = &mut self.opened
            && let Poll::Ready(streams) = Pin::new(opened).poll(cx)
        {
            self.opened = None;
            self.streams = streams.ok();
        }
        if self.ended.is_none()
            && let Poll::Ready(why) = Pin::new(&mut self.session).poll(cx)
        {
            self.ended = Some(why.unwrap_or_else(|error| {
                tracing::error!(%error, "a session of an SFTP root ended by a panic");
                Some("internal error".into())
            }));
        }
        let moved = self.carry(place, root, cx);
        let heard = self.silent || self.streams.is_none() && self.opened.is_none();
        // Without a word of its server, the session's own tells why.
        let known = self.served || !self.words.is_empty() || self.ended.is_some();
        let over = heard && known;
        (moved, over.then(|| self.end()))
    }

    fn carry(&mut self, place: PlaceId, root: &mut Root, cx: &mut Context<'_>) -> bool {
        let Some(Streams { main, error, .. }) = &mut self.streams else { return false };
        let mut moved = false;
        if let Some(waiting) = root.to_place(place) {
            // A server that takes no more says so by its end.
            moved |= drain(waiting, main, cx).unwrap_or(false);
        }
        if root.wants_places() && !self.silent {
            let mut buffer = [0; CHUNK];
            let mut space = ReadBuf::new(&mut buffer);
            if Pin::new(main).poll_read(cx, &mut space).is_ready() {
                moved = true;
                self.silent = space.filled().is_empty();
                self.served |= !self.silent;
                root.from_place(place, space.filled());
            }
        }
        loop {
            let mut buffer = [0; SHOWN];
            let mut space = ReadBuf::new(&mut buffer);
            match Pin::new(&mut *error).poll_read(cx, &mut space) {
                Poll::Ready(Ok(())) if !space.filled().is_empty() => {
                    self.words.extend_from_slice(space.filled());
                    self.words.drain(..self.words.len().saturating_sub(SHOWN));
                }
                _ => return moved,
            }
        }
    }

    fn end(&mut self) -> End {
        let said = last_line(&self.words);
        let why = match self.ended.take().flatten() {
            _ if !said.is_empty() => escape(said),
            Some(why) => why,
            None => "its SFTP server ended".into(),
        };
        End { target: self.target.clone(), login: self.login.clone(), served: self.served, why }
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        self.session.abort();
    }
}

/// The last line that says something, without what marks it as ours.
fn last_line(words: &[u8]) -> &[u8] {
    let mut lines = words.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let last = lines.rfind(|line| !line.is_empty()).unwrap_or_default();
    last.strip_prefix(OURS).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::last_line;

    #[test]
    fn the_last_line_tells_why() {
        for (words, last) in [
            (&b""[..], &b""[..]),
            (b"\r\n\n", b""),
            (b"bartizan: access denied\r\n", b"access denied"),
            (b"motd\nThis account is not available.\n", b"This account is not available."),
        ] {
            assert_eq!(last_line(words), last);
        }
    }
}
