//! `bartizan selftest`: proves on the live installation that what passes is recorded and logged.
//!
//! Stock clients go through the proxy to a target of the operator's choice; then the log and the recordings are asked what
//! they know of it, and compared with what really passed. Nothing is changed but the log, the recordings, and files of
//! the self-test's own in the target's folder for them, which it removes.

mod checks;
mod compare;
mod evidence;
mod forwards;
mod ready;
mod stock;

use std::fmt::Write as _;

use bartizan_model::{SessionId, Timestamp};
use serde::Serialize;

use self::checks::{CHECKS, Check, Missed};
use self::compare::Kept;
use self::evidence::Finder;
use self::stock::{Stock, Way};
use super::Context;
use crate::args::Selftest;
use crate::failure::{Failure, Kind};
use crate::out::{cell, count};
use crate::table::{Look, paint};

/// How a check went.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Verdict {
    /// It worked, and all of it is on record.
    Proven {
        /// The session that has it.
        session: SessionId,
        /// Whether the recording keeps none of its bytes, since the grant says so.
        digests_only: bool,
    },
    /// Policy refused it, and the refusal is on record.
    Refused {
        /// In these words.
        reason: String,
    },
    /// The target has not what it takes: nothing is said about the evidence.
    Untried {
        /// What is missing there.
        why: String,
    },
    /// It did not work, or something of it is not on record.
    Gap {
        /// What is missing.
        what: String,
    },
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Line {
    way: Way,
    check: &'static str,
    #[serde(flatten)]
    verdict: Verdict,
    /// Files that stayed on the target: nothing that is granted removes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
}

impl Line {
    fn text(&self, colour: bool) -> String {
        let (word, look, detail) = match &self.verdict {
            Verdict::Proven { session, digests_only: false } => ("proven ", Look::Good, session.to_string()),
            Verdict::Proven { session, digests_only: true } => {
                ("proven ", Look::Good, format!("{session}  digests only: no bytes are kept"))
            }
            Verdict::Refused { reason } => ("refused", Look::Normal, cell(reason)),
            Verdict::Untried { why } => ("untried", Look::Normal, cell(why)),
            Verdict::Gap { what } => ("GAP    ", Look::Bad, cell(what)),
        };
        let mut text =
            format!("{} {:<10} {:<10} {detail}", paint(word, look, colour), self.way.to_string(), self.check);
        for path in &self.left {
            let _ =
                write!(text, "\n        left on the target, as nothing granted removes it: {}", cell(path));
        }
        text
    }
}

/// Runs every check by every way.
pub(crate) async fn run(context: &Context, command: Selftest) -> Result<(), Failure> {
    ready::check(context, &command).await?;
    let stock = Stock::prepare(context, &command).await?;
    let finder = Finder::new(context, &command);
    let mut lines = Vec::new();
    for way in Way::ALL {
        for check in CHECKS {
            let verdict = one(&stock, &finder, way, check).await?;
            let line = Line { way, check: check.name, verdict, left: stock.left() };
            if !context.out.json {
                context.out.line(&line.text(context.out.colour))?;
            }
            lines.push(line);
        }
    }
    if context.out.json {
        context.out.value(&lines)?;
    }
    let gaps = lines.iter().filter(|line| matches!(line.verdict, Verdict::Gap { .. })).count();
    let proven = lines.iter().filter(|line| matches!(line.verdict, Verdict::Proven { .. })).count();
    match (gaps, proven) {
        (0, 0) => Err(Failure::new(Kind::Denied, "policy refused every check, so nothing was proven")
            .hint("grant the person what is to be tested: `bartizan grant add --help`")),
        (0, _) => Ok(()),
        (gaps, _) => Err(Failure::new(
            Kind::Evidence,
            format!(
                "{} of {} did not leave the evidence it should",
                gaps,
                count(lines.len() as u64, "check")
            ),
        )
        .hint(
            "the lines that begin with GAP say what is missing; `bartizan session show ID` has what is there",
        )),
    }
}

/// One check: what passes is compared with what is on record.
async fn one(stock: &Stock, finder: &Finder<'_>, way: Way, check: &Check) -> Result<Verdict, Failure> {
    let before = finder.mark().await?;
    let passed = match (check.run)(stock, way) {
        Ok(passed) => passed,
        Err(missed) => return judged(finder, before, missed).await,
    };
    Ok(match finder.find(&passed, before).await? {
        Ok((session, kept)) => Verdict::Proven { session, digests_only: kept == Kept::DigestsOnly },
        Err(what) => Verdict::Gap { what },
    })
}

/// What it means that a check did not come through.
async fn judged(finder: &Finder<'_>, before: Timestamp, missed: Missed) -> Result<Verdict, Failure> {
    let (why, failed) = match missed {
        Missed::Untried(why) => return Ok(Verdict::Untried { why }),
        Missed::Unable(why) => (why, false),
        Missed::Failed(why) => (why, true),
    };
    if let Some(reason) = finder.refusal(before).await? {
        return Ok(Verdict::Refused { reason });
    }
    Ok(match failed {
        false => Verdict::Untried { why },
        true if finder.would_not_listen(before).await? => Verdict::Untried {
            why: "the target refused to listen; see its sshd's AllowTcpForwarding".to_owned(),
        },
        true => Verdict::Gap { what: why },
    })
}
