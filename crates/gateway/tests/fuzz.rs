//! The fuzz targets of `fuzz/`, for a bounded number of inputs on every test run: the seeds as they are, and seeds mutated by
//! a generator that is the same each time. The long runs are libFuzzer's; this sees to it that the targets stay
//! in order and that nothing lies near the surface.
//!
//! `BARTIZAN_FUZZ=100000` runs more inputs for each target, `BARTIZAN_FUZZ_SEED=2` others. This room, because it is the one
//! that knows all that is fuzzed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the targets assert")]
#![allow(clippy::duplicate_mod, reason = "targets share files, as programs of their own")]
#![allow(clippy::print_stderr, reason = "for whoever reads why it failed")]

/// The targets name the macro by libFuzzer's crate.
extern crate self as libfuzzer_sys;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

/// As libFuzzer's macro of this name, for a function that is called.
macro_rules! fuzz_target {
    (|$input:ident: &[u8]| $body:block) => {
        pub(crate) fn run($input: &[u8]) {
            $body
        }
    };
}
pub(crate) use fuzz_target;

/// Inputs for each target besides the seeds.
const INPUTS: u64 = 8000;
/// Longest input that is made, in bytes.
const LONGEST: usize = 16 << 10;

/// Makes a module and a test of each target.
macro_rules! targets {
    ($($name:ident = $file:literal),* $(,)?) => {
        $(
            #[path = $file]
            #[allow(unused_attributes, unused_imports, unreachable_pub, dead_code, reason = "it is written as a program of its own")]
            mod $name;
        )*

        /// Every target that is run here.
        const TARGETS: &[&str] = &[$(stringify!($name)),*];

        mod runs {
            $(#[test] fn $name() { super::drive(stringify!($name), super::$name::run); })*
        }
    };
}

targets! {
    agent_answers = "../../../fuzz/fuzz_targets/agent_answers.rs",
    auth_client = "../../../fuzz/fuzz_targets/auth_client.rs",
    auth_messages = "../../../fuzz/fuzz_targets/auth_messages.rs",
    auth_server = "../../../fuzz/fuzz_targets/auth_server.rs",
    certificate = "../../../fuzz/fuzz_targets/certificate.rs",
    connection_messages = "../../../fuzz/fuzz_targets/connection_messages.rs",
    decode_agent = "../../../fuzz/fuzz_targets/decode_agent.rs",
    decode_git = "../../../fuzz/fuzz_targets/decode_git.rs",
    decode_greeting = "../../../fuzz/fuzz_targets/decode_greeting.rs",
    decode_rsync = "../../../fuzz/fuzz_targets/decode_rsync.rs",
    decode_scp = "../../../fuzz/fuzz_targets/decode_scp.rs",
    decode_sftp = "../../../fuzz/fuzz_targets/decode_sftp.rs",
    decode_unknown = "../../../fuzz/fuzz_targets/decode_unknown.rs",
    endpoint = "../../../fuzz/fuzz_targets/endpoint.rs",
    identification = "../../../fuzz/fuzz_targets/identification.rs",
    known_hosts = "../../../fuzz/fuzz_targets/known_hosts.rs",
    packets_after_keys = "../../../fuzz/fuzz_targets/packets_after_keys.rs",
    packets_before_keys = "../../../fuzz/fuzz_targets/packets_before_keys.rs",
    relay = "../../../fuzz/fuzz_targets/relay.rs",
    sftp_gate = "../../../fuzz/fuzz_targets/sftp_gate.rs",
    sftp_root = "../../../fuzz/fuzz_targets/sftp_root.rs",
    signatures = "../../../fuzz/fuzz_targets/signatures.rs",
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// A target that is not run here would be missed.
#[test]
fn every_target_is_run() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let mut named: Vec<_> =
        manifest.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    named.retain(|name| *name != "bartizan-fuzz");
    named.sort_unstable();
    assert_eq!(named, TARGETS);
}

/// libFuzzer stops at a target whose folder is missing, and the targets after it are not run.
#[test]
fn every_target_has_seeds_and_is_explained() {
    let corpora = listed(&folder().join("corpus"));
    let named: Vec<_> = corpora.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(named, TARGETS);
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    for (target, corpus) in TARGETS.iter().zip(&corpora) {
        assert!(!listed(corpus).is_empty(), "{target} has no seeds");
        assert!(readme.contains(&format!("`{target}`")), "fuzz/README.md does not know {target}");
    }
}

/// Runs a target on its seeds and on inputs made of them.
fn drive(name: &str, run: fn(&[u8])) {
    let seeds = seeds(name);
    for seed in &seeds {
        fed(name, run, seed);
    }
    let words = words();
    let number = |variable, default| std::env::var(variable).map_or(default, |text| text.parse().unwrap());
    let mut random = Random(number("BARTIZAN_FUZZ_SEED", 1_u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut input = Vec::new();
    for _ in 0..number("BARTIZAN_FUZZ", INPUTS) {
        input.clear();
        input.extend_from_slice(random.one_of::<Vec<u8>>(&seeds));
        for _ in 0..=random.below(6) {
            mutate(&mut input, &seeds, &words, &mut random);
        }
        input.truncate(LONGEST);
        fed(name, run, &input);
    }
}

/// Runs a target on one input, which is kept if it fails.
fn fed(name: &str, run: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.input"));
        fs::write(&path, input).unwrap();
        eprintln!("{name} fails on {}; see fuzz/README.md", path.display());
        resume_unwind(panic);
    }
}

/// The seeds of a target, in order of their names.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    listed(&folder().join("corpus").join(name)).iter().map(|file| fs::read(file).unwrap()).collect()
}

/// What is in a folder, in order.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// The words of libFuzzer's dictionary.
fn words() -> Vec<Vec<u8>> {
    let text = fs::read_to_string(folder().join("ssh.dict")).unwrap();
    let quoted = |line: &str| Some(unescaped(line.split_once('"')?.1.rsplit_once('"')?.0.as_bytes()));
    text.lines().filter(|line| !line.starts_with('#')).filter_map(quoted).collect()
}

/// `\xNN` is that byte, another byte after a backslash is itself.
fn unescaped(mut word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while let Some((&first, rest)) = word.split_first() {
        let (byte, rest) = match (first, rest) {
            (b'\\', [b'x', high, low, rest @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
                (digit(*high) << 4 | digit(*low), rest)
            }
            (b'\\', [byte, rest @ ..]) => (*byte, rest),
            _ => (first, rest),
        };
        plain.push(byte);
        word = rest;
    }
    plain
}

/// Changes an input in one place.
fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let until = (at + random.below(64)).min(input.len());
    match random.below(8) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..until)),
        2 => input.extend_from_within(at..until),
        3 => {
            let word = random.one_of(words).clone();
            drop(input.splice(at..at, word));
        }
        4 => {
            let other = random.one_of(seeds);
            let from = random.below(other.len() + 1);
            let piece = other[from..(from + random.below(1024)).min(other.len())].to_vec();
            drop(input.splice(at..until, piece));
        }
        // A length, or a number.
        5 if at + 4 <= input.len() => {
            let value = *random.one_of(&[0, 1, 4, 255, 0x7FFF, 0x8000, 0x0004_0000, 0x7FFF_FFFF, u32::MAX]);
            input[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        6 if at < input.len() => input[at] = *random.one_of(&[0, 1, b'/', b'.', 0x7F, 0x80, 0xFF]),
        _ if at < input.len() => input[at] ^= 1 << random.below(8),
        _ => input.push(0),
    }
}

/// Numbers that look random and are the same every time (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
