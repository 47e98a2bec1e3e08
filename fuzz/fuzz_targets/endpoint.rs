//! A hostile peer of an endpoint, which may open channels or be asked to. An empty piece has the owner open one.
#![no_main]
use bartizan_ssh::connection::endpoint::{ChannelGone, Endpoint, EndpointConfig, EndpointEvent};
use bartizan_ssh::connection::{ChannelKey, DataKind};
use bartizan_ssh::wire::connection::{ChannelType, RequestType};
use libfuzzer_sys::fuzz_target;

mod common;

/// An owner that answers everything at once and sends back what it gets.
fn answer(
    endpoint: &mut Endpoint,
    event: EndpointEvent<'_>,
    out: &mut Vec<Vec<u8>>,
) -> Result<Option<ChannelKey>, ChannelGone> {
    match event {
        EndpointEvent::Open { channel, .. } => endpoint.confirm(channel, out)?,
        EndpointEvent::Opened { channel } => {
            endpoint.request(channel, &RequestType::Exec { command: b"true" }, true, out)?;
        }
        EndpointEvent::Request { channel, want_reply: true, .. } => endpoint.reply(channel, true, out)?,
        EndpointEvent::GlobalRequest { want_reply: true, .. } => assert!(endpoint.reply_global(None, out)),
        EndpointEvent::Data { channel, bytes, .. } => {
            let room = endpoint.room(channel);
            let taken = endpoint.data(channel, DataKind::Data, bytes, out)?;
            assert!(taken <= room.min(bytes.len()));
            endpoint.consumed(channel, bytes.len(), out)?;
        }
        EndpointEvent::Eof { channel } => endpoint.close(channel, out)?,
        EndpointEvent::Closed { channel } | EndpointEvent::OpenFailed { channel, .. } => {
            return Ok(Some(channel));
        }
        _ => {}
    }
    Ok(None)
}

fuzz_target!(|input: &[u8]| {
    let config = EndpointConfig { max_channels: 4, max_pending_replies: 8, ..EndpointConfig::default() };
    let mut endpoint = Endpoint::new(config);
    let mut out: Vec<Vec<u8>> = Vec::new();
    for piece in common::pieces(input) {
        if piece.is_empty() {
            let _ = endpoint.open(&ChannelType::Session, &mut out);
        } else {
            let Ok(event) = endpoint.on_packet(piece, &mut out) else { return };
            let gone = event.and_then(|event| answer(&mut endpoint, event, &mut out).ok().flatten());
            if let Some(key) = gone {
                assert_eq!(endpoint.eof(key, &mut out), Err(ChannelGone));
            }
        }
        assert!(endpoint.open_channels() <= 4);
        // The peer may announce that it takes one byte in a packet.
        assert!(out.len() <= 4 + piece.len(), "{} messages after one", out.len());
        out.clear();
    }
});
