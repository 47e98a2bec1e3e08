//! A stand-in for `ssh` that runs the command here and notes what passes.
//!
//! The client starts a script in place of `ssh`. The script tells the test its command and hands its own standard
//! input and output to it through named pipes; the test starts the server and passes on, noting each chunk.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use aws_lc_rs::digest::{SHA256, digest};
use bartizan_decode::{Decoder, Observed, Options, Part, Sink, Stream};
use bartizan_model::event::Body;
use bartizan_model::observation::Transfer;
use tempfile::TempDir;

/// A folder with the stand-in and files of the test.
pub(crate) struct Tap {
    folder: TempDir,
}

/// What passed.
pub(crate) struct Passed {
    pub(crate) client: Output,
    pub(crate) command: Vec<u8>,
    pub(crate) chunks: Vec<(Stream, Vec<u8>)>,
    pub(crate) status: i32,
}

const SCRIPT: &str = r#"#!/bin/sh
while [ "$1" != host ]; do shift; done
shift
cd "$(dirname "$0")" || exit 9
printf '%s' "$*" > command
exec 3<&0
cat <&3 > in &
input=$!
cat out
# A socket for both directions stays open as long as anybody has it.
kill $input
read -r status < status
exit "$status"
"#;

impl Tap {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("decode-").tempdir().unwrap();
        let tap = Self { folder };
        let script = tap.ssh();
        fs::write(&script, SCRIPT).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["command", "in", "out", "status"] {
            assert!(Command::new("mkfifo").arg(tap.path(name)).status().unwrap().success());
        }
        tap
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file's path as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).into_os_string().into_string().unwrap()
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> String {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), bytes).unwrap();
        self.text(name)
    }

    /// The program to use in place of `ssh`; it connects to `host`.
    pub(crate) fn ssh(&self) -> PathBuf {
        self.path("ssh")
    }

    /// Runs a client that starts the stand-in once.
    pub(crate) fn run(&self, client: &mut Command) -> Passed {
        client.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        client.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.folder.path());
        client.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_SSH_VARIANT", "ssh").env("GIT_SSH", self.ssh());
        let client = client.spawn().unwrap();
        let pipes = ["command", "in", "out", "status"].map(|name| self.path(name));
        let client = thread::spawn(move || {
            let done = client.wait_with_output().unwrap();
            // A client that ends before the stand-in has opened them must not block the test.
            for pipe in pipes {
                drop(fs::OpenOptions::new().read(true).write(true).open(pipe));
            }
            done
        });
        let command = fs::read(self.path("command")).unwrap();
        if command.is_empty() {
            panic!("{}", String::from_utf8_lossy(&client.join().unwrap().stderr));
        }
        let line = match command.as_slice() {
            b"sftp" => "/usr/lib/openssh/sftp-server".to_owned(),
            line => String::from_utf8(line.to_vec()).unwrap(),
        };
        let mut server = Command::new("sh");
        server.args(["-c", &line]).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        server.env("HOME", self.folder.path()).current_dir(self.folder.path());
        let server = server.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = server.spawn().unwrap();
        let chunks = Arc::new(Mutex::new(Vec::new()));
        let to_server = (fs::File::open(self.path("in")).unwrap(), server.stdin.take().unwrap());
        let noted = Arc::clone(&chunks);
        let input = thread::spawn(move || pass(Stream::Input, to_server.0, to_server.1, &noted));
        let to_client = fs::OpenOptions::new().write(true).open(self.path("out")).unwrap();
        pass(Stream::Output, server.stdout.take().unwrap(), to_client, &chunks);
        let status = server.wait().unwrap().code().unwrap_or(255);
        // Opened for reading, too: a client that kills the stand-in must not block the test.
        let mut both = fs::OpenOptions::new().read(true).write(true).open(self.path("status")).unwrap();
        both.write_all(format!("{status}\n").as_bytes()).unwrap();
        let client = client.join().unwrap();
        drop(both);
        input.join().unwrap();
        let chunks = std::mem::take(&mut *chunks.lock().unwrap());
        Passed { client, command, chunks, status }
    }
}

fn pass(stream: Stream, mut from: impl Read, mut to: impl Write, noted: &Mutex<Vec<(Stream, Vec<u8>)>>) {
    let mut buffer = vec![0; 32 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        noted.lock().unwrap().push((stream, buffer[..n].to_vec()));
        if to.write_all(&buffer[..n]).and_then(|()| to.flush()).is_err() {
            break;
        }
    }
}

