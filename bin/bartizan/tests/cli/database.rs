//! The files of the embedded database: missing, damaged, replaced.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use bartizan_testkit::Bartizan;

use super::{Tells as _, program, text};

/// A server that began with an empty database would look as if everybody had been removed.
#[test]
fn a_database_that_is_gone_or_damaged_is_named_and_never_made_anew() {
    let mut bartizan = Bartizan::start();
    bartizan.say(&["person", "add", "alice"]);
    bartizan.stop();
    let data = bartizan.data();
    let file = data.join("bartizan.db");
    let whole = fs::read(&file).unwrap();
    let refused = |command: &str, what: &str| {
        let told = program("bartizand", &[command, "--data", text(&data)]).exits(1);
        told.tells(&[text(&file), what, "hint: restore it from a backup"]);
    };
    fs::remove_file(&file).unwrap();
    for command in ["check", "serve"] {
        refused(command, "is missing");
    }
    assert!(!file.exists(), "nothing was made in its place");
    let garbage = [b"garbage garbage!", &whole[16..]].concat();
    for (bytes, what) in
        [(&b""[..], "is empty"), (&whole[..9], "is no database"), (&garbage, "is no database")]
    {
        fs::write(&file, bytes).unwrap();
        for command in ["check", "serve"] {
            refused(command, what);
        }
        assert_eq!(fs::read(&file).unwrap(), bytes, "nothing was written");
    }
    // Half written, or broken within: it begins well.
    let half = &whole[..whole.len() / 2];
    let last = whole.len() - 4096;
    let broken = [&whole[..last], &[0xff; 4096]].concat();
    for bytes in [half, &broken] {
        fs::write(&file, bytes).unwrap();
        for command in ["check", "serve"] {
            refused(command, "the database is damaged");
        }
        assert_eq!(fs::read(&file).unwrap(), bytes, "nothing was written");
    }

    fs::write(&file, &whole).unwrap();
    program("bartizand", &["check", "--data", text(&data)]).ok().tells(&["bartizan.db: ok"]);
    bartizan.start_again();
    assert_eq!(bartizan.json(&["person", "list"])[0]["name"], "alice");
    program("bartizand", &["check", "--data", text(&data)]).ok().tells(&["bartizan.db: ok"]);
}

/// What would be written to a file that is no longer there is lost at the next start, unnoticed.
#[test]
fn a_database_that_is_replaced_under_the_server_is_not_changed() {
    let bartizan = Bartizan::start();
    bartizan.say(&["person", "add", "alice"]);
    let file = bartizan.data().join("bartizan.db");
    let aside = bartizan.data().join("aside");
    fs::rename(&file, &aside).unwrap();
    fs::copy(&aside, &file).unwrap();
    bartizan.cli(&["person", "add", "bob"]).exits(1).tells(&[
        text(&file),
        "was replaced or removed under the running server",
        "start the server again",
    ]);
    assert_eq!(bartizan.json(&["person", "list"]).as_array().unwrap().len(), 1);
    let told = ready(&bartizan);
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
    assert!(told.contains("\ndatabase: ") && told.contains("was replaced or removed"), "{told}");
    fs::rename(&aside, &file).unwrap();
    assert!(ready(&bartizan).ends_with("\r\n\r\nok\n"));
    bartizan.say(&["person", "add", "bob"]);
}

/// What `/readyz` answers on `admin.sock`.
fn ready(bartizan: &Bartizan) -> String {
    let mut stream = UnixStream::connect(bartizan.data().join("admin.sock")).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: bartizan\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The index is made from the log and is never evidence: it comes back by itself, whatever happened to it.
#[test]
fn an_index_that_is_gone_or_damaged_comes_back() {
    let mut bartizan = Bartizan::start();
    for n in 0..10 {
        bartizan.say(&["person", "add", &format!("p{n}")]);
    }
    let search = ["log", "search", "--type", "directory.change", "--json"];
    let before = bartizan.say(&search);
    bartizan.stop();
    let file = bartizan.data().join("index.db");
    let whole = fs::read(&file).unwrap();
    let pages = whole.len() / 4096;
    let page = |page: usize| {
        let mut bytes = whole.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0xff);
        bytes
    };
    let mut broken = vec![Vec::new(), b"garbage".repeat(1000), whole[..whole.len() / 2].to_vec()];
    broken.extend((1..pages).step_by(pages.div_ceil(6)).map(page));
    for (n, bytes) in broken.iter().map(Some).chain([None]).enumerate() {
        fs::remove_file(&file).unwrap();
        if let Some(bytes) = bytes {
            fs::write(&file, bytes).unwrap();
        }
        bartizan.start_again();
        // Found by the first question, if not at the start.
        let first = bartizan.cli(&search);
        if !first.status.success() {
            first.tells(&[
                "the index is damaged and is made again from the log",
                "hint: ask again in a moment",
            ]);
        }
        assert_eq!(bartizan.say(&search), before, "{n}");
        bartizan.stop();
    }
}
