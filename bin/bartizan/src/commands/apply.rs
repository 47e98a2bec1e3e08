//! `bartizan apply` and `bartizan export`.

use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use bartizan_model::api::{ApplyLine, ApplyProgress, ApplyReport, DiffOp, FieldDiff, FileFault, RecordDiff};

use super::Context;
use crate::args::Apply;
use crate::failure::{Failure, Kind};
use crate::out::{cell, count};
use crate::table::{Look, paint};

/// Longest file that is read.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Applies a directory file and prints what changed.
pub(crate) async fn run(context: &Context, apply: &Apply) -> Result<(), Failure> {
    let text = read(&apply.file)?;
    let path = format!("/v1/directory/apply?dry_run={}&prune={}", apply.dry_run, apply.prune);
    let mut lines = context.client.post_text(&path, text).await?;
    let progress = Progress::new();
    while let Some(line) = lines.next().await? {
        let line = serde_json::from_slice(&line)
            .map_err(|e| Failure::failed(format!("the server and this program differ: {e}")))?;
        match line {
            ApplyLine::Progress(done) => progress.show(&done),
            ApplyLine::Refused(faults) => {
                progress.clear();
                if context.out.json {
                    context.out.value(&serde_json::json!({ "refused": faults }))?;
                }
                return Err(Failure::new(Kind::Failed, refused(&apply.file, &faults))
                    .hint("nothing was changed; docs/directory-file.md explains the file"));
            }
            ApplyLine::Failed(reply) => {
                progress.clear();
                return Err(Failure::of_server(reply));
            }
            ApplyLine::Done(report) => {
                progress.clear();
                return context.out.one(&report, || told(&report, context.out.colour));
            }
        }
    }
    Err(Failure::failed("the server broke off; what it did is in its log")
        .hint("`bartizan log search --type directory.change`, then apply the file again"))
}

/// Prints the directory as a file; over one that is there only by `force`.
pub(crate) async fn export(context: &Context, output: Option<&Path>, force: bool) -> Result<(), Failure> {
    let text = context.client.text("/v1/directory").await?;
    if context.out.json {
        return Err(Failure::new(Kind::Usage, "a directory file is TOML; there is no JSON of it")
            .hint("`person list --json`, `target list --json` and the like give JSON"));
    }
    match output {
        None => context.out.bytes(&text),
        Some(path) => {
            let opened = if force { std::fs::File::create(path) } else { std::fs::File::create_new(path) };
            opened.and_then(|mut file| file.write_all(&text)).map_err(|e| match e.kind() {
                ErrorKind::AlreadyExists => {
                    Failure::failed(format!("{} exists already; it was not overwritten", path.display()))
                        .hint("name another file, or write over it with --force")
                }
                _ => Failure::failed(format!("cannot write {}: {e}", path.display())),
            })
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let unreadable = |e: std::io::Error| Failure::failed(format!("cannot read {shown}: {e}"));
    let mut bytes = Vec::new();
    let mut take = |from: &mut dyn std::io::Read| from.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
    if path == Path::new("-") {
        take(&mut std::io::stdin().lock()).map_err(unreadable)?;
    } else {
        take(&mut std::fs::File::open(path).map_err(unreadable)?).map_err(unreadable)?;
    }
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Failure::failed(format!("{shown} is longer than 64 MiB")));
    }
    String::from_utf8(bytes).map_err(|_| Failure::failed(format!("{shown} is not a text file")))
}

/// One line on standard error, if that is a terminal.
struct Progress(bool);

impl Progress {
    fn new() -> Self {
        Self(std::io::stderr().is_terminal())
    }

    fn show(&self, progress: &ApplyProgress) {
        let ApplyProgress { stage, done, of } = progress;
        let percent = done.saturating_mul(100).checked_div(*of).unwrap_or(100);
        self.write(&format!("\r\x1b[K{percent:3} %  {}", cell(stage)));
    }

    fn clear(&self) {
        self.write("\r\x1b[K");
    }

    fn write(&self, text: &str) {
        if self.0 {
            let mut stderr = std::io::stderr();
            // Progress that nobody can see is no failure.
            let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
        }
    }
}

/// Faults that are shown to people: what is wrong with a generated file is often wrong everywhere.
const SHOWN_FAULTS: usize = 20;

/// `FILE:LINE:COLUMN: WHAT` with the line and a caret below, for each of the first faults.
fn refused(file: &Path, faults: &[FileFault]) -> String {
    let file = if file == Path::new("-") { "standard input".into() } else { file.display().to_string() };
    let mut text = String::from("the file is refused");
    for FileFault { line, column, snippet, what } in faults.iter().take(SHOWN_FAULTS) {
        let _ = write!(text, "\n{}:{line}:{column}: {}", cell(&file), cell(what));
        let column = usize::try_from(*column).unwrap_or(usize::MAX);
        let before: String = snippet.chars().take(column.saturating_sub(1)).collect();
        // Escaping may make it longer; the caret stands below what is shown.
        let width = unicode_width::UnicodeWidthStr::width(cell(&before).as_str());
        if !snippet.trim().is_empty() {
            let _ = write!(text, "\n  | {}\n  | {}^", cell(snippet), " ".repeat(width));
        }
    }
    if let more @ 1.. = faults.len().saturating_sub(SHOWN_FAULTS) {
        let _ = write!(text, "\n… and {more} more, at least; --json lists them");
    }
    text
}

