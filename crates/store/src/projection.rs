//! What the index holds of an entry: pure, the same for every backend.
//!
//! Reading is lenient on purpose. An event of a type, a version or with a value that this program does not
//! know still becomes a row with its JSON; it is found by the fields that can be read.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use bartizan_model::event::{Body, Event, Outcome, Severity};
use bartizan_model::{SessionState, SessionSummary, Timestamp, escape};
use serde_json::Value;

use crate::terms;

/// What is kept of one event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EventRow {
    pub(crate) time: Timestamp,
    pub(crate) kind: String,
    pub(crate) severity: i64,
    pub(crate) outcome: String,
    pub(crate) person: Option<String>,
    pub(crate) login: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) source: Option<IpAddr>,
    /// What it is found by: all of the above but the time, and its words.
    pub(crate) terms: BTreeSet<String>,
    pub(crate) json: String,
    pub(crate) change: Option<SessionChange>,
}

/// What an event does to the list of sessions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SessionChange {
    Start(SessionSummary),
    End(SessionSummaryEnd),
    /// It passed by a break-glass grant.
    BreakGlass(String),
    /// When its recording was removed; none when what said so is withdrawn.
    Removed(String, Option<Timestamp>),
}

/// What `session.end` adds to a session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SessionSummaryEnd {
    pub(crate) id: String,
    pub(crate) state: SessionState,
    pub(crate) ended: Timestamp,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) exit_status: Option<u32>,
    pub(crate) reason: String,
}

/// How a severity is ranked in SQL.
pub(crate) fn rank(severity: Severity) -> i64 {
    match severity {
        Severity::Info => 0,
        Severity::Notice => 1,
        Severity::Warning => 2,
        Severity::High => 3,
    }
}

/// An outcome as events write it.
pub(crate) fn outcome(outcome: Outcome) -> String {
    serde_json::to_string(&outcome).unwrap_or_default().trim_matches('"').to_owned()
}

/// An address as people compare it: an IPv4-mapped IPv6 address counts as its IPv4 address.
pub(crate) fn address(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}

/// Projects one entry of the log.
pub(crate) fn project(bytes: &[u8]) -> EventRow {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value @ Value::Object(_)) => readable(bytes, &value),
        _ => {
            let raw = escape(bytes);
            let json = serde_json::json!({ "type": "unreadable", "raw": raw });
            readable(json.to_string().as_bytes(), &json)
        }
    }
}

fn readable(bytes: &[u8], value: &Value) -> EventRow {
    let text = |field: &str| value.get(field).and_then(Value::as_str).map(stored);
    let parsed = |field: &str| value.get(field).cloned().unwrap_or_default();
    let source = text("source").and_then(|s| s.parse::<SocketAddr>().ok());
    let mut row = EventRow {
        time: serde_json::from_value(parsed("time")).unwrap_or(Timestamp::from_unix_micros(0)),
        kind: text("type").unwrap_or_else(|| "unreadable".into()),
        // What cannot be ranked is not hidden from those who look for what is severe.
        severity: rank(serde_json::from_value(parsed("severity")).unwrap_or(Severity::High)),
        outcome: text("outcome").unwrap_or_default(),
        person: text("person"),
        login: text("login"),
        target: text("target"),
        session: text("session"),
        source: source.map(|s| s.ip()),
        terms: BTreeSet::new(),
        json: String::from_utf8_lossy(bytes).into_owned(),
        change: match value.get("type").and_then(Value::as_str) {
            Some("session.start" | "session.end" | "break_glass.start" | "recording.remove" | "anomaly") => {
                serde_json::from_slice(bytes).ok().and_then(session_change)
            }
            _ => None,
        },
    };
    row.terms = terms::of(value, &row);
    row
}

/// NUL is text in JSON, but not in every database.
fn stored(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn session_change(event: Event) -> Option<SessionChange> {
    let id = event.session?;
    match event.body {
        Body::SessionStart { way, .. } => Some(SessionChange::Start(SessionSummary::begin(
            id,
            (event.person?, event.login?, event.target?),
            way,
            event.source?,
            event.time,
        ))),
        Body::BreakGlassStart { .. } => Some(SessionChange::BreakGlass(id.to_string())),
        Body::RecordingRemove { .. } => Some(SessionChange::Removed(id.to_string(), Some(event.time))),
        body if body.withdraws_removal() => Some(SessionChange::Removed(id.to_string(), None)),
        Body::SessionEnd { reason, bytes_in, bytes_out, exit_status, truncated, .. } => {
            Some(SessionChange::End(SessionSummaryEnd {
                id: id.to_string(),
                state: if truncated { SessionState::Truncated } else { SessionState::Ended },
                ended: event.time,
                bytes_in,
                bytes_out,
                exit_status,
                reason,
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_cannot_be_read_become_rows_too() {
        for bytes in [&b"\xff\x00not json"[..], b"[1,2]", b"\"text\"", b""] {
            let row = project(bytes);
            assert_eq!((row.kind.as_str(), row.severity), ("unreadable", rank(Severity::High)), "{bytes:?}");
            assert!(serde_json::from_str::<Value>(&row.json).is_ok(), "{}", row.json);
        }
        assert!(project(b"\xff\x00not json").terms.contains("json"));
    }

    #[test]
    fn an_event_of_an_unknown_type_keeps_what_can_be_read() {
        let row = project(
            br#"{"v":9,"type":"moon.phase","time":"2026-11-21T08:30:00.000001Z","severity":"info",
            "person":"alice","source":"[::ffff:10.0.0.1]:22","full":true,"name":"Hunter\u0000's"}"#,
        );
        assert_eq!(row.kind, "moon.phase");
        assert_eq!(row.time.to_string(), "2026-11-21T08:30:00.000001Z");
        assert_eq!(row.person.as_deref(), Some("alice"));
        for term in ["hunter", "p=alice", "k=moon.phase", "k=moon.", "a=4:0a000001", "a=4:0"] {
            assert!(row.terms.contains(term), "{term}: {:?}", row.terms);
        }
        assert!(!row.terms.contains("v=1"));
        assert_eq!(row.change, None);
    }
}