impl Passed {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        let said = String::from_utf8_lossy(&self.client.stderr).into_owned();
        assert!(self.client.status.success(), "{:?}: {said}", self.client.status);
        self
    }

    /// A decoder for the command.
    pub(crate) fn decoder(&self, options: &Options) -> Decoder {
        let decoder = match self.command.as_slice() {
            b"sftp" => Decoder::for_subsystem(3, b"sftp", options),
            line => Decoder::for_exec(3, line, options),
        };
        decoder.unwrap_or_else(|| Decoder::for_unknown(3, options))
    }

    /// What the decoder makes of it, after making sure that it makes the same of it in other chunks.
    #[track_caller]
    pub(crate) fn observed(&self) -> Vec<Observed> {
        self.write_seed();
        let options = Options::default();
        let whole: Vec<Observed> = self.decoded(&options, |_| usize::MAX);
        let total: usize = self.chunks.iter().map(|(_, bytes)| bytes.len()).sum();
        if total < 1 << 20 {
            assert_eq!(whole, self.decoded::<Vec<_>>(&options, |_| 1), "byte by byte");
        }
        for seed in 1..20_usize {
            let cut =
                |n: usize| 1 + n.wrapping_mul(2_654_435_761).wrapping_add(seed * 97) % (1 << (seed % 12));
            assert_eq!(whole, self.decoded::<Vec<_>>(&options, cut), "chunks of seed {seed}");
        }
        assert_eq!(whole, self.merged(&options), "merged chunks");
        self.has_contents(&whole);
        whole
    }

    /// Makes sure that contents, given as they pass, are those of which the digests are, however the stream is cut.
    #[track_caller]
    fn has_contents(&self, seen: &[Observed]) {
        let options = Options { contents: true, ..Options::default() };
        let whole: Files = self.decoded(&options, |_| usize::MAX);
        assert_eq!(whole.seen, seen, "what is observed does not depend on it");
        assert_eq!(whole.files, self.decoded::<Files>(&options, |n| 1 + n * 7919 % 5000).files);
        for observed in seen {
            let Body::Transfer(transfer) = &observed.body else { continue };
            let Some(number) = observed.contents else { continue };
            let contents = whole.files.get(&number).map_or(&[][..], Vec::as_slice);
            let sha256 = transfer.sha256.unwrap();
            assert_eq!(
                (sha256.0.as_slice(), transfer.bytes),
                (digest(&SHA256, contents).as_ref(), contents.len() as u64)
            );
        }
    }

    /// Writes a short conversation as a seed of the fuzz targets, where `DECODE_SEEDS` names their folder.
    fn write_seed(&self) {
        let Some(folder) = std::env::var_os("DECODE_SEEDS").map(PathBuf::from) else { return };
        let programs = ["scp", "rsync", "git"];
        let command = String::from_utf8_lossy(&self.command);
        let program = programs.into_iter().find(|program| command.starts_with(program)).unwrap_or("sftp");
        let mut seed = Vec::new();
        for (stream, bytes) in &self.chunks {
            for piece in bytes.chunks(1 << 14) {
                seed.extend((piece.len() as u16 + 1).to_be_bytes());
                seed.push(0x0E | u8::from(*stream == Stream::Output));
                seed.extend(piece);
            }
        }
        if seed.len() < 8 << 10 {
            let folder = folder.join(format!("decode_{program}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("real-{:05}", seed.len())), seed).unwrap();
        }
    }

    /// Decodes with each chunk cut into pieces of the given sizes.
    pub(crate) fn decoded<S: Sink + Default>(&self, options: &Options, cut: impl Fn(usize) -> usize) -> S {
        let (mut decoder, mut seen, mut n) = (self.decoder(options), S::default(), 0);
        for (stream, bytes) in &self.chunks {
            let mut left = &bytes[..];
            while !left.is_empty() {
                let (piece, rest) = left.split_at(cut(n).min(left.len()));
                decoder.feed(*stream, piece, &mut seen);
                (left, n) = (rest, n + 1);
            }
        }
        decoder.finish(Some(self.status as u32), &mut seen);
        seen
    }

    /// Decodes with all chunks joined that come one after the other in the same direction.
    fn merged(&self, options: &Options) -> Vec<Observed> {
        let mut joined: Vec<(Stream, Vec<u8>)> = Vec::new();
        for (stream, bytes) in &self.chunks {
            match joined.last_mut() {
                Some((last, before)) if last == stream => before.extend(bytes),
                _ => joined.push((*stream, bytes.clone())),
            }
        }
        let (mut decoder, mut seen) = (self.decoder(options), Vec::new());
        joined.iter().for_each(|(stream, bytes)| decoder.feed(*stream, bytes, &mut seen));
        decoder.finish(Some(self.status as u32), &mut seen);
        seen
    }
}

/// Keeps all that a decoder gives.
#[derive(Default)]
struct Files {
    seen: Vec<Observed>,
    /// Contents by number.
    files: BTreeMap<u64, Vec<u8>>,
}

impl Sink for Files {
    fn observed(&mut self, observed: Observed) {
        self.seen.push(observed);
    }

    fn contents(&mut self, part: Part<'_>) {
        let (file, from) = (self.files.entry(part.file).or_default(), part.offset as usize);
        file.resize(file.len().max(from + part.bytes.len()), 0);
        file[from..from + part.bytes.len()].copy_from_slice(part.bytes);
    }
}

/// The transfers among observations.
pub(crate) fn transfers(seen: &[Observed]) -> Vec<&Transfer> {
    seen.iter()
        .filter_map(|observed| match &observed.body {
            Body::Transfer(transfer) => Some(transfer),
            _ => None,
        })
        .collect()
}

/// The types of all observations.
pub(crate) fn kinds(seen: &[Observed]) -> Vec<&'static str> {
    seen.iter().map(|observed| observed.body.kind()).collect()
}

/// What `sha256sum` says of a file.
pub(crate) fn sha256sum(path: &Path) -> String {
    let said = Command::new("sha256sum").arg("--").arg(path).output().unwrap();
    assert!(said.status.success());
    let text = String::from_utf8(said.stdout).unwrap();
    // A name with odd bytes makes the line begin with a backslash.
    text.trim_start_matches('\\')[..64].to_owned()
}

/// Bytes that look like nothing.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
