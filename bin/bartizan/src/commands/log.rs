//! `bartizan log search`, `tail` and `export`.

mod changed;
mod derived;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use bartizan_audit::{ReadError, Reader};
use bartizan_model::api::{EventSearch, IndexStatus, LogReading, Page, SessionDetail};
use bartizan_model::event::{Body, Event, ForwardState, Severity};
use serde_json::value::RawValue;
use unicode_width::UnicodeWidthStr as _;

use super::{Context, in_order, unknown, wait};
use crate::args::LogSearch;
use crate::client::segment;
use crate::failure::{Failure, Kind};
use crate::out::{Out, cell, count, note, time};
use crate::progress::Progress;
use crate::table::{Look, paint};

/// Most events that one request can return.
const PAGE: u32 = 1000;
/// Most entries that are read at once.
const BATCH: usize = 256;
/// Columns of an event's time and the space behind it.
const INDENT: usize = 20;
/// The server is asked so often how far the index is.
const POLL: Duration = Duration::from_millis(100);

pub(crate) async fn search(context: &Context, args: LogSearch) -> Result<(), Failure> {
    in_order(args.since, args.until)?;
    let session = match &args.session {
        None => None,
        // The index knows whole ids only.
        Some(prefix) => {
            let detail: SessionDetail =
                context.client.get(&format!("/v1/sessions/{}", segment(prefix))).await?;
            Some(detail.session.id)
        }
    };
    let mut query = EventSearch {
        kind: args.kind,
        person: args.person,
        login: args.login,
        target: args.target,
        session,
        source: args.source,
        severity: args.severity,
        outcome: args.outcome,
        since: args.since,
        until: args.until,
        text: args.text,
        oldest_first: args.oldest_first,
        limit: None,
        after: None,
    };
    let mut missing = if args.all { u64::MAX } else { args.limit.into() };
    let mut found = 0;
    while missing > 0 {
        query.limit = Some(u32::try_from(missing).unwrap_or(PAGE).min(PAGE));
        let page: Page<Box<RawValue>> = context.client.find("/v1/events", &query).await?;
        for event in &page.items {
            print(context, event.get().as_bytes())?;
        }
        found += page.items.len();
        missing -= missing.min(page.items.len() as u64);
        query.after = page.next;
        // A page may hold fewer than were asked for, and there are more nevertheless.
        if query.after.is_none() {
            break;
        }
    }
    unknown(&context.client, query.person.as_ref(), found).await;
    Ok(())
}

pub(crate) async fn tail(context: &Context, last: u64, wait: bool) -> Result<(), Failure> {
    let mut lines = context.client.lines(&format!("/v1/events/follow?last={last}&wait={wait}")).await?;
    while let Some(event) = lines.next_event().await? {
        print(context, &event)?;
    }
    // Who follows the log waits for what comes; that nothing will come is no success.
    if wait { Err(Failure::failed("the server stopped, so no more events come")) } else { Ok(()) }
}

fn print(context: &Context, event: &[u8]) -> Result<(), Failure> {
    if !context.out.json {
        return context.out.text(&line(event, context.out));
    }
    let raw: &RawValue =
        serde_json::from_slice(event).map_err(|e| Failure::failed(format!("an event is no JSON: {e}")))?;
    context.out.json_line(raw)
}

pub(crate) fn export(context: &Context, from: u64, output: Option<&Path>) -> Result<(), Failure> {
    let reader = Reader::open(&context.data.join("log")).map_err(|e| unreadable(&e))?;
    let reading = LogReading { query: format!("export from {from}") };
    match wait(context.client.post::<()>("/v1/log/reads", &reading)) {
        Ok(()) => {}
        Err(failure) if failure.kind == Kind::Unreachable => {
            note("no server runs, so this reading of the log is not in the log");
        }
        Err(failure) => return Err(failure),
    }
    let Some(path) = output else {
        return each(&reader, from, |entry| context.out.bytes(&[entry, b"\n"].concat()));
    };
    let mut file = super::export::create(path)?;
    let unwritable = |e: std::io::Error| Failure::failed(format!("cannot write {}: {e}", path.display()));
    each(&reader, from, |entry| {
        file.write_all(entry).and_then(|()| file.write_all(b"\n")).map_err(unwritable)
    })?;
    file.flush().map_err(unwritable)
}

