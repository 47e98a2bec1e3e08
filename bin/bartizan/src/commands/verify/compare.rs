//! One recording against what the log binds.

use std::io::ErrorKind;
use std::path::Path;

use bartizan_model::RecordingFile;
use bartizan_record::{MANIFEST, MANIFEST_UNFINISHED, Manifest, RecordedSession, digest_file};

/// What was found in one folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Files that were compared.
    pub(super) files: u64,
    /// What differs.
    pub(super) faults: Vec<String>,
}

/// Compares the recording in `folder` with the files that `session.end` binds. Of a recording that was `removed` nothing
/// need be there, but what is there, because the removal goes on, is what the log says.
pub(super) fn compare(folder: &Path, bound: &[RecordingFile], removed: bool) -> Found {
    let mut found = Found::default();
    if bound.is_empty() {
        // The session ended before a recording began, or its recording failed; that is on record. Closed it is only
        // after an end that binds it.
        if !removed && folder.join(MANIFEST).exists() {
            found.faults.push("there is a closed recording, and the log binds none of its files".into());
        }
        return found;
    }
    found.files = bound.len() as u64;
    found.faults.extend(bound.iter().filter_map(|file| differs(folder, file, removed)));
    if removed {
        return found;
    }
    // Of long recordings the log binds the manifest only, and the manifest binds the rest.
    if matches!(bound, [only] if only.name == MANIFEST) {
        match RecordedSession::open_closing(folder).and_then(|recording| recording.verify()) {
            Ok(names) => {
                found.faults.extend(names.iter().map(|name| format!("{name} differs from the manifest")))
            }
            Err(error) => found.faults.push(error.to_string()),
        }
    }
    unbound(folder, bound, &mut found.faults);
    found
}

/// How a bound file differs from what the log says; `None` when it does not.
fn differs(folder: &Path, file: &RecordingFile, removed: bool) -> Option<String> {
    let name = &file.name;
    match digest_file(&folder.join(name_on_disk(folder, name))) {
        Ok((bytes, sha256)) if (bytes, sha256) == (file.bytes, file.sha256) => None,
        Ok((bytes, _)) if bytes != file.bytes => {
            Some(format!("{name} has {bytes} bytes, and the log says {}", file.bytes))
        }
        Ok(_) => Some(format!("{name} differs from what the log says")),
        Err(error) if error.kind() == ErrorKind::NotFound => (!removed).then(|| format!("{name} is missing")),
        Err(error) => Some(format!("{name} cannot be read: {error}")),
    }
}

/// The name under which a bound file is looked for: when the server ended while it closed a recording that a crash had
/// left, the log binds a manifest already that has its unfinished name.
fn name_on_disk<'a>(folder: &Path, bound: &'a str) -> &'a str {
    let closing = || !folder.join(MANIFEST).exists() && folder.join(MANIFEST_UNFINISHED).exists();
    if bound == MANIFEST && closing() { MANIFEST_UNFINISHED } else { bound }
}

/// Names files in the folder that nothing binds.
fn unbound(folder: &Path, bound: &[RecordingFile], faults: &mut Vec<String>) {
    let manifest: Option<Manifest> =
        RecordedSession::open_closing(folder).ok().and_then(|recording| recording.manifest().cloned());
    let listed = |name: &str| {
        let in_manifest =
            || manifest.iter().flat_map(|manifest| &manifest.files).any(|file| file.name == name);
        bound.iter().any(|file| name_on_disk(folder, &file.name) == name) || in_manifest()
    };
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !listed(&name) {
            faults.push(format!("{name} is in the folder, and the log does not know it"));
        }
    }
}
