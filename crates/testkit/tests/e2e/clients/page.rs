//! `docs/clients.md`, written from the matrix.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::{Cell, MATRIX};

const HEAD: &str = "# Clients

What stock clients do through Bartizan, by both ways in: `ProxyJump` and the user name. Each cell below is a test
that `make test` runs with the real client and a real OpenSSH server; it also looks for the session, the command and
every byte in the audit log, and for files that pass as such the path and the SHA-256 in their `transfer` events. The
page is written from the tests' own list; a cell without a test or a reason does not compile. After a change: `BARTIZAN_UPDATE_DOCS=1 make test` writes it anew.

The SFTP root (`sftp alice@bastion`, `/web-1/root/…`) is gone around in by OpenSSH's `sftp` and `scp`, `psftp`, Paramiko, rclone and
sshfs; those tests are in `crates/testkit/tests/e2e/sftp_root.rs`.

| client | shell | exec | upload | download | forward |
|---|---|---|---|---|---|
";

/// Both ways together where they agree, and notes by number.
fn cell(cell: [Cell; 2], notes: &mut Vec<&'static str>) -> String {
    let mut number = |reason| {
        let at = notes.iter().position(|note| *note == reason).unwrap_or_else(|| {
            notes.push(reason);
            notes.len() - 1
        });
        format!("– ({})", at + 1)
    };
    match cell {
        [Cell::Tested, Cell::Tested] => "yes".into(),
        [Cell::Cannot(a), Cell::Cannot(b)] if a == b => number(a),
        ways => {
            let mut one = |cell| match cell {
                Cell::Tested => "yes".to_owned(),
                Cell::Cannot(reason) => number(reason),
            };
            format!("ProxyJump {}, user name {}", one(ways[0]), one(ways[1]))
        }
    }
}

fn page() -> String {
    let (mut text, mut notes) = (HEAD.to_owned(), Vec::new());
    for row in MATRIX {
        let cells = row.cells.map(|both| cell(both, &mut notes));
        writeln!(text, "| {} | {} |", row.client, cells.join(" | ")).unwrap();
    }
    text += "\n";
    for (index, note) in notes.iter().enumerate() {
        writeln!(text, "{}. {note}", index + 1).unwrap();
    }
    text += "\n## How each takes the two ways\n\n| client | ProxyJump | user name |\n|---|---|---|\n";
    for row in MATRIX {
        let name = row.client.split([':', ';', ',']).next().unwrap();
        writeln!(text, "| {name} | {} | {} |", row.ways[0], row.ways[1]).unwrap();
    }
    text
}

#[test]
fn the_page_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/clients.md");
    let page = page();
    if std::env::var_os("BARTIZAN_UPDATE_DOCS").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page,
        "docs/clients.md is out of date: BARTIZAN_UPDATE_DOCS=1 makes the tests write it"
    );
}

#[test]
fn every_client_stands_once() {
    let names: BTreeSet<_> = MATRIX.iter().map(|row| row.client).collect();
    assert_eq!(names.len(), MATRIX.len());
    for row in MATRIX {
        assert!(row.cells.iter().flatten().any(|cell| *cell == Cell::Tested), "{} does nothing", row.client);
    }
}
