//! What the decoders say of programs that move files, by the log: paths, bytes, digests, refs.

use std::fs;
use std::path::Path;
use std::process::Command;

use bartizan_testkit::{OpenSshServer, Pattern, eventually, run};
use serde_json::Value;

use crate::scene::{Scene, Way, text, trust_bartizan, ways};

ways! {
    everywhere: ;
    bartizan:
        scp_says_path_bytes_and_digest,
        scp_by_its_old_protocol_says_the_same,
        sftp_says_each_file_and_each_change,
        rsync_says_path_and_totals,
        git_says_the_refs_of_a_push,
        a_shell_behind_scp_is_said_to_be_no_scp,
}

/// What `sha256sum` says of a file.
fn sha256sum(path: &Path) -> String {
    run(Command::new("sha256sum").arg(path)).ok().text()[..64].to_owned()
}

/// The only transfers, in order, once there are so many.
#[track_caller]
fn transfers(scene: &Scene, count: usize) -> Vec<Value> {
    let found = eventually("the transfers are in the log", || {
        Some(scene.events("transfer")).filter(|found| found.len() >= count)
    });
    assert_eq!(found.len(), count, "{found:#?}");
    found
}

fn big(scene: &Scene) -> std::path::PathBuf {
    let big = scene.folder().join("big");
    fs::write(&big, Pattern::bytes(7, 5_000_001)).unwrap();
    fs::create_dir(scene.folder().join("far")).unwrap();
    big
}

/// Copies a file there and back; both are transfers with the digest that `sha256sum` gives.
fn copies(scene: &Scene, protocol: &str) {
    let (big, far) = (big(scene), scene.folder().join("far"));
    let there = format!("{}:{}/", scene.host(), far.display());
    run(scene.client.scp().args(["-q", protocol, text(&big), &there])).ok();
    let back = scene.folder().join("back");
    run(scene.client.scp().args(["-q", protocol, &format!("{there}big"), text(&back)])).ok();
    let found = transfers(scene, 2);
    for (event, direction) in found.iter().zip(["upload", "download"]) {
        assert_eq!(event["direction"], direction);
        assert_eq!(event["path"], text(&far.join("big")));
        assert_eq!(event["bytes"], 5_000_001);
        assert_eq!(event["sha256"], sha256sum(&big).as_str());
        assert_eq!((&event["status"], &event["outcome"]), (&"ok".into(), &"success".into()));
        assert_eq!(event["person"], "alice");
        assert_eq!(event["target"], "web-1");
        assert_eq!(event["derived"]["confidence"], "high");
    }
}

fn scp_says_path_bytes_and_digest(way: Way) {
    let scene = Scene::new(way);
    copies(&scene, "-s");
    assert_eq!(transfers(&scene, 2)[0]["derived"]["decoder"], "sftp");
}

fn scp_by_its_old_protocol_says_the_same(way: Way) {
    let scene = Scene::new(way);
    copies(&scene, "-O");
    assert_eq!(transfers(&scene, 2)[0]["derived"]["decoder"], "scp");
    assert_eq!(scene.events("scp.end").len(), 2);
}

/// `scp -3`: from one target to another through the client, by two sessions, each of which tells its half.
#[test]
fn scp_between_two_targets_says_both_halves() {
    let mut scene = Scene::new(Way::ProxyJump);
    let other = second_target(&mut scene);
    let (big, far) = (big(&scene), scene.folder().join("far"));
    for (protocol, decoder) in [("-s", "sftp"), ("-O", "scp")] {
        let before = scene.events("transfer").len();
        let copy = far.join(decoder);
        let (from, to) = (format!("web-1:{}", big.display()), format!("web-2:{}", copy.display()));
        run(scene.client.scp().args(["-q", "-3", protocol, &from, &to])).ok();
        assert_eq!(sha256sum(&copy), sha256sum(&big));
        let found = transfers(&scene, before + 2).split_off(before);
        for (target, direction, path) in [("web-1", "download", &big), ("web-2", "upload", &copy)] {
            let event = found.iter().find(|event| event["target"] == target);
            let event = event.unwrap_or_else(|| panic!("nothing of {target}: {found:#?}"));
            assert_eq!((&event["direction"], &event["path"]), (&direction.into(), &text(path).into()));
            assert_eq!((&event["bytes"], &event["status"]), (&5_000_001.into(), &"ok".into()));
            assert_eq!(event["sha256"], sha256sum(&big).as_str());
            assert_eq!(event["derived"]["decoder"], decoder);
        }
    }
    drop(other);
}

/// `web-2` beside `web-1`, for the same person by the same ways.
fn second_target(scene: &mut Scene) -> OpenSshServer {
    let other = OpenSshServer::start();
    let b = scene.bartizan();
    other.trust_user_ca(&b.say(&["ca", "show", "user"]));
    b.say(&["target", "add", "web-2", &other.endpoint(), "--host-key", text(&other.host_key().public())]);
    let grant = ["grant", "add", "--person", "alice", "--target", "web-2", "--login", other.login()];
    b.say(&[&grant[..], &["--allow", "sftp:read,sftp:write,scp"]].concat());
    trust_bartizan(&scene.client, b);
    scene.client.host("web-2", "web-2:22", other.login(), &["ProxyJump bastion"]);
    other
}

