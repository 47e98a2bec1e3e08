//! The SFTP root: `sftp alice@bastion`, where targets are folders.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bartizan_testkit::{Finished, OpenSshServer, Pattern, eventually, run, run_with_input};
use serde_json::Value;

use crate::clients::{Mount, can_mount, python, source};
use crate::scene::{Client, Options, Scene, Way, list, text};

/// A second target beside `web-1`, and a third one that nobody may reach.
struct Two {
    scene: Scene,
    /// Held while the test runs.
    _db: OpenSshServer,
}

impl Two {
    fn new() -> Self {
        Self::with(&Options::default())
    }

    fn with(options: &Options) -> Self {
        let scene = Scene::with(Way::ProxyJump, options);
        let db = OpenSshServer::start();
        let b = scene.bartizan();
        db.trust_user_ca(&b.say(&["ca", "show", "user"]));
        b.say(&["target", "add", "db-1", &db.endpoint(), "--host-key", text(&db.host_key().public())]);
        b.say(&["target", "add", "secret-1", "192.0.2.1:22", "--first-use"]);
        let grant = ["grant", "add", "--person", "alice", "--target", "db-1", "--login", db.login()];
        b.say(&[&grant[..], &["--allow", "sftp:read,sftp:write"]].concat());
        let two = Self { scene, _db: db };
        eventually("the grants are in force", || two.batch(&["ls /db-1"]).errors().is_empty().then_some(()));
        two
    }

    /// What a path on a target's disk is called here.
    fn at(&self, target: &str, path: &Path) -> String {
        format!("/{target}/{}{}", self.scene.target.login(), path.display())
    }

    /// Runs a batch of OpenSSH's `sftp`.
    fn batch(&self, lines: &[&str]) -> Finished {
        let batch = self.scene.folder().join("batch");
        fs::write(&batch, lines.join("\n") + "\n").unwrap();
        run(self.scene.client.sftp().args(["-q", "-b", text(&batch), "bastion"]))
    }

    /// A folder that all targets have, since they are on one machine.
    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.scene.folder().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    }

    fn paramiko(&self, words: &[&str]) -> Command {
        let scene = &self.scene;
        let mut python = python();
        python.arg(source("sftp_root.py")).arg(scene.bartizan().port().to_string());
        python.arg(scene.key.private()).args(words);
        python
    }

    /// Sessions by target, once all have ended.
    #[track_caller]
    fn ended(&self, target: &str) -> Vec<Value> {
        let all = eventually("all sessions have ended", || {
            Some(self.scene.sessions()).filter(|all| all.iter().all(|session| session["state"] != "live"))
        });
        all.into_iter().filter(|session| session["target"] == target).collect()
    }
}

fn same_bytes(one: &Path, other: &Path) -> bool {
    fs::read(one).unwrap() == fs::read(other).unwrap()
}

fn sha256sum(path: &Path) -> String {
    run(Command::new("sha256sum").arg(path)).ok().text()[..64].to_owned()
}

#[test]
fn targets_and_logins_are_folders() {
    let two = Two::new();
    let login = two.scene.target.login();
    let done = two
        .batch(&[
            "pwd",
            "ls -1",
            "ls -l /web-1",
            "cd web-1",
            &format!("cd {login}/etc"),
            "pwd",
            "ls -1 hosts",
        ])
        .ok();
    let lines: Vec<_> =
        done.text().lines().filter(|line| !line.starts_with("sftp>")).map(str::to_owned).collect();
    assert_eq!(lines[..3], ["Remote working directory: /", "db-1", "web-1"], "{done}");
    assert!(lines[3].starts_with("drwxr-xr-x    1 bartizan bartizan        0 "), "{done}");
    assert!(lines[3].ends_with(&format!(" {login}")), "{done}");
    assert_eq!(
        lines[4..],
        [format!("Remote working directory: /web-1/{login}/etc"), "hosts".into()],
        "{done}"
    );
    // What may not be reached is not there.
    for line in ["ls /secret-1", "ls /nosuch-1", "ls /web-1/nobody"] {
        two.batch(&[line]).exits(1).says(&["not found"]);
    }
    two.batch(&["rm /web-1/nobody/x"]).exits(1).says(&["access to nobody@web-1 denied", "permission denied"]);
    two.batch(&["rm /secret-1/root/x"])
        .exits(1)
        .says(&["access to root@secret-1 denied", "permission denied"]);
    two.batch(&["rm /nosuch-1/root/x"]).exits(1).says(&["there is no such target or login", "no such file"]);
    let denied: Vec<_> = two
        .scene
        .denied()
        .into_iter()
        .map(|event| (event["action"].clone(), event["target"].clone()))
        .collect();
    for event in
        [("connect", "web-1"), ("connect", "secret-1"), ("connect", "bartizan"), ("sftp.look", "bartizan")]
    {
        assert!(denied.contains(&(event.0.into(), event.1.into())), "{event:?} in {denied:#?}");
    }
    for line in [
        "mkdir /new",
        "mkdir /web-1/new",
        &format!("rmdir /web-1/{login}"),
        "rm /web-1",
        "rename /web-1 /web-2",
    ] {
        two.batch(&[line]).exits(1).says(&["cannot be changed"]);
    }
}

