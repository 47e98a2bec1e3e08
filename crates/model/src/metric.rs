//! What the server counts and measures about itself, as monitoring systems read it.
//!
//! Every metric stands in one list, which also makes `docs/metrics.md`. Names follow Prometheus: `bartizan_`, base
//! units, `_total` for what only grows. The values of labels are `&'static str`: nothing that a peer or an operator
//! wrote can become one, so that their number is bounded and no name of a person or a target leaves the server.

/// How a metric's values are to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Durations by class, likewise from 0.
    Histogram,
}

impl Kind {
    /// The kind as the text format names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, with the unit at its end.
    pub name: &'static str,
    /// How its values are to be understood.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
}

/// A metric's value for one combination of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Which metric.
    pub metric: &'static Metric,
    /// The values of its labels, in the metric's order.
    pub labels: Vec<&'static str>,
    /// The value.
    pub value: Value,
}

/// The value of a sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Count(u64),
    /// Seconds, or a point in time in seconds since 1970.
    Seconds(f64),
    /// Durations by class.
    Durations {
        /// Upper bound of each class in microseconds, ascending.
        bounds_us: &'static [u64],
        /// How many fell into each class; one more at the end, for those above every bound.
        counts: Vec<u64>,
        /// All of them together, in microseconds.
        sum_us: u64,
    },
}

/// Something that can be read like a meter.
pub trait Meter: Send + Sync {
    /// Adds what it counts now. Must be quick: it is asked with every scrape.
    fn read(&self, samples: &mut Vec<Sample>);
}

impl Metric {
    /// A whole number, of a metric without labels.
    pub fn count(&'static self, value: u64) -> Sample {
        self.labelled(&[], value)
    }

    /// A whole number for one combination of labels.
    pub fn labelled(&'static self, labels: &[&'static str], value: u64) -> Sample {
        Sample { metric: self, labels: labels.to_vec(), value: Value::Count(value) }
    }

    /// Seconds, of a metric without labels.
    pub fn seconds(&'static self, value: f64) -> Sample {
        Sample { metric: self, labels: Vec::new(), value: Value::Seconds(value) }
    }
}

macro_rules! metrics {
    ($($id:ident = $name:literal $kind:ident $labels:tt $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $id: Metric =
                Metric { name: $name, kind: Kind::$kind, labels: &$labels, help: $help };
        )*

        /// Every metric, in the order of the reference page.
        pub static ALL: &[&Metric] = &[$(&$id),*];
    };
}

