//! Sans-IO decoders of what passes through a session: bytes in any chunking in, observations out.
//!
//! ```text
//!  exec / subsystem ──► Decoder::for_… ──► Decoder        sftp   sftp-server, the sftp subsystem
//!  (stream, bytes)  ──► feed ───────────► observations    scp    scp -t, scp -f
//!  channel closed   ──► finish ─────────► the last ones   rsync  rsync --server
//!                                                         git    git-receive-pack, git-upload-pack
//!                                                         agent  a forwarded agent's channel
//!                                                         greeting  a forwarded connection's first bytes
//! ```
//!
//! A decoder is passive: it only reads, gives no verdict, and whether a channel is recorded never depends on it. Its
//! input is what two peers say, who may both be hostile: memory is bounded ([`Options`]), nothing panics, and what
//! it makes of a stream does not depend on how the stream is cut into chunks. When it understands no more it says so
//! once, as `decode.stop`, and ignores the rest. All it says is marked as derived, with a confidence.
//!
//! What it deliberately does not do: it resolves no relative path, link or `~` (the target does), does not look into
//! files (it hands their contents on to who asks for them, [`Sink::contents`]), and knows no SSH: bytes that were sent
//! but refused by a window, or sent after the end, are the caller's.
//!
//! This room must not know tokio, I/O or a clock. Its tests run real `sftp`, `scp`, `rsync` and `git`.

mod agent;
mod command;
mod digest;
mod git;
mod greeting;
mod head;
mod observed;
pub mod rsync;
mod scp;
pub mod sftp;
mod sniff;
mod text;

pub use observed::{Observed, Part, Sink};
pub use sniff::{ENOUGH, sniff};

pub use bartizan_model::observation::Decoder as Protocol;

use bartizan_model::Beside;
use bartizan_model::observation::Confidence;

use self::command::Program;

/// One of the two streams of a channel that a decoder reads. Standard error is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// From the client to the target.
    Input,
    /// From the target to the client.
    Output,
}

/// Bounds of a decoder. The defaults serve.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether files are digested. True.
    pub digest: bool,
    /// Where digests of large files go. `None`: nowhere, they are computed where the bytes are.
    pub beside: Option<Beside>,
    /// Whether contents of files are given to [`Sink::contents`], of protocols that have files: SFTP and scp. False.
    pub contents: bool,
    /// Bytes of files that may wait, all together, for what comes before them. 1 MiB.
    pub window_bytes: usize,
    /// Requests that may be unanswered. 100,000.
    pub in_flight: usize,
    /// Files and folders that may be open. 16,384.
    pub handles: usize,
    /// Bytes of names that may be remembered, all together. 4 MiB.
    pub names_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            digest: true,
            beside: None,
            contents: false,
            window_bytes: 1 << 20,
            in_flight: 100_000,
            handles: 16_384,
            names_bytes: 4 << 20,
        }
    }
}

/// Decodes one channel.
pub struct Decoder {
    kind: Kind,
}

pub(crate) enum Kind {
    /// Nobody knows yet.
    Unknown(sniff::Unknown),
    Sftp(Box<sftp::Sftp>),
    Scp(Box<scp::Scp>),
    Rsync(Box<rsync::Rsync>),
    Git(Box<git::Git>),
    Agent(Box<agent::Agent>),
    Greeting(greeting::Greeting),
}

impl Decoder {
    /// A decoder for a subsystem, if one knows it. `channel` is the channel's ordinal in its session.
    pub fn for_subsystem(channel: u32, name: &[u8], options: &Options) -> Option<Self> {
        let sftp = || Kind::Sftp(Box::new(sftp::Sftp::new(channel, Confidence::High, options)));
        (name == b"sftp").then(|| Self { kind: sftp() })
    }

    /// A decoder for a command line, if one knows a program that a POSIX shell would start.
    ///
    /// What it really starts, the shell of the target decides: what is told of a line that holds more than the one command is
    /// less sure.
    pub fn for_exec(channel: u32, command: &[u8], options: &Options) -> Option<Self> {
        let line = command::parse(command)?;
        let kind = match line.program {
            Program::Sftp => {
                let confidence = if line.plain { Confidence::High } else { Confidence::Medium };
                Kind::Sftp(Box::new(sftp::Sftp::new(channel, confidence, options)))
            }
            Program::Scp => Kind::Scp(Box::new(scp::Scp::new(channel, &line, options)?)),
            Program::Rsync => Kind::Rsync(Box::new(rsync::Rsync::new(channel, &line, options)?)),
            Program::Git(service) => Kind::Git(Box::new(git::Git::new(channel, service, &line, options)?)),
        };
        Some(Self { kind })
    }

    /// A decoder for a program of which nothing is known: a shell, or a command line that says nothing. What it speaks may be
    /// SFTP all the same, since the target decides what it starts; that is a guess.
    pub const fn for_unknown(channel: u32, options: &Options) -> Self {
        Self { kind: Kind::Unknown(sniff::Unknown::new(channel, options)) }
    }

    /// A decoder for a channel to the client's agent (`auth-agent@openssh.com`), which the target opened.
    pub fn for_agent(channel: u32) -> Self {
        Self { kind: Kind::Agent(Box::new(agent::Agent::new(channel))) }
    }

    /// A decoder for a forwarded connection, whose first bytes may tell what it is.
    pub fn for_forward(channel: u32) -> Self {
        Self { kind: Kind::Greeting(greeting::Greeting::new(channel)) }
    }

    /// The protocol that it reads; of a forwarded connection and of an unknown program none before the first bytes.
    pub const fn protocol(&self) -> Option<Protocol> {
        Some(match &self.kind {
            Kind::Sftp(_) => Protocol::Sftp,
            Kind::Scp(_) => Protocol::Scp,
            Kind::Rsync(_) => Protocol::Rsync,
            Kind::Git(_) => Protocol::Git,
            Kind::Agent(_) => Protocol::Agent,
            Kind::Greeting(_) | Kind::Unknown(_) => return None,
        })
    }

    /// Reads bytes that passed, in their order.
    pub fn feed(&mut self, stream: Stream, bytes: &[u8], sink: &mut dyn Sink) {
        match &mut self.kind {
            Kind::Unknown(unknown) => {
                if let Some(known) = unknown.feed(stream, bytes, sink) {
                    self.kind = known;
                }
            }
            Kind::Sftp(sftp) => sftp.feed(stream, bytes, sink),
            Kind::Scp(scp) => scp.feed(stream, bytes, sink),
            Kind::Rsync(rsync) => rsync.feed(stream, bytes, sink),
            Kind::Git(git) => git.feed(stream, bytes, sink),
            Kind::Agent(agent) => agent.feed(stream, bytes, sink),
            Kind::Greeting(greeting) => greeting.feed(stream, bytes, sink),
        }
    }

    /// Says what is left to say when the channel is over, however it ended; with the exit status, if there was one.
    pub fn finish(self, exit_status: Option<u32>, sink: &mut dyn Sink) {
        match self.kind {
            Kind::Sftp(sftp) => sftp.finish(sink),
            Kind::Scp(scp) => scp.finish(sink),
            Kind::Rsync(rsync) => rsync.finish(exit_status, sink),
            Kind::Git(git) => git.finish(exit_status, sink),
            Kind::Agent(agent) => agent.finish(sink),
            // What began and was not understood by now is nothing.
            Kind::Greeting(_) | Kind::Unknown(_) => {}
        }
    }
}
