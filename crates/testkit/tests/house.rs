//! The plan of the house, as a test: who may import whom, and which room owns a heavy dependency.
//!
//! The same table stands in `ARCHITECTURE.md`; `deny.toml` repeats the owners for the whole dependency tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use bartizan_testkit::Rule::{Imports, Never, Only};
use bartizan_testkit::{Edges, Rules, workspace_edges};

const MODEL: &str = "bartizan-model";
const SSH: &str = "bartizan-ssh";
const ACCESS: &str = "bartizan-access";
const DECODE: &str = "bartizan-decode";
const RECORD: &str = "bartizan-record";
const AUDIT: &str = "bartizan-audit";
const STORE: &str = "bartizan-store";
const GATEWAY: &str = "bartizan-gateway";
const API: &str = "bartizan-api";
const SINKS: &str = "bartizan-sinks";

const HOUSE: Rules = Rules(&[
    // Floor 1.
    Imports(MODEL, &[]),
    // Floor 2: rooms that do not know each other.
    Imports(SSH, &[]),
    Imports(ACCESS, &[MODEL]),
    Imports(DECODE, &[MODEL]),
    Imports(RECORD, &[MODEL]),
    Imports(AUDIT, &[MODEL]),
    Imports(STORE, &[MODEL]),
    // Floor 3: nor do these.
    Imports(GATEWAY, &[SSH, ACCESS, DECODE, RECORD, AUDIT, STORE, MODEL]),
    Imports(API, &[ACCESS, STORE, RECORD, AUDIT, MODEL]),
    Imports(SINKS, &[AUDIT, RECORD, STORE, MODEL]),
    // Floor 4.
    Imports("bartizand", &[GATEWAY, API, SINKS, SSH, ACCESS, RECORD, AUDIT, STORE, MODEL]),
    Imports("bartizan", &[AUDIT, RECORD, DECODE, MODEL]),
    // Development only; the programs are started, not linked.
    Imports("bartizan-testkit", &[]),
    // Pure rooms: no runtime, however indirectly.
    Never(MODEL, "tokio"),
    Never(SSH, "tokio"),
    Never(ACCESS, "tokio"),
    Never(DECODE, "tokio"),
    // The offline verifier and player link no server.
    Never("bartizan", "sqlx"),
    Never("bartizan", "axum"),
    Never("bartizan", "cedar-policy"),
    // Heavy dependencies have one owner.
    Only("axum", &[API]),
    Only("sqlx", &[STORE]),
    Only("cedar-policy", &[ACCESS]),
    Only("zstd", &[RECORD]),
    Only("ssh-key", &[SSH]),
    // No second cryptography.
    Never("bartizand", "ring"),
    Never("bartizand", "openssl-sys"),
]);

#[test]
fn imports_only_go_down() {
    let faults = HOUSE.broken_by(&workspace_edges());
    assert!(faults.is_empty(), "the house is not in order:\n{}", faults.join("\n"));
}

#[test]
fn the_rules_find_what_they_forbid() {
    let sound = workspace_edges();
    let broken = |from: &str, to: &str| {
        let mut edges = sound.clone();
        edges.uses.entry(from.to_owned()).or_default().insert(to.to_owned());
        HOUSE.broken_by(&edges).join("\n")
    };
    assert!(broken(AUDIT, STORE).contains("bartizan-audit must not import bartizan-store"));
    assert!(broken(MODEL, SSH).contains("bartizan-model must not import bartizan-ssh"));
    assert!(broken("bartizan", GATEWAY).contains("bartizan must not import bartizan-gateway"));
    assert!(broken(GATEWAY, "axum").contains("axum belongs to bartizan-api, not to bartizan-gateway"));
    assert!(broken(API, "sqlx").contains("sqlx belongs to bartizan-store, not to bartizan-api"));
    // Indirectly: a parser that brings a runtime along.
    let path = broken("thiserror", "tokio");
    assert!(
        path.contains("bartizan-ssh must not depend on tokio: bartizan-ssh → thiserror → tokio"),
        "{path}"
    );
}

#[test]
fn a_room_outside_the_table_is_a_fault() {
    let row = Rules(&[Imports("a", &[]), Imports("gone", &[])]);
    let edges = Edges {
        uses: BTreeMap::from([("a".into(), BTreeSet::from(["b".into()])), ("b".into(), BTreeSet::new())]),
        members: BTreeSet::from(["a".into(), "b".into()]),
    };
    let faults = row.broken_by(&edges);
    assert_eq!(
        faults,
        ["b has no row in the table", "the table names gone, which does not exist", "a must not import b"]
    );
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut seen = 0;
    for folder in ["crates", "bin"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let manifest = entry.unwrap().path().join("Cargo.toml");
            let Ok(text) = fs::read_to_string(&manifest) else { continue };
            assert!(
                text.contains("[lints]\nworkspace = true"),
                "{} has lints of its own",
                manifest.display()
            );
            assert!(!text.contains("git = "), "{} depends on a repository", manifest.display());
            seen += 1;
        }
    }
    assert!(seen >= 12, "only {seen} crates found");
    let workspace = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(workspace.contains("unsafe_code = \"forbid\""), "unsafe code is forbidden in the whole house");
}

#[test]
fn no_test_file_is_forgotten() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") else { continue };
        assert!(main.contains(&format!("mod {module};")), "{name} is not part of tests/e2e/main.rs");
    }
}
