//! `bartizan selftest` against a live installation, whole and with its evidence taken away.

use bartizan_testkit::{Finished, SshdOptions};
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
    lines.iter().map(|line| (word(line, "way"), word(line, "check"), word(line, "outcome"))).collect()
}

#[test]
fn a_whole_installation_proves_itself() {
    let allow = Some("shell,exec,sftp:read,sftp:write,scp,forward:local,forward:remote,agent");
    let scene = Scene::with(Way::ProxyJump, &Options { allow, ..Options::default() });
    let done = selftest(&scene).ok();
    let results = results(&done);
    assert_eq!(results.len(), 18, "{done}");
    assert!(results.iter().all(|(_, _, result)| result == "proven"), "{done}");
    assert_eq!(left(&scene), Vec::<String>::new());
}

/// What the self-test left in the target's folder for its files.
fn left(scene: &Scene) -> Vec<String> {
    let names = std::fs::read_dir(scene.folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("bartizan-selftest")).collect()
}

#[test]
fn files_go_by_what_is_granted_and_one_that_stays_is_named() {
    let scene = Scene::with(Way::ProxyJump, &Options { allow: Some("exec,scp"), ..Options::default() });
    let done = selftest(&scene).ok();
    assert_eq!(left(&scene), Vec::<String>::new(), "removed by a command: {done}");

    let scene = Scene::with(Way::ProxyJump, &Options { allow: Some("scp"), ..Options::default() });
    let done = selftest(&scene).ok();
    let lines: Vec<Value> = serde_json::from_str(&done.text()).unwrap();
    let told = lines.iter().flat_map(|line| line["left"].as_array().cloned().unwrap_or_default());
    let mut told: Vec<_> =
        told.map(|path| path.as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect();
    let mut left = left(&scene);
    told.sort();
    left.sort();
    assert_eq!(left.len(), 2, "the old protocol of scp, by both ways: {done}");
    assert_eq!(told, left, "{done}");
}

#[test]
fn what_the_target_refuses_is_no_gap() {
    let refused = vec!["AllowTcpForwarding local".to_owned(), "AllowAgentForwarding no".to_owned()];
    let sshd = SshdOptions { config: refused, ..SshdOptions::default() };
    let allow = Some("exec,forward:remote,agent");
    let scene = Scene::with(Way::ProxyJump, &Options { sshd, allow, ..Options::default() });
    let done = selftest(&scene).ok();
    for (way, check, result) in results(&done) {
        if ["forward -R", "agent"].contains(&check.as_str()) {
            assert_eq!(result, "untried", "{check} by {way}: {done}");
        }
    }
}

#[test]
fn a_remote_forward_is_tried_by_a_command_where_no_local_one_is_granted() {
    let scene =
        Scene::with(Way::ProxyJump, &Options { allow: Some("exec,forward:remote"), ..Options::default() });
    let done = selftest(&scene).ok();
    let found = results(&done).into_iter().filter(|(_, check, _)| check == "forward -R");
    assert!(found.map(|(_, _, result)| result).eq(["proven", "proven"]), "{done}");
}

#[test]
fn what_policy_refuses_is_told_apart_from_a_gap() {
    let scene = Scene::with(Way::ProxyJump, &Options { allow: Some("exec"), ..Options::default() });
    let done = selftest(&scene).ok();
    for (way, check, result) in results(&done) {
        // scp by its old protocol is an exec like any other.
        let refused = ["shell", "sftp", "scp", "forward", "forward -R", "agent"].contains(&check.as_str());
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
        assert_eq!((&line["outcome"], &line["digests_only"]), (&"proven".into(), &true.into()), "{done}");
    }
    // What a terminal showed is kept all the same.
    for line in lines.iter().filter(|line| line["check"] == "terminal") {
        assert_eq!((&line["outcome"], &line["digests_only"]), (&"proven".into(), &false.into()), "{done}");
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
    done.says(&["18 of 18 checks"]);
}
