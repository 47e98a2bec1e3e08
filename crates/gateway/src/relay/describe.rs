//! What events say about channels and requests, escaped and bounded.

use bartizan_model::escape;
use bartizan_ssh::wire::connection::{ChannelType, GlobalRequestType, RequestType};

/// Most bytes of a peer's text in an event, before escaping: escaped it is at most five times as long.
pub(super) const TEXT_BYTES: usize = 8 * 1024;

/// Most bytes of each of two texts in one event.
const HALF_BYTES: usize = 4 * 1024;

/// A peer's text, escaped and cut to what an event can hold.
pub(super) fn cut(bytes: &[u8]) -> String {
    cut_at(bytes, TEXT_BYTES)
}

/// One of two texts in an event, such as the paths of a renaming, likewise.
pub(super) fn half(bytes: &[u8]) -> String {
    cut_at(bytes, HALF_BYTES)
}

fn cut_at(bytes: &[u8], most: usize) -> String {
    match bytes.get(..most) {
        Some(head) if bytes.len() > most => format!("{}…", escape(head)),
        _ => escape(bytes),
    }
}

/// Destination and originator of a channel, where its type has them.
pub(super) fn channel(kind: &ChannelType<'_>) -> Option<String> {
    Some(match kind {
        ChannelType::DirectTcpip { host, port, originator_address, originator_port } => {
            format!("to {}:{port} from {}:{originator_port}", half(host), half(originator_address))
        }
        ChannelType::ForwardedTcpip {
            connected_address,
            connected_port,
            originator_address,
            originator_port,
        } => {
            format!(
                "on {}:{connected_port} from {}:{originator_port}",
                half(connected_address),
                half(originator_address)
            )
        }
        ChannelType::X11 { originator_address, originator_port } => {
            format!("from {}:{originator_port}", cut(originator_address))
        }
        ChannelType::DirectStreamlocal { path, .. } => format!("to {}", cut(path)),
        ChannelType::ForwardedStreamlocal { path, .. } => format!("on {}", cut(path)),
        ChannelType::Tun { mode, unit } => format!("mode {mode} unit {unit}"),
        _ => return None,
    })
}

/// Parameters of a channel request, where it has any that are no secret.
pub(super) fn request(request: &RequestType<'_>) -> Option<String> {
    Some(match request {
        RequestType::PtyReq(pty) => format!("{} {}x{}", cut(pty.term), pty.size.cols, pty.size.rows),
        RequestType::Env { name, value } => format!("{}={}", half(name), half(value)),
        RequestType::Signal { name } => cut(name),
        RequestType::Break { milliseconds } => format!("{milliseconds} ms"),
        _ => return None,
    })
}

/// Parameters of a global request.
pub(super) fn global(request: &GlobalRequestType<'_>) -> Option<String> {
    Some(match request {
        GlobalRequestType::TcpipForward { address, port }
        | GlobalRequestType::CancelTcpipForward { address, port } => {
            format!("{}:{port}", cut(address))
        }
        GlobalRequestType::StreamlocalForward { path }
        | GlobalRequestType::CancelStreamlocalForward { path } => cut(path),
        other => cut(other.name().as_bytes()),
    })
}
