//! `bartizan session list`, `show` and `terminate`.

use std::fmt::Write as _;
use std::time::Duration;

use bartizan_model::api::{ChannelDetail, Page, SessionDetail, SessionSearch, SessionTermination};
use bartizan_model::{ChannelDigest, SessionState, SessionSummary, Timestamp};

use super::grant::kept;
use super::{Context, in_order, unknown};
use crate::args::{IdPrefix, SessionList};
use crate::client::segment;
use crate::failure::Failure;
use crate::out::{bytes, cell, duration, minute, time};
use crate::table::{Look, Table, normal, paint};

/// Shortest start of an id that listings show: the time to the millisecond.
const SHORTEST_ID: usize = 13;
/// Most sessions that one request can return.
const PAGE: u32 = 1000;

pub(crate) async fn list(context: &Context, list: SessionList) -> Result<(), Failure> {
    in_order(list.since, list.until)?;
    let mut search = SessionSearch {
        person: list.person,
        login: list.login,
        target: list.target,
        state: list.state,
        source: list.source,
        since: list.since,
        until: list.until,
        limit: None,
        after: None,
    };
    let mut sessions: Vec<SessionSummary> = Vec::new();
    let most = if list.all { usize::MAX } else { list.limit as usize };
    while sessions.len() < most {
        let missing = u32::try_from(most - sessions.len()).unwrap_or(PAGE);
        search.limit = Some(missing.min(PAGE));
        let page: Page<SessionSummary> = context.client.find("/v1/sessions", &search).await?;
        sessions.extend(page.items);
        search.after = page.next;
        if search.after.is_none() {
            break;
        }
    }
    unknown(&context.client, search.person.as_ref(), sessions.len()).await;
    let whole_ids = context.out.width.is_none();
    context.out.listing(&sessions, || sessions_table(&sessions, Timestamp::now(), whole_ids))
}

/// Ends a live session.
pub(crate) async fn terminate(context: &Context, id: &IdPrefix, reason: String) -> Result<(), Failure> {
    let path = format!("/v1/sessions/{}/terminate", segment(id));
    let session: SessionSummary = context.client.post(&path, &SessionTermination { reason }).await?;
    context.out.one(&session, || {
        format!(
            "ended session {} of {} on {}@{}\n",
            session.id, session.person, session.login, session.target
        )
    })
}

pub(crate) async fn show(context: &Context, id: &IdPrefix) -> Result<(), Failure> {
    let detail: SessionDetail = context.client.get(&format!("/v1/sessions/{}", segment(id))).await?;
    context.out.one(&detail, || detail_text(&detail, Timestamp::now(), context.out.colour))
}

pub(crate) fn state(state: SessionState) -> (String, Look) {
    let look = match state {
        SessionState::Live => Look::Good,
        SessionState::Ended => Look::Normal,
        SessionState::Truncated => Look::Bad,
    };
    (state.to_string(), look)
}

/// The state as listings show it: `!` marks a session that passed by a break-glass grant where others were not let
/// in, `-` one whose recording retention removed.
fn shown_state(session: &SessionSummary) -> (String, Look) {
    let (word, look) = state(session.state);
    let look = if session.break_glass { Look::Bad } else { look };
    let mark = match (session.break_glass, session.removed) {
        (true, _) => " !",
        (false, Some(_)) => " -",
        (false, None) => "",
    };
    (format!("{word}{mark}"), look)
}

fn sessions_table(sessions: &[SessionSummary], now: Timestamp, whole_ids: bool) -> Table {
    let mut table = Table::new("no such sessions")
        .column("ID")
        .flexible("PERSON")
        .flexible("LOGIN@TARGET")
        .column("STATE")
        .column("STARTED (UTC)")
        .number("TIME")
        .number("EXIT");
    let ids: Vec<String> = sessions.iter().map(|session| session.id.to_string()).collect();
    for (session, id) in sessions.iter().zip(&ids) {
        let id = if whole_ids { id } else { shortest(id, &ids) };
        table.row([
            normal(id),
            normal(&session.person),
            normal(format!("{}@{}", session.login, session.target)),
            shown_state(session),
            normal(minute(session.started)),
            normal(lasted(session, now)),
            match session.exit_status {
                Some(0) => normal(0),
                Some(status) => (status.to_string(), Look::Bad),
                None => normal(""),
            },
        ]);
    }
    table
}

