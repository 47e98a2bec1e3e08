//! Any order of calls, in any pieces, on any threads: compared with what should have been kept.

use std::time::Duration;

use bartizan_model::Recording;
use bartizan_record::{Closed, MAX_LOGGED_FILES, Options, RecordedSession, SessionRecorder, Stream};
use proptest::prelude::*;

use crate::support::{Dice, Rig, events, ms, sha256, stream};

const STREAMS: [Stream; 3] = [Stream::Input, Stream::Output, Stream::Error];

#[derive(Clone, Debug)]
enum Call {
    Data(u32, Stream, Vec<u8>),
    Pty(u32),
    Resize(u32),
    Marker(u32),
    /// Has everything written that came before.
    Flush,
    /// Time passes, in milliseconds.
    Pass(u64),
}

fn call() -> impl Strategy<Value = Call> {
    let bytes = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 1..40),
        4 => "[a-zä名\u{10fe80}\r\n\u{1b}]{1,30}".prop_map(String::into_bytes),
        1 => (any::<u64>(), 1..200_000_usize).prop_map(|(seed, len)| {
            let mut dice = Dice(seed | 1);
            (0..len).map(|_| dice.roll() as u8).collect()
        }),
        1 => (any::<u8>(), 1..200_000_usize).prop_map(|(byte, len)| vec![byte; len]),
    ];
    let stream = prop::sample::select(STREAMS.to_vec());
    prop_oneof![
        12 => (0..3_u32, stream, bytes).prop_map(|(channel, stream, bytes)| Call::Data(channel, stream, bytes)),
        1 => (0..3_u32).prop_map(Call::Pty),
        1 => (0..3_u32).prop_map(Call::Resize),
        1 => (0..3_u32).prop_map(Call::Marker),
        1 => Just(Call::Flush),
        3 => (0..20_u64).prop_map(Call::Pass),
    ]
}

/// What one channel should keep.
#[derive(Default)]
struct Model {
    pty: bool,
    passed: [Vec<u8>; 3],
    kept: [Vec<u8>; 3],
    kept_plain: u64,
}

impl Model {
    fn data(&mut self, policy: Recording, stream: Stream, bytes: &[u8]) {
        let number = stream as usize;
        self.passed[number].extend_from_slice(bytes);
        let keep = match (self.pty, stream) {
            (true, Stream::Input) if !policy.input => 0,
            (true, _) => bytes.len(),
            (false, _) => {
                let left = policy.channel_cap.map_or(u64::MAX, |cap| cap - self.kept_plain);
                bytes.len().min(usize::try_from(left).unwrap())
            }
        };
        self.kept[number].extend_from_slice(&bytes[..keep]);
        if !self.pty {
            self.kept_plain += keep as u64;
        }
    }
}

async fn play(recorder: &SessionRecorder, policy: Recording, calls: &[Call]) -> [Model; 3] {
    let mut models: [Model; 3] = Default::default();
    let (mut now, mut flushes) = (0, 100);
    for call in calls {
        match call {
            Call::Data(channel, stream, bytes) => {
                recorder.room().await;
                recorder.data(*channel, *stream, ms(now), bytes);
                models[*channel as usize].data(policy, *stream, bytes);
            }
            Call::Pty(channel) => {
                recorder.set_pty(*channel, b"xterm", 80, 24, ms(now));
                models[*channel as usize].pty = true;
            }
            Call::Resize(channel) => recorder.resize(*channel, 100, 30, ms(now)),
            Call::Marker(channel) => recorder.marker(*channel, "remark", ms(now)),
            Call::Flush => {
                flushes += 1;
                let _ = recorder.close_channel(flushes, ms(now)).await.unwrap();
            }
            Call::Pass(millis) => now += millis,
        }
    }
    models
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_should_be_kept_is_kept_to_the_byte(
        calls in prop::collection::vec(call(), 0..60),
        channel_cap in prop_oneof![Just(None), Just(Some(0)), (1..400_u64).prop_map(Some), Just(Some(100_000))],
        input: bool,
        flush_after in prop_oneof![Just(0), Just(3_600_000)],
    ) {
        let policy = Recording { channel_cap, input };
        let rig = Rig::quick(Options { flush_after: ms(flush_after), ..Options::default() });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (folder, models) = runtime.block_on(async {
            let (recorder, folder) = rig.begin(policy).await;
            let models = play(&recorder, policy, &calls).await;
            for channel in 0..3 {
                let digests = recorder.close_channel(channel, Duration::MAX).await.unwrap();
                let model = &models[channel as usize];
                for (of, digest) in STREAMS.into_iter().zip([digests.input, digests.output, digests.error]) {
                    let passed = &model.passed[of as usize];
                    assert_eq!(digest.bytes, passed.len() as u64);
                    assert_eq!(digest.sha256.to_string(), sha256(passed));
                    assert_eq!(digest.kept, model.kept[of as usize].len() as u64);
                }
            }
            let _ = recorder.finish(Duration::MAX).await.unwrap();
            (folder, models)
        });
        let session = RecordedSession::open(&folder).unwrap();
        prop_assert!(session.verify().unwrap().is_empty());
        for channel in 0..3 {
            let events = events(&folder, channel);
            prop_assert!(events.is_sorted_by_key(|event| event.at));
            for of in STREAMS {
                prop_assert!(stream(&events, of) == models[channel as usize].kept[of as usize], "{channel} {of:?}");
            }
        }
    }
}

