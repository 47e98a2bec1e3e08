//! Grants with rules for files: SFTP is held to them, request by request, and the session goes on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use bartizan_testkit::{Finished, Pattern, eventually, run};

use crate::scene::{Client, Options, Scene, Way, list, text, ways};

ways! {
    everywhere: ;
    bartizan:
        sftp_stays_in_its_tree,
        neither_names_nor_links_lead_out,
        reading_is_not_writing,
        files_larger_than_permitted_do_not_pass,
        scp_is_held_to_the_rules,
        many_refusals_in_a_row_end_nothing,
        a_grant_promises_only_what_is_kept,
        rules_that_come_count_for_what_is_open,
        git_is_held_to_its_repositories,
}

/// Folders: `in`, which a grant covers, and `out`, which it does not, on the target; `near` is the client's.
pub(crate) struct Trees {
    pub(crate) inside: PathBuf,
    pub(crate) outside: PathBuf,
    pub(crate) near: PathBuf,
}

impl Trees {
    /// Makes them in the scene's folder, each with a small file and a larger one below.
    pub(crate) fn make(scene: &Scene) -> Self {
        let at = |name: &str| scene.folder().join(name);
        let trees = Self { inside: at("in"), outside: at("out"), near: at("near") };
        for folder in [&trees.inside, &trees.outside, &trees.near] {
            fs::create_dir_all(folder.join("deep")).unwrap();
            fs::write(folder.join("small"), Pattern::bytes(1, 33)).unwrap();
            fs::write(folder.join("deep/large"), Pattern::bytes(2, 300_001)).unwrap();
        }
        trees
    }
}

fn scene(way: Way) -> (Scene, Trees) {
    let scene = Scene::with(way, &Options { allow: None, ..Options::default() });
    let trees = Trees::make(&scene);
    (scene, trees)
}

fn grant(scene: &Scene, allow: &str, rules: &[&str]) {
    let login = scene.target.login();
    let add = ["grant", "add", "--person", "alice", "--target", "web-1", "--login", login, "--allow", allow];
    scene.bartizan().say(&[&add[..], rules].concat());
}

fn below(folder: &Path) -> String {
    format!("{}/**", folder.display())
}

/// Runs a batch in which commands after `-` may fail, with IN, OUT and NEAR put in.
fn sftp(scene: &Scene, trees: &Trees, lines: &str) -> Finished {
    let paths = [("IN", &trees.inside), ("OUT", &trees.outside), ("NEAR", &trees.near)];
    let put_in = |lines: String, (word, path): (&str, &PathBuf)| lines.replace(word, text(path));
    let batch = scene.folder().join("batch");
    fs::write(&batch, paths.into_iter().fold(lines.to_owned(), put_in)).unwrap();
    run(scene.client.sftp().args(["-b", text(&batch), scene.host()]))
}

fn all_events(scene: &Scene, kind: &str) -> Vec<serde_json::Value> {
    list(&scene.bartizan().json(&["log", "search", "--type", kind, "--limit", "1000"]))
}

/// What was refused: request and path, as the log has it.
fn refused(scene: &Scene) -> Vec<(String, String)> {
    let word = |event: &serde_json::Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let events = all_events(scene, "sftp.refuse");
    for event in &events {
        assert_eq!(
            (&event["severity"], &event["outcome"]),
            (&"warning".into(), &"denied".into()),
            "{event:#}"
        );
    }
    events.iter().map(|event| (word(event, "request"), word(event, "path"))).collect()
}

fn same(a: PathBuf, b: PathBuf) {
    run(Command::new("diff").arg("-r").arg(a).arg(b)).ok();
}

