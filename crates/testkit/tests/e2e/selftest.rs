//! `bartizan selftest` against a live installation, whole and with its evidence taken away.

use bartizan_testkit::Finished;
use serde_json::Value;

use crate::scene::{Options, Scene, Way, text};

fn selftest(scene: &Scene) -> Finished {
    let (to, key, folder) =
        (format!("{}@web-1", scene.target.login()), scene.key.private(), scene.folder().to_owned());
    let arguments =
        ["selftest", &to, "--person", "alice", "--identity", text(key), "--folder", text(&folder)];
    scene.bartizan().cli(&[&arguments[..], &["--json"]].concat())
}

/// What became of each check: way, name, result.
fn results(done: &Finished) -> Vec<(String, String, String)> {
    let lines: Vec<Value> = serde_json::from_str(&done.text()).unwrap_or_else(|_| panic!("{done}"));
    let word = |line: &Value, key| line[key].as_str().unwrap().to_owned();
    lines.iter().map(|line| (word(line, "way"), word(line, "check"), word(line, "result"))).collect()
}

#[test]
fn a_whole_installation_proves_itself() {
    let allow = Some("shell,exec,sftp:read,sftp:write,scp,forward:local");
    let scene = Scene::with(Way::ProxyJump, &Options { allow, ..Options::default() });
    let done = selftest(&scene).ok();
    let results = results(&done);
    assert_eq!(results.len(), 14, "{done}");
    assert!(results.iter().all(|(_, _, result)| result == "proven"), "{done}");
    let left = std::fs::read_dir(scene.folder()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("bartizan-selftest")), "{left:?}");
}

#[test]
fn what_policy_refuses_is_told_apart_from_a_gap() {
    let scene = Scene::with(Way::ProxyJump, &Options { allow: Some("exec"), ..Options::default() });
    let done = selftest(&scene).ok();
    for (way, check, result) in results(&done) {
        // scp by its old protocol is an exec like any other.
        let refused = ["shell", "sftp", "scp", "forward"].contains(&check.as_str());
        assert_eq!(result, if refused { "refused" } else { "proven" }, "{check} by {way}: {done}");
    }
}

#[test]
fn a_grant_that_keeps_digests_only_is_told_so() {
    let options = Options { allow: Some("exec"), grant: &["--record", "digests"], ..Options::default() };
    let scene = Scene::with(Way::ProxyJump, &options);
    let done = selftest(&scene).ok();
    let lines: Vec<Value> = serde_json::from_str(&done.text()).unwrap();
    for line in lines.iter().filter(|line| line["check"] == "exec") {
        assert_eq!((&line["result"], &line["digests_only"]), (&"proven".into(), &true.into()), "{done}");
    }
    // What a terminal showed is kept all the same.
    for line in lines.iter().filter(|line| line["check"] == "terminal") {
        assert_eq!((&line["result"], &line["digests_only"]), (&"proven".into(), &false.into()), "{done}");
    }
}

#[test]
fn without_a_recorder_every_check_is_a_gap() {
    let scene = Scene::new(Way::ProxyJump);
    let recordings = scene.bartizan().data().join("recordings");
    std::fs::rename(&recordings, recordings.with_extension("away")).unwrap();
    std::fs::write(&recordings, "not a folder").unwrap();
    let done = selftest(&scene).exits(4);
    assert!(results(&done).iter().all(|(_, _, result)| result == "gap"), "{done}");
    done.says(&["14 of 14 checks"]);
}
