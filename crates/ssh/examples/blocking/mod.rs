//! A transport on a socket, the plain way: one thread, blocking reads. Shared by the examples.

use std::error::Error;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bartizan_ssh::key::HostIdentity;
use bartizan_ssh::transport::{Incoming, Transport, TransportError};

/// What the owner of a connection has to do with.
pub(crate) enum Happened {
    /// The server shows its host key: accept it or go.
    HostKey(HostIdentity),
    /// Keys are exchanged.
    Established,
    /// A message of the layers above.
    Packet(Vec<u8>),
    /// The peer has left.
    Over,
}

/// One end of a connection.
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    stream: TcpStream,
    start: Instant,
}

impl Connection {
    /// Time is counted from here: `transport` is made at zero.
    pub(crate) fn new(
        stream: TcpStream,
        transport: impl FnOnce(Duration) -> Result<Transport, TransportError>,
    ) -> Result<Self, Box<dyn Error>> {
        stream.set_nodelay(true)?;
        Ok(Self { transport: transport(Duration::ZERO)?, stream, start: Instant::now() })
    }

    /// Waits for the next thing that happens; what is to be sent is sent before.
    pub(crate) fn next(&mut self) -> Result<Happened, Box<dyn Error>> {
        loop {
            let now = self.start.elapsed();
            self.transport.handle_deadline(now)?;
            let happened = match self.transport.poll(now)? {
                Some(Incoming::HostKey(identity)) => Some(Happened::HostKey(identity)),
                Some(Incoming::Established) => Some(Happened::Established),
                Some(Incoming::Packet(payload)) => Some(Happened::Packet(payload.to_vec())),
                Some(Incoming::Disconnect { .. }) => Some(Happened::Over),
                // New keys while it goes on are the transport's own matter.
                Some(_) => continue,
                None => None,
            };
            self.flush()?;
            if let Some(happened) = happened {
                return Ok(happened);
            }
            if !self.receive(now)? {
                return Ok(Happened::Over);
            }
        }
    }

    /// Sends messages, in order.
    pub(crate) fn send(
        &mut self,
        payloads: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<(), Box<dyn Error>> {
        for payload in payloads {
            self.transport.send(payload.as_ref())?;
        }
        self.flush()
    }

    /// Sends what is waiting to be sent.
    pub(crate) fn flush(&mut self) -> Result<(), Box<dyn Error>> {
        let length = self.transport.outgoing().len();
        if length > 0 {
            self.stream.write_all(self.transport.outgoing())?;
            self.transport.sent(length);
        }
        Ok(())
    }

    /// Reads what has come, until the transport's next deadline at most; false at the end.
    fn receive(&mut self, now: Duration) -> Result<bool, Box<dyn Error>> {
        let wait =
            self.transport.next_deadline().map(|at| at.saturating_sub(now).max(Duration::from_millis(1)));
        self.stream.set_read_timeout(wait)?;
        match self.stream.read(self.transport.receive_space(32 * 1024)) {
            Ok(0) => Ok(false),
            Ok(length) => {
                self.transport.received(length);
                Ok(true)
            }
            // Also a process that was stopped and goes on.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