fn told(report: &ApplyReport, colour: bool) -> String {
    let mut text = String::new();
    for change in &report.changes {
        record(&mut text, change, colour);
    }
    let ApplyReport { dry_run, added, changed, removed, kept, .. } = report;
    let done = if *dry_run { "would be " } else { "" };
    let _ = match added + changed + removed {
        0 => writeln!(text, "nothing to change"),
        _ => writeln!(text, "{added} {done}added, {changed} {done}changed, {removed} {done}removed"),
    };
    if *kept > 0 {
        let (records, stay, remove) = match kept {
            1 => ("1 record".to_owned(), "stays", "it"),
            _ => (count(*kept, "record"), "stay", "them"),
        };
        let _ = writeln!(text, "{records} not in the file {stay}; --prune removes {remove}");
    }
    text
}

fn record(text: &mut String, change: &RecordDiff, colour: bool) {
    let (sign, look) = match change.op {
        DiffOp::Add => ("+", Look::Good),
        DiffOp::Change => ("~", Look::Normal),
        DiffOp::Remove => ("-", Look::Bad),
    };
    let head = format!("{sign} {} {}", cell(&change.record), cell(&change.name));
    let _ = writeln!(text, "{}", paint(&head, look, colour));
    for FieldDiff { field, before, after } in &change.fields {
        let field = cell(field);
        let _ = match (before, after) {
            (Some(before), Some(after)) => {
                writeln!(text, "    {field:<10} {} → {}", cell(before), cell(after))
            }
            (None, Some(after)) if change.op == DiffOp::Add => {
                writeln!(text, "    {field:<10} {}", cell(after))
            }
            (None, Some(after)) => {
                writeln!(text, "    {field:<10} {}", paint(&format!("+ {}", cell(after)), Look::Good, colour))
            }
            (Some(before), None) => {
                writeln!(text, "    {field:<10} {}", paint(&format!("- {}", cell(before)), Look::Bad, colour))
            }
            (None, None) => Ok(()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(field: &str, before: Option<&str>, after: Option<&str>) -> FieldDiff {
        FieldDiff { field: field.into(), before: before.map(Into::into), after: after.map(Into::into) }
    }

    fn report(dry_run: bool) -> ApplyReport {
        let diff = |op, record: &str, name: &str, fields: Vec<FieldDiff>| RecordDiff {
            op,
            record: record.into(),
            name: name.into(),
            fields,
        };
        let key = "SHA256:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE alice@laptop";
        ApplyReport {
            dry_run,
            added: 1,
            changed: 2,
            removed: 1,
            kept: 3,
            changes: vec![
                diff(
                    DiffOp::Add,
                    "person",
                    "alice",
                    vec![
                        field("state", None, Some("active")),
                        field("roles", None, Some("ops")),
                        field("keys", None, Some(key)),
                    ],
                ),
                diff(
                    DiffOp::Change,
                    "target",
                    "web-1",
                    vec![
                        field("port", Some("22"), Some("2222")),
                        field("labels", Some("env=test"), None),
                        field("labels", None, Some("env=prod")),
                    ],
                ),
                diff(
                    DiffOp::Change,
                    "person",
                    "b\x1b[2J",
                    vec![field("state", Some("active"), Some("locked"))],
                ),
                diff(DiffOp::Remove, "grant", "g-1f3a90c2", vec![]),
            ],
        }
    }

    #[test]
    fn what_changed_reads_well() {
        let nothing =
            ApplyReport { added: 0, changed: 0, removed: 0, kept: 1, changes: vec![], ..report(false) };
        let texts = [told(&report(false), false), told(&report(true), false), told(&nothing, false)];
        assert!(!texts.concat().contains('\u{1b}'));
        insta::assert_snapshot!(texts.join("---\n"));
    }

    #[test]
    fn faults_are_shown_in_their_lines() {
        let fault = |line, column, snippet: &str, what: &str| FileFault {
            line,
            column,
            snippet: snippet.into(),
            what: what.into(),
        };
        let faults = [
            fault(3, 10, "person = \"nobody\"", "there is no person nobody"),
            fault(7, 3, "ß\t\x1b[2J = 1", "unknown key"),
            fault(9, 1, "", "expected something"),
        ];
        let shown = Failure::new(Kind::Failed, refused(Path::new("directory.toml"), &faults)).to_string();
        assert!(!shown.contains('\u{1b}'));
        insta::assert_snapshot!(shown);
        let many: Vec<_> =
            (1..=SHOWN_FAULTS as u64 + 3).map(|line| fault(line, 1, "x = 1", "unknown key")).collect();
        let shown = refused(Path::new("directory.toml"), &many);
        assert_eq!(shown.matches("unknown key").count(), SHOWN_FAULTS);
        assert!(shown.ends_with("\n  | ^\n… and 3 more, at least; --json lists them"), "{shown}");
        assert!(!refused(Path::new("directory.toml"), &many[..SHOWN_FAULTS]).contains("more"));
    }
}