#[test]
fn many_sessions_on_several_threads_keep_apart() {
    let rig =
        Rig::quick(Options { session_queue_bytes: 64 << 10, queue_bytes: 1 << 20, ..Options::default() });
    let policy = Recording { channel_cap: None, input: true };
    let one = |seed: u64| {
        let rig = &rig;
        async move {
            let (recorder, folder) = rig.begin(policy).await;
            let mut dice = Dice(seed);
            let mut sent: [Vec<u8>; 2] = Default::default();
            recorder.set_pty(0, b"xterm", 80, 24, ms(0));
            for turn in 0..400 {
                if !recorder.has_room() {
                    recorder.room().await;
                }
                let channel = dice.roll() % 2;
                let len = if dice.roll().is_multiple_of(20) { 40_000 } else { 1 + dice.roll() % 50 };
                let bytes: Vec<u8> = (0..len).map(|_| dice.roll() as u8).collect();
                recorder.data(channel as u32, Stream::Output, ms(turn), &bytes);
                sent[channel as usize].extend(bytes);
                tokio::task::yield_now().await;
            }
            let _ = recorder.finish(ms(500)).await.unwrap();
            for channel in 0..2 {
                let kept = stream(&events(&folder, channel), Stream::Output);
                assert!(kept == sent[channel as usize], "session {seed}, channel {channel}");
            }
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    let sessions = (1..=6).map(|n| one(thread * 100 + n));
                    let mut sessions: Vec<_> = sessions.map(Box::pin).collect();
                    std::future::poll_fn(|cx| {
                        sessions.retain_mut(|session| session.as_mut().poll(cx).is_pending());
                        if sessions.is_empty() {
                            std::task::Poll::Ready(())
                        } else {
                            std::task::Poll::Pending
                        }
                    })
                    .await;
                });
            });
        }
    });
}

#[tokio::test]
async fn of_very_many_files_the_log_gets_the_manifest() {
    let rig = Rig::quick(Options::default());
    let (recorder, folder) = rig.begin(crate::support::ALL).await;
    for channel in 0..MAX_LOGGED_FILES as u32 {
        recorder.open_channel(channel, "session", ms(1));
        recorder.data(channel, Stream::Output, ms(1), b"x");
        let _ = recorder.close_channel(channel, ms(2)).await.unwrap();
    }
    let files = recorder.finish(ms(3)).await.unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].name, "manifest.json");
    assert_eq!(files[0].sha256.to_string(), sha256(&std::fs::read(folder.join("manifest.json")).unwrap()));
    let session = RecordedSession::open(&folder).unwrap();
    assert_eq!((session.closed(), session.channels().len()), (Some(Closed::Ended), MAX_LOGGED_FILES));
    assert_eq!(session.manifest().unwrap().files.len(), 1 + MAX_LOGGED_FILES);
    assert!(session.verify().unwrap().is_empty());
}

#[tokio::test]
async fn the_small_files_read_as_documented() {
    let rig = Rig::quick(Options::default());
    let (recorder, folder) = rig.begin(Recording::default()).await;
    recorder.open_channel(0, "session", ms(10));
    recorder.data(0, Stream::Output, ms(20), b"x");
    let _ = recorder.finish(ms(30)).await.unwrap();
    let id = recorder.session().to_string();
    let read = |name| std::fs::read_to_string(folder.join(name)).unwrap().replace(&id, "ID");
    insta::assert_snapshot!("meta", read("meta.json"));
    let manifest = read("manifest.json");
    // Files hold the session's id, which is another in each run and compresses differently.
    let own: Vec<_> = RecordedSession::open(&folder).unwrap().manifest().unwrap().files.clone();
    let manifest = own.iter().fold(manifest, |text, file| {
        let bytes = format!("\"bytes\": {},", file.bytes);
        text.replace(&file.sha256.to_string(), "SHA256").replacen(&bytes, "\"bytes\": N,", 1)
    });
    insta::assert_snapshot!("manifest", manifest);
}