fn sftp_says_each_file_and_each_change(way: Way) {
    let scene = Scene::new(way);
    let (big, far) = (big(&scene), scene.folder().join("far"));
    let batch = scene.folder().join("batch");
    let lines = format!(
        "cd {}\nput {}\nrename big large\nmkdir d\nrmdir d\nchmod 600 large\nls\n-get nosuch\nrm large\n",
        far.display(),
        big.display()
    );
    fs::write(&batch, lines).unwrap();
    run(scene.client.sftp().args(["-b", text(&batch), scene.host()])).ok();
    let put = &transfers(&scene, 1)[0];
    assert_eq!((&put["bytes"], &put["sha256"]), (&5_000_001.into(), &sha256sum(&big).into()));
    let end = scene.event("sftp.end");
    assert_eq!((&end["version"], &end["opens"]), (&3.into(), &1.into()));
    assert!(end["listings"].as_u64() >= Some(1), "{end}");
    let path = |name: &str| Value::from(text(&far.join(name)));
    let rename = scene.event("sftp.rename");
    assert_eq!((&rename["from"], &rename["to"]), (&path("big"), &path("large")));
    for (kind, name) in [("mkdir", "d"), ("rmdir", "d"), ("remove", "large")] {
        let change = scene.event(&format!("sftp.{kind}"));
        assert_eq!((&change["path"], &change["status"]), (&path(name), &"ok".into()), "{kind}");
    }
    assert!(scene.events("sftp.setstat").iter().any(|set| set["mode"] == "0600"));
}

fn rsync_says_path_and_totals(way: Way) {
    let scene = Scene::new(way);
    let (big, far) = (big(&scene), scene.folder().join("far"));
    let near = scene.folder().join("near");
    fs::create_dir_all(near.join("deep")).unwrap();
    fs::rename(&big, near.join("big")).unwrap();
    fs::write(near.join("deep/small"), b"small").unwrap();
    let (near, there) = (format!("{}/", near.display()), format!("{}:{}/", scene.host(), far.display()));
    let rsync = |arguments: &[&str]| {
        run(Command::new("rsync").args(["-a", "-e", &scene.client.ssh_line()]).args(arguments)).ok();
    };
    rsync(&[&near, &there]);
    // Each file by its own path, with the digest of what passed, once the target has all of it.
    let sent = transfers(&scene, 2);
    for (event, name) in sent.iter().zip(["big", "deep/small"]) {
        assert_eq!((&event["direction"], &event["status"]), (&"upload".into(), &"ok".into()));
        assert_eq!(event["path"], text(&far.join(name)));
        assert_eq!(event["sha256"], sha256sum(&far.join(name)).as_str());
    }
    assert_eq!((&sent[0]["bytes"], &sent[0]["size"]), (&5_000_001.into(), &5_000_001.into()));
    let end = scene.event("rsync.end");
    assert!(end["version"].as_u64() >= Some(30) && end["bytes_in"].as_u64() > Some(5_000_001), "{end}");
    // The folder itself, a file, a folder, and the file in it.
    let totals = ["listed", "transferred", "total_size", "content_bytes"].map(|name| end[name].as_u64());
    assert_eq!(totals, [Some(4), Some(2), Some(5_000_006), Some(5_000_006)]);

    // What is there already does not move, the other way neither.
    fs::write(far.join("deep/small"), b"another").unwrap();
    rsync(&[&there, &near]);
    let fetched = transfers(&scene, 3);
    assert_eq!((&fetched[2]["direction"], &fetched[2]["status"]), (&"download".into(), &"ok".into()));
    assert_eq!(fetched[2]["path"], text(&far.join("deep/small")));
}

fn git_says_the_refs_of_a_push(way: Way) {
    let scene = Scene::new(way);
    let near = scene.folder().join("near");
    fs::create_dir(&near).unwrap();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(&near).env("GIT_SSH_COMMAND", scene.client.ssh_line());
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        git.args(["-c", "user.name=Alice", "-c", "user.email=alice@example.com", "-c", "safe.directory=*"]);
        run(git.args(arguments)).ok().text().trim().to_owned()
    };
    git(&["init", "-q", "-b", "main", "."]);
    git(&["commit", "-q", "--allow-empty", "-m", "first"]);
    let repository = scene.folder().join("far.git");
    git(&["init", "-q", "--bare", text(&repository)]);
    git(&["push", "-q", &format!("{}:{}", scene.host(), repository.display()), "main"]);
    let pushed = scene.event("git.ref");
    assert_eq!((&pushed["ref"], &pushed["status"]), (&"refs/heads/main".into(), &"ok".into()));
    assert_eq!((&pushed["old"], &pushed["new"]), (&Value::Null, &git(&["rev-parse", "main"]).into()));
    assert_eq!(pushed["repository"], text(&repository));
    assert_eq!(scene.event("git.end")["service"], "git-receive-pack");
}

fn a_shell_behind_scp_is_said_to_be_no_scp(way: Way) {
    let scene = Scene::new(way);
    let pwned = scene.folder().join("pwned");
    let command = format!(
        "scp -t {} </dev/null; echo free > {p}; cat {p}",
        scene.folder().display(),
        p = pwned.display()
    );
    let said = scene.exec(&command);
    assert!(said.ok().text().ends_with("free\n"));
    // The command is on record as it is, and so is the output; the decoder makes no file of it.
    assert_eq!(scene.event("command")["command"], command.as_str());
    let end = scene.event("scp.end");
    assert_eq!((&end["files"], &end["derived"]["confidence"]), (&0.into(), &"medium".into()), "{end}");
}
