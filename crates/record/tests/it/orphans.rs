//! What a process left that was killed: made durable before it is bound.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bartizan_record::disk::{Disk, DiskFile, SystemDisk};
use bartizan_record::{Options, RecordError, Recordings, Stream};

use crate::support::{ALL, Rig, ms};

/// A disk that notes what was made durable, or refuses to.
#[derive(Clone, Default)]
struct Durable {
    paths: Arc<Mutex<Vec<PathBuf>>>,
    refuses: bool,
}

impl Durable {
    fn note(&self, path: &Path) -> io::Result<()> {
        if self.refuses {
            return Err(io::Error::other("injected"));
        }
        self.paths.lock().unwrap().push(path.to_owned());
        Ok(())
    }
}

impl Disk for Durable {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        SystemDisk.create_dir(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        SystemDisk.create(path)
    }
    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
        SystemDisk.reserve(path, bytes)
    }
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        SystemDisk.overwrite(path, bytes)?;
        self.note(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.note(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.note(path)
    }
}

#[tokio::test]
async fn what_is_to_be_bound_is_durable_first() {
    let rig = Rig::quick(Options::default());
    let (recorder, folder) = rig.begin(ALL).await;
    recorder.data(0, Stream::Output, ms(1), b"x");
    let root = rig.recordings.root().to_owned();
    drop((recorder, rig.recordings));

    let disk = Durable::default();
    let recordings = Recordings::open_on(Arc::new(disk.clone()), &root, Options::default()).unwrap();
    let orphans = recordings.orphans(&HashSet::new()).unwrap();
    assert!(
        !disk.paths.lock().unwrap().contains(&folder.join("manifest.json.new")),
        "not before it is asked for"
    );
    recordings.prepare_orphan(&orphans[0]).unwrap();
    let mut durable: Vec<_> = disk.paths.lock().unwrap().clone();
    // The last is the folder: what it names is in it.
    assert_eq!(durable.pop(), Some(folder.clone()));
    durable.sort();
    let names = ["channel-0.bytes.zst", "manifest.json.new", "meta.json"];
    assert_eq!(durable, names.map(|name| folder.join(name)));
    assert_eq!(orphans[0].files.len(), 3);
    drop(recordings);

    let disk = Durable { refuses: true, ..Durable::default() };
    let recordings = Recordings::open_on(Arc::new(disk), &root, Options::default()).unwrap();
    let orphans = recordings.orphans(&HashSet::new()).unwrap();
    assert!(matches!(orphans[0].failure, Some(RecordError::Disk { action: "sync", .. })), "{orphans:?}");
    assert!(orphans[0].files.is_empty());
}
