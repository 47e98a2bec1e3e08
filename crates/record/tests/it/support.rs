//! What every test needs: a folder, a session, and its events.

use std::path::PathBuf;
use std::time::Duration;

use bartizan_model::{NodeId, Recording, SessionId, Timestamp, Way};
use bartizan_record::{
    Event, Options, RecordedSession, Recordings, SessionMeta, SessionRecorder, Stream, What,
};

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn meta() -> SessionMeta {
    SessionMeta {
        session: SessionId::new(),
        started: Timestamp::from_unix_micros(1_795_854_600_000_000),
        person: "alice".parse().unwrap(),
        login: "root".parse().unwrap(),
        target: "web-1".parse().unwrap(),
        way: Way::ProxyJump,
        source: "192.0.2.7:50022".parse().unwrap(),
        node: NodeId("node-1".into()),
        client: "SSH-2.0-OpenSSH_9.2".into(),
    }
}

pub(crate) const ALL: Recording = Recording { channel_cap: None, input: true };

/// Recordings in a folder that goes away with the test.
pub(crate) struct Rig {
    pub(crate) recordings: Recordings,
    _temp: tempfile::TempDir,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let recordings = Recordings::open(temp.path().join("recordings"), options).unwrap();
        Self { recordings, _temp: temp }
    }

    pub(crate) async fn begin(&self, policy: Recording) -> (SessionRecorder, PathBuf) {
        let meta = meta();
        let folder = self.recordings.folder(meta.session);
        (self.recordings.begin(meta, policy).await.unwrap(), folder)
    }
}

pub(crate) fn events(folder: &std::path::Path, channel: u32) -> Vec<Event> {
    let session = RecordedSession::open(folder).unwrap();
    session.events(channel).unwrap().collect::<Result<_, _>>().unwrap()
}

/// All bytes of one stream.
pub(crate) fn stream(events: &[Event], wanted: Stream) -> Vec<u8> {
    let of = |event: &Event| match &event.what {
        What::Data(stream, bytes) if *stream == wanted => Some(bytes.clone()),
        _ => None,
    };
    events.iter().filter_map(of).flatten().collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}