/// The shortest start of `id` that no other of `ids` has.
fn shortest<'a>(id: &'a str, ids: &[String]) -> &'a str {
    let common = |other: &String| id.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let needed = ids.iter().filter(|other| *other != id).map(|other| common(other) + 1).max().unwrap_or(0);
    id.get(..needed.max(SHORTEST_ID)).unwrap_or(id)
}

fn lasted(session: &SessionSummary, now: Timestamp) -> String {
    let end = session.ended.unwrap_or(now).unix_micros();
    duration(Duration::from_micros(end.saturating_sub(session.started.unix_micros())))
}

fn detail_text(detail: &SessionDetail, now: Timestamp, colour: bool) -> String {
    let session = &detail.session;
    let mut text = format!("session {}\n", session.id);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    let (word, look) = state(session.state);
    let break_glass = if session.break_glass { ", by a break-glass grant" } else { "" };
    let reason = session.reason.as_deref().map(|reason| format!(": {}", cell(reason))).unwrap_or_default();
    line("state", format!("{}{break_glass}{reason}", paint(&word, look, colour)));
    line("person", format!("{} from {}", session.person, session.source));
    line("target", format!("{}@{}, by {}", session.login, session.target, session.way));
    line("client", cell(&detail.client));
    line("started", format!("{} UTC, lasted {}", time(session.started), lasted(session, now)));
    let so_far = if session.state == SessionState::Live { " so far" } else { "" };
    line("bytes", format!("{} in, {} out{so_far}", session.bytes_in, session.bytes_out));
    if let Some(status) = session.exit_status {
        line("exit", status.to_string());
    }
    line("allowed", detail.allow.to_string());
    line("recorded", kept(detail.record));
    if let Some(upstream) = &detail.upstream {
        line("upstream", format!("{} {}", upstream.address, cell(&upstream.server)));
        line("host key", format!("{} ({})", upstream.host_key, cell(&upstream.verified)));
        line("logged in", format!("with {}", cell(&upstream.credential)));
    }
    for channel in &detail.channels {
        text.push_str(&channel_text(channel));
    }
    if let Some(removed) = session.removed {
        let _ = writeln!(text, "\nthe recording was removed by retention at {} UTC", time(removed));
    }
    if !detail.recording.is_empty() {
        text.push_str("\nfiles of the recording\n");
        for file in &detail.recording {
            let _ = writeln!(text, "  {} {:>12} {}", file.sha256, file.bytes, cell(&file.name));
        }
    }
    text
}

fn channel_text(channel: &ChannelDetail) -> String {
    let terminal = if channel.pty { " with a terminal" } else { "" };
    let mut text = format!("\nchannel {}: {}{terminal}\n", channel.channel, cell(&channel.kind));
    if let Some(refused) = &channel.refused {
        let _ = writeln!(text, "  refused   {}", cell(refused));
    }
    if let Some(request) = &channel.request {
        let command = channel.command.as_deref().map(cell).unwrap_or_default();
        let _ = writeln!(text, "{}", format!("  {:<9} {command}", cell(request)).trim_end());
    }
    if let Some(status) = channel.exit_status {
        let _ = writeln!(text, "  exit      {status}");
    }
    if let Some(signal) = &channel.exit_signal {
        let _ = writeln!(text, "  signal    {}", cell(signal));
    }
    if let Some(micros) = channel.duration_us {
        let _ = writeln!(text, "  open for  {}", duration(Duration::from_micros(micros)));
    }
    for (name, digest) in [("input", channel.input), ("output", channel.output), ("error", channel.error)] {
        if let Some(digest) = digest {
            text.push_str(&digest_text(name, digest));
        }
    }
    text
}

