//! The SFTP root's way to one login's SFTP server: the session that the console's `ssh` would open.

use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use bartizan_model::{LoginName, Target, escape};
use bartizan_ssh::connection::endpoint::EndpointConfig;
use bartizan_ssh::transport::DisconnectReason;
use bartizan_ssh::wire::connection::WindowSize;
use tokio::io::DuplexStream;
use tokio::sync::oneshot;

use super::host::{Plan, Program, RemoteHost};
use super::{GOODBYE, Servers, connect, words};
use crate::console::Console;
use crate::mux::{Mux, Streams};

/// A session to open.
pub(in crate::console) struct Link {
    pub(in crate::console) login: LoginName,
    pub(in crate::console) target: Target,
    pub(in crate::console) console: Rc<Console>,
    pub(in crate::console) servers: Servers,
}

/// Opens a session with an SFTP server, hands its streams over, and stays until it is over. Gives the reason, if there is
/// one besides what the streams said; it is escaped.
pub(in crate::console) async fn link(link: Link, opened: oneshot::Sender<Streams>) -> Option<String> {
    let Link { login, target, console, servers } = link;
    let hop = match connect(&console, &servers, &login, target).await {
        Ok((_, hop)) => hop,
        Err(error) => return Some(escape(error.to_string().as_bytes())),
    };
    let plan = Plan {
        pty: None,
        size: WindowSize::default(),
        environment: console.environment.clone(),
        agent: None,
        program: Program::Sftp,
    };
    let config = EndpointConfig { max_channels: 1, ..EndpointConfig::default() };
    let mut mux = Mux::new(hop, config, RemoteHost::new(plan));
    mux.host.open(&mut mux.channels);
    let why = carry(&mut mux, opened).await;
    // What came in is still read by whoever has the streams.
    mux.detach();
    mux.hop.disconnect(DisconnectReason::ByApplication, "goodbye", GOODBYE).await;
    why
}

/// Moves bytes until the channel is closed or our server is gone.
async fn carry(mux: &mut Mux<DuplexStream, RemoteHost>, opened: oneshot::Sender<Streams>) -> Option<String> {
    let mut opened = Some(opened);
    poll_fn(|cx| {
        let polled: Poll<crate::mux::MuxEnd<Infallible>> = mux.poll(cx);
        if let Some(streams) = mux.host.streams.take()
            && let Some(opened) = opened.take()
        {
            // Nobody waits any more: the streams are dropped, and the channel closed with them.
            drop(opened.send(streams));
            cx.waker().wake_by_ref();
        }
        match polled {
            Poll::Ready(end) => Poll::Ready(mux.host.refusal().or_else(|| Some(words(&end)))),
            Poll::Pending if mux.host.closed => Poll::Ready(mux.host.refusal()),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
