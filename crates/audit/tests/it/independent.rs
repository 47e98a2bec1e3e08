//! What we write is verified by code that is not ours: `signed_note` and `tlog_tiles`, ported from Go's checksum
//! database and maintained elsewhere.

use std::path::{Path, PathBuf};

use bartizan_audit::{
    Log, LogOptions, Reader, Signer, TreeHash, TreeHead, verify_consistency, verify_inclusion,
};
use bartizan_model::event::{Body, Event};
use bartizan_model::{NodeId, Timestamp};
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::checkpoint::Checkpoint;
use tlog_tiles::tile::{Tile, TileHashReader, TileReader};
use tlog_tiles::tlog::{
    Error, Hash, HashReader as _, check_record, check_tree, prove_record, prove_tree, record_hash,
    stored_hash_index,
};

const ORIGIN: &str = "bartizan.example.com/node-1";

fn signer() -> Signer {
    Signer::from_seed(&ORIGIN.parse().unwrap(), &[42; 32]).unwrap()
}

fn append(dir: &Path, count: u64) {
    let log = Log::open(dir, LogOptions { signer: Some(signer()), ..LogOptions::default() }).unwrap().log;
    let pending: Vec<_> = (0..count)
        .map(|n| {
            let body = Body::Anomaly { what: "test".to_owned(), detail: n.to_string() };
            log.submit(Event::new(&NodeId("node-1".to_owned()), Timestamp::from_unix_micros(n), body))
                .unwrap()
        })
        .collect();
    for pending in pending {
        pending.wait_blocking().unwrap();
    }
    log.close().unwrap();
}

/// The tree that the log's checkpoint is of, as the other code understands it.
fn published(dir: &Path) -> Checkpoint {
    let note = Note::from_bytes(&std::fs::read(dir.join("checkpoint")).unwrap()).unwrap();
    let key = StandardVerifier::new(&signer().verifier_key().to_string()).unwrap();
    let (verified, unknown) = note.verify(&VerifierList::new(vec![Box::new(key)])).unwrap();
    assert_eq!((verified.len(), unknown.len()), (1, 0));
    let checkpoint = Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!(checkpoint.origin(), ORIGIN);
    checkpoint
}

/// The log's folder as a tile server.
struct Folder(PathBuf);

impl TileReader for Folder {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile: &Tile| {
            // C2SP fixes the height and leaves it out of the path.
            let path = self.0.join(tile.path().replacen("tile/8/", "tile/", 1));
            std::fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}

fn theirs(hash: TreeHash) -> Hash {
    Hash(hash.0)
}

fn ours(hash: &Hash) -> TreeHash {
    TreeHash(hash.0)
}

/// The entries of a bundle, read by the letter of the specification.
fn bundle(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let mut rest = &bytes[..];
    let mut entries = Vec::new();
    while let [high, low, tail @ ..] = rest {
        let (entry, tail) = tail.split_at(usize::from(*high) << 8 | usize::from(*low));
        entries.push(entry.to_vec());
        rest = tail;
    }
    assert!(rest.is_empty());
    entries
}

#[test]
fn others_can_verify_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    Log::create(&dir, &ORIGIN.parse().unwrap()).unwrap();
    let mut heads: Vec<TreeHead> = Vec::new();
    for (count, total) in [(1, 1), (255, 256), (300, 556), (66_000, 66_556)] {
        append(&dir, count);
        let checkpoint = published(&dir);
        assert_eq!(checkpoint.size(), total);
        heads.push(TreeHead { size: total, root: ours(checkpoint.hash()) });

        let server = Folder(dir.clone());
        let hashes = TileHashReader::new(total, *checkpoint.hash(), &server);
        let reader = Reader::open(&dir).unwrap();
        let mut entries: Vec<Vec<u8>> = Vec::new();
        for n in 0..total / 256 {
            entries.extend(bundle(&dir.join(bartizan_audit::entries_path(n))));
        }
        if total % 256 > 0 {
            let full = dir.join(bartizan_audit::entries_path(total / 256));
            entries.extend(bundle(&PathBuf::from(format!("{}.p/{}", full.display(), total % 256))));
        }
        assert_eq!(entries.len() as u64, total);
        for (index, entry) in
            (0..total).zip(&entries).filter(|(index, _)| index % 997 == 0 || index + 3 > total)
        {
            // The reader of the other code checks each tile against the root before it gives a hash out.
            let leaf = record_hash(entry);
            assert_eq!(hashes.read_hashes(&[stored_hash_index(0, index)]).unwrap(), [leaf]);
            let proof = reader.inclusion_proof(index, total).unwrap();
            assert_eq!(
                proof,
                prove_record(total, index, &hashes).unwrap().iter().map(ours).collect::<Vec<_>>()
            );
            let handed = proof.iter().copied().map(theirs).collect();
            check_record(&handed, total, *checkpoint.hash(), index, leaf).unwrap();
            assert!(verify_inclusion(ours(&leaf), index, total, &proof, ours(checkpoint.hash())));
        }
        for old in &heads {
            let proof = reader.consistency_proof(old.size, total).unwrap();
            let new = TreeHead { size: total, root: ours(checkpoint.hash()) };
            assert!(verify_consistency(*old, new, &proof));
            let by_others = prove_tree(total, old.size, &hashes).unwrap();
            assert_eq!(proof, by_others.iter().map(ours).collect::<Vec<_>>());
            let handed = proof.iter().copied().map(theirs).collect();
            check_tree(&handed, total, *checkpoint.hash(), old.size, theirs(old.root)).unwrap();
        }
    }
    let verified = bartizan_audit::verify(&dir, signer().verifier_key(), |_| {}).unwrap();
    assert_eq!(verified.entries, 66_556);
}
