//! Compares what is on record with what passed.

use aws_lc_rs::digest::{SHA256, digest};
use bartizan_model::ChannelDigest;
use bartizan_model::api::ChannelDetail;
use bartizan_record::Stream;
use serde_json::Value;

use super::checks::{Bytes, Passed};

/// What a recording keeps of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Its bytes, as many as the grant says.
    Bytes,
    /// None of them: the grant says that length and digest are enough.
    DigestsOnly,
}

/// Whether it is the channel of what passed.
pub(super) fn is_of(channel: &ChannelDetail, passed: &Passed) -> bool {
    let command =
        |wanted: &String| channel.command.as_ref().is_some_and(|command| command.contains(wanted.as_str()));
    channel.kind == passed.kind
        && channel.request.as_deref() == passed.request
        && channel.pty == passed.pty
        && passed.command.as_ref().is_none_or(command)
}

/// Compares exit status, lengths and digests with what passed.
pub(super) fn account(channel: &ChannelDetail, passed: &Passed) -> Result<(), String> {
    if channel.exit_status != passed.exit {
        return Err(format!(
            "its exit status is {:?} in the log, {:?} to the client",
            channel.exit_status, passed.exit
        ));
    }
    bytes("sent", &channel.input, &passed.input)?;
    bytes("received", &channel.output, &passed.output)
}

/// Compares the bytes that a recording has of each stream with what passed.
pub(super) fn kept(found: &[Vec<u8>; 3], channel: &ChannelDetail, passed: &Passed) -> Result<Kept, String> {
    let (mut all, mut held) = (0, 0);
    for (stream, wanted, digest) in
        [(Stream::Input, &passed.input, &channel.input), (Stream::Output, &passed.output, &channel.output)]
    {
        let Some(digest) = digest else { continue };
        (all, held) = (all + digest.bytes, held + digest.kept);
        let Bytes::Exactly(wanted) = wanted else { continue };
        let found = &found[stream as usize];
        if found.len() as u64 != digest.kept || !wanted.starts_with(found) {
            return Err(format!("the recording's bytes ({stream:?}) are not what passed"));
        }
    }
    Ok(if held == 0 && all > 0 { Kept::DigestsOnly } else { Kept::Bytes })
}

/// Whether an event tells that the file passed, whole.
pub(super) fn is_transfer(event: &Value, name: &str, content: &[u8]) -> bool {
    let is = |key: &str, right: &dyn Fn(&str) -> bool| event[key].as_str().is_some_and(right);
    let named = is("path", &|path| path.ends_with(name)) || is("name", &|found| found == name);
    named && is("sha256", &|found| found == hex(content))
}

/// Whether events of a session tell that the target was asked to listen for the client, and listened on `on`.
pub(super) fn has_listened(events: &[Value], on: &str) -> Result<(), String> {
    let has = |state: &str| events.iter().find(|event| event["state"] == state);
    match (has("asked"), has("listening")) {
        (None, _) => Err("no forward.listen event says that the target was asked to listen".to_owned()),
        (_, None) => Err("no forward.listen event says that the target listens".to_owned()),
        (_, Some(event)) if event["on"] != on => Err(format!(
            "the forward.listen event says that the target listens on {}, and it is {on}",
            event["on"].as_str().unwrap_or_default()
        )),
        _ => Ok(()),
    }
}

