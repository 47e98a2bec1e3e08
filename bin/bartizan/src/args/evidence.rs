//! Of the commands about sessions and the log.

use std::path::PathBuf;

use bartizan_model::event::{Outcome, Severity};
use bartizan_model::{LoginName, PersonName, SessionState, SourceNetwork, TargetName, Timestamp};
use clap::{Args, Subcommand, ValueEnum};

use super::values::{IdPrefix, Speed, duration, event_types, past, word};

#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// List sessions, the newest first.
    #[command(visible_alias = "ls")]
    List(SessionList),
    /// Show a session: channels, commands, bytes, exit status, digests, files.
    Show {
        /// The audit key, or the start of it.
        id: IdPrefix,
    },
    /// Replay a session in the terminal.
    ///
    /// Keys: space pauses, `.` steps while paused, `[` and `]` change the speed, left and right seek 10 s,
    /// `q` ends.
    Play(SessionPlay),
    /// Write a session's recording in another format.
    Export(SessionExport),
    /// End a live session. Its person is told the reason.
    Terminate {
        /// The audit key, or the start of it.
        id: IdPrefix,
        /// What the person is told.
        #[arg(long, value_name = "TEXT", default_value = "no reason given")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SessionList {
    /// Of this person.
    #[arg(long)]
    pub(crate) person: Option<PersonName>,
    /// As this account.
    #[arg(long)]
    pub(crate) login: Option<LoginName>,
    /// On this target.
    #[arg(long)]
    pub(crate) target: Option<TargetName>,
    /// In this state: live, ended, truncated.
    #[arg(long, value_parser = word::<SessionState>)]
    pub(crate) state: Option<SessionState>,
    /// From this address, or from this network (10.0.0.0/8).
    #[arg(long, value_name = "ADDRESS|NETWORK")]
    pub(crate) source: Option<SourceNetwork>,
    /// Started at this time (2026-12-31T18:00:00Z) or this long ago (2h, 7d), or later.
    #[arg(long, value_name = "TIME", value_parser = past)]
    pub(crate) since: Option<Timestamp>,
    /// Started before this time.
    #[arg(long, value_name = "TIME", value_parser = past)]
    pub(crate) until: Option<Timestamp>,
    /// Most sessions to list.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// List all there are.
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SessionPlay {
    /// The audit key, or the start of it.
    pub(crate) id: IdPrefix,
    /// Which channel, by its ordinal; otherwise the first with a terminal.
    #[arg(long, value_name = "N")]
    pub(crate) channel: Option<u32>,
    /// How many times faster: 0.1 to 100.
    #[arg(long, default_value = "1")]
    pub(crate) speed: Speed,
    /// Show pauses no longer than this (2s, 500ms).
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) idle_limit: Option<std::time::Duration>,
    /// Start this far into the session (90s, 1h).
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    pub(crate) from: std::time::Duration,
}

#[derive(Debug, Args)]
pub(crate) struct SessionExport {
    /// The audit key, or the start of it.
    pub(crate) id: IdPrefix,
    /// In which format.
    #[arg(long)]
    pub(crate) format: Format,
    /// Which channel, by its ordinal; otherwise the first that the format can show, and all for `files`.
    #[arg(long, value_name = "N")]
    pub(crate) channel: Option<u32>,
    /// Which bytes `raw` writes.
    #[arg(long, value_name = "STREAM", default_value = "output")]
    pub(crate) stream: Direction,
    /// Where to; otherwise standard output. typescript also writes FILE.timing, and `files` makes a folder.
    #[arg(long, short, value_name = "FILE", required_if_eq("format", "files"))]
    pub(crate) output: Option<PathBuf>,
}

/// The streams of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    /// What the client sent, where it was kept.
    Input,
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Formats of `session export`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Plain text without control sequences.
    Text,
    /// asciicast v2, for asciinema.
    Asciicast,
    /// asciicast v3.
    Asciicast3,
    /// script(1), for scriptreplay.
    Typescript,
    /// ttyrec, for ttyplay.
    Ttyrec,
    /// The bytes of one stream, exactly.
    Raw,
    /// The files that passed by SFTP or scp, as far as their bytes were kept, into a new folder.
    Files,
}