fn sftp_stays_in_its_tree(way: Way) {
    let (scene, trees) = scene(way);
    grant(&scene, "sftp:read,sftp:write", &["--path", &below(&trees.inside)]);
    // Folders with hundreds of files, so that requests are in flight together.
    fs::create_dir(trees.inside.join("many")).unwrap();
    for n in 0..200 {
        fs::write(trees.inside.join(format!("many/{n}")), Pattern::bytes(n, 2000)).unwrap();
    }
    let done = sftp(
        &scene,
        &trees,
        "-get OUT/small NEAR/stolen\n-put NEAR/small OUT/planted\n-ls OUT\n-rm OUT/small\n-mkdir OUT/new\n\
         -chmod 777 OUT/small\n-get IN/../out/small NEAR/stolen\n-rename OUT/small IN/small2\n\
         get -r IN/many NEAR/many\nput -r NEAR/deep IN/\nput NEAR/small IN/put\nrename IN/put IN/put2\nls -l IN\n",
    )
    .ok();
    assert!(done.errors().matches("Permission denied").count() >= 5, "{done}");
    assert!(done.text().contains("put2"), "{done}");
    same(trees.inside.join("many"), trees.near.join("many"));
    assert!(!trees.near.join("stolen").exists() && !trees.outside.join("planted").exists());
    assert!(trees.outside.join("small").exists() && !trees.outside.join("new").exists());
    let refused = refused(&scene);
    let outside = text(&trees.outside);
    for request in ["open", "remove", "mkdir"] {
        assert!(
            refused.iter().any(|(name, path)| name == request && path.starts_with(outside)),
            "{request} {refused:?}"
        );
    }
    // What each end got is what is recorded, and what decoders read: refused requests are not in it, transfers are.
    let session = scene.ended_session();
    assert_eq!(session["reason"], "client left", "{session:#}");
    let transfers = all_events(&scene, "transfer");
    assert!(
        transfers.len() >= 201 && transfers.iter().all(|transfer| transfer["status"] == "ok"),
        "{transfers:#?}"
    );
    assert!(scene.events("decode.stop").is_empty());
    let explained = |file: &str| {
        let login_at = format!("{}@web-1", scene.target.login());
        scene.bartizan().cli(&["access", "check", "alice", &login_at, "sftp:write", "--file", file])
    };
    let permitted = explained(text(&trees.inside.join("x"))).ok();
    assert!(permitted.text().contains("may write this file"), "{permitted}");
    explained("/etc/passwd").exits(3).says(&["no grant permits sftp:write for /etc/passwd", "rule g-"]);
}

fn neither_names_nor_links_lead_out(way: Way) {
    let (scene, trees) = scene(way);
    let keys = trees.inside.join("keys");
    fs::create_dir(&keys).unwrap();
    fs::write(keys.join("secret"), "secret").unwrap();
    let rules = ["--path", &below(&trees.inside), "--not-path", &below(&keys)];
    grant(&scene, "sftp:read,sftp:write", &rules);
    sftp(
        &scene,
        &trees,
        "-get IN/keys/secret NEAR/stolen\n-rename IN/keys IN/open\n-rename IN IN2\n-ln -s OUT IN/link\n-ln -s ../out IN/link\n\
         -ln -s IN/keys IN/link\n-ln IN/keys/secret IN/link\n-ln OUT/small IN/link\n-ln -s IN/small OUT/link\n\
         -get IN/link/small NEAR/stolen\n-get IN/open/secret NEAR/stolen\n-rename IN/small OUT/small\n\
         ln -s IN/deep IN/fine\nln IN/small IN/hard\nget IN/fine/large NEAR/fine\n",
    )
    .ok();
    for absent in [
        trees.near.join("stolen"),
        trees.inside.join("link"),
        trees.inside.join("open"),
        trees.outside.join("link"),
    ] {
        assert!(absent.symlink_metadata().is_err(), "{}", absent.display());
    }
    same(trees.inside.join("deep/large"), trees.near.join("fine"));
    assert!(refused(&scene).len() >= 9, "{:?}", refused(&scene));
    // Documented: a link that was on the target before is not seen.
    symlink(&trees.outside, trees.inside.join("old")).unwrap();
    sftp(&scene, &trees, "get IN/old/small NEAR/through\n").ok();
}

fn reading_is_not_writing(way: Way) {
    let (scene, trees) = scene(way);
    grant(&scene, "sftp:read", &[]);
    let done = sftp(
        &scene,
        &trees,
        "get OUT/small NEAR/got\n-put NEAR/small OUT/planted\n-rm OUT/small\n-rename OUT/small OUT/x\n-mkdir OUT/x\n\
         -chmod 600 OUT/small\n-ln -s /etc OUT/x\n-rmdir OUT/deep\nls -l OUT\n",
    )
    .ok();
    assert!(done.errors().matches("Permission denied").count() >= 6, "{done}");
    assert!(!trees.outside.join("planted").exists() && !trees.outside.join("x").exists());
    assert!(trees.outside.join("small").exists() && trees.outside.join("deep").exists());
    same(trees.outside.join("small"), trees.near.join("got"));

    let (scene, trees) = self::scene(way);
    grant(&scene, "sftp:write", &[]);
    sftp(&scene, &trees, "put NEAR/small OUT/planted\n-get OUT/small NEAR/stolen\n-ls OUT\nmkdir OUT/x\n")
        .ok();
    same(trees.near.join("small"), trees.outside.join("planted"));
    assert!(!trees.near.join("stolen").exists() && trees.outside.join("x").exists());
}

