//! From a target's host and port to a TCP connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bartizan_model::Target;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::ConnectError;

/// Resolving a name may take so long.
const RESOLVE: Duration = Duration::from_secs(10);
/// Each address may take so long to accept.
const PER_ADDRESS: Duration = Duration::from_secs(8);
/// Addresses of one name that are tried.
const ADDRESSES: usize = 6;

/// The addresses of the target that are tried, at least one.
///
/// # Errors
/// [`ConnectError::Resolve`] or [`ConnectError::TimedOut`].
pub(super) async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, ConnectError> {
    let unresolved = |error| ConnectError::Resolve { host: target.host.clone(), error };
    let addresses = timeout(RESOLVE, lookup_host((target.host.as_str(), target.port)))
        .await
        .map_err(|_| ConnectError::TimedOut { stage: "resolve", patience: RESOLVE })?
        .map_err(unresolved)?;
    let addresses: Vec<_> = addresses.take(ADDRESSES).collect();
    if addresses.is_empty() {
        return Err(unresolved(io::Error::other("the name has no address")));
    }
    Ok(addresses)
}

/// Connects to the first address that accepts.
///
/// # Errors
/// [`ConnectError::Dial`] with the last address's answer, or [`ConnectError::TimedOut`].
pub(super) async fn connect(addresses: Vec<SocketAddr>) -> Result<TcpStream, ConnectError> {
    let mut last = ConnectError::Ours { what: "dial", error: "there is no address".into() };
    for address in addresses {
        match timeout(PER_ADDRESS, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                return tune(&stream).map(|()| stream).map_err(|error| ConnectError::Dial { address, error });
            }
            Ok(Err(error)) => last = ConnectError::Dial { address, error },
            Err(_) => last = ConnectError::TimedOut { stage: "connect", patience: PER_ADDRESS },
        }
    }
    Err(last)
}

/// A socket that the system gives no address of.
pub(super) fn unusable(error: &io::Error) -> ConnectError {
    ConnectError::Ours { what: "use its socket", error: error.to_string() }
}

/// Sets what every SSH stream wants: no delay for keystrokes, and keepalives that notice a dead peer in minutes.
///
/// # Errors
/// The system's.
pub(crate) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(20));
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
