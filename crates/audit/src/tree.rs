//! The Merkle tree over the entries. Pure: hashes in, hashes out.
//!
//! Source: RFC 6962 §2.1 with SHA-256; proofs are checked as RFC 9162 §2.1.3.2 and §2.1.4.2 describe. The hashes come
//! from [`Nodes`] in the shape of C2SP tiles: level `l` has the hashes of perfect subtrees of 256^l entries.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use base64ct::{Base64, Encoding as _};

/// Hashes in a full tile.
pub(crate) const TILE_WIDTH: usize = 256;

/// A Merkle Tree Hash: SHA-256, shown in base64 as checkpoints and proofs have it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash(pub [u8; 32]);

/// A text that is not a hash of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tree hash: expected 44 base64 characters")]
pub struct InvalidTreeHash;

impl TreeHash {
    /// The hash of an entry as a leaf. Source: RFC 6962 §2.1.
    pub fn of_entry(entry: &[u8]) -> Self {
        Self::of(&[&[0], entry])
    }

    /// The hash over two subtrees. Source: RFC 6962 §2.1.
    pub fn of_children(left: Self, right: Self) -> Self {
        Self::of(&[&[1], &left.0, &right.0])
    }

    /// The hash of the tree without entries. Source: RFC 6962 §2.1.
    pub fn of_nothing() -> Self {
        Self::of(&[])
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        parts.iter().for_each(|part| context.update(part));
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Self(hash)
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Base64::encode_string(&self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TreeHash {
    type Err = InvalidTreeHash;

    fn from_str(text: &str) -> Result<Self, InvalidTreeHash> {
        let mut hash = [0; 32];
        let decoded = Base64::decode(text, &mut hash).map_err(|_| InvalidTreeHash)?;
        if decoded.len() == 32 { Ok(Self(hash)) } else { Err(InvalidTreeHash) }
    }
}

/// Where the tree's hashes are.
pub(crate) trait Nodes {
    type Error;

    /// The hashes number `first` to `first + count` of a tile level, all in one tile.
    fn nodes(&mut self, level: u8, first: u64, count: usize) -> Result<Vec<TreeHash>, Self::Error>;
}

/// The hash over as many neighbours as a power of two.
pub(crate) fn fold(mut hashes: Vec<TreeHash>) -> TreeHash {
    debug_assert!(hashes.len().is_power_of_two());
    while hashes.len() > 1 {
        hashes = hashes.chunks_exact(2).map(|pair| TreeHash::of_children(pair[0], pair[1])).collect();
    }
    hashes.first().copied().unwrap_or_else(TreeHash::of_nothing)
}

/// The root of the tree over the first `size` entries.
pub(crate) fn root<N: Nodes + ?Sized>(nodes: &mut N, size: u64) -> Result<TreeHash, N::Error> {
    range(nodes, 0, size)
}

/// `MTH(D[start:end])` of RFC 6962, for the ranges that occur there: `start` is a multiple of a power of two that is
/// not below the length.
fn range<N: Nodes + ?Sized>(nodes: &mut N, start: u64, end: u64) -> Result<TreeHash, N::Error> {
    let size = end - start;
    let mut position = start;
    let mut subtrees = Vec::new();
    for height in (0..u64::BITS).rev().filter(|height| size >> height & 1 == 1) {
        let level = height / 8;
        let hashes = nodes.nodes(level as u8, position >> (8 * level), 1 << (height % 8))?;
        subtrees.push(fold(hashes));
        position += 1 << height;
    }
    let joined = subtrees.into_iter().rev().reduce(|right, left| TreeHash::of_children(left, right));
    Ok(joined.unwrap_or_else(TreeHash::of_nothing))
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// The inclusion proof of entry `index` in the tree of `size` entries, from the leaf's sibling up.
/// `index` is below `size`. Source: RFC 6962 §2.1.1.
pub(crate) fn inclusion<N: Nodes + ?Sized>(
    nodes: &mut N,
    index: u64,
    size: u64,
) -> Result<Vec<TreeHash>, N::Error> {
    let (mut start, mut end) = (0, size);
    let mut proof = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(range(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(range(nodes, start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The consistency proof between the trees of `old` and of `new` entries; 0 < `old` <= `new`. Source: RFC 6962 §2.1.2.
pub(crate) fn consistency<N: Nodes + ?Sized>(
    nodes: &mut N,
    old: u64,
    new: u64,
) -> Result<Vec<TreeHash>, N::Error> {
    let (mut start, mut end) = (0, new);
    let mut proof = Vec::new();
    while old < end {
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(range(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(range(nodes, start, middle)?);
            start = middle;
        }
    }
    if start > 0 {
        proof.push(range(nodes, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that an entry with the hash `leaf` is number `index` of the tree of `size` entries with this root.
/// Source: RFC 9162 §2.1.3.2.
pub fn verify_inclusion(leaf: TreeHash, index: u64, size: u64, proof: &[TreeHash], root: TreeHash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for &sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = TreeHash::of_children(sibling, hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = TreeHash::of_children(hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == root
}

/// A tree's size and root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// Number of entries.
    pub size: u64,
    /// The root hash.
    pub root: TreeHash,
}

/// Checks that the tree `new` begins with all entries of the tree `old`, in their order. Source: RFC 9162 §2.1.4.2.
pub fn verify_consistency(old: TreeHead, new: TreeHead, proof: &[TreeHash]) -> bool {
    if old.size == 0 || old.size > new.size {
        return old == TreeHead { size: 0, root: TreeHash::of_nothing() } && proof.is_empty();
    }
    if old.size == new.size {
        return old.root == new.root && proof.is_empty();
    }
    let (mut node, mut last) = (old.size - 1, new.size - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    // A whole subtree is not repeated in the proof.
    let mut rest = proof.iter().copied();
    let seed = if old.size.is_power_of_two() { Some(old.root) } else { rest.next() };
    let Some(seed) = seed else { return false };
    let (mut old_hash, mut new_hash) = (seed, seed);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = TreeHash::of_children(sibling, old_hash);
            new_hash = TreeHash::of_children(sibling, new_hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new_hash = TreeHash::of_children(new_hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && old_hash == old.root && new_hash == new.root
}

/// A tile that became full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) level: u8,
    pub(crate) number: u64,
    pub(crate) hashes: Vec<TreeHash>,
}

impl Tile {
    /// The tile's file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }
}

/// Reads a tile's file; none when its length is not that of `width` hashes.
pub(crate) fn parse_tile(bytes: &[u8], width: usize) -> Option<Vec<TreeHash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    (rest.is_empty() && hashes.len() == width).then(|| hashes.iter().copied().map(TreeHash).collect())
}

/// The right edge of the tree: at each level the hashes that are in no full tile yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    levels: Vec<Partial>,
}

#[derive(Clone, Debug, Default)]
struct Partial {
    /// Number of the tile that these hashes are the beginning of.
    tile: u64,
    hashes: Vec<TreeHash>,
}

impl Edge {
    /// The edge of a tree of `leaf_tiles` full tiles of level 0; `root_of(level, n)` is the hash over a full tile.
    pub(crate) fn load<E>(
        leaf_tiles: u64,
        mut root_of: impl FnMut(u8, u64) -> Result<TreeHash, E>,
    ) -> Result<Self, E> {
        let mut levels = vec![Partial { tile: leaf_tiles, hashes: Vec::new() }];
        let mut full = leaf_tiles;
        let mut level = 0;
        while full > 0 {
            let tile = full / TILE_WIDTH as u64;
            let hashes =
                (tile * TILE_WIDTH as u64..full).map(|n| root_of(level, n)).collect::<Result<_, E>>()?;
            levels.push(Partial { tile, hashes });
            (full, level) = (tile, level + 1);
        }
        Ok(Self { levels })
    }

    /// Adds the hash of the next entry; gives the tiles that are full with it, lowest first.
    pub(crate) fn push(&mut self, leaf: TreeHash) -> Vec<Tile> {
        let mut full = Vec::new();
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() <= level {
                self.levels.push(Partial::default());
            }
            let partial = &mut self.levels[level];
            partial.hashes.push(hash);
            if partial.hashes.len() < TILE_WIDTH {
                break;
            }
            let tile = Tile {
                level: level as u8,
                number: partial.tile,
                hashes: std::mem::replace(&mut partial.hashes, Vec::with_capacity(TILE_WIDTH)),
            };
            partial.tile += 1;
            hash = fold(tile.hashes.clone());
            full.push(tile);
        }
        full
    }

    /// The partial tiles, which are not empty.
    pub(crate) fn partial_tiles(&self) -> impl Iterator<Item = Tile> {
        let levels = (0_u8..).zip(&self.levels).filter(|(_, partial)| !partial.hashes.is_empty());
        levels.map(|(level, Partial { tile, hashes })| Tile { level, number: *tile, hashes: hashes.clone() })
    }

    /// Number of full tiles of level 0.
    pub(crate) fn full_tiles(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.tile)
    }

    /// Number of entries in the tree, and its root.
    pub(crate) fn head(&self) -> TreeHead {
        let partial = self.levels.first().map_or(0, |leaves| leaves.hashes.len());
        let size = self.full_tiles() * TILE_WIDTH as u64 + partial as u64;
        let Ok(root) = root(&mut self.clone(), size);
        TreeHead { size, root }
    }
}

impl Nodes for Edge {
    type Error = std::convert::Infallible;

    fn nodes(&mut self, level: u8, first: u64, count: usize) -> Result<Vec<TreeHash>, Self::Error> {
        // The root's subtrees are all on the edge, so this range is there.
        let start = (first % TILE_WIDTH as u64) as usize;
        let hashes = self.levels.get(usize::from(level)).and_then(|p| p.hashes.get(start..start + count));
        Ok(hashes.unwrap_or_default().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All leaves, and the definitions of RFC 6962 word for word.
    struct Leaves(Vec<TreeHash>);

    fn mth(leaves: &[TreeHash]) -> TreeHash {
        match leaves {
            [] => TreeHash::of_nothing(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
                TreeHash::of_children(mth(left), mth(right))
            }
        }
    }

    impl Nodes for Leaves {
        type Error = std::convert::Infallible;
        fn nodes(&mut self, level: u8, first: u64, count: usize) -> Result<Vec<TreeHash>, Self::Error> {
            let width = 256_usize.pow(u32::from(level));
            let starts = (first as usize..).take(count).map(|n| n * width);
            Ok(starts.map(|start| mth(&self.0[start..start + width])).collect())
        }
    }

    fn leaves(count: u64) -> Leaves {
        Leaves((0..count).map(|n| TreeHash::of_entry(&n.to_be_bytes())).collect())
    }

    #[test]
    fn known_answers_of_certificate_transparency() {
        let hex = |hash: TreeHash| hash.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        // The empty tree and the leaf of an empty entry, as in the reference implementation's tests.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(TreeHash::of_nothing()), empty);
        let leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(hex(TreeHash::of_entry(b"")), leaf);
        let entries: [&[u8]; 8] = [
            b"",
            b"\0",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let all: Vec<_> = entries.iter().map(|entry| TreeHash::of_entry(entry)).collect();
        let root = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328";
        assert_eq!(hex(mth(&all)), root);
    }

    #[test]
    fn roots_and_proofs_agree_with_the_definition() {
        let Leaves(all) = leaves(600);
        let mut edge = Edge::default();
        for (before, leaf) in all.iter().enumerate() {
            assert_eq!(edge.head(), TreeHead { size: before as u64, root: mth(&all[..before]) });
            edge.push(*leaf);
        }
        for size in (1..40).chain([255, 256, 257, 511, 512, 513, 600]) {
            let mut nodes = leaves(size);
            let Ok(whole) = root(&mut nodes, size);
            assert_eq!(whole, mth(&nodes.0));
            for index in (0..size).filter(|index| size < 40 || index % 37 == 0 || index + 1 == size) {
                let Ok(proof) = inclusion(&mut nodes, index, size);
                let leaf = nodes.0[index as usize];
                assert!(verify_inclusion(leaf, index, size, &proof, whole), "{index} of {size}");
                assert!(!verify_inclusion(leaf, index ^ 1, size, &proof, whole), "{index} of {size}");
                assert!(!verify_inclusion(TreeHash([7; 32]), index, size, &proof, whole));
            }
            for old in (1..=size).filter(|old| size < 40 || old % 41 == 0 || old.is_power_of_two()) {
                let Ok(proof) = consistency(&mut nodes, old, size);
                let old_head = TreeHead { size: old, root: mth(&nodes.0[..old as usize]) };
                let new = TreeHead { size, root: whole };
                assert!(verify_consistency(old_head, new, &proof), "{old} of {size}");
                let other = TreeHead { root: TreeHash([7; 32]), ..old_head };
                assert!(!verify_consistency(other, new, &proof), "{old} of {size}");
                assert!(!verify_consistency(old_head, TreeHead { root: other.root, ..new }, &proof));
                for missing in 0..proof.len() {
                    let mut short = proof.clone();
                    short.remove(missing);
                    assert!(!verify_consistency(old_head, new, &short), "{old} of {size}");
                }
            }
        }
    }

    #[test]
    fn an_edge_can_be_loaded_at_each_full_bundle() {
        let Leaves(all) = leaves(256 * 260);
        let mut edge = Edge::default();
        let mut tiles = std::collections::HashMap::new();
        for (count, leaf) in (1_u64..).zip(&all) {
            for tile in edge.push(*leaf) {
                assert_eq!(tile.bytes().len(), 8192);
                assert_eq!(parse_tile(&tile.bytes(), 256).as_ref(), Some(&tile.hashes));
                tiles.insert((tile.level, tile.number), fold(tile.hashes));
            }
            if count % (256 * 13) == 0 || count == 256 * 256 {
                let loaded = Edge::load(count / 256, |level, n| tiles.get(&(level, n)).copied().ok_or(()));
                assert_eq!(loaded.unwrap().head(), edge.head());
            }
        }
        assert!(tiles.contains_key(&(1, 0)));
    }
}
