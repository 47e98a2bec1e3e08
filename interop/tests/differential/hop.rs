//! Our transport, client role, on a TCP connection to a server.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use bartizan_ssh::auth::client::{ClientAuth, ClientEvent, Credential};
use bartizan_ssh::transport::{ClientConfig, Incoming, Transport};

/// Longer than anything here takes; what hangs fails instead.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came in.
#[derive(Debug)]
pub(crate) enum Event {
    /// The key exchange is complete.
    Established,
    Packet(Vec<u8>),
    /// The connection is over, with or without DISCONNECT.
    End,
    /// Nothing came for long.
    Silence,
}

/// One connection.
pub(crate) struct Hop {
    pub(crate) transport: Transport,
    stream: TcpStream,
    over: bool,
}

impl Hop {
    /// Exchanges keys and authenticates; `None` when the server hangs up before there are keys.
    pub(crate) fn login(stream: TcpStream, login: &str, credentials: Vec<Credential>) -> Option<Self> {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let transport = Transport::client(Arc::new(ClientConfig::default()), Duration::ZERO).unwrap();
        let mut hop = Self { transport, stream, over: false };
        match hop.next() {
            Event::Established => {}
            Event::End => return None,
            other => panic!("while exchanging keys: {other:?}"),
        }
        let mut auth = ClientAuth::new(hop.transport.session_id().unwrap(), login, credentials);
        let mut out = Vec::new();
        auth.start(&mut out);
        loop {
            out.drain(..).for_each(|payload| hop.transport.send(&payload).unwrap());
            let payload = match hop.next() {
                Event::Packet(payload) => payload,
                other => panic!("while authenticating: {other:?}"),
            };
            match auth.on_packet(&payload, &mut out).unwrap() {
                Some(ClientEvent::Success) => return Some(hop),
                None => {}
                Some(other) => panic!("while authenticating: {other:?}"),
            }
        }
    }

    /// The next thing that happened, if it came already.
    pub(crate) fn poll(&mut self) -> Option<Event> {
        if self.over {
            return Some(Event::End);
        }
        let event = poll(&mut self.transport).unwrap_or_else(|error| panic!("the server: {error}"));
        self.flush();
        self.over = matches!(event, Some(Event::End));
        event
    }

    /// Sends what there is to send, then waits for bytes; false when none come for long.
    pub(crate) fn receive(&mut self) -> bool {
        self.flush();
        let space = self.transport.receive_space(64 * 1024);
        match self.stream.read(space) {
            Ok(0) => self.over = true,
            Ok(n) => self.transport.received(n),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => self.over = true,
            // A process that was stopped and goes on, for one; the caller asks again.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(error) => panic!("the connection: {error}"),
        }
        true
    }

    /// The next thing that happens.
    pub(crate) fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.poll() {
                return event;
            }
            if !self.receive() {
                return Event::Silence;
            }
        }
    }

    pub(crate) fn flush(&mut self) {
        let length = self.transport.outgoing().len();
        // A server that has hung up shows when we read.
        let _ = self.stream.write_all(self.transport.outgoing());
        self.transport.sent(length);
    }
}

/// What a transport of the client role makes of the bytes it has; any host key will do here.
pub(crate) fn poll(
    transport: &mut Transport,
) -> Result<Option<Event>, bartizan_ssh::transport::TransportError> {
    loop {
        return Ok(Some(match transport.poll(Duration::ZERO)? {
            None => return Ok(None),
            Some(Incoming::HostKey(_)) => {
                transport.accept_host_key()?;
                continue;
            }
            Some(Incoming::Established) => Event::Established,
            Some(Incoming::Packet(payload)) => Event::Packet(payload.to_vec()),
            Some(Incoming::Disconnect { .. }) => Event::End,
            // Rekeyed, PONG.
            Some(_) => continue,
        }));
    }
}