metrics! {
    READY = "bartizan_ready" Gauge [] "1 while new sessions can begin, as /readyz says.";
    DRAINING = "bartizan_draining" Gauge [] "1 once the server ends and waits for live sessions.";
    BUILD = "bartizan_build_info" Gauge ["version"] "Always 1; its label is the version that runs.";

    SESSIONS_LIVE = "bartizan_sessions_live" Gauge [] "Sessions that are live, consoles included.";
    SESSIONS_STARTED = "bartizan_sessions_started_total" Counter ["way"]
        "Sessions that policy permitted and that the log has, by the way they came in.";
    SESSIONS_ENDED = "bartizan_sessions_ended_total" Counter ["outcome"]
        "Sessions that ended: ended after something was relayed, failed before (recording or target), truncated where the recording lacks the end.";
    SESSIONS_ORPHANED = "bartizan_sessions_closed_at_start" Gauge []
        "Sessions that the process before left without an end and that this one closed as truncated.";

    CONNECTIONS = "bartizan_connections" Gauge [] "Client connections that are open.";
    CONNECTIONS_HALF_OPEN = "bartizan_connections_half_open" Gauge []
        "Client connections that have not authenticated yet; see limits.half_open.";
    CONNECTIONS_ACCEPTED = "bartizan_connections_accepted_total" Counter [] "Client connections that were accepted.";
    CONNECTIONS_REFUSED = "bartizan_connections_refused_total" Counter ["reason"]
        "Client connections that ended without anybody identified: limit (too many half-open), rate (too many of one source, too fast), timeout (login_grace), protocol (left, broke the protocol, or ran out of keys), log (it cannot be written), stopping, accept (the system gave no connection).";

    AUTHENTICATIONS = "bartizan_authentications_total" Counter ["method", "outcome"]
        "Connections on which somebody authenticated, or tried and did not; a client that tries five keys counts once.";
    ACCESS_DENIED = "bartizan_access_denied_total" Counter ["action"]
        "Sessions, channels and requests that policy or the console denied, by what was asked for.";

    UPSTREAM_CONNECTED = "bartizan_upstream_connected_total" Counter []
        "Targets that were reached, verified and logged in to.";
    UPSTREAM_FAILED = "bartizan_upstream_failed_total" Counter ["stage"]
        "Targets that were not, by the stage that failed; host_key is worth an alert.";

    CHANNELS = "bartizan_channels_opened_total" Counter ["type"] "Channels that clients and targets asked for, by type.";
    RELAYED_BYTES = "bartizan_relayed_bytes_total" Counter ["direction"]
        "Bytes of channel data relayed: in is from client to target, out from target to client.";

    RECORDINGS_OPEN = "bartizan_recordings_open" Gauge [] "Recordings that are being written.";
    RECORDING_QUEUE_BYTES = "bartizan_recording_queue_bytes" Gauge []
        "Memory of what waits to be recorded; near 64 MiB the disk is too slow and sessions are held back.";
    RECORDED_BYTES = "bartizan_recording_written_bytes_total" Counter []
        "Bytes written to the files of recordings, compressed as they are there.";

    SPACE_FREE_BYTES = "bartizan_space_free_bytes" Gauge [] "Free space on the file system of the data folder.";
    SPACE_TOTAL_BYTES = "bartizan_space_size_bytes" Gauge [] "Size of that file system.";
    SPACE_MARK_BYTES = "bartizan_space_mark_bytes" Gauge ["mark"]
        "Free space below which somebody should act (low), and below which the server is not ready (full).";
    SPACE_LEVEL = "bartizan_space_level" Gauge [] "How it stands: 0 is plenty, 1 low, 2 full; free files count, too.";

    LOG_ENTRIES = "bartizan_log_entries" Gauge ["state"]
        "Events in the audit log, of all time: sequenced are durable, integrated in full bundles, published under a signed checkpoint.";
    LOG_LAG = "bartizan_log_integration_lag_entries" Gauge []
        "Durable events that are in no full bundle yet; up to 255 is usual.";
    LOG_CHECKPOINT_AGE = "bartizan_log_checkpoint_age_seconds" Gauge []
        "Time since the signed checkpoint last covered everything durable; left out until it first does.";
    LOG_APPENDED_BYTES = "bartizan_log_appended_bytes_total" Counter [] "Bytes appended to the audit log's journal.";
    LOG_RESERVED_BYTES = "bartizan_log_reserved_bytes" Gauge []
        "Space that the journal holds ahead, so that the ends of sessions can be logged on a full disk.";
    LOG_PROMISED_BYTES = "bartizan_log_promised_bytes" Gauge [] "How much of it live sessions have been promised.";
    LOG_UNLOGGED = "bartizan_log_refused_events_total" Counter []
        "Events refused because the disk was full; what they would have told of was refused, too.";
    LOG_FAILED = "bartizan_log_failed" Gauge []
        "1 once the audit log cannot be written: live sessions have ended and no new ones begin.";
    LOG_APPEND_SECONDS = "bartizan_log_append_seconds" Histogram [] "From the queueing of an event to its receipt.";
    LOG_SYNC_SECONDS = "bartizan_log_sync_seconds" Histogram []
        "One write of the journal to the disk with its sync; many events share one.";

    INDEX_LAG = "bartizan_index_lag_entries" Gauge [] "Durable events that searches do not find yet.";
    DATABASE_UP = "bartizan_database_up" Gauge [] "1 while the database of the directory answers.";

    PROCESS_START = "process_start_time_seconds" Gauge [] "When the server started, in seconds since 1970.";
    PROCESS_MEMORY = "process_resident_memory_bytes" Gauge [] "Memory of the process.";
    PROCESS_FDS = "process_open_fds" Gauge [] "Open file descriptors.";
}

/// The reference page, as Markdown.
pub fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         `/metrics` in the text format of Prometheus (version 0.0.4), beside `/healthz` and `/readyz`: on `admin.sock`, and on\n\
         the addresses of `[metrics] listen` ([configuration](configuration.md#metrics)), which serve these three and nothing\n\
         else. Counters begin at 0 with the process. The values of labels are fixed words: no name of a person, a login or a\n\
         target is ever one.\n\n\
         | path | answer |\n|---|---|\n\
         | `/healthz` | 200 while the process serves |\n\
         | `/readyz` | 200 while new sessions can begin; else 503 and one reason a line: the audit log failed or has no room, \
         too little space, the database away, the index far behind, the server draining |\n\
         | `/metrics` | what follows |\n\n\
         ```\n\
         curl --unix-socket DATA/admin.sock http://localhost/metrics\n\
         ```\n\n\
         | metric | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    for metric in ALL {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        page.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            metric.name,
            metric.kind.name(),
            labels.join(", "),
            metric.help
        ));
    }
    page.push_str(
        "\nWorth an alert: `bartizan_ready == 0`, `bartizan_log_failed == 1`, `bartizan_space_level >= 1`,\n\
         `bartizan_log_checkpoint_age_seconds > 60`, `increase(bartizan_upstream_failed_total{stage=\"host_key\"}[5m]) > 0`,\n\
         `increase(bartizan_sessions_ended_total{outcome=\"truncated\"}[5m]) > 0`, `bartizan_index_lag_entries > 100000`.\n",
    );
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn names_are_unique_and_follow_the_rules() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            let Metric { name, kind, help, labels } = metric;
            assert!(name.starts_with("bartizan_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(*kind != Kind::Histogram || name.ends_with("_seconds"), "{name}");
            assert!(help.ends_with('.') && !help.contains(['\n', '|', '\\']), "{name}: {help}");
            assert!(
                labels.iter().all(|label| !["person", "target", "login", "le"].contains(label)),
                "{name}"
            );
        }
    }

    /// The page in the documentation is the list. To renew it: `BLESS=1 cargo test -p bartizan-model`.
    #[test]
    fn the_reference_page_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, reference()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), reference(), "renew it with BLESS=1");
    }
}
