//! What both listeners offer, as ssh-audit judges it and as OpenSSH sees it.

use std::process::Command;

use bartizan_testkit::{BartizanOptions, run, target_folder};
use serde_json::Value;

use crate::clients::Tunnel;
use crate::scene::{Options, Scene, Way, list, ways};

ways! {
    everywhere: ;
    bartizan:
        ssh_audit_finds_no_fault,
        ssh_audit_has_nothing_to_say_of_post_quantum_key_exchange_alone,
        the_best_comes_first_and_nothing_rests_on_sha1,
}

/// ssh-audit's view of the outer listener, or of the inner one behind `ssh -L PORT:web-1:22 alice@bastion`.
///
/// The inner one takes the newer OpenSSH: without it this fails, since a hole in the test must not look like a pass.
///
/// Without its test of how many connections a second are taken: `limits.rs` shows where they end.
#[track_caller]
fn audit(scene: &Scene) -> (i32, Value) {
    let tunnel;
    let port = match scene.way() {
        Way::ProxyJump => {
            tunnel = Tunnel::by_newer_openssh(scene)
                .expect("no newer OpenSSH was to be had: scripts/setup-test.sh test says why");
            tunnel.port
        }
        _ => scene.bartizan().port(),
    };
    let mut audit = Command::new(target_folder().join("test-python/bin/ssh-audit"));
    let done = run(audit.args(["--json", "--skip-rate-test", "-p", &port.to_string(), "127.0.0.1"]));
    let report = serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {done}"));
    (done.code(), report)
}

/// `LIST ALGORITHM: NOTE` for each note of a kind.
fn notes(report: &Value, kind: &str) -> Vec<String> {
    let mut notes = Vec::new();
    for group in ["kex", "key", "enc", "mac"] {
        let algorithms = list(&report[group]);
        assert!(!algorithms.is_empty(), "nothing offered as {group}: {report:#}");
        for algorithm in algorithms {
            for note in algorithm["notes"][kind].as_array().unwrap_or(&Vec::new()) {
                let (name, note) = (algorithm["algorithm"].as_str().unwrap(), note.as_str().unwrap());
                notes.push(format!("{group} {name}: {note}"));
            }
        }
    }
    notes
}

fn offered(report: &Value, group: &str) -> Vec<String> {
    list(&report[group]).iter().map(|one| one["algorithm"].as_str().unwrap().to_owned()).collect()
}

fn ssh_audit_finds_no_fault(way: Way) {
    let scene = Scene::with(way, &Options::default());
    let (_, report) = audit(&scene);
    assert_eq!(notes(&report, "fail"), Vec::<String>::new());
    assert_eq!(report["cves"], Value::Array(Vec::new()));
    // The one exception, for all clients that have nothing newer: see docs/decisions/0008-key-exchange.md.
    let exception = |name| format!("kex {name}: does not provide protection against post-quantum attacks");
    assert_eq!(notes(&report, "warn"), ["curve25519-sha256", "curve25519-sha256@libssh.org"].map(exception));
    assert_eq!(offered(&report, "kex")[0], "mlkem768x25519-sha256");
    assert!(offered(&report, "kex").contains(&"kex-strict-s-v00@openssh.com".to_owned()), "{report:#}");
}

fn ssh_audit_has_nothing_to_say_of_post_quantum_key_exchange_alone(way: Way) {
    let config = "\n[ssh]\nkey_exchange = [\"mlkem768x25519-sha256\"]\n".to_owned();
    let bartizan = BartizanOptions::written(config);
    let scene = Scene::with(way, &Options { bartizan, ..Options::default() });
    // The system's client cannot come in any more; the newer one can.
    scene.exec("true").fails().says(&["no matching key exchange"]);
    let (code, report) = audit(&scene);
    assert_eq!((notes(&report, "fail"), notes(&report, "warn")), (Vec::new(), Vec::new()));
    assert_eq!(code, 0, "{report:#}");
}

fn the_best_comes_first_and_nothing_rests_on_sha1(way: Way) {
    let scene = Scene::new(way);
    // `-vvv` tells both lists of both connections, ours as the "peer server KEXINIT proposal".
    let done = run(scene.client.ssh().args(["-vvv", scene.host(), "true"])).ok();
    let errors = done.errors();
    let ours = errors.split("peer server KEXINIT proposal").last().unwrap();
    let methods = ours.lines().find_map(|line| line.split("KEX algorithms: ").nth(1)).unwrap();
    assert!(methods.starts_with("mlkem768x25519-sha256,"), "{methods}");
    assert!(methods.contains("kex-strict-s-v00@openssh.com"), "{methods}");
    assert!(errors.contains("will use strict KEX ordering"), "{done}");
    let signatures = errors.lines().rfind(|line| line.contains("server-sig-algs=")).expect("server-sig-algs");
    assert!(signatures.contains("rsa-sha2-512") && !signatures.contains("ssh-rsa"), "{signatures}");
    for line in ours.lines().take_while(|line| !line.contains("kex: algorithm")) {
        for name in line.split([',', ' ']) {
            assert!(!name.contains("sha1") && name != "ssh-rsa" && name != "hmac-sha1", "{line}");
        }
    }
}