fn hex(content: &[u8]) -> String {
    digest(&SHA256, content).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(what: &str, logged: &Option<ChannelDigest>, passed: &Bytes) -> Result<(), String> {
    let Some(logged) = logged else { return Err(format!("the log has no digest of what was {what}")) };
    let right = match passed {
        Bytes::Exactly(bytes) => {
            logged.bytes == bytes.len() as u64 && logged.sha256.0[..] == *digest(&SHA256, bytes).as_ref()
        }
        Bytes::AtLeast(least) => logged.bytes >= *least as u64,
        Bytes::Some => true,
    };
    if right {
        Ok(())
    } else {
        Err(format!("length or digest of what was {what} is not that of what passed"))
    }
}

#[cfg(test)]
mod tests {
    use bartizan_model::Sha256Hex;
    use serde_json::json;

    use super::*;

    fn logged(bytes: &[u8]) -> Option<ChannelDigest> {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, bytes).as_ref());
        let length = bytes.len() as u64;
        Some(ChannelDigest { bytes: length, kept: length, sha256: Sha256Hex(sha256) })
    }

    fn passed() -> Passed {
        Passed {
            kind: "session",
            request: Some("exec"),
            command: Some("cat; : 1234; exit 7".into()),
            pty: false,
            exit: Some(7),
            input: Bytes::Exactly(b"in".to_vec()),
            output: Bytes::Exactly(b"output".to_vec()),
            file: None,
            listens: None,
        }
    }

    fn channel() -> ChannelDetail {
        ChannelDetail {
            channel: 0,
            kind: "session".into(),
            request: Some("exec".into()),
            command: Some("cat; : 1234; exit 7".into()),
            pty: false,
            refused: None,
            exit_status: Some(7),
            exit_signal: None,
            duration_us: None,
            input: logged(b"in"),
            output: logged(b"output"),
            error: None,
        }
    }

    /// The channel after a change.
    fn but(change: impl FnOnce(&mut ChannelDetail)) -> ChannelDetail {
        let mut channel = channel();
        change(&mut channel);
        channel
    }

    fn found() -> [Vec<u8>; 3] {
        let mut found: [Vec<u8>; 3] = Default::default();
        found[Stream::Input as usize] = b"in".to_vec();
        found[Stream::Output as usize] = b"output".to_vec();
        found
    }

    #[test]
    fn what_is_all_there_is_found() {
        assert!(is_of(&channel(), &passed()));
        account(&channel(), &passed()).unwrap();
        assert_eq!(kept(&found(), &channel(), &passed()), Ok(Kept::Bytes));
    }

    #[test]
    fn another_channel_is_not_taken_for_it() {
        for other in [
            but(|channel| channel.kind = "direct-tcpip".into()),
            but(|channel| channel.request = Some("shell".into())),
            but(|channel| channel.request = None),
            but(|channel| channel.command = Some("cat; : 4321; exit 7".into())),
            but(|channel| channel.command = None),
            but(|channel| channel.pty = true),
        ] {
            assert!(!is_of(&other, &passed()), "{other:?}");
        }
    }

    #[test]
    fn an_account_that_says_something_else_is_a_gap() {
        for (word, other) in [
            ("exit status", but(|channel| channel.exit_status = Some(0))),
            ("exit status", but(|channel| channel.exit_status = None)),
            ("no digest of what was sent", but(|channel| channel.input = None)),
            ("no digest of what was received", but(|channel| channel.output = None)),
            ("sent", but(|channel| channel.input = logged(b"im"))),
            ("received", but(|channel| channel.output = logged(b"outpux"))),
            ("received", but(|channel| channel.output.as_mut().unwrap().bytes += 1)),
        ] {
            let gap = account(&other, &passed()).unwrap_err();
            assert!(gap.contains(word), "{gap}");
        }
        // Where the client does not know the bytes, their number still has a floor.
        let passed = Passed { output: Bytes::AtLeast(7), ..passed() };
        assert!(account(&channel(), &passed).unwrap_err().contains("received"));
        account(&but(|channel| channel.output = logged(b"output!")), &passed).unwrap();
    }

    #[test]
    fn a_recording_that_keeps_other_bytes_is_a_gap() {
        let gap = |change: fn(&mut [Vec<u8>; 3])| {
            let mut found = found();
            change(&mut found);
            kept(&found, &channel(), &passed()).unwrap_err()
        };
        assert!(gap(|found| found[Stream::Output as usize][3] ^= 1).contains("Output"));
        assert!(gap(|found| found[Stream::Output as usize].clear()).contains("Output"));
        assert!(gap(|found| found[Stream::Input as usize].push(0)).contains("Input"));
    }

    #[test]
    fn a_grant_that_keeps_less_is_told_from_one_that_keeps_nothing() {
        let keeps = |input, output| {
            but(|channel| {
                channel.input.as_mut().unwrap().kept = input;
                channel.output.as_mut().unwrap().kept = output;
            })
        };
        let mut found = found();
        found[Stream::Input as usize].clear();
        found[Stream::Output as usize].truncate(3);
        assert_eq!(kept(&found, &keeps(0, 3), &passed()), Ok(Kept::Bytes));
        assert_eq!(kept(&Default::default(), &keeps(0, 0), &passed()), Ok(Kept::DigestsOnly));
        // It says that it keeps them, and has them not.
        assert!(kept(&Default::default(), &keeps(0, 3), &passed()).is_err());
    }

    #[test]
    fn a_listener_without_its_events_is_a_gap() {
        let event = |state: &str, on: &str| json!({ "state": state, "on": on });
        let (asked, on) = (event("asked", "127.0.0.1:0"), "127.0.0.1:4711");
        assert_eq!(has_listened(&[event("listening", on), asked.clone()], on), Ok(()));
        for (events, word) in [
            (vec![], "asked"),
            (vec![event("listening", on)], "asked"),
            (vec![asked.clone()], "that the target listens"),
            (vec![asked.clone(), event("failed", on)], "that the target listens"),
            (vec![asked, event("listening", "127.0.0.1:4712")], "4712"),
        ] {
            assert!(has_listened(&events, on).unwrap_err().contains(word), "{events:?}");
        }
    }

    #[test]
    fn a_transfer_of_another_file_or_other_bytes_is_none_of_it() {
        let event = |path: &str, name: Option<&str>, sha256: Option<String>| json!({ "path": path, "name": name, "sha256": sha256 });
        let right = Some(hex(b"content"));
        for event in [event("/tmp/mark-1", None, right.clone()), event("/tmp", Some("mark-1"), right.clone())]
        {
            assert!(is_transfer(&event, "mark-1", b"content"), "{event}");
        }
        for event in [
            event("/tmp/mark-2", None, right),
            event("/tmp/mark-1", None, Some(hex(b"contend"))),
            event("/tmp/mark-1", None, None),
        ] {
            assert!(!is_transfer(&event, "mark-1", b"content"), "{event}");
        }
    }
}
