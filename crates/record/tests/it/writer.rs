//! What is handed over comes back.

use bartizan_model::Recording;
use bartizan_record::{Closed, RecordedSession, Stream, What};

use crate::support::{ALL, Rig, events, ms, sha256, stream};

#[tokio::test]
async fn a_terminal_is_recorded_as_asciicast() {
    let rig = Rig::new();
    let (recorder, folder) = rig.begin(ALL).await;
    recorder.open_channel(0, "session", ms(10));
    recorder.set_pty(0, b"xterm-256color", 120, 40, ms(20));
    recorder.data(0, Stream::Output, ms(30), b"hello \xc3");
    recorder.data(0, Stream::Output, ms(40), b"\xa4\r\n\xff\x1b[1m");
    recorder.data(0, Stream::Input, ms(50), b"ls\r");
    recorder.resize(0, 0, 99, ms(60));
    recorder.marker(0, "a remark", ms(70));
    recorder.data(0, Stream::Error, ms(80), b"oops\xe2");
    let digests = recorder.close_channel(0, ms(90)).await.unwrap();
    let output = b"hello \xc3\xa4\r\n\xff\x1b[1m";
    assert_eq!(digests.output.bytes, output.len() as u64);
    assert_eq!(digests.output.kept, output.len() as u64);
    assert_eq!(digests.output.sha256.to_string(), sha256(output));
    assert_eq!(digests.input.sha256.to_string(), sha256(b"ls\r"));
    assert_eq!(digests.error.sha256.to_string(), sha256(b"oops\xe2"));
    let files = recorder.finish(ms(100)).await.unwrap();
    let names: Vec<_> = files.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["manifest.json", "meta.json", "channel-0.cast.idx", "channel-0.cast.zst"]);

    let session = RecordedSession::open(&folder).unwrap();
    assert_eq!(session.closed(), Some(Closed::Ended));
    assert!(session.verify().unwrap().is_empty());
    assert_eq!(session.meta().unwrap().login.to_string(), "root");
    assert_eq!(session.policy(), Some(ALL));
    let channel = session.main_channel().unwrap();
    assert_eq!((channel.kind.as_str(), channel.pty, channel.opened), ("session", true, Some(ms(10))));
    assert_eq!(channel.digests, Some(digests));
    let events = events(&folder, 0);
    assert_eq!(stream(&events, Stream::Output), output);
    assert_eq!(stream(&events, Stream::Input), b"ls\r");
    assert_eq!(stream(&events, Stream::Error), b"oops\xe2");
    let terminal = What::Terminal { term: "xterm-256color".into(), cols: 120, rows: 40 };
    assert_eq!((events[0].at, &events[0].what), (ms(20), &terminal));
    assert!(events.iter().any(|e| e.at == ms(60) && e.what == What::Resize { cols: 120, rows: 99 }));
    assert!(events.iter().any(|e| e.at == ms(70) && e.what == What::Marker("a remark".into())));
}

#[tokio::test]
async fn a_size_of_zero_says_nothing() {
    let rig = Rig::new();
    let (recorder, folder) = rig.begin(ALL).await;
    recorder.set_pty(0, b"dumb", 0, 0, ms(0));
    recorder.data(0, Stream::Output, ms(1), b"text");
    recorder.resize(0, 132, 0, ms(2));
    recorder.resize(0, 0, 0, ms(3));
    recorder.resize(0, 70_000, 50, ms(4));
    let _ = recorder.finish(ms(5)).await.unwrap();
    let sizes: Vec<_> = events(&folder, 0)
        .into_iter()
        .filter_map(|event| match event.what {
            What::Terminal { cols, rows, .. } | What::Resize { cols, rows } => Some((cols, rows)),
            _ => None,
        })
        .collect();
    assert_eq!(sizes, [(80, 24), (132, 24), (132, 24), (65_535, 50)]);
}

#[tokio::test]
async fn other_channels_are_recorded_to_the_byte_up_to_the_cap() {
    let rig = Rig::new();
    let (recorder, folder) = rig.begin(Recording { channel_cap: Some(10), input: false }).await;
    recorder.open_channel(3, "session", ms(1));
    recorder.data(3, Stream::Input, ms(2), b"abc");
    recorder.data(3, Stream::Output, ms(3), b"defg");
    recorder.data(3, Stream::Error, ms(4), b"hijkl");
    recorder.data(3, Stream::Output, ms(5), b"mn");
    let digests = recorder.close_channel(3, ms(6)).await.unwrap();
    assert_eq!((digests.input.kept, digests.output.kept, digests.error.kept), (3, 4, 3));
    assert_eq!((digests.input.bytes, digests.output.bytes, digests.error.bytes), (3, 6, 5));
    assert_eq!(digests.output.sha256.to_string(), sha256(b"defgmn"));
    let _ = recorder.finish(ms(7)).await.unwrap();
    let events = events(&folder, 3);
    let whats: Vec<_> = events.iter().map(|e| (e.at, e.what.clone())).collect();
    assert_eq!(
        whats,
        [
            (ms(2), What::Data(Stream::Input, b"abc".to_vec())),
            (ms(3), What::Data(Stream::Output, b"defg".to_vec())),
            (ms(4), What::Data(Stream::Error, b"hij".to_vec())),
            (ms(4), What::Capped),
        ]
    );
}
