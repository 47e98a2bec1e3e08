//! Who is at the other end of the socket.

use std::fmt;

use axum::extract::{ConnectInfo, Request, connect_info::Connected};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

use crate::error::ApiError;

/// The peer's user id, told by the kernel (`SO_PEERCRED`); `None` when it did not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|cred| cred.uid()))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(uid) => write!(f, "uid {uid}"),
            None => f.write_str("unknown uid"),
        }
    }
}

/// Refuses everybody but the user that the server runs as, and root. The socket's mode already does; this
/// holds also when somebody has changed the mode.
pub(crate) async fn only_owner(
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if allowed(peer, rustix::process::geteuid().as_raw()) {
        return next.run(request).await;
    }
    ApiError::new(StatusCode::FORBIDDEN, format!("{peer} is not admin here"))
        .hint("only the owner of the data folder is admin")
        .into_response()
}

fn allowed(peer: Peer, owner: u32) -> bool {
    peer.0.is_some_and(|uid| uid == owner || uid == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_and_root_are_admin() {
        for (uid, admin) in [(Some(1000), true), (Some(0), true), (Some(1001), false), (None, false)] {
            assert_eq!(allowed(Peer(uid), 1000), admin, "{uid:?}");
        }
    }
}
