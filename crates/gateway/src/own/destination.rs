//! Which target a `direct-tcpip` channel means.

use bartizan_model::{Target, TargetName, escape};
use bartizan_ssh::wire::connection::ChannelType;

use crate::parts::Shared;

/// The port that clients name when they name none.
const SSH_PORT: u32 = 22;

/// Why a channel is refused.
pub(super) struct Refused {
    pub(super) action: String,
    pub(super) detail: String,
    pub(super) text: String,
}

/// The target that a channel names, or why it is refused.
pub(super) fn destination(kind: &ChannelType<'_>, shared: &Shared) -> Result<(Target, String), Refused> {
    let ChannelType::DirectTcpip { host, port, .. } = kind else {
        let text = format!("bartizan: {} channels are not supported on this connection", kind.name());
        return Err(Refused { action: kind.name().to_owned(), detail: String::new(), text });
    };
    let unknown = || {
        let shown = escape(&host[..host.len().min(255)]);
        let text = format!(
            "bartizan: no target {shown} port {port} is known here (ask an operator: bartizan target list)"
        );
        Refused { action: "forward:local".into(), detail: format!("{shown}:{port}"), text }
    };
    let requested = std::str::from_utf8(host).map_err(|_| unknown())?;
    let directory = shared.directory();
    // By name, in whatever case since clients write names of hosts small, with the port that clients name by default or the target's own; or by the address dialled.
    let named = TargetName::new(requested).ok().and_then(|name| directory.target_of_any_case(&name).cloned());
    let named = named.filter(|target| *port == SSH_PORT || *port == u32::from(target.port));
    let by_address = || {
        let mut same = directory.targets().filter(|t| t.host == requested && u32::from(t.port) == *port);
        // Two targets at one address: the name must say which.
        same.next().filter(|_| same.next().is_none()).cloned()
    };
    let target = named.or_else(by_address).ok_or_else(unknown)?;
    Ok((target, requested.to_owned()))
}