impl Format {
    /// The format as it is written and as the log names it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Asciicast => "asciicast",
            Self::Asciicast3 => "asciicast3",
            Self::Typescript => "typescript",
            Self::Ttyrec => "ttyrec",
            Self::Raw => "raw",
            Self::Files => "files",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Search events, the newest first. Searching is an event too.
    ///
    /// Every option narrows the search. With --json, each event is a line.
    Search(LogSearch),
    /// Print events as they happen.
    Tail {
        /// Start with this many of the last events.
        #[arg(long, short = 'n', default_value_t = 10, value_name = "N")]
        lines: u64,
        /// Wait for more, as it does unless told otherwise.
        #[arg(long, short)]
        follow: bool,
        /// Stop after the last event instead of waiting for more.
        #[arg(long, conflicts_with = "follow")]
        no_follow: bool,
    },
    /// Write all events as JSON lines, the oldest first. Also with the server stopped.
    Export {
        /// Start at this position of the log.
        #[arg(long, default_value_t = 0, value_name = "INDEX")]
        from: u64,
        /// Where to; otherwise standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Check the log against its signed checkpoint, and the recordings against the log.
    ///
    /// Works with the server running or stopped, and on a copy of the data folder. Exits with 4 when something
    /// does not verify.
    Verify {
        /// The log's public key, or a file with it; otherwise the one in the data folder.
        #[arg(long, value_name = "KEY|FILE")]
        key: Option<String>,
        /// A checkpoint that was kept elsewhere: the log must go on from it. `-` is standard input.
        #[arg(long, value_name = "FILE")]
        since: Option<PathBuf>,
        /// Check a proof made by `log prove` instead. Needs no data folder. `-` is standard input.
        #[arg(long, value_name = "FILE", conflicts_with = "since")]
        proof: Option<PathBuf>,
    },
    /// Drop the search index and make it again from the log. Needs the server.
    ///
    /// The index serves searches and session lists alone; nothing is lost with it. The server makes it again by
    /// itself when it starts and finds it gone, of another log, or of an older version.
    Reindex,
    /// Write a proof that one event is in the log: one file, checked by `log verify --proof` with the public key alone.
    ///
    /// Also with the server stopped.
    Prove {
        /// The event's position in the log, `index` in its JSON.
        index: u64,
        /// Where to; otherwise standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print the log's signed checkpoint: keep it elsewhere, for `log verify --since`.
    ///
    /// Also with the server stopped.
    Checkpoint {
        /// The log's public key, or a file with it; otherwise the one in the data folder.
        #[arg(long, value_name = "KEY|FILE")]
        key: Option<String>,
        /// Where to; otherwise standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LogSearch {
    /// Of this type (session.start), or of all of a group (session.*).
    #[arg(long = "type", value_name = "TYPE", value_parser = event_types())]
    pub(crate) kind: Option<String>,
    /// Of this person.
    #[arg(long)]
    pub(crate) person: Option<PersonName>,
    /// As this account.
    #[arg(long)]
    pub(crate) login: Option<LoginName>,
    /// On this target.
    #[arg(long)]
    pub(crate) target: Option<TargetName>,
    /// In this session: its audit key, or the start of it.
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<IdPrefix>,
    /// From this address, or from this network (10.0.0.0/8).
    #[arg(long, value_name = "ADDRESS|NETWORK")]
    pub(crate) source: Option<SourceNetwork>,
    /// At least this severe: info, notice, warning, high.
    #[arg(long, value_parser = word::<Severity>)]
    pub(crate) severity: Option<Severity>,
    /// With this outcome: success, denied, failure.
    #[arg(long, value_parser = word::<Outcome>)]
    pub(crate) outcome: Option<Outcome>,
    /// At this time (2026-12-31T18:00:00Z) or this long ago (2h, 7d), or later.
    #[arg(long, value_name = "TIME", value_parser = past)]
    pub(crate) since: Option<Timestamp>,
    /// Before this time.
    #[arg(long, value_name = "TIME", value_parser = past)]
    pub(crate) until: Option<Timestamp>,
    /// With this in its values: words, which must all be there, in any order and case.
    ///
    /// A word may be a name, an address, a file or a part of one: `web-1`, `10.0.0.5`, `nginx`. `word*` is any word that
    /// begins so. "Some words" in quotes are found as they are, spaces and signs included. Everything else means
    /// itself: `-rf`, `root@web-1`, `/etc/nginx`.
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// The oldest first.
    #[arg(long)]
    pub(crate) oldest_first: bool,
    /// Most events to print.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Print all there are.
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}