#[test]
fn files_below_a_login_are_the_targets() {
    let two = Two::new();
    let (near, far) = (two.folder("near"), two.folder("far"));
    fs::create_dir_all(near.join("tree/deep")).unwrap();
    fs::write(near.join("big"), Pattern::bytes(3, 5_000_001)).unwrap();
    fs::write(near.join("tree/empty"), "").unwrap();
    fs::write(near.join("tree/deep/small"), Pattern::bytes(4, 33)).unwrap();
    fs::set_permissions(near.join("tree/deep/small"), fs::Permissions::from_mode(0o751)).unwrap();
    let there = two.at("web-1", &far);
    let (near_text, big) = (text(&near), near.join("big"));
    let done = two.batch(&[
        &format!("cd {there}"),
        &format!("put {near_text}/big"),
        &format!("put -pr {near_text}/tree"),
        "rename big large",
        &format!("get large {near_text}/large"),
        "mkdir folder",
        "rename large folder/large",
        "ln -s folder/large link",
        "ln folder/large hard",
        "chmod 600 hard",
        "ls -l",
        "df",
        &format!("get -r tree {near_text}/back"),
        "rm hard",
        "rm link",
        "rm folder/large",
        "rmdir folder",
    ]);
    let done = done.ok();
    assert!(done.text().contains("5000001"), "the listing shows the size: {done}");
    assert!(done.errors().is_empty(), "{done}");
    assert!(fs::read(near.join("large")).unwrap() == Pattern::bytes(3, 5_000_001));
    for copy in [far.join("tree"), near.join("back")] {
        run(Command::new("diff").arg("-r").arg(near.join("tree")).arg(copy)).ok();
    }
    assert_eq!(fs::metadata(far.join("tree/deep/small")).unwrap().permissions().mode() & 0o777, 0o751);
    assert_eq!(fs::read_dir(&far).unwrap().count(), 1);
    // One session of the root, one of the target, each with all that belongs to it.
    let (roots, targets) = (two.ended("bartizan"), two.ended("web-1"));
    assert!(roots.iter().chain(&targets).all(|session| session["way"] == "console"));
    assert_eq!(targets.len(), 1, "{targets:#?}");
    let transfers = two.scene.events("transfer");
    let of_big: Vec<_> = transfers.iter().filter(|event| event["bytes"] == 5_000_001).collect();
    assert_eq!(of_big.len(), 2, "{transfers:#?}");
    for (event, direction) in of_big.iter().zip(["upload", "download"]) {
        assert_eq!(
            (&event["direction"], &event["target"], &event["session"]),
            (&direction.into(), &"web-1".into(), &targets[0]["id"])
        );
        assert_eq!(event["sha256"], sha256sum(&big).as_str());
        assert!(event["path"].as_str().unwrap().starts_with(text(&far)), "the target's own path: {event:#}");
    }
    // And they come out of the target's recording.
    let (folder, id) = (two.scene.folder().join("files"), targets[0]["id"].as_str().unwrap());
    let export = ["--json", "session", "export", id, "--format", "files", "-o", text(&folder)];
    let told: Vec<Value> = serde_json::from_slice(&two.scene.bartizan().cli(&export).ok().stdout).unwrap();
    let bigs: Vec<_> = told.iter().filter(|file| file["sha256"] == sha256sum(&big).as_str()).collect();
    assert_eq!(bigs.len(), 2, "{told:#?}");
    for file in bigs {
        assert!(same_bytes(&folder.join(file["file"].as_str().unwrap()), &big));
    }
    for kind in ["sftp.rename", "sftp.symlink", "sftp.hardlink", "sftp.setstat", "sftp.remove", "sftp.rmdir"]
    {
        assert!(!two.scene.events(kind).is_empty(), "{kind}");
    }
}

