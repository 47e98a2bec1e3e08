//! `docs/tour.md`: what operators and auditors see, made from a real session and held to what the programs print.
//!
//! `BARTIZAN_TOUR=write` writes the page anew. Otherwise the page must say what the programs say now, but for ids, times,
//! digests, ports, and the spaces that follow from their lengths.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use bartizan_testkit::{programs, run};

use crate::scene::{Client, Options, Scene, Way, text};

const COMMAND: &str = "printf '\\033[32mall is well\\033[0m on web-1\\n'; seq 3 -1 1";

fn page() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tour.md"))
}

/// What a command prints on a terminal of 80 columns, without colours.
fn on_a_terminal(scene: &Scene, words: &str) -> String {
    let program = programs().join("bartizan");
    let line =
        format!("stty cols 80 rows 50; {} -D {} {words}", text(&program), text(&scene.bartizan().data()));
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").env("NO_COLOR", "1");
    run(&mut script).ok().text().replace('\r', "")
}

/// The first lines that a command prints which goes on printing.
fn first_lines(scene: &Scene, words: &[&str], count: usize) -> String {
    let mut bartizan = Command::new(programs().join("bartizan"));
    let mut client = Client::start(bartizan.arg("-D").arg(scene.bartizan().data()).args(words));
    (0..count).map(|_| client.read_to("\n")).collect()
}

fn show(page: &mut String, what: &str, command: &str, output: &str) {
    // Colours of a recording are shown, not done.
    let output = output.replace('\u{1b}', "\u{241b}");
    let output: Vec<&str> = output.lines().map(str::trim_end).collect();
    write!(page, "\n{what}\n\n```console\n$ bartizan {command}\n{}\n```\n", output.join("\n").trim_end())
        .unwrap();
}

fn tour() -> String {
    let options = Options { allow: Some("shell,exec,sftp:read,sftp:write,scp"), ..Options::default() };
    let scene = Scene::with(Way::ProxyJump, &options);
    run(scene.client.ssh().args(["-tt", scene.host(), COMMAND])).ok();
    let terminal = scene.ended_session()["id"].as_str().unwrap().to_owned();
    scene.exec("echo hi; exit 7").exits(7);
    scene.ended_session();
    // Refused, and on record.
    run(scene.client.ssh().args(["-l", "nobody", scene.host(), "true"])).fails();

    let mut page = String::from(
        "# A tour\n\nWhat operators and auditors see of three sessions: a command in a terminal, one without, \
         and one that was refused. Each output is as on a terminal of 80 columns. This page is made by a test \
         (`crates/testkit/tests/e2e/tour.rs`), which fails when the programs print something else.\n",
    );
    let short = &terminal[..18];
    let list = "session list";
    show(&mut page, "Sessions, the newest first.", list, &on_a_terminal(&scene, list));
    let detail = format!("session show {short}");
    show(
        &mut page,
        "One of them, with digests of everything that passed.",
        &detail,
        &on_a_terminal(&scene, &detail),
    );
    let play = format!("session play {short} --speed 100");
    let played = scene.bartizan().say(&["session", "play", &terminal, "--speed", "100"]).replace('\r', "");
    show(&mut page, "Its recording, here a hundred times as fast.", &play, &played);
    let search = "log search --person alice --limit 12";
    show(&mut page, "What alice did, the newest first.", search, &on_a_terminal(&scene, search));
    let denied = "log search --outcome denied";
    show(&mut page, "What was refused, and why.", denied, &on_a_terminal(&scene, denied));
    let tail = first_lines(&scene, &["log", "tail", "-f", "-n", "3"], 3);
    show(&mut page, "The log as it grows.", "log tail -f -n 3", &tail);
    page
}

/// The page without what differs from run to run.
fn normal(page: &str) -> String {
    // What a client or server says of its version goes on to the end of the line.
    let known: String = page
        .lines()
        .map(|line| line.split("SSH-2.0-").next().unwrap_or_default().to_owned() + "\n")
        .collect();
    let words = known.split_whitespace().map(word);
    let mut normal = String::new();
    for word in words {
        normal.push_str(&word);
        normal.push(if word.ends_with('.') || word == "```" { '\n' } else { ' ' });
    }
    normal
}

fn word(word: &str) -> String {
    let core = word.trim_matches(|c: char| "()[],:;…".contains(c));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let hex = |text: &str| text.len() >= 8 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let login = bartizan_testkit::whoami();
    if word.contains("127.0.0.1:") || word.contains("[::1]:") {
        return "ADDRESS".into();
    }
    if word.contains("SHA256:") {
        return "FINGERPRINT".into();
    }
    // 2026-11-21, 08:30:00, 08:30
    if core.len() >= 5
        && core.bytes().all(|b| b.is_ascii_digit() || b"-:.TZ".contains(&b))
        && core.contains(['-', ':'])
    {
        return "TIME".into();
    }
    if hex(core.trim_start_matches("g-")) {
        return "ID".into();
    }
    if digits(&core.replace('.', "")) || ["ms", "s", "B", "KiB"].contains(&core) {
        return "N".into();
    }
    word.replace(&login, "LOGIN")
}

#[test]
fn the_page_says_what_the_programs_say() {
    let made = tour();
    if std::env::var_os("BARTIZAN_TOUR").is_some_and(|value| value == "write") {
        fs::write(page(), &made).unwrap();
    }
    let written = fs::read_to_string(page()).unwrap_or_default();
    let (made, written) = (normal(&made), normal(&written));
    let differing = made.lines().zip(written.lines()).find(|(made, written)| made != written);
    assert!(
        made == written,
        "docs/tour.md is out of date; BARTIZAN_TOUR=write writes it anew. The first difference, now and there:\n{differing:#?}"
    );
}
