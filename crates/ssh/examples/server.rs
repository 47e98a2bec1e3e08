//! An SSH server whose only command is `echo`: `exec` gives back what it is asked for.
//!
//! `cargo run -p bartizan-ssh --example server -- LISTEN HOST_KEY AUTHORIZED`
//!
//! HOST_KEY is a private key file of OpenSSH; AUTHORIZED a file with public keys: one of them must be the client's, or
//! have signed its certificate. A thread a connection, for ever.

#![expect(clippy::print_stdout, reason = "it is a program")]

mod blocking;

use std::error::Error;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bartizan_ssh::auth::server::{AuthLimits, AuthRequest, ServerAuth};
use bartizan_ssh::auth::{AuthMethod, UserIdentity};
use bartizan_ssh::connection::endpoint::{Endpoint, EndpointConfig, EndpointEvent};
use bartizan_ssh::key::{CertificateCheck, CertificateKind, HostKey, PrivateKey, PublicKey};
use bartizan_ssh::transport::{ServerConfig, Transport};
use bartizan_ssh::wire::connection::{ChannelType, OpenFailureReason, RequestType};
use blocking::{Connection, Happened};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, host_key, authorized] = &arguments[..] else {
        return Err("usage: server LISTEN HOST_KEY AUTHORIZED".into());
    };
    let host_key = HostKey::new(PrivateKey::from_openssh(&fs::read_to_string(host_key)?)?);
    let config = Arc::new(ServerConfig::new(vec![host_key]));
    let lines = fs::read_to_string(authorized)?;
    let keys = lines.lines().filter(|line| !line.trim().is_empty());
    let authorized: Arc<[PublicKey]> = keys
        .map(|line| PublicKey::from_openssh(line).map(|(key, _)| key))
        .collect::<std::result::Result<_, _>>()?;
    let listener = TcpListener::bind(listen)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let (stream, config, authorized) = (stream?, config.clone(), authorized.clone());
        std::thread::spawn(move || {
            if let Err(error) = serve(stream, config, &authorized) {
                println!("{error}");
            }
        });
    }
    Ok(())
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, authorized: &[PublicKey]) -> Result<()> {
    let mut connection = Connection::new(stream, |now| Transport::server(config, now))?;
    match connection.next()? {
        Happened::Established => {}
        Happened::HostKey(shown) => return Err(format!("a client showed a host key: {shown:?}").into()),
        Happened::Packet(_) | Happened::Over => return Ok(()),
    }
    if !authenticate(&mut connection, authorized)? {
        return Ok(());
    }
    let mut endpoint = Endpoint::new(EndpointConfig::default());
    let mut out = Vec::new();
    while let Happened::Packet(payload) = connection.next()? {
        if let Some(event) = endpoint.on_packet(&payload, &mut out)? {
            answer(&mut endpoint, event, &mut out)?;
        }
        connection.send(out.drain(..))?;
    }
    Ok(())
}

fn authenticate(connection: &mut Connection, authorized: &[PublicKey]) -> Result<bool> {
    let transport = &connection.transport;
    let session_id = transport.session_id().ok_or("no keys yet")?;
    let host_blob = transport.host_blob().ok_or("no host key yet")?;
    let mut auth = ServerAuth::new(session_id, host_blob, AuthLimits::default());
    let mut out = Vec::new();
    while !auth.is_done() {
        let Happened::Packet(payload) = connection.next()? else { return Ok(false) };
        match auth.on_packet(&payload, &mut out)? {
            None => {}
            Some(AuthRequest::Offered(key)) if known(key.user(), key.identity(), authorized) => {
                auth.pk_ok(&mut out)?
            }
            // Only this one has been proved by a signature.
            Some(AuthRequest::Proven(key)) if known(key.user(), key.identity(), authorized) => {
                auth.accept(&mut out)?
            }
            Some(_) => auth.reject(&[AuthMethod::PublicKey], &mut out)?,
        }
        connection.send(out.drain(..))?;
    }
    Ok(true)
}

fn known(user: &str, identity: &UserIdentity, authorized: &[PublicKey]) -> bool {
    let Some(certificate) = identity.certificate() else { return authorized.contains(identity.key()) };
    let check = CertificateCheck {
        kind: CertificateKind::User,
        principal: Some(user),
        now_unix: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()),
        trusted: authorized,
        known_critical_options: &[],
    };
    certificate.check(&check).is_ok()
}

fn answer(endpoint: &mut Endpoint, event: EndpointEvent<'_>, out: &mut Vec<Vec<u8>>) -> Result<()> {
    match event {
        EndpointEvent::Open { channel, channel_type: ChannelType::Session } => {
            endpoint.confirm(channel, out)?
        }
        EndpointEvent::Open { channel, .. } => {
            endpoint.refuse(channel, OpenFailureReason::UNKNOWN_CHANNEL_TYPE, "sessions only", out)?;
        }
        EndpointEvent::Request { channel, request_type: RequestType::Exec { command }, want_reply } => {
            if want_reply {
                endpoint.reply(channel, true, out)?;
            }
            // Shorter than any window: whoever sends more has to wait for `Writable`.
            endpoint.data(channel, bartizan_ssh::connection::DataKind::Data, command, out)?;
            endpoint.exit_status(channel, 0, out)?;
            endpoint.eof(channel, out)?;
            endpoint.close(channel, out)?;
        }
        EndpointEvent::Request { channel, want_reply: true, .. } => endpoint.reply(channel, false, out)?,
        EndpointEvent::GlobalRequest { want_reply: true, .. } => {
            endpoint.reply_global(None, out);
        }
        _ => {}
    }
    Ok(())
}