/// Has the server drop the index and make it again, and waits until it has.
pub(crate) async fn reindex(context: &Context) -> Result<(), Failure> {
    let IndexStatus { events, .. } = context.client.post("/v1/index/rebuild", &()).await?;
    let mut progress = Progress::new("events", events);
    loop {
        let status: IndexStatus = context.client.get("/v1/index").await?;
        progress.to(status.indexed);
        if status.indexed >= events {
            drop(progress);
            return context.out.one(&status, || {
                format!("the index was made again from the log's first {}\n", count(events, "event"))
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Calls with each entry's bytes from index `from` to the end that the log has now.
fn each(
    reader: &Reader,
    from: u64,
    mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let head = reader.head().map_err(|e| unreadable(&e))?;
    let mut next = from;
    while next < head {
        let entries = reader.read(next, BATCH).map_err(|e| unreadable(&e))?;
        if entries.is_empty() {
            return Ok(());
        }
        for entry in entries.iter().take_while(|entry| entry.index < head) {
            take(&entry.bytes)?;
        }
        next += entries.len() as u64;
    }
    Ok(())
}

/// A log that cannot be read.
pub(crate) fn unreadable(error: &ReadError) -> Failure {
    match error {
        ReadError::Damaged { .. } | ReadError::MissingFile { .. } | ReadError::Conflict(_) => {
            Failure::new(Kind::Evidence, error.to_string())
        }
        ReadError::NoLog(_) => {
            Failure::failed(error.to_string()).hint("name the data folder with -D DIR or BARTIZAN_DATA")
        }
        ReadError::File(_) => Failure::failed(error.to_string()),
    }
}

/// One event on one line: when, what, who where, and what is particular. On a narrow terminal the line goes on
/// below, indented.
pub(crate) fn line(json: &[u8], out: Out) -> String {
    match serde_json::from_slice::<Event>(json) {
        Ok(event) => event_line(&event, out),
        // An event of a type that a later version wrote.
        Err(_) => format!("{}\n", cell(&String::from_utf8_lossy(json))),
    }
}

fn event_line(event: &Event, out: Out) -> String {
    let look = match event.severity {
        Severity::Info => Look::Normal,
        Severity::Notice => Look::Good,
        Severity::Warning | Severity::High => Look::Bad,
    };
    let kind = format!("{:<16}", event.kind());
    let head = format!("{} {}", time(event.time), paint(&kind, look, out.colour));
    let mut words = Vec::new();
    if let Some(session) = event.session {
        words.push(session.to_string().chars().take(13).collect());
    }
    if let Some(person) = &event.person {
        words.push(person.to_string());
    }
    match (&event.login, &event.target) {
        (Some(login), Some(target)) => words.push(format!("{login}@{target}")),
        (None, Some(target)) => words.push(target.to_string()),
        (Some(login), None) => words.push(format!("{login}@")),
        (None, None) => {}
    }
    words.push(cell(&particular(&event.body)));
    let column = INDENT + kind.len();
    head + &wrapped(words.join(" ").trim_end(), column, out.width) + "\n"
}

/// Text behind `column`, in lines of at most `width` columns where its words allow it.
fn wrapped(text: &str, mut column: usize, width: Option<usize>) -> String {
    let mut lines = String::new();
    for word in text.split(' ') {
        let length = 1 + word.width();
        if width.is_some_and(|width| column + length > width) && column > INDENT {
            lines += "\n";
            lines += &" ".repeat(INDENT - 1);
            column = INDENT - 1;
        }
        lines += " ";
        lines += word;
        column += length;
    }
    lines
}

/// What is particular to an event, in words. Foreign text in it is escaped by the caller.
fn particular(body: &Body) -> String {
    let refused =
        |reason: &Option<String>| reason.as_ref().map(|r| format!(" refused: {r}")).unwrap_or_default();
    let detail = |detail: &Option<String>| detail.as_ref().map(|d| format!(" {d}")).unwrap_or_default();
    match body {
        Body::ServerStart { version, listen } => {
            let listen: Vec<_> = listen.iter().map(ToString::to_string).collect();
            format!("{version} on {}", listen.join(", "))
        }
        Body::ConnectionRefuse { reason, count: Some(count) } => format!("{count} connections {reason}"),
        Body::ServerStop { reason } | Body::ConnectionRefuse { reason, count: None } => reason.clone(),
        Body::AuthAccept { user, key, certificate, client } => {
            let with = match (certificate, key) {
                (Some(certificate), _) => format!("certificate {} of {}", certificate.key_id, certificate.ca),
                (None, Some(key)) => format!("key {key}"),
                (None, None) => String::new(),
            };
            format!("{user} {with} {client}")
        }
        Body::AuthReject { user, reason, client, .. } => format!("{user}: {reason} {client}"),
        Body::AccessPermit { rules, allow } => format!("{allow} by {}", ids(rules)),
        Body::AccessDeny { action, detail: what, reason, rules } => {
            format!("{action}{}: {reason} {}", detail(what), ids(rules))
        }
        Body::SessionStart { way, allow, .. } => format!("by {way}: {allow}"),
        Body::UpstreamConnect { address, host_key, verified, .. } => {
            format!("{address} {host_key} ({verified})")
        }
        Body::UpstreamFail { stage, reason, .. } => format!("{stage}: {reason}"),
        Body::TargetTest { by } => format!("by {by}"),
        Body::HostKeyFirstUse { host_key } => host_key.to_string(),
        Body::ChannelOpen { channel, kind, reason, detail: what, .. } => {
            format!("{channel} {kind}{}{}", detail(what), refused(reason))
        }
        Body::ForwardListen { request, on, state, reason } => {
            format!("{request} {on} {}{}", how_far(*state), refused(reason))
        }
        Body::ChannelRequest { channel, request, detail: what, reason } => {
            format!("{channel} {request}{}{}", detail(what), refused(reason))
        }
        Body::Command { channel, request, command, .. } => format!("{channel} {request} {command}"),
        Body::ConsoleCommand { command, .. } => command.clone(),
        Body::ChannelClose { channel, input, output, error, exit_status, exit_signal, .. } => {
            let exit = match (exit_status, exit_signal) {
                (Some(status), _) => format!(", exit {status}"),
                (None, Some(signal)) => format!(", signal {signal}"),
                (None, None) => String::new(),
            };
            format!("{channel} {} in, {} out, {} err{exit}", input.bytes, output.bytes, error.bytes)
        }
        Body::SessionEnd { reason, bytes_in, bytes_out, truncated, .. } => {
            let truncated = if *truncated { ", truncated" } else { "" };
            format!("{reason}: {bytes_in} in, {bytes_out} out{truncated}")
        }
        Body::BreakGlassStart { rules, reason, recorded } => {
            let recorded = if *recorded { "recorded nevertheless" } else { "NOT recorded" };
            format!("{recorded}, by {}: {reason}", ids(rules))
        }
        Body::BreakGlassEnd { recorded, .. } => {
            if *recorded {
                "recorded".into()
            } else {
                "not recorded, or not whole".into()
            }
        }
        Body::SpaceLow { space } | Body::SpaceFull { space } => space.reason.clone(),
        Body::SpaceOk { space, unlogged: 0 } => space.reason.clone(),
        Body::SpaceOk { space, unlogged } => {
            format!("{}; {unlogged} events found no room meanwhile", space.reason)
        }
        Body::RecordingRemove { reason, bytes, .. } => format!("{bytes} bytes: {reason}"),
        Body::RecordingRead { how } => how.clone(),
        Body::LogRead { query } => query.clone(),
        Body::LogReindex { by } => format!("by {by}"),
        Body::SessionTerminate { reason, by } => format!("{reason} by {by}"),
        Body::ServerReload { policies, reason: None, changed, restart } => {
            let keys = |what: &str, keys: &[String]| match keys {
                [] => String::new(),
                keys => format!("; {what} {}", keys.join(", ")),
            };
            format!(
                "{policies} files of policies{}{}",
                keys("took", changed),
                keys("waiting for a restart:", restart)
            )
        }
        Body::ServerReload { reason: Some(reason), .. } => format!("refused: {reason}"),
        Body::DirectoryChange { action, record, name, value, by } => {
            let part = value.get("part").map(|part| format!(", part {part} of {}", value["parts"]));
            let what = changed::what(action, record, value).unwrap_or_default();
            format!("{action} {record} {name}{what} by {by}{}", part.unwrap_or_default())
        }
        Body::CredentialChange { action, kind, key, reason, by } => {
            let key = key.map(|key| format!(" {key}")).unwrap_or_default();
            format!("{action} {kind}{key} by {by}{}", refused(reason))
        }
        Body::CaChange { ca, action, key, at, reason, by } => {
            let at = at.map(|at| format!(", signs from {} UTC", time(at))).unwrap_or_default();
            format!("{action} {ca} CA {key}{at} by {by}{}", refused(reason))
        }
        Body::CertificateIssue { holder, key, serial, valid_before, reason, by, .. } => {
            let until = time(*valid_before);
            format!("serial {serial} to {holder} for {key} until {until} UTC by {by}{}", refused(reason))
        }
        Body::CertificateRevoke { ca, serial, key_id, key, holder, reason, by } => {
            let serial = serial.map(|serial| format!("serial {serial}"));
            let key_id = key_id.as_ref().map(|key_id| format!("key id {key_id}"));
            let key = key.map(|key| format!("key {key}"));
            let what: Vec<_> = [serial, key_id, key].into_iter().flatten().collect();
            let ca = ca.map(|ca| format!(" of CA {ca}")).unwrap_or_default();
            let holder = holder.as_ref().map(|holder| format!(" ({holder}'s)")).unwrap_or_default();
            format!("{}{holder}{ca} by {by}{}", what.join(", "), refused(reason))
        }
        Body::VaultRotate { from, to, reason, by } => {
            format!("master key {from} → {to} by {by}{}", refused(reason))
        }
        Body::Anomaly { what, detail } => format!("{what}: {detail}"),
        derived => derived::particular(derived).unwrap_or_default(),
    }
}

fn ids(rules: &[bartizan_model::GrantId]) -> String {
    rules.iter().map(|rule| rule.0.as_str()).collect::<Vec<_>>().join(", ")
}

const fn how_far(state: ForwardState) -> &'static str {
    match state {
        ForwardState::Asked => "asked for",
        ForwardState::Listening => "listening",
        ForwardState::Cancelled => "cancelled",
        ForwardState::Refused => "refused",
        ForwardState::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use bartizan_model::{NodeId, SessionId};

    use super::super::person::tests::at;
    use super::*;

    const OUT: Out = Out { json: false, width: None, colour: false };

    #[test]
    fn on_a_narrow_terminal_a_line_goes_on_below() {
        let text = "one two three-and-more four";
        assert_eq!(wrapped(text, 36, None), format!(" {text}"));
        let indent = " ".repeat(INDENT);
        let narrow = format!(" one two\n{indent}three-and-more four");
        assert_eq!(wrapped(text, 36, Some(44)), narrow);
        // What has no place anywhere stands alone.
        let alone = format!("\n{indent}a-very-long-word\n{indent}b");
        assert_eq!(wrapped("a-very-long-word b", 36, Some(30)), alone);
    }

    #[test]
    fn events_read_well_and_steer_nothing() {
        let bodies = [
            Body::ServerStart { version: "0.1.0".into(), listen: vec!["127.0.0.1:2222".parse().unwrap()] },
            Body::AuthReject {
                user: "root\u{1b}[2J".into(),
                key: None,
                reason: "unknown_key".into(),
                client: "SSH-2.0-x\r\nforged line".into(),
            },
            Body::ChannelOpen {
                channel: 3,
                kind: "x11".into(),
                from: "target".into(),
                detail: None,
                reason: Some("not granted".into()),
            },
            Body::Command {
                channel: 0,
                request: "exec".into(),
                command: "echo \\x1b".into(),
                length: 9,
                sha256: None,
                pty: false,
            },
        ];
        let shown: String = (bodies.into_iter())
            .map(|body| {
                let mut event = Event::new(&NodeId("n".into()), at(0), body);
                if !matches!(event.body, Body::ServerStart { .. }) {
                    event.session =
                        Some("01990c2e-7d1a-7c3e-9f52-0242ac120002".parse::<SessionId>().unwrap());
                    event.person = Some("alice".parse().unwrap());
                    event.target = Some("web-1".parse().unwrap());
                    event.login = Some("root".parse().unwrap());
                }
                line(&serde_json::to_vec(&event).unwrap(), OUT)
            })
            .collect();
        assert_eq!(shown.lines().count(), 4);
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()));
        insta::assert_snapshot!(shown + &line(b"{\"type\":\"future\",\"x\":\"\x1b\"}", OUT));
    }
}
