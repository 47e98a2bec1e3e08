//! What decoders read out of bytes, in words. Paths are foreign text; the caller escapes it.

use bartizan_model::event::Body;
use bartizan_model::observation::{Direction, PathChange, PathPair, Transfer};

/// What is particular to a derived event; none for events that are not derived.
pub(super) fn particular(body: &Body) -> Option<String> {
    Some(match body {
        Body::Transfer(transfer) => file(transfer),
        Body::SftpRename(pair)
        | Body::SftpSymlink(pair)
        | Body::SftpHardlink(pair)
        | Body::SftpCopy(pair) => both(pair),
        Body::SftpRemove(change) | Body::SftpMkdir(change) | Body::SftpRmdir(change) => one(change),
        Body::SftpSetstat(set) => {
            format!("{} {} {}{}", set.channel, set.request, set.path, unless_ok(&set.status))
        }
        Body::SftpRefuse { channel, request, path, to, reason, .. } => {
            let to = to.as_ref().map(|to| format!(" → {to}")).unwrap_or_default();
            format!("{channel} {request} {path}{to}: {reason}")
        }
        Body::SftpEnd(end) => {
            format!(
                "{} {} requests, {} opens, {} listings",
                end.channel, end.requests, end.opens, end.listings
            )
        }
        Body::ScpEnd(end) => {
            let (way, path) = (way(end.direction), &end.path);
            format!(
                "{} {way} {path}: {} files, {} folders, {} errors",
                end.channel, end.files, end.folders, end.errors
            )
        }
        Body::RsyncEnd(end) => {
            let (way, paths) = (end.direction.map_or("asked for nothing", way), end.paths.join(" "));
            let moved = match (end.transferred, end.listed) {
                (Some(moved), Some(listed)) => format!("{moved} files of {listed} entries, "),
                _ => String::new(),
            };
            let (channel, status) = (end.channel, unless_ok(&end.status));
            format!("{channel} {way} {paths}: {moved}{} in, {} out{status}", end.bytes_in, end.bytes_out)
        }
        Body::GitRef(git) => {
            let at = |id: &Option<String>| {
                id.as_ref().map_or("nothing".into(), |id| id.chars().take(10).collect())
            };
            let (old, new): (String, String) = (at(&git.old), at(&git.new));
            format!("{} {} {} {old} → {new}{}", git.channel, git.repository, git.name, unless_ok(&git.status))
        }
        Body::GitEnd(git) => {
            format!(
                "{} {} {}: {} refs, {} bytes",
                git.channel, git.service, git.repository, git.refs, git.pack_bytes
            )
        }
        Body::AgentRequest(agent) => {
            let key = agent.key.map(|key| format!(" by {key}")).unwrap_or_default();
            let user = agent.user.as_ref().map(|user| format!(" to log in as {user}")).unwrap_or_default();
            format!("{} {}{key}{user}{}", agent.channel, agent.request, unless_ok(&agent.status))
        }
        Body::ForwardGreeting(greeting) if let Some(identification) = &greeting.identification => {
            format!("{} SSH inside, unseen: {identification}", greeting.channel)
        }
        Body::ForwardGreeting(greeting) => {
            let words = [greeting.request.as_deref(), greeting.host.as_deref()];
            format!("{} {}", greeting.channel, words.into_iter().flatten().collect::<Vec<_>>().join(" on "))
        }
        Body::DecodeStop(stop) => format!("{} {}", stop.channel, stop.reason),
        _ => return None,
    })
}

fn file(transfer: &Transfer) -> String {
    let partial = if transfer.partial { ", not all of it" } else { "" };
    let refused = transfer.refused.as_ref().map(|why| format!(", a part beyond it refused: {why}"));
    let Transfer { channel, direction, path, bytes, status, .. } = transfer;
    let (refused, status) = (refused.unwrap_or_default(), unless_ok(status));
    format!("{channel} {} {path}: {bytes} bytes{partial}{refused}{status}", way(*direction))
}

fn both(PathPair { channel, from, to, status, .. }: &PathPair) -> String {
    format!("{channel} {from} → {to}{}", unless_ok(status))
}

fn one(PathChange { channel, path, status, .. }: &PathChange) -> String {
    format!("{channel} {path}{}", unless_ok(status))
}

fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Upload => "upload",
        Direction::Download => "download",
    }
}

fn unless_ok(status: &str) -> String {
    if status == "ok" { String::new() } else { format!(" ({status})") }
}
