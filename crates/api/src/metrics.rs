//! `/metrics`: what the rooms count, in the text format of Prometheus (version 0.0.4).
//!
//! Each scrape reads counters; nothing is kept between scrapes, and nothing on the live path waits for one.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bartizan_audit::{LATENCY_BOUNDS, Latency};
use bartizan_model::Timestamp;
use bartizan_model::metric::{self, Metric, Sample, Value};
use bartizan_record::space::Level;

use crate::state::ApiState;
use crate::status::{Health, health};

/// What the format is called in the header.
const FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

pub(crate) async fn scrape(State(state): State<Arc<ApiState>>) -> Response {
    let health = health(&state).await;
    let mut samples = Vec::new();
    server(&state, &health, &mut samples);
    state.parts.gateway.read(&mut samples);
    recordings(&state, &mut samples);
    log(&state, &mut samples);
    process(&state, &mut samples);
    ([(CONTENT_TYPE, FORMAT)], render(&samples)).into_response()
}

fn server(state: &ApiState, health: &Health, samples: &mut Vec<Sample>) {
    samples.push(metric::READY.count(health.reasons.is_empty().into()));
    samples.push(metric::DRAINING.count((*state.parts.draining.borrow()).into()));
    samples.push(metric::BUILD.labelled(&[env!("CARGO_PKG_VERSION")], 1));
    samples.push(metric::SESSIONS_ORPHANED.count(state.parts.orphans));
    samples.push(metric::DATABASE_UP.count(health.database.into()));
    let index = state.index_status();
    samples.push(metric::INDEX_LAG.count(index.events.saturating_sub(index.indexed)));
}

fn recordings(state: &ApiState, samples: &mut Vec<Sample>) {
    let written = state.parts.recordings.read();
    samples.push(metric::RECORDINGS_OPEN.count(written.open as u64));
    samples.push(metric::RECORDING_QUEUE_BYTES.count(written.queue_bytes as u64));
    samples.push(metric::RECORDED_BYTES.count(written.written_bytes));
    let space = &state.parts.space;
    let (measured, marks) = (space.measure(), space.marks());
    samples.push(metric::SPACE_FREE_BYTES.count(measured.space.free_bytes));
    samples.push(metric::SPACE_TOTAL_BYTES.count(measured.space.total_bytes));
    for (mark, name) in [(marks.low, "low"), (marks.full, "full")] {
        samples.push(metric::SPACE_MARK_BYTES.labelled(&[name], mark.of(measured.space.total_bytes)));
    }
    samples.push(metric::SPACE_LEVEL.count(match measured.level {
        Level::Plenty => 0,
        Level::Low => 1,
        Level::Full => 2,
    }));
}

fn log(state: &ApiState, samples: &mut Vec<Sample>) {
    let stats = state.parts.log.stats();
    for (entries, name) in
        [(stats.head, "sequenced"), (stats.integrated, "integrated"), (stats.published, "published")]
    {
        samples.push(metric::LOG_ENTRIES.labelled(&[name], entries));
    }
    samples.push(metric::LOG_LAG.count(stats.head.saturating_sub(stats.integrated)));
    if stats.current_us > 0 {
        let age = Timestamp::now().unix_micros().saturating_sub(stats.current_us);
        samples.push(metric::LOG_CHECKPOINT_AGE.seconds(seconds(age)));
    }
    samples.push(metric::LOG_APPENDED_BYTES.count(stats.appended_bytes));
    samples.push(metric::LOG_RESERVED_BYTES.count(stats.reserved));
    samples.push(metric::LOG_PROMISED_BYTES.count(stats.promised));
    samples.push(metric::LOG_UNLOGGED.count(stats.unlogged));
    samples.push(metric::LOG_FAILED.count(state.parts.log.failure().is_some().into()));
    samples.push(durations(&metric::LOG_APPEND_SECONDS, stats.latency));
    samples.push(durations(&metric::LOG_SYNC_SECONDS, stats.sync));
}

fn durations(metric: &'static Metric, Latency { counts, sum_us }: Latency) -> Sample {
    let value = Value::Durations { bounds_us: &LATENCY_BOUNDS, counts: counts.to_vec(), sum_us };
    Sample { metric, labels: Vec::new(), value }
}

/// What the system says of the process, where it does.
fn process(state: &ApiState, samples: &mut Vec<Sample>) {
    samples.push(metric::PROCESS_START.seconds(seconds(state.started.unix_micros())));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = resident.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    samples.extend(kibibytes.map(|kibibytes| metric::PROCESS_MEMORY.count(kibibytes << 10)));
    let open = std::fs::read_dir("/proc/self/fd").map(Iterator::count);
    samples.extend(open.ok().map(|open| metric::PROCESS_FDS.count(open as u64)));
}

/// Microseconds as seconds.
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// The text of all samples, metric by metric in the order of the list.
fn render(samples: &[Sample]) -> String {
    let mut text = String::new();
    for &metric in metric::ALL {
        let mut of_metric = samples.iter().filter(|sample| std::ptr::eq(sample.metric, metric)).peekable();
        if of_metric.peek().is_none() {
            continue;
        }
        let (name, kind, help) = (metric.name, metric.kind.name(), metric.help);
        // Writing to memory does not fail; so below.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        of_metric.for_each(|sample| write_sample(&mut text, sample));
    }
    text
}

fn write_sample(
    text: &mut String,
    Sample { metric: Metric { name, labels, .. }, labels: values, value }: &Sample,
) {
    let pairs: Vec<_> =
        labels.iter().zip(values).map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let braced = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
    let _ = match value {
        Value::Count(count) => writeln!(text, "{name}{braced} {count}"),
        Value::Seconds(seconds) => writeln!(text, "{name}{braced} {seconds}"),
        Value::Durations { bounds_us, counts, sum_us } => {
            let mut below = 0;
            for (bound, count) in bounds_us.iter().zip(counts) {
                below += count;
                let _ = writeln!(text, "{name}_bucket{{le=\"{}\"}} {below}", seconds(*bound));
            }
            let all: u64 = counts.iter().sum();
            let sum = seconds(*sum_us);
            writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {all}\n{name}_sum {sum}\n{name}_count {all}")
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_text() {
        static BOUNDS: [u64; 2] = [100, 1_000_000];
        let durations = Value::Durations { bounds_us: &BOUNDS, counts: vec![2, 1, 1], sum_us: 2_500_000 };
        let samples = [
            Sample { metric: &metric::LOG_SYNC_SECONDS, labels: Vec::new(), value: durations },
            metric::RELAYED_BYTES.labelled(&["in"], 3),
            metric::RELAYED_BYTES.labelled(&["out"], u64::MAX),
            metric::LOG_CHECKPOINT_AGE.seconds(0.25),
        ];
        insta::assert_snapshot!(render(&samples));
    }
}