fn digest_text(name: &str, ChannelDigest { bytes: passed, kept, sha256 }: ChannelDigest) -> String {
    match passed {
        0 => format!("  {name:<9} nothing\n"),
        _ => {
            let rounded = if passed < 1024 { String::new() } else { format!(" ({})", bytes(passed)) };
            format!("  {name:<9} {passed} bytes{rounded}, {kept} kept\n    sha256  {sha256}\n")
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bartizan_model::api::UpstreamDetail;
    use bartizan_model::{
        Fingerprint, LoginName, PersonName, Recording, RecordingFile, SessionId, Sha256Hex, TargetName, Way,
    };

    use super::super::person::tests::at;
    use super::*;

    pub(crate) fn sessions() -> Vec<SessionSummary> {
        let session = |id: &str, minutes: u64| SessionSummary {
            id: id.parse::<SessionId>().unwrap(),
            person: PersonName::new("alice").unwrap(),
            login: LoginName::new("root").unwrap(),
            target: TargetName::new("web-1").unwrap(),
            state: SessionState::Ended,
            way: Way::ProxyJump,
            source: "10.0.0.9:50000".parse().unwrap(),
            started: at(minutes),
            ended: Some(at(minutes + 3)),
            bytes_in: 5,
            bytes_out: 1_234_567,
            exit_status: Some(0),
            reason: Some("closed by the client".into()),
            break_glass: false,
            removed: None,
        };
        vec![
            SessionSummary {
                state: SessionState::Live,
                ended: None,
                exit_status: None,
                reason: None,
                ..session("01990c2e-7d1a-7c3e-9f52-0242ac120002", 60)
            },
            SessionSummary {
                exit_status: Some(255),
                removed: Some(at(100)),
                ..session("01990c2e-7d1a-7b22-9f52-0242ac120001", 5)
            },
            SessionSummary {
                person: PersonName::new("service-account-of-the-build-farm").unwrap(),
                target: TargetName::new("build-17.internal.example.com").unwrap(),
                state: SessionState::Truncated,
                break_glass: true,
                ..session("01990c2d-0000-7c3e-9f52-0242ac120001", 0)
            },
        ]
    }

    #[test]
    fn listing() {
        let shown = sessions_table(&sessions(), at(200), false).render(Some(80), false);
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        insta::assert_snapshot!(shown);
        let whole = sessions_table(&sessions(), at(200), true).render(None, false);
        assert!(sessions().iter().all(|session| whole.contains(&session.id.to_string())));
    }

    #[test]
    fn ids_are_as_short_as_they_can_be_told_apart() {
        let ids: Vec<String> = sessions().iter().map(|session| session.id.to_string()).collect();
        for id in &ids {
            let short = shortest(id, &ids);
            assert_eq!(ids.iter().filter(|other| other.starts_with(short)).count(), 1, "{short}");
        }
        assert_eq!(shortest(&ids[2], &ids), "01990c2d-0000");
        assert_eq!(shortest(&ids[0], &ids[..1]), "01990c2e-7d1a");
    }

    #[test]
    fn details() {
        let digest =
            |bytes: u64, kept: u64| Some(ChannelDigest { bytes, kept, sha256: Sha256Hex([0xab; 32]) });
        let detail = SessionDetail {
            session: sessions().remove(1),
            allow: "shell,exec".parse().unwrap(),
            record: Recording::default(),
            client: "SSH-2.0-\u{1b}[31mevil".into(),
            upstream: Some(UpstreamDetail {
                address: "10.0.0.5:22".parse().unwrap(),
                host_key: Fingerprint::from_sha256([1; 32]),
                verified: "first_use".into(),
                credential: "certificate 17".into(),
                server: "SSH-2.0-OpenSSH_9.2".into(),
            }),
            channels: vec![
                ChannelDetail {
                    channel: 0,
                    kind: "session".into(),
                    request: Some("exec".into()),
                    command: Some("printf '\u{1b}]0;title\u{7}'\nrm -rf /".into()),
                    exit_status: Some(255),
                    duration_us: Some(2_500_000),
                    input: digest(0, 0),
                    output: digest(1_234_567, 65_536),
                    error: digest(9, 9),
                    ..ChannelDetail::default()
                },
                ChannelDetail {
                    channel: 1,
                    kind: "x11".into(),
                    refused: Some("not granted".into()),
                    ..ChannelDetail::default()
                },
                ChannelDetail {
                    channel: 2,
                    kind: "session".into(),
                    request: Some("shell".into()),
                    pty: true,
                    exit_signal: Some("KILL".into()),
                    ..ChannelDetail::default()
                },
            ],
            recording: vec![RecordingFile {
                name: "manifest.json".into(),
                bytes: 812,
                sha256: Sha256Hex([7; 32]),
            }],
        };
        let shown = detail_text(&detail, at(200), false);
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'));
        insta::assert_snapshot!(shown);
    }
}
