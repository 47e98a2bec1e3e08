//! A transport on a real socket, driven the plain way: blocking, one thread reading.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use bartizan_ssh::key::HostIdentity;
use bartizan_ssh::transport::{Incoming, Transport, TransportError};

/// Longer than anything here takes; a test that hangs fails instead.
const PATIENCE: Duration = Duration::from_secs(60);

/// [`Incoming`], owned.
#[derive(Debug)]
pub(crate) enum Event {
    HostKey(HostIdentity),
    Established,
    Rekeyed,
    Packet(Vec<u8>),
    Disconnect(u32, String),
    Eof,
}

/// One end of a connection.
pub(crate) struct Wire {
    pub(crate) transport: Transport,
    stream: TcpStream,
    incoming: Receiver<Vec<u8>>,
    start: Instant,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, transport: impl FnOnce(Duration) -> Transport) -> Self {
        stream.set_nodelay(true).unwrap();
        let mut reader = stream.try_clone().unwrap();
        let (sender, incoming) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { transport: transport(Duration::ZERO), stream, incoming, start: Instant::now() }
    }

    /// The next thing that happens; everything to be sent was sent before waiting.
    pub(crate) fn next(&mut self) -> Result<Event, TransportError> {
        loop {
            let now = self.start.elapsed();
            self.transport.handle_deadline(now)?;
            let event = self.transport.poll(now).map(|incoming| incoming.map(own));
            self.flush();
            if let Some(event) = event? {
                return Ok(event);
            }
            let wait = self.transport.next_deadline().map_or(PATIENCE, |at| at.saturating_sub(now));
            match self.incoming.recv_timeout(wait.min(PATIENCE)) {
                Ok(bytes) => {
                    self.transport.receive_space(bytes.len())[..bytes.len()].copy_from_slice(&bytes);
                    self.transport.received(bytes.len());
                }
                Err(RecvTimeoutError::Timeout) => assert!(wait < PATIENCE, "nothing happens"),
                Err(RecvTimeoutError::Disconnected) => return Ok(Event::Eof),
            }
        }
    }

    pub(crate) fn flush(&mut self) {
        let len = self.transport.outgoing().len();
        // A peer that is gone shows in what it said last.
        let _ = self.stream.write_all(self.transport.outgoing());
        self.transport.sent(len);
    }

    pub(crate) fn packet(&mut self) -> Vec<u8> {
        match self.next().unwrap() {
            Event::Packet(payload) => payload,
            other => panic!("{other:?}"),
        }
    }
}

fn own(incoming: Incoming<'_>) -> Event {
    match incoming {
        Incoming::HostKey(identity) => Event::HostKey(identity),
        Incoming::Established => Event::Established,
        Incoming::Rekeyed => Event::Rekeyed,
        Incoming::Packet(payload) => Event::Packet(payload.to_vec()),
        Incoming::Disconnect { reason, description } => {
            Event::Disconnect(reason, String::from_utf8_lossy(description).into_owned())
        }
        other => panic!("{other:?}"),
    }
}

/// A child that does not outlive its test.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|s| s.success()), "{command:?} (is OpenSSH installed?)");
}

/// One of OpenSSH's programs: `usr/bin/ssh`. Of another version than the installed one when
/// `BARTIZAN_TEST_OPENSSH` names the folder that its packages were unpacked into.
pub(crate) fn openssh(program: &str) -> Command {
    Command::new(openssh_root().join(program))
}

pub(crate) fn openssh_root() -> PathBuf {
    std::env::var_os("BARTIZAN_TEST_OPENSSH").map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

/// What `ssh -Q` says this OpenSSH can do.
pub(crate) fn query(kind: &str) -> Vec<String> {
    let output = openssh("usr/bin/ssh").args(["-Q", kind]).output().expect("package openssh-client");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Both ends of a TCP connection over loopback.
pub(crate) fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// A `string` of RFC 4251, for payloads made by hand.
pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

/// Bytes that repeat nowhere near.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend(step().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
