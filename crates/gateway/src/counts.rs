//! What the live path counts about itself.
//!
//! Most of it is counted where events are made ([`crate::trail::Trail::event`]), so that the numbers and the log say the
//! same. Counters are relaxed atomics; the values of labels are words of this list, whatever a peer sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bartizan_model::event::{Body, Event, Outcome};
use bartizan_model::metric::{self, Meter, Metric, Sample};
use bartizan_model::{Permission, Way};

use crate::admission::Admission;
use crate::live::LiveSessions;

/// Two that are no permissions, all permissions, and the rest.
const ACTIONS: usize = Permission::ALL.len() + 3;
/// What counts as none of the others.
const OTHER: &str = "other";

/// A counter for each of some words, of which the last stands for all that are not among them.
struct Words<const N: usize> {
    words: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Words<N> {
    const fn new(words: [&'static str; N]) -> Self {
        Self { words, counts: [const { AtomicU64::new(0) }; N] }
    }

    fn add(&self, word: &str) {
        let known = self.words.iter().position(|known| *known == word);
        if let Some(count) = self.counts.get(known.unwrap_or(N - 1)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(&self, metric: &'static Metric, samples: &mut Vec<Sample>) {
        for (word, count) in self.words.iter().zip(&self.counts) {
            samples.push(metric.labelled(&[word], count.load(Ordering::Relaxed)));
        }
    }
}

/// What every connection counts.
pub(crate) struct Counts {
    accepted: AtomicU64,
    refused: Words<8>,
    authenticated: Words<3>,
    rejected: Words<3>,
    denied: Words<ACTIONS>,
    started: Words<3>,
    ended: Words<3>,
    connected: AtomicU64,
    failed: Words<7>,
    channels: Words<9>,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Default for Counts {
    fn default() -> Self {
        let mut actions = [OTHER; ACTIONS];
        actions[0] = "connect";
        actions[1] = "console";
        for (action, permission) in actions[2..].iter_mut().zip(Permission::ALL) {
            *action = permission.as_str();
        }
        let channels = [
            "session",
            "direct-tcpip",
            "forwarded-tcpip",
            "direct-streamlocal@openssh.com",
            "forwarded-streamlocal@openssh.com",
            "x11",
            "auth-agent@openssh.com",
            "tun@openssh.com",
            OTHER,
        ];
        Self {
            accepted: AtomicU64::new(0),
            refused: Words::new(["limit", "rate", "timeout", "protocol", "log", "stopping", "accept", OTHER]),
            authenticated: Words::new(["publickey", "certificate", OTHER]),
            rejected: Words::new(["publickey", "none", OTHER]),
            denied: Words::new(actions),
            started: Words::new(["proxy_jump", "user_name", "console"]),
            ended: Words::new(["ended", "failed", "truncated"]),
            connected: AtomicU64::new(0),
            failed: Words::new([
                "resolve",
                "connect",
                "handshake",
                "host_key",
                "authenticate",
                "internal",
                OTHER,
            ]),
            channels: Words::new(channels),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }
    }
}

impl Counts {
    /// Counts a connection that was accepted.
    pub(crate) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that came to nothing, for a reason of the list.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.add(reason);
    }

    /// Counts bytes from the client.
    pub(crate) fn bytes_in(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts bytes from the target.
    pub(crate) fn bytes_out(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts what an event tells.
    pub(crate) fn event(&self, event: &Event) {
        if event.outcome == Outcome::Denied {
            self.denied.add(denied_action(&event.body));
        }
        match &event.body {
            Body::AuthAccept { .. } => self.authenticated.add(event.method.as_deref().unwrap_or(OTHER)),
            Body::AuthReject { key, .. } => {
                self.rejected.add(if key.is_some() { "publickey" } else { "none" })
            }
            Body::SessionStart { way, .. } => self.started.add(match way {
                Way::ProxyJump => "proxy_jump",
                Way::UserName => "user_name",
                Way::Console => "console",
            }),
            Body::SessionEnd { truncated: true, .. } => self.ended.add("truncated"),
            Body::SessionEnd { .. } => self.ended.add(match event.outcome {
                Outcome::Success => "ended",
                _ => "failed",
            }),
            Body::UpstreamConnect { .. } => drop(self.connected.fetch_add(1, Ordering::Relaxed)),
            Body::UpstreamFail { stage, .. } => self.failed.add(stage),
            Body::ChannelOpen { kind, .. } => self.channels.add(kind),
            _ => {}
        }
    }
}

/// What was asked for and denied.
fn denied_action(body: &Body) -> &str {
    match body {
        // Where one of several permissions would do (`scp or exec`), the first of them counts.
        Body::AccessDeny { action, .. } => action.split(' ').next().unwrap_or(OTHER),
        Body::ForwardListen { .. } => Permission::ForwardRemote.as_str(),
        Body::ChannelOpen { kind, .. } => match kind.as_str() {
            "direct-tcpip" | "direct-streamlocal@openssh.com" => Permission::ForwardLocal.as_str(),
            "x11" => Permission::X11.as_str(),
            _ => OTHER,
        },
        _ => OTHER,
    }
}

/// Reads what the gateway counts. Clones read the same.
#[derive(Clone)]
pub struct GatewayMeter {
    pub(crate) counts: Arc<Counts>,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) admission: Admission,
    pub(crate) sessions: LiveSessions,
}

impl Meter for GatewayMeter {
    fn read(&self, samples: &mut Vec<Sample>) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &*self.counts;
        samples.push(metric::SESSIONS_LIVE.count(self.sessions.count() as u64));
        counts.started.read(&metric::SESSIONS_STARTED, samples);
        counts.ended.read(&metric::SESSIONS_ENDED, samples);
        samples.push(metric::CONNECTIONS.count(self.connections.load(Ordering::Relaxed) as u64));
        samples.push(metric::CONNECTIONS_HALF_OPEN.count(self.admission.half_open() as u64));
        samples.push(metric::CONNECTIONS_ACCEPTED.count(load(&counts.accepted)));
        counts.refused.read(&metric::CONNECTIONS_REFUSED, samples);
        for (words, outcome) in [(&counts.authenticated, "success"), (&counts.rejected, "failure")] {
            for (word, count) in words.words.iter().zip(&words.counts) {
                samples.push(metric::AUTHENTICATIONS.labelled(&[word, outcome], load(count)));
            }
        }
        counts.denied.read(&metric::ACCESS_DENIED, samples);
        samples.push(metric::UPSTREAM_CONNECTED.count(load(&counts.connected)));
        counts.failed.read(&metric::UPSTREAM_FAILED, samples);
        counts.channels.read(&metric::CHANNELS, samples);
        samples.push(metric::RELAYED_BYTES.labelled(&["in"], load(&counts.bytes_in)));
        samples.push(metric::RELAYED_BYTES.labelled(&["out"], load(&counts.bytes_out)));
    }
}

#[cfg(test)]
mod tests {
    use bartizan_model::{NodeId, Timestamp};

    use super::*;

    #[test]
    fn whatever_is_sent_the_labels_are_ours_and_differ() {
        let counts = Counts::default();
        let deny = |action: &str| {
            let body = Body::AccessDeny {
                action: action.into(),
                detail: None,
                reason: String::new(),
                rules: Vec::new(),
            };
            let mut event = Event::new(&NodeId("n".into()), Timestamp::now(), body);
            event.outcome = Outcome::Denied;
            counts.event(&event);
        };
        ["connect", "sftp:write", "a\"}\n", "x", "other"].into_iter().for_each(deny);
        let mut samples = Vec::new();
        counts.denied.read(&metric::ACCESS_DENIED, &mut samples);
        let of = |word| samples.iter().filter(|sample| sample.labels == [word]).collect::<Vec<_>>();
        assert_eq!(of("connect")[0].value, metric::Value::Count(1));
        assert_eq!(of("sftp:write")[0].value, metric::Value::Count(1));
        assert_eq!((of(OTHER).len(), &of(OTHER)[0].value), (1, &metric::Value::Count(3)));
        for permission in Permission::ALL {
            assert_eq!(of(permission.as_str()).len(), 1, "{permission}");
        }
    }
}