fn files_larger_than_permitted_do_not_pass(way: Way) {
    let (scene, trees) = scene(way);
    grant(&scene, "sftp:read,sftp:write", &["--max-file-size", "100K"]);
    let exact = trees.near.join("exact");
    fs::write(&exact, Pattern::bytes(5, 100 << 10)).unwrap();
    fs::write(trees.near.join("over"), Pattern::bytes(6, (100 << 10) + 1)).unwrap();
    sftp(
        &scene,
        &trees,
        "-put NEAR/deep/large OUT/put\n-put NEAR/over OUT/over\n-get OUT/deep/large NEAR/got\nput NEAR/exact OUT/exact\n\
         get OUT/exact NEAR/back\nput NEAR/small OUT/small2\n-reput NEAR/exact OUT/small2\n",
    )
    .ok();
    same(exact.clone(), trees.near.join("back"));
    for cut in [trees.outside.join("put"), trees.outside.join("over"), trees.near.join("got")] {
        assert!(cut.metadata().map_or(0, |file| file.len()) <= 100 << 10, "{}", cut.display());
    }
    let refused = refused(&scene);
    for (request, path) in [("write", "put"), ("write", "over"), ("read", "deep/large")] {
        let path = text(&trees.outside.join(path)).to_owned();
        assert!(refused.contains(&(request.to_owned(), path.clone())), "{request} {path} {refused:?}");
    }
    assert!(scene.events("decode.stop").is_empty());
}

fn scp_is_held_to_the_rules(way: Way) {
    let (scene, trees) = scene(way);
    grant(&scene, "sftp:read,sftp:write", &["--path", &below(&trees.inside)]);
    let at = |path: PathBuf| format!("{}:{}", scene.host(), path.display());
    let scp =
        |more: &[&str], from: &str, to: &str| run(scene.client.scp().args(more).args(["-rpq", from, to]));
    scp(&["-s"], text(&trees.near.join("deep")), &at(trees.inside.join("copied"))).ok();
    same(trees.near.join("deep"), trees.inside.join("copied"));
    scp(&["-s"], &at(trees.inside.join("deep")), text(&trees.near.join("back"))).ok();
    same(trees.inside.join("deep"), trees.near.join("back"));
    scp(&["-s"], text(&trees.near.join("small")), &at(trees.outside.join("x")))
        .fails()
        .says(&["permission denied"]);
    scp(&["-s"], &at(trees.outside.join("small")), text(&trees.near.join("x"))).fails();
    // By its old protocol it is a command, which needs another permission.
    scp(&["-O"], text(&trees.near.join("small")), &at(trees.inside.join("x"))).fails();
    scene.exec("true").fails();
    let denied: Vec<_> =
        all_events(&scene, "access.deny").iter().map(|event| event["action"].clone()).collect();
    assert_eq!(denied, ["exec", "scp or exec"], "the newest first");
    assert!(!trees.inside.join("x").exists() && !trees.outside.join("x").exists());
}

/// More refusals than the reserve of the client's window holds, with nothing else that would make it adjust.
fn many_refusals_in_a_row_end_nothing(way: Way) {
    let (scene, trees) = scene(way);
    grant(&scene, "sftp:read", &["--path", &below(&trees.inside)]);
    let lines: String = (0..400).map(|n| format!("-rm OUT/{n:0100}\n")).collect();
    sftp(&scene, &trees, &format!("{lines}get IN/deep/large NEAR/got\n")).ok();
    same(trees.inside.join("deep/large"), trees.near.join("got"));
    assert!(refused(&scene).len() >= 400);
}

fn a_grant_promises_only_what_is_kept(way: Way) {
    let (scene, trees) = scene(way);
    let b = scene.bartizan();
    let login = scene.target.login();
    for allow in
        ["sftp:read,exec", "scp,exec", "shell", "rsync,shell", "git:read,exec", "sftp:read,subsystem"]
    {
        let add =
            ["grant", "add", "--person", "alice", "--target", "web-1", "--login", login, "--allow", allow];
        b.cli(&[&add[..], &["--path", "/srv/**"]].concat()).fails().says(&["another grant"]);
    }
    for allow in ["scp", "sftp:read,rsync", "git:read"] {
        let add =
            ["grant", "add", "--person", "alice", "--target", "web-1", "--login", login, "--allow", allow];
        let sized = b.cli(&[&add[..], &["--max-file-size", "1M"]].concat()).fails();
        sized.says(&["by SFTP only", "sftp:read or sftp:write"]);
    }
    // What one grant permits is permitted: a second one without rules makes those of the first moot.
    grant(&scene, "sftp:read", &["--path", &below(&trees.inside)]);
    grant(&scene, "sftp:read", &[]);
    sftp(&scene, &trees, "get OUT/small NEAR/got\n").ok();
    same(trees.outside.join("small"), trees.near.join("got"));
}

