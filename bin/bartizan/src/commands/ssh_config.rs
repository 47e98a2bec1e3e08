//! `bartizan ssh-config`: what a client needs, ready to paste.

use std::fmt::Write as _;

use bartizan_model::Target;
use bartizan_model::api::Status;
use serde::Serialize;

use super::Context;
use crate::args::SshConfig;
use crate::failure::Failure;
use crate::out::cell;

/// The same in parts, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Parts {
    pub(super) ssh_config: String,
    pub(super) known_hosts: String,
}

pub(crate) async fn run(context: &Context, command: &SshConfig) -> Result<(), Failure> {
    let status: Status = context.client.get("/v1/status").await?;
    let targets: Vec<Target> = context.client.get("/v1/targets").await?;
    let parts = parts(&status, &targets, command);
    context.out.one(&parts, || {
        format!(
            "# ~/.ssh/config\n{}\n# ~/.ssh/known_hosts: Bartizan's own keys, and its CA for the targets\n{}",
            parts.ssh_config, parts.known_hosts
        )
    })
}

pub(super) fn parts(status: &Status, targets: &[Target], command: &SshConfig) -> Parts {
    let alias = &command.host;
    let (host, port) = host_and_port(&status.public_address);
    let mut config = format!("Host {alias}\n    HostName {host}\n    Port {port}\n");
    if let Some(person) = &command.person {
        let _ = writeln!(config, "    User {person}");
    }
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    if !names.is_empty() {
        let _ = write!(config, "\nHost {}\n    ProxyJump {alias}\n", names.join(" "));
    }
    let shown = if port == "22" { host.clone() } else { format!("[{host}]:{port}") };
    let mut known_hosts: String =
        status.host_keys.iter().map(|key| format!("{shown} {}\n", cell(key))).collect();
    if !names.is_empty() {
        for ca in &status.host_cas {
            let _ = writeln!(known_hosts, "@cert-authority {} {}", names.join(","), cell(ca));
        }
    }
    Parts { ssh_config: config, known_hosts }
}

/// Splits `host`, `host:port` and `[address]:port`; the port is 22 unless written.
fn host_and_port(address: &str) -> (String, String) {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, port),
        _ => (address, "22"),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (cell(host), cell(port))
}

#[cfg(test)]
mod tests {
    use bartizan_model::{HostKeyTrust, NodeId, PersonName, TargetName, Timestamp};

    use super::*;

    #[test]
    fn a_ready_block_and_line() {
        let status = |public_address: &str| Status {
            version: "0".into(),
            node: NodeId("n".into()),
            listen: Vec::new(),
            public_address: public_address.into(),
            host_keys: vec!["ssh-ed25519 HHHH".into(), "ssh-rsa RRRR".into()],
            host_cas: vec!["ssh-ed25519 AAAAC3 bartizan host CA".into()],
            started: Timestamp::from_unix_micros(0),
        };
        let target = |name: &str| Target {
            name: TargetName::new(name).unwrap(),
            host: "10.0.0.1".into(),
            port: 22,
            labels: bartizan_model::Labels::default(),
            host_key: HostKeyTrust::FirstUse,
            created: Timestamp::from_unix_micros(0),
        };
        let named = SshConfig {
            person: Some(PersonName::new("alice").unwrap()),
            host: TargetName::new("bastion").unwrap(),
        };
        let bare = SshConfig { person: None, host: TargetName::new("bartizan").unwrap() };
        let shown = [
            parts(&status("bastion.example.com:2222"), &[target("web-1"), target("db")], &named),
            parts(&status("bastion.example.com"), &[], &bare),
            parts(&status("[fd00::1]:60022"), &[target("web-1")], &bare),
        ]
        .map(|parts| parts.ssh_config + &parts.known_hosts);
        insta::assert_snapshot!(shown.join("---\n"));
    }
}
