//! A log with entries that no checkpoint holds, as somebody without its key makes one, or a crash.

use std::path::Path;

use bartizan_audit::{Checkpoint, LogOptions, Opened, Origin, Signer};
use bartizan_model::{RecordingFile, Sha256Hex};
use bartizan_record::{Closed, MANIFEST, Manifest, Options};

use super::*;

fn signer() -> Signer {
    Signer::from_seed(&"test/unsigned".parse::<Origin>().unwrap(), &[7; 32]).unwrap()
}

fn open(folder: &Path, signer: Option<Signer>) -> Opened {
    let options = LogOptions { signer, publish_later: true, ..LogOptions::default() };
    Log::open(&folder.join("log"), options).unwrap()
}

fn remove(session: SessionId) -> Event {
    let body = Body::RecordingRemove { reason: "old".into(), bytes: 1, recording: Vec::new() };
    Event { session: Some(session), ..Event::new(&NodeId("n".into()), Timestamp::now(), body) }
}

/// A recording of one file.
fn record(recordings: &Recordings, session: SessionId) {
    let folder = recordings.folder(session);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("meta.json"), "{}").unwrap();
    let files = vec![RecordingFile { name: "meta.json".into(), bytes: 2, sha256: Sha256Hex([0; 32]) }];
    let manifest = Manifest { version: 1, session, closed: Closed::Ended, files, channels: Vec::new() };
    fs::write(folder.join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
}

/// The anomalies of a log from an entry on, and of which session each is.
fn anomalies(log: &Log, from: u64) -> Vec<(Option<SessionId>, String)> {
    let entries = log.reader().read(from, 256).unwrap();
    let anomaly = |event: Event| match event.body {
        Body::Anomaly { what, .. } => (event.session, what),
        body => panic!("{body:?}"),
    };
    entries.iter().map(|entry| anomaly(entry.event().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_was_not_signed_is_withdrawn_before_a_checkpoint_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = NodeId("n".into());
    Log::create(&folder.path().join("log"), &"test/unsigned".parse().unwrap()).unwrap();
    let recordings = Recordings::open(folder.path().join("recordings"), Options::default()).unwrap();
    let [signed, kept, half, gone] = std::array::from_fn(|_| SessionId::new());
    let Opened { log, recovery, .. } = open(folder.path(), Some(signer()));
    tell(&log, &node, &recordings, &recovery).await.unwrap();
    log.submit(remove(signed)).unwrap().await.unwrap();
    log.close().unwrap();
    let Opened { log, .. } = open(folder.path(), None);
    for id in [kept, half, gone] {
        record(&recordings, id);
        log.submit(remove(id)).unwrap().await.unwrap();
    }
    log.close().unwrap();
    fs::remove_file(recordings.folder(half).join("meta.json")).unwrap();
    fs::remove_dir_all(recordings.folder(gone)).unwrap();

    let checkpoint = folder.path().join("log/checkpoint");
    let before = fs::read_to_string(&checkpoint).unwrap();
    // The first start ends before it has told, the second before anything is signed.
    open(folder.path(), Some(signer())).log.close().unwrap();
    assert_eq!(fs::read_to_string(&checkpoint).unwrap(), before, "nothing is signed before it is looked at");
    let Opened { log, recovery, .. } = open(folder.path(), Some(signer()));
    assert_eq!((recovery.signed, recovery.head), (1, 4));
    tell(&log, &node, &recordings, &recovery).await.unwrap();
    let mut told = anomalies(&log, 4);
    let mut expected = [
        (None, "log.unsigned".to_owned()),
        (Some(kept), RECORDING_KEPT.to_owned()),
        (Some(half), RECORDING_GONE.to_owned()),
        (Some(gone), RECORDING_GONE.to_owned()),
    ];
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    log.close().unwrap();
    let note = fs::read_to_string(&checkpoint).unwrap();
    assert_eq!(Checkpoint::open(&note, signer().verifier_key()).unwrap().head.size, 8);

    // What is signed is told once.
    let Opened { log, recovery, .. } = open(folder.path(), Some(signer()));
    assert_eq!((recovery.signed, recovery.head), (8, 8));
    tell(&log, &node, &recordings, &recovery).await.unwrap();
    assert_eq!(log.head(), 8);
    log.close().unwrap();

    // A checkpoint that somebody else signed vouches for nothing.
    let forged = note.replace("\u{2014} test/unsigned ", "\u{2014} test/unsigneD ");
    assert_ne!(forged, note);
    fs::write(&checkpoint, forged).unwrap();
    assert_eq!(open(folder.path(), Some(signer())).recovery.signed, 0);
}