fn rules_that_come_count_for_what_is_open(way: Way) {
    let (scene, trees) = scene(way);
    grant(&scene, "sftp:read", &["--path", &below(&trees.inside)]);
    grant(&scene, "sftp:read", &["--path", &below(&trees.outside)]);
    let ids: Vec<String> = list(&scene.bartizan().json(&["grant", "list"]))
        .iter()
        .filter(|grant| grant["files"]["paths"][0] == below(&trees.outside))
        .map(|grant| grant["id"].as_str().unwrap().to_owned())
        .collect();
    let mut sftp = scene.client.sftp();
    sftp.arg(scene.host());
    let mut client = Client::start(&mut sftp);
    client.type_in(&format!(
        "get {} {}\n",
        text(&trees.outside.join("small")),
        text(&trees.near.join("first"))
    ));
    eventually("the first file came", || trees.near.join("first").exists().then_some(()));
    scene.bartizan().say(&["grant", "remove", &ids[0]]);
    let mut tries = 0;
    eventually("the change counts in the open channel", || {
        tries += 1;
        let near = |name: &str| trees.near.join(format!("{name}-{tries}"));
        client.type_in(&format!("get {} {}\n", text(&trees.outside.join("small")), text(&near("out"))));
        client.type_in(&format!("get {} {}\n", text(&trees.inside.join("small")), text(&near("in"))));
        eventually("the next file came", || near("in").exists().then_some(()));
        (!near("out").exists()).then_some(())
    });
    client.finish();
    assert_eq!(scene.sessions().len(), 1, "one session all the time");
}

/// `git` with the scene's client.
fn git(scene: &Scene, arguments: &[&str]) -> Finished {
    let mut git = Command::new("git");
    git.env("GIT_SSH_COMMAND", scene.client.ssh_line()).env("GIT_CONFIG_GLOBAL", "/dev/null");
    run(git.args(["-c", "user.name=Alice", "-c", "user.email=alice@example.com"]).args(arguments))
}

fn git_is_held_to_its_repositories(way: Way) {
    let (scene, trees) = scene(way);
    for folder in [&trees.inside, &trees.outside] {
        git(&scene, &["init", "--quiet", "--bare", text(&folder.join("app.git"))]).ok();
    }
    grant(&scene, "git:read,git:write", &["--path", &below(&trees.inside)]);
    let url = |folder: &Path, name: &str| format!("{}:{}/{name}", scene.host(), folder.display());
    let copy = scene.folder().join("copy");
    git(&scene, &["clone", &url(&trees.inside, "app.git"), text(&copy)]).ok();
    git(&scene, &["-C", text(&copy), "commit", "--quiet", "--allow-empty", "-m", "first"]).ok();
    git(&scene, &["-C", text(&copy), "push", "--quiet", "origin", "HEAD:main"]).ok();
    let refs = git(&scene, &["ls-remote", &url(&trees.inside, "app")]).ok().text();
    assert!(refs.contains("refs/heads/main"), "{refs}");

    let elsewhere = scene.folder().join("elsewhere");
    for (name, folder) in
        [("app.git", &trees.outside), ("../out/app.git", &trees.inside), ("x.git", &trees.near)]
    {
        let refused = git(&scene, &["clone", &url(folder, name), text(&elsewhere)]).fails();
        refused.says(&["bartizan: no grant permits git:read for"]);
        assert!(!elsewhere.exists());
    }
    git(&scene, &["-C", text(&copy), "push", &url(&trees.outside, "app.git"), "HEAD:main"])
        .fails()
        .says(&["no grant permits git:write for", "app.git"]);
    let denied = scene.denied();
    assert_eq!(denied.len(), 4, "{denied:#?}");
    assert!(denied.iter().all(|event| list(&event["rules"]).len() == 1), "{denied:#?}");

    let place = format!("{}@web-1", scene.target.login());
    let check = |permission: &str, file: &Path| {
        let arguments = ["access", "check", "alice", &place, permission, "--file", text(file)];
        scene.bartizan().cli(&arguments)
    };
    check("git:read", &trees.inside.join("app.git")).ok();
    check("git:write", &trees.outside.join("app.git")).fails().says(&["git:write"]);
    // Who may run every command may run git anywhere.
    grant(&scene, "exec", &[]);
    git(&scene, &["clone", &url(&trees.outside, "app.git"), text(&elsewhere)]).ok();
}
