//! A server made of russh: programs are imitated, everything else is the library.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use bartizan_ssh::key::{KeyKind, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, run_stream};
use russh::{Channel, ChannelId, Pty, Sig};

use crate::Server;
use crate::hop::Hop;
use crate::programs::{FLOOD, Program};

pub(crate) struct RusshServer {
    address: SocketAddr,
}

impl RusshServer {
    /// Listens until the process ends.
    pub(crate) fn new() -> Self {
        let key = PrivateKey::generate(KeyKind::Ed25519).unwrap().to_openssh("").unwrap();
        let key = russh::keys::decode_secret_key(&key, None).unwrap();
        let config = Arc::new(Config { keys: vec![key], ..Config::default() });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    let config = config.clone();
                    tokio::spawn(async move {
                        // How a connection ended is what the player sees.
                        if let Ok(session) = run_stream(config, stream, Programs::default()).await {
                            let _ = session.await;
                        }
                    });
                }
            });
        });
        Self { address }
    }
}

impl Server for RusshServer {
    fn name(&self) -> &'static str {
        "russh"
    }

    fn connect(&self) -> Hop {
        // Without credentials the client asks for `none`.
        Hop::login(TcpStream::connect(self.address).unwrap(), "anybody", Vec::new()).expect("a key exchange")
    }
}

/// The programs of one connection.
#[derive(Default)]
struct Programs {
    running: HashMap<ChannelId, Program>,
    /// Channels whose input ended before a program was started.
    ended: Vec<ChannelId>,
}

impl Programs {
    fn start(
        &mut self,
        channel: ChannelId,
        program: Program,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.running.contains_key(&channel) {
            return session.channel_failure(channel);
        }
        self.running.insert(channel, program);
        session.channel_success(channel)?;
        if program == Program::Floods {
            session.data(channel, vec![0; FLOOD])?;
        }
        if self.ended.contains(&channel) { self.end(channel, session) } else { Ok(()) }
    }

    fn end(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        let status = match self.running.get(&channel) {
            None => {
                self.ended.push(channel);
                return Ok(());
            }
            Some(Program::Echo | Program::Floods | Program::Shell) => 0,
            Some(Program::Fails) => 7,
            Some(Program::Speaks) => {
                session.data(channel, b"out\n".to_vec())?;
                session.extended_data(channel, 1, b"err\n".to_vec())?;
                3
            }
            Some(Program::Dies) => {
                session.exit_signal_request(channel, Sig::TERM, false, "", "")?;
                return session.close(channel);
            }
        };
        session.exit_status_request(channel, status)?;
        session.eof(channel)?;
        session.close(channel)
    }
}

impl Handler for Programs {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.running.get(&channel) {
            Some(Program::Echo) => session.data(channel, data.to_vec()),
            _ => Ok(()),
        }
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.end(channel, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match Program::of(command) {
            Some(program) => self.start(channel, program, session),
            None => session.channel_failure(channel),
        }
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.start(channel, Program::Shell, session)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if name.starts_with("LC_") {
            session.channel_success(channel)
        } else {
            session.channel_failure(channel)
        }
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn signal(&mut self, channel: ChannelId, _: Sig, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }
}
