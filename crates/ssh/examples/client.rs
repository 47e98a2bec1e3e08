//! An SSH client: logs in with a key, runs a command, prints what it says, ends as it ended.
//!
//! `cargo run -p bartizan-ssh --example client -- HOST:PORT USER KEY HOST_KEY COMMAND [TIMES]`
//!
//! KEY is a private key file of OpenSSH without a passphrase, HOST_KEY a file with the server's public key. With TIMES it
//! does so that often, one connection after the other, and prints nothing but the rate.

#![expect(clippy::print_stdout, reason = "it is a program")]

mod blocking;

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use bartizan_ssh::auth::client::{ClientAuth, ClientEvent, Credential};
use bartizan_ssh::connection::endpoint::{Endpoint, EndpointConfig, EndpointEvent};
use bartizan_ssh::key::{PrivateKey, PublicKey};
use bartizan_ssh::transport::{ClientConfig, DisconnectReason, Transport};
use bartizan_ssh::wire::connection::{ChannelType, RequestType};
use blocking::{Connection, Happened};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Job {
    address: String,
    user: String,
    key: Arc<PrivateKey>,
    host_key: PublicKey,
    command: String,
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, user, key, host_key, command, times @ ..] = &arguments[..] else {
        return Err("usage: client HOST:PORT USER KEY HOST_KEY COMMAND [TIMES]".into());
    };
    let job = Job {
        address: address.clone(),
        user: user.clone(),
        key: Arc::new(PrivateKey::from_openssh(&fs::read_to_string(key)?)?),
        host_key: PublicKey::from_openssh(fs::read_to_string(host_key)?.trim())?.0,
        command: command.clone(),
    };
    let Some(times) = times.first() else {
        let (output, status) = run(&job)?;
        std::io::stdout().write_all(&output)?;
        return Ok(ExitCode::from(u8::try_from(status).unwrap_or(255)));
    };
    let (times, start) = (times.parse::<u32>()?, Instant::now());
    for n in 0..times {
        if run(&job)?.1 != 0 {
            return Err(format!("session {n} did not end well").into());
        }
    }
    println!("{times} sessions, {:.0} a second", f64::from(times) / start.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

/// One connection, one session: what it printed, and its exit status.
fn run(job: &Job) -> Result<(Vec<u8>, u32)> {
    let config = Arc::new(ClientConfig::default());
    let stream = TcpStream::connect(&job.address)?;
    let mut connection = Connection::new(stream, |now| Transport::client(config, now))?;
    loop {
        match connection.next()? {
            Happened::HostKey(shown) if *shown.key() == job.host_key => {
                connection.transport.accept_host_key()?
            }
            Happened::HostKey(_) => return Err("the server shows another host key".into()),
            Happened::Established => break,
            _ => return Err("the server left".into()),
        }
    }
    log_in(&mut connection, job)?;
    let ended = session(&mut connection, &job.command);
    connection.transport.disconnect(DisconnectReason::ByApplication, "done");
    connection.flush()?;
    ended
}

fn log_in(connection: &mut Connection, job: &Job) -> Result<()> {
    let session_id = connection.transport.session_id().ok_or("no keys yet")?;
    let mut auth = ClientAuth::new(session_id, &job.user, vec![Credential::key(job.key.clone())]);
    let mut out = Vec::new();
    auth.start(&mut out);
    loop {
        connection.send(out.drain(..))?;
        let Happened::Packet(payload) = connection.next()? else { return Err("the server left".into()) };
        let extensions = connection.transport.peer_extensions();
        auth.set_server_sig_algs(extensions.server_sig_algs());
        auth.set_hostbound(connection.transport.host_blob().filter(|_| extensions.hostbound));
        match auth.on_packet(&payload, &mut out)? {
            None | Some(ClientEvent::Banner(_)) => {}
            Some(ClientEvent::Success) => return Ok(()),
            Some(other) => return Err(format!("not let in: {other:?}").into()),
        }
    }
}

fn session(connection: &mut Connection, command: &str) -> Result<(Vec<u8>, u32)> {
    let mut endpoint = Endpoint::new(EndpointConfig::default());
    let (mut out, mut output, mut status) = (Vec::new(), Vec::new(), None);
    let channel = endpoint.open(&ChannelType::Session, &mut out)?;
    loop {
        connection.send(out.drain(..))?;
        let Happened::Packet(payload) = connection.next()? else { return Err("the server left".into()) };
        match endpoint.on_packet(&payload, &mut out)? {
            Some(EndpointEvent::Opened { .. }) => {
                endpoint.request(
                    channel,
                    &RequestType::Exec { command: command.as_bytes() },
                    true,
                    &mut out,
                )?;
                endpoint.eof(channel, &mut out)?;
            }
            Some(EndpointEvent::Data { bytes, .. }) => {
                output.extend_from_slice(bytes);
                endpoint.consumed(channel, bytes.len(), &mut out)?;
            }
            Some(EndpointEvent::Request {
                request_type: RequestType::ExitStatus { status: code }, ..
            }) => {
                status = Some(code);
            }
            Some(EndpointEvent::Eof { .. }) if status.is_some() => endpoint.close(channel, &mut out)?,
            Some(EndpointEvent::Closed { .. }) => {
                return Ok((output, status.ok_or("the command ended without an exit status")?));
            }
            Some(EndpointEvent::OpenFailed { .. } | EndpointEvent::RequestReply { ok: false, .. }) => {
                return Err("the server refuses".into());
            }
            Some(EndpointEvent::GlobalRequest { want_reply: true, .. }) => {
                endpoint.reply_global(None, &mut out);
            }
            _ => {}
        }
    }
}
