//! Golden help of every command, and values as people write them.

use bartizan_model::Timestamp;
use clap::CommandFactory as _;

use super::values::{Address, RecordSize, Speed, duration, future, past};
use super::*;

#[test]
fn the_tree_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_of_every_command() {
    fn collect(command: &mut clap::Command, path: &str, into: &mut String) {
        into.push_str(&format!("=== {path} --help\n{}\n", command.render_long_help()));
        for inner in command.get_subcommands_mut() {
            let path = format!("{path} {}", inner.get_name());
            collect(inner, &path, into);
        }
    }
    let mut command = Cli::command().term_width(80).disable_help_subcommand(true);
    command.build();
    let mut text = String::new();
    collect(&mut command, "bartizan", &mut text);
    insta::assert_snapshot!(text);
}

/// The commands of the shortest path in the design, word for word.
#[test]
fn the_shortest_path_parses() {
    for line in [
        "person add alice --key ~/.ssh/id_ed25519.pub",
        "ca show user",
        "target add web-1 10.0.0.5:22 --first-use",
        "target add web-1 10.0.0.5:22 --host-key FILE",
        "grant add --person alice --target web-1 --login root --allow shell,exec,sftp:read,sftp:write,scp",
        "grant add --role ops --target env=prod,tier=web --login root --allow shell",
        "role assign ops alice bob",
        "target add web-1 10.0.0.5:22 --first-use --label env=prod --label tier=web",
        "target label web-1 env=prod tier-",
        "apply -f directory.toml --dry-run",
        "apply --file - --prune",
        "export",
        "session list --json",
        "session export 01990c2e --format text",
        "session export 01990c2e --format asciicast",
        "session export 01990c2e --format typescript",
        "session export 01990c2e --format ttyrec",
        "session export 01990c2e --format raw",
        "log search --type transfer --json",
        "log verify",
        "log verify --since kept.checkpoint --key log.vkey",
        "log verify --proof 41.tlog-proof --key log.vkey",
        "log prove 41 -o 41.tlog-proof",
        "log reindex",
        "log checkpoint -o kept.checkpoint",
        "access check alice root@web-1 sftp:read",
        "access check alice root@web-1 sftp:write --file /etc/passwd",
        "grant add --person a --target t --login root --allow sftp:read --path /srv/** --path /tmp/* --not-path /srv/k --max-file-size 100M",
        "grant add --person a --target t --login root --allow forward:local,forward:remote --forward-to db:1-9 --forward-to /run/x --listen-on :0",
        "access check alice root@web-1 forward:local --to db:5432",
        "grant add --person a --target web-* --login root deploy --allow shell --source 10.0.0.0/8,::1 --expires 8h",
        "session play 0199 --speed 2.5 --idle-limit 2s --from 1m",
    ] {
        let words = ["bartizan", "-D", "./data"].into_iter().chain(line.split(' '));
        Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {e}"));
    }
}

#[test]
fn usage_errors_say_what_is_expected() {
    let lines = [
        "target add web-1 10.0.0.5",
        "target add web-1 10.0.0.5 --first-use --host-key x",
        "target add web-1 a:b --first-use",
        "target add -- -x 10.0.0.5",
        "person add a\u{1b}[2J",
        "grant add --person a --target t --allow shell",
        "grant add --person a --target t --login root --allow sudo",
        "grant add --person a --target t --login root --allow shell --record 3x",
        "grant add --person a --target t --login root --allow shell --source 10.0.0.0/40",
        "grant add --person a --target t --login root --allow sftp:read --path srv/**",
        "grant add --person a --target t --login root --allow sftp:read --path /srv/[ab]",
        "grant add --person a --target t --login root --allow sftp:read --max-file-size full",
        "grant add --person a --target t --login root --allow forward:local --forward-to 10.*:22",
        "grant add --person a --target t --login root --allow forward:local --forward-to db",
        "grant add --person a --target t --login root --allow forward:remote --listen-on localhost:70000",
        "access check alice web-1 shell",
        "session export 0199 --format gif",
        "session list --state gone",
        "log search --since yesterday",
        "persn list",
    ];
    let told = lines.map(|line| {
        let words = ["bartizan"].into_iter().chain(line.split(' '));
        let error = Cli::try_parse_from(words).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        format!("--- {line:?}\n{error}\n")
    });
    insta::assert_snapshot!(told.concat());
}

#[test]
fn addresses_as_people_write_them() {
    for (text, host, port) in [
        ("10.0.0.5:22", "10.0.0.5", 22),
        ("web.example.com", "web.example.com", 22),
        ("web:2222", "web", 2222),
        ("[::1]:2200", "::1", 2200),
        ("[::1]", "::1", 22),
        ("::1", "::1", 22),
    ] {
        assert_eq!(text.parse::<Address>().unwrap(), Address { host: host.into(), port }, "{text}");
    }
    for text in ["", ":22", "web:0", "web:70000", "web:", "[::1", "[::1]x", "-o:22", "a b"] {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
}

#[test]
fn sizes_speeds_and_durations() {
    for (text, cap) in [
        ("full", None),
        ("digests", Some(0)),
        ("0", Some(0)),
        ("1000", Some(1000)),
        ("64K", Some(64 << 10)),
        ("16MiB", Some(16 << 20)),
        ("1G", Some(1 << 30)),
    ] {
        assert_eq!(text.parse::<RecordSize>().unwrap().recording(false).channel_cap, cap, "{text}");
    }
    for text in ["", "1T", "x", "-1", "99999999999999999999", "99999999999999G", "3full"] {
        assert!(text.parse::<RecordSize>().is_err(), "{text}");
    }
    for (text, tenths) in [("1", 10), ("0.1", 1), ("2.5", 25), ("100", 1000)] {
        assert_eq!(text.parse::<Speed>().unwrap().tenths(), tenths);
    }
    for text in ["0", "0.0", "100.1", "1.25", "-1", "", ".", "x", "9999999999"] {
        assert!(text.parse::<Speed>().is_err(), "{text}");
    }
    assert_eq!(duration("500ms").unwrap().as_millis(), 500);
    assert_eq!(duration("7d").unwrap().as_secs(), 7 * 86_400);
    for text in ["", "5", "s", "-1s", "1y", "é", "99999999999999999999s"] {
        assert!(duration(text).is_err(), "{text}");
    }
    assert_eq!(past("2026-01-01").unwrap().to_string(), "2026-01-01T00:00:00.000000Z");
    assert!(past("2h").unwrap() < Timestamp::now() && future("2h").unwrap() > Timestamp::now());
}

#[test]
fn what_could_be_a_slip_is_refused_with_what_may_be_meant() {
    let told = |line: &str| {
        let words = ["bartizan"].into_iter().chain(line.split(' '));
        Cli::try_parse_from(words).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let grant = "grant add --person a --target w --login root --allow sftp:read";
    for (line, says) in [
        ("target add web-6 ::1:22 --first-use", "[::1]:22"),
        (&*format!("{grant} --source 10.0.0.1/8"), "10.0.0.0/8"),
        (&*format!("{grant} --max-file-size 0"), "no file"),
        ("log search --type access.denied", "access.deny"),
        ("log search --type nope", "possible values"),
        ("log search --type *", "session.*"),
    ] {
        assert!(told(line).contains(says), "{line}: {}", told(line));
    }
    for line in ["log search --type access.deny", "log search --type sftp.*", "log search --type command"] {
        assert_eq!(told(line), "", "{line}");
    }
    assert_eq!(told(&format!("{grant} --source 10.0.0.0/8,10.0.0.1,fd00::/8")), "");
}
