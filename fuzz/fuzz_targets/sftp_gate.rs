//! The gate of an SFTP channel: requests and answers in any order. Nothing that is not permitted reaches the target, and the
//! chunking does not matter.
#![no_main]
use bartizan_access::FileAccess;
use bartizan_gateway::sftp::{Broken, Gate, Gated, Refused};
use bartizan_model::{FileRules, GrantId};
use bartizan_ssh::connection::relay::DataEdit;
use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|input: &[u8]| {
    let whole = gated(input, |_| usize::MAX);
    let cut = gated(input, |first| usize::from(first >> 1) + 1);
    assert!(whole.broken == cut.broken, "the chunking must not matter");
    if !whole.broken {
        assert!(whole.to_target == cut.to_target && whole.refused == cut.refused);
        assert_eq!(whole.to_client.len(), cut.to_client.len());
    }
});

#[derive(Default)]
struct Passed {
    to_target: Vec<u8>,
    to_client: Vec<u8>,
    refused: Vec<Refused>,
    broken: bool,
}

/// Reads `input`: pieces, the first byte of each says its end and the size of chunks to cut it into.
fn gated(input: &[u8], chunk: impl Fn(u8) -> usize) -> Passed {
    let rules = FileRules {
        paths: vec!["/srv/**".parse().expect("a pattern")],
        not_paths: vec!["/srv/keys/**".parse().expect("a pattern")],
        max_file_bytes: Some(1000),
    };
    let rules = vec![(GrantId("g".into()), rules)];
    let access = FileAccess::by_rules(rules.clone(), rules);
    let (mut gate, mut passed) = (Gate::new(), Passed::default());
    for piece in common::pieces(input) {
        let Some((&first, bytes)) = piece.split_first() else { continue };
        for chunk in bytes.chunks(chunk(first)) {
            let mut edit = DataEdit::default();
            let (onward, done): (&mut Vec<u8>, Result<Gated, Broken>) = match first & 1 {
                0 => (&mut passed.to_target, gate.input(chunk, &access, &mut edit)),
                _ => (&mut passed.to_client, gate.output(chunk, &mut edit)),
            };
            match done {
                Ok(Gated::Unchanged) => onward.extend(chunk),
                Ok(Gated::Changed) => onward.extend(&edit.onward),
                Err(_) => passed.broken = true,
            }
            passed.to_client.extend(&edit.back);
            passed.refused.extend(gate.refused());
            assert!(edit.held <= 33 << 10, "no more is kept than one request");
            if passed.broken {
                return passed;
            }
        }
    }
    passed
}