#[test]
fn what_the_root_shows_is_a_recorded_session_of_its_own() {
    let two = Two::new();
    let login = two.scene.target.login();
    let before = two.ended("bartizan").len();
    two.batch(&["ls /", "ls /web-1", &format!("ls /web-1/{login}/etc/hosts"), "-mkdir /new"]).ok();
    let roots = two.ended("bartizan");
    assert_eq!(roots.len(), before + 1);
    let id = roots[0]["id"].as_str().unwrap();
    let mut events = list(&two.scene.bartizan().json(&["log", "search", "--session", id]));
    events.sort_by_key(|event| event["index"].as_u64());
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let story = [
        "session.start",
        "channel.open",
        "command",
        "access.deny",
        "sftp.mkdir",
        "sftp.end",
        "channel.close",
        "session.end",
    ];
    let mut sorted = kinds.clone();
    sorted.retain(|kind| story.contains(kind));
    assert_eq!(sorted.len(), kinds.len(), "{kinds:?}");
    assert_eq!((kinds.first(), kinds.last()), (Some(&"session.start"), Some(&"session.end")), "{kinds:?}");
    let find = |kind: &str| {
        events.iter().find(|event| event["type"] == kind).unwrap_or_else(|| panic!("{kind}: {kinds:?}"))
    };
    assert_eq!(
        (&find("command")["request"], &find("command")["command"]),
        (&"subsystem".into(), &"sftp".into())
    );
    assert_eq!((&find("sftp.end")["listings"], &find("sftp.end")["version"]), (&2.into(), &3.into()));
    assert_eq!(
        (&find("access.deny")["action"], &find("access.deny")["detail"]),
        (&"sftp.mkdir".into(), &"/new".into())
    );
    // Bit for bit: what was listed, and not what is the target's.
    let raw = two.scene.folder().join("raw");
    two.scene.bartizan().say(&["session", "export", id, "--format", "raw", "--output", text(&raw)]);
    let shown = fs::read(&raw).unwrap();
    let holds = |text: &str| shown.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("db-1") && holds("web-1") && !holds("hosts"), "{}", String::from_utf8_lossy(&shown));
}

