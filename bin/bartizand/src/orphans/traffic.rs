//! What passed in a session whose end nobody logged.

use std::collections::HashSet;
use std::path::Path;

use bartizan_model::Timestamp;
use bartizan_model::event::{Body, Event};
use bartizan_record::{RecordedSession, Stream, What};

/// What passed in a session, as far as is known: channels that were closed by the log, others by what is recorded of them.
pub(super) struct Traffic {
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// The last event.
    pub(super) last: Timestamp,
    /// The last that was recorded, in microseconds since the session began.
    pub(super) last_at: u64,
    /// Channels whose end is on record.
    closed: HashSet<u32>,
}

impl Traffic {
    pub(super) fn since(started: Timestamp) -> Self {
        Self { bytes_in: 0, bytes_out: 0, last: started, last_at: 0, closed: HashSet::new() }
    }

    fn add(&mut self, stream: Stream, bytes: u64) {
        let sum = if stream == Stream::Input { &mut self.bytes_in } else { &mut self.bytes_out };
        *sum = sum.saturating_add(bytes);
    }

    pub(super) fn add_logged(&mut self, event: Event) {
        self.last = self.last.max(event.time);
        if let Body::ChannelClose { channel, input, output, error, .. } = event.body {
            self.closed.insert(channel);
            self.add(Stream::Input, input.bytes);
            self.add(Stream::Output, output.bytes.saturating_add(error.bytes));
        }
    }

    /// Adds the other channels of a recording, of which no more is known than what was kept. Reads them all.
    pub(super) fn add_recorded(&mut self, folder: &Path) {
        let Ok(recording) = RecordedSession::open(folder) else { return };
        for channel in recording.channels() {
            if self.closed.contains(&channel.channel) {
                continue;
            }
            if let Some(digests) = &channel.digests {
                self.add(Stream::Input, digests.input.bytes);
                self.add(Stream::Output, digests.output.bytes.saturating_add(digests.error.bytes));
                continue;
            }
            let Ok(events) = recording.events(channel.channel) else { continue };
            for event in events.map_while(Result::ok) {
                self.last_at = self.last_at.max(u64::try_from(event.at.as_micros()).unwrap_or(u64::MAX));
                if let What::Data(stream, bytes) = event.what {
                    self.add(stream, bytes.len() as u64);
                }
            }
        }
    }
}