#[test]
fn two_targets_are_in_one_session() {
    let two = Two::new();
    let (web, db) = (two.folder("web"), two.folder("db"));
    let (from, to) = (web.join("file"), db.join("copy"));
    fs::write(&from, Pattern::bytes(8, 3_000_001)).unwrap();
    let (source, sink, link) =
        (two.at("web-1", &from), two.at("db-1", &to), two.at("db-1", &db.join("link")));
    run(&mut two.paramiko(&["copy", &source, &sink, &link])).ok();
    assert!(fs::read(&to).unwrap() == Pattern::bytes(8, 3_000_001));
    assert_eq!(fs::read_link(db.join("link")).unwrap(), to, "on the target it is the target's own path");
    // OpenSSH's own client says why, although it shows no text of a status.
    let across = two.batch(&[&format!("rename {source} {sink}-renamed")]).exits(1);
    across.says(&["different places: copy instead", "operation unsupported"]);
    assert!(from.exists());
    let transfers = two.scene.events("transfer");
    let said: Vec<_> = transfers
        .iter()
        .map(|event| {
            (
                event["target"].as_str().unwrap(),
                event["direction"].as_str().unwrap(),
                event["sha256"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let digest = sha256sum(&from);
    for (target, direction) in [("web-1", "download"), ("db-1", "upload")] {
        assert!(said.contains(&(target, direction, digest.clone())), "{said:#?}");
    }
    let (web, db) = (two.ended("web-1"), two.ended("db-1"));
    assert_ne!(web[0]["id"], db[0]["id"]);
}

#[test]
fn a_target_that_dies_takes_nobody_with_it() {
    let mut two = Two::new();
    let folder = two.folder("files");
    for name in ["web", "db"] {
        fs::write(folder.join(name), "hello").unwrap();
    }
    let (web, db) = (two.at("web-1", &folder.join("web")), two.at("db-1", &folder.join("db")));
    let mut client = Client::start(&mut two.paramiko(&["lose", &web, &db]));
    client.read_to("open\n");
    two.scene.target.kill_sessions();
    let lost = || {
        two.scene
            .sessions()
            .into_iter()
            .find(|session| session["target"] == "web-1" && session["state"] != "live")
    };
    let lost = eventually("its session is over", lost);
    assert!(lost["reason"].as_str().unwrap().contains("target lost"), "{lost:#}");
    client.type_in("go on\n");
    client.read_to("again\n");
    let (code, _, errors) = client.finish();
    assert_eq!(code, 0, "{errors}");
    // One that is not there at all is a status, and the next command goes on.
    two.scene.target.kill();
    let done = two.batch(&[&format!("-rm {web}"), &format!("ls -1 {db}")]).ok();
    let done = done.says(&["cannot connect to web-1", "no connection"]);
    assert!(done.text().contains("/files/db"), "{done}");
}

#[test]
fn who_may_only_read_cannot_write() {
    let two = Two::with(&Options { allow: Some("sftp:read"), ..Options::default() });
    let folder = two.folder("files");
    let file = two.at("web-1", &folder.join("new"));
    let done = two.batch(&[&format!("put {} {file}", text(&two.scene.key.public()))]).exits(1);
    done.says(&["permission denied"]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    let writes = two.scene.denied();
    assert!(writes.iter().any(|event| event["target"] == "web-1"), "{writes:#?}");
}

#[test]
fn a_grant_that_is_withdrawn_ends_the_place_and_not_the_root() {
    let two = Two::new();
    let login = two.scene.target.login();
    let mut sftp = two.scene.client.sftp();
    let mut sftp = Client::start(sftp.args(["-q", "bastion"]));
    sftp.type_in(&format!("ls -1 /web-1/{login}/etc/hosts\n"));
    // The line itself, and then what it shows.
    sftp.read_to("/etc/hosts\n");
    sftp.read_to("/etc/hosts\n");
    let grants = list(&two.scene.bartizan().json(&["grant", "list"]));
    let grant =
        grants.iter().find(|grant| grant["target"] == "web-1").unwrap_or_else(|| panic!("{grants:#?}"));
    two.scene.bartizan().say(&["grant", "remove", grant["id"].as_str().unwrap()]);
    eventually("its session is over", || {
        two.scene
            .sessions()
            .into_iter()
            .find(|session| session["target"] == "web-1" && session["state"] != "live")
    });
    sftp.type_in(&format!("ls /web-1/{login}/etc/hosts\nls -1 /db-1/{login}/etc/hosts\nls -1 /\n"));
    let (code, out, errors) = sftp.finish();
    assert_eq!(code, 0, "{out}{errors}");
    assert!(out.contains(&format!("/db-1/{login}/etc/hosts")) && !out.contains("web-1\n"), "{out}");
    assert!(errors.contains("access was withdrawn") && errors.contains("access to"), "{errors}");
}

#[test]
fn scp_copies_by_the_root() {
    let two = Two::new();
    let (near, far) = (two.folder("near"), two.folder("far"));
    fs::create_dir_all(near.join("tree/deep")).unwrap();
    fs::write(near.join("tree/deep/big"), Pattern::bytes(3, 5_000_001)).unwrap();
    let there = two.at("web-1", &far);
    let scp =
        |from: &str, to: &str| run(two.scene.client.scp().args(["-s", "-q", "-r", "-p", from, to])).ok();
    scp(text(&near.join("tree")), &format!("bastion:{there}"));
    scp(&format!("bastion:{there}/tree"), text(&near.join("back")));
    for copy in [far.join("tree"), near.join("back")] {
        run(Command::new("diff").arg("-r").arg(near.join("tree")).arg(copy)).ok();
    }
    // From one target to another, through the client: `scp -3`, and two sessions of the root.
    let (from, to) = (
        format!("bastion:{there}/tree/deep/big"),
        format!("bastion:{}", two.at("db-1", &near.join("third"))),
    );
    run(two.scene.client.scp().args(["-s", "-q", "-3", &from, &to])).ok();
    assert!(fs::read(near.join("third")).unwrap() == Pattern::bytes(3, 5_000_001));
    let home = format!("bastion:~/web-1/{}{}/tree/deep/big", two.scene.target.login(), far.display());
    scp(&home, text(&near.join("fourth")));
    assert!(fs::read(near.join("fourth")).unwrap() == Pattern::bytes(3, 5_000_001));
}

#[test]
fn psftp_and_rclone_go_around_in_it() {
    let two = Two::new();
    let (near, far) = (two.folder("near"), two.folder("far"));
    fs::create_dir(near.join("tree")).unwrap();
    fs::write(near.join("tree/big"), Pattern::bytes(3, 1_000_001)).unwrap();
    let scene = &two.scene;
    let port = scene.bartizan().port().to_string();
    // rclone copies a tree to one target, and from there to the other in one run.
    let rclone = |arguments: &[&str]| {
        let mut rclone = Command::new("rclone");
        rclone.args(["--config", "", "--retries", "1"]).args(arguments);
        rclone.env("RCLONE_SFTP_HOST", "127.0.0.1").env("RCLONE_SFTP_PORT", &port);
        rclone.env("RCLONE_SFTP_USER", "alice").env("RCLONE_SFTP_KEY_FILE", scene.key.private());
        run(rclone
            .env("RCLONE_SFTP_SHELL_TYPE", "none")
            .env("HOME", scene.folder())
            .env_remove("SSH_AUTH_SOCK"))
        .ok()
    };
    let (web, db) = (two.at("web-1", &far.join("web")), two.at("db-1", &far.join("db")));
    rclone(&["copy", text(&near), &format!(":sftp:{web}")]);
    rclone(&["copy", &format!(":sftp:{web}"), &format!(":sftp:{db}")]);
    for copy in ["web", "db"] {
        run(Command::new("diff").arg("-r").arg(&near).arg(far.join(copy))).ok();
    }
    assert_eq!(rclone(&["lsf", ":sftp:/"]).text(), "db-1/\nweb-1/\n");

    let ppk = scene.folder().join("key.ppk");
    run(Command::new("puttygen").arg(scene.key.private()).args(["-O", "private", "-o", text(&ppk)])).ok();
    let batch = scene.folder().join("psftp-batch");
    let lines = format!(
        "ls\ncd {web}/tree\nls\nget big {0}/back\nmv big bigger\nput {0}/back again\n",
        near.display()
    );
    fs::write(&batch, lines).unwrap();
    let psftp = |host_key: &[&str]| {
        let mut psftp = Command::new("psftp");
        psftp.args(["-batch", "-noagent", "-i", text(&ppk), "-P", &port, "-l", "alice"]).args(host_key);
        run(psftp.args(["-b", text(&batch), "127.0.0.1"]).env("HOME", scene.folder()))
    };
    let errors = psftp(&[]).fails().errors();
    let shown = errors
        .split_whitespace()
        .find(|word| word.starts_with("SHA256:"))
        .unwrap_or_else(|| panic!("{errors}"));
    let done = psftp(&["-hostkey", shown]).ok();
    assert!(done.text().contains("dr-xr-xr-x    1 bartizan bartizan        0 "), "{done}");
    assert!(fs::read(far.join("web/tree/again")).unwrap() == Pattern::bytes(3, 1_000_001));
    assert!(far.join("web/tree/bigger").exists());
}

#[test]
fn sshfs_mounts_it() {
    if !can_mount() {
        return;
    }
    let two = Two::new();
    let far = two.folder("far");
    let mount = Mount::of(&two.scene, "bastion:/");
    let at = |target: &str| mount.at().join(&two.at(target, &far)[1..]);
    let mut names: Vec<_> =
        fs::read_dir(mount.at()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["db-1", "web-1"]);
    fs::write(at("web-1").join("file"), Pattern::bytes(5, 100_001)).unwrap();
    fs::copy(at("web-1").join("file"), at("db-1").join("copy")).unwrap();
    assert!(fs::read(far.join("copy")).unwrap() == Pattern::bytes(5, 100_001));
    fs::rename(at("db-1").join("copy"), at("db-1").join("renamed")).unwrap();
    assert!(fs::rename(at("db-1").join("renamed"), at("web-1").join("renamed")).is_err());
    assert!(fs::create_dir(mount.at().join("new")).is_err());
}

#[test]
fn a_client_that_speaks_no_sftp_is_told_so() {
    let scene = Scene::new(Way::ProxyJump);
    let done = run_with_input(scene.client.ssh().args(["-s", "bastion", "sftp"]), b"GET / HTTP/1.0\r\n\r\n");
    done.exits(255).says(&["an SFTP packet of 1195725856 bytes"]);
    let ended = scene.ended_session();
    assert!(ended["reason"].as_str().unwrap().contains("client broke the protocol"), "{ended:#}");
}
