//! Grants with rules for paths that allow `scp` (the old protocol) and `rsync`: what a command names is judged, nothing else passes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bartizan_testkit::{Finished, run};

use crate::clients::putty;
use crate::gate::Trees;
use crate::scene::{Options, Scene, Way, list, text, ways};

ways! {
    everywhere: ;
    bartizan:
        scp_stays_in_its_tree,
        scp_copies_between_what_is_permitted,
        pscp_is_held_as_scp_is,
        commands_made_to_lead_out_are_refused,
        rsync_stays_in_its_tree,
        options_of_rsync_that_lead_out_are_refused,
        filters_of_rsync_name_no_other_files,
        without_rules_nothing_is_held,
}

/// What would be there had something led out.
fn marks(trees: &Trees) -> [PathBuf; 3] {
    [trees.outside.join("mark"), trees.inside.join("mark"), trees.near.join("stolen")]
}

fn scene(way: Way, allow: &str, ruled: bool) -> (Scene, Trees) {
    let scene = Scene::with(way, &Options { allow: None, ..Options::default() });
    let trees = Trees::make(&scene);
    let (login, inside) = (scene.target.login(), format!("{}/**", trees.inside.display()));
    let add = ["grant", "add", "--person", "alice", "--target", "web-1", "--login", login, "--allow", allow];
    let rules = ["--path", &inside];
    scene.bartizan().say(&[&add[..], if ruled { &rules } else { &[] }].concat());
    (scene, trees)
}

fn far(scene: &Scene, path: &Path) -> String {
    format!("{}:{}", scene.host(), path.display())
}

fn old_scp(scene: &Scene, more: &[&str], from: &str, to: &str) -> Finished {
    run(scene.client.scp().arg("-O").args(more).args(["-q", from, to]))
}

fn rsync(scene: &Scene, arguments: &[&str]) -> Finished {
    run(Command::new("rsync").args(["-e", &scene.client.ssh_line()]).args(arguments))
}

fn same(a: &Path, b: &Path) {
    run(Command::new("diff").arg("-r").arg(a).arg(b)).ok();
}

/// All refusals, each of which names its rule.
fn refusals(scene: &Scene, action: &str) -> usize {
    let denied = scene.denied();
    for event in denied.iter().filter(|event| event["action"] == action) {
        assert_eq!(list(&event["rules"]).len(), 1, "{event:#}");
        assert_eq!(event["outcome"], "denied", "{event:#}");
    }
    denied.iter().filter(|event| event["action"] == action).count()
}

fn scp_stays_in_its_tree(way: Way) {
    let (scene, trees) = scene(way, "scp", true);
    let near = |name: &str| trees.near.join(name);
    old_scp(&scene, &[], text(&near("small")), &far(&scene, &trees.inside.join("put"))).ok();
    old_scp(&scene, &["-rp"], text(&near("deep")), &far(&scene, &trees.inside.join("tree"))).ok();
    old_scp(&scene, &["-rp"], &far(&scene, &trees.inside.join("deep")), text(&near("back"))).ok();
    same(&near("small"), &trees.inside.join("put"));
    same(&near("deep"), &trees.inside.join("tree"));
    same(&trees.inside.join("deep"), &near("back"));
    // A name with a blank is quoted for the target's shell.
    let quoted = format!("{}:'{}/a b'", scene.host(), trees.inside.display());
    old_scp(&scene, &[], text(&near("small")), &quoted).ok();
    // Fetching it, stock scp compares the name that comes with the quotes, too, unless it is told not to (-T).
    old_scp(&scene, &["-T"], &quoted.replace('\'', "\""), text(&near("c d"))).ok();
    same(&near("small"), &near("c d"));
    // Two at once, of which each is judged.
    let both = format!("{}:{1}/small {1}/put", scene.host(), trees.inside.display());
    fs::create_dir(near("two")).unwrap();
    old_scp(&scene, &["-T"], &both, text(&near("two"))).ok();
    assert!(near("two/put").exists());

    let one_out = format!("{both} {}/small", trees.outside.display());
    for (from, to) in [
        (text(&near("small")).to_owned(), far(&scene, &trees.outside.join("mark"))),
        (text(&near("small")).to_owned(), far(&scene, trees.inside.parent().unwrap())),
        (far(&scene, &trees.outside.join("small")), text(&near("stolen")).to_owned()),
        (one_out, text(&near("two")).to_owned()),
        (text(&near("small")).to_owned(), format!("{}:mark", scene.host())),
        (text(&near("small")).to_owned(), far(&scene, &trees.inside.join("../out/mark"))),
    ] {
        old_scp(&scene, &["-r"], &from, &to).fails().says(&["bartizan: no grant permits scp for "]);
    }
    assert_eq!(refusals(&scene, "scp"), 6);
    assert!(marks(&trees).iter().all(|mark| !mark.exists()));
    assert!(!near("two/mark").exists());

    let place = format!("{}@web-1", scene.target.login());
    let check = |file: &Path| {
        scene.bartizan().cli(&["access", "check", "alice", &place, "scp", "--file", text(file)])
    };
    assert!(check(&trees.inside.join("deep")).ok().text().contains("everything below it by scp"));
    check(&trees.outside).exits(3).says(&["no grant permits scp for", "rule g-"]);
    check(trees.inside.parent().unwrap()).exits(3).says(&["and everything below it"]);
}

fn scp_copies_between_what_is_permitted(way: Way) {
    let (scene, trees) = scene(way, "scp", true);
    let from = far(&scene, &trees.inside.join("deep/large"));
    old_scp(&scene, &["-3"], &from, &far(&scene, &trees.inside.join("copy"))).ok();
    same(&trees.inside.join("deep/large"), &trees.inside.join("copy"));
    old_scp(&scene, &["-3"], &from, &far(&scene, &trees.outside.join("mark"))).fails();
    old_scp(
        &scene,
        &["-3"],
        &far(&scene, &trees.outside.join("small")),
        &far(&scene, &trees.inside.join("mark")),
    )
    .fails();
    assert_eq!(fs::read(trees.inside.join("mark")).unwrap_or_default(), b"");
    assert!(!trees.outside.join("mark").exists());
    assert_eq!(refusals(&scene, "scp"), 2);
}

fn pscp_is_held_as_scp_is(way: Way) {
    let (scene, trees) = scene(way, "scp", true);
    let small = trees.near.join("small");
    putty::old_scp(&scene, text(&small), text(&trees.inside.join("put"))).ok();
    same(&small, &trees.inside.join("put"));
    putty::old_scp(&scene, text(&small), text(&trees.outside.join("mark"))).fails();
    assert_eq!(refusals(&scene, "scp"), 1);
    assert!(!trees.outside.join("mark").exists());
}

fn commands_made_to_lead_out_are_refused(way: Way) {
    let (scene, trees) = scene(way, "scp,rsync", true);
    let touch = format!("touch {}", text(&trees.outside.join("mark")));
    let commands = [
        "scp -t 'IN/$(TOUCH)'",
        "scp -t IN/$(TOUCH)",
        "scp -t IN/`TOUCH`",
        "scp -t IN/;TOUCH",
        "scp -t IN/../../etc",
        "scp -t 'IN/../out/mark'",
        "scp -t \"IN/../out/mark\"",
        "scp -t IN/\\.\\./out/mark",
        "scp -t OUT/mark",
        "scp -t ~/mark",
        "scp -t IN OUT/mark",
        "scp -f IN OUT/small",
        "scp -f IN/{small,../out/small}",
        "scp -f IN/*",
        "scp -f IN/../ou?/small",
        "scp -f $PWD",
        "scp -f -- IN/.. ",
        "scp -f /proc/self/root/OUT/small",
        "scp -f IN -oProxyCommand=TOUCH",
        "scp -S /bin/sh -f IN",
        "sudo scp -f IN",
        "sh -c 'scp -f IN'",
        "rsync --server --sender -re.L . OUT",
        "rsync --server --sender -re.L . IN OUT",
        "rsync --server --sender -re.L OUT .",
        "rsync --server -re.L . IN/../out",
        "rsync --server -re.L . mark",
        "rsync --server -re.L --log-file=OUT/mark . IN",
        "rsync --server -re.L --log-file OUT/mark . IN",
        "rsync --server -re.L . IN --log-file=OUT/mark",
        "rsync --server -re.L --temp-dir=OUT . IN",
        "rsync --server -re.L --backup-dir=OUT . IN",
        "rsync --server -re.L --partial-dir=OUT . IN",
        "rsync --server -re.L --link-dest=OUT . IN",
        "rsync --server -re.L --copy-dest=OUT . IN",
        "rsync --server -re.L --write-devices . IN",
        "rsync --server --sender -re.L --copy-devices . IN",
        "rsync --server --sender -re.L --files-from=OUT/small . IN",
        "rsync --server --daemon --config=OUT/small .",
        "rsync --server -sre.L . IN",
        "rsync --server -lre.L . IN",
        "rsync --server -Dre.L . IN",
        "rsync --server -Kre.L . IN",
        "rsync --server -bre.L --suffix=/../../out/mark . IN",
        "rsync --server -e TOUCH . IN",
        "rsync -re.L IN OUT",
    ];
    for command in commands {
        let command = command.replace("TOUCH", &touch);
        let command = command.replace("IN", text(&trees.inside)).replace("OUT", text(&trees.outside));
        let done = scene.exec(&command).fails();
        assert!(done.errors().contains("bartizan: no grant permits"), "{command}: {done}");
        assert!(marks(&trees).iter().all(|mark| !mark.exists()), "it led out: {command}");
    }
    assert_eq!(scene.denied().len(), commands.len(), "each of them is on record");
    // A terminal makes a command of it, of which more can be had than a copy.
    let mut ssh = scene.client.ssh();
    let command = format!("scp -f {}", text(&trees.inside));
    let shown = run(ssh.args(["-tt", scene.host(), &command])).fails().text();
    assert!(shown.contains("with a terminal"), "{shown}");
}

fn rsync_stays_in_its_tree(way: Way) {
    let (scene, trees) = scene(way, "rsync", true);
    let slash = |path: &Path| format!("{}/", path.display());
    let (near, inside) = (slash(&trees.near), slash(&trees.inside.join("sent")));
    let sent = format!("{}:{inside}", scene.host());
    rsync(&scene, &["-rtz", &near, &sent]).ok();
    same(&trees.near, &trees.inside.join("sent"));
    fs::remove_file(trees.near.join("small")).unwrap();
    rsync(&scene, &["-a", "--no-links", "--no-D", "--delete", "--exclude=*.o", &near, &sent]).ok();
    same(&trees.near, &trees.inside.join("sent"));
    let back = slash(&trees.near.join("back"));
    rsync(&scene, &["-aHP", "--include=*", "--exclude=*.o", &sent, &back]).ok();
    same(&trees.inside.join("sent"), &trees.near.join("back"));
    // Names in the stream are of files below what is named, as rsync has it.
    let names = trees.near.join("names");
    fs::write(&names, "small\n../out/small\n").unwrap();
    let listed = trees.near.join("listed");
    rsync(
        &scene,
        &[
            "--files-from",
            text(&names),
            &format!("{}:{}/", scene.host(), text(&trees.inside)),
            &slash(&listed),
        ],
    );
    assert!(listed.join("small").exists() && !listed.join("out").exists());
    assert!(!trees.near.join("out").exists());

    for arguments in [
        ["-rt", &near, &far(&scene, &trees.outside.join("mark"))],
        ["-rt", &far(&scene, &trees.outside.join("small")), text(&trees.near.join("stolen"))],
        ["-rt", &far(&scene, trees.inside.parent().unwrap()), text(&trees.near.join("stolen"))],
        ["-rt", &near, &format!("{}:mark", scene.host())],
    ] {
        rsync(&scene, &arguments).fails().says(&["bartizan: no grant permits rsync for "]);
    }
    assert_eq!(refusals(&scene, "rsync"), 4);
    assert!(marks(&trees).iter().all(|mark| !mark.exists()));
    let place = format!("{}@web-1", scene.target.login());
    let file = text(&trees.inside.join("x")).to_owned();
    let checked = scene.bartizan().cli(&["access", "check", "alice", &place, "rsync", "--file", &file]);
    assert!(checked.ok().text().contains("everything below it by rsync"));
}

fn options_of_rsync_that_lead_out_are_refused(way: Way) {
    let (scene, trees) = scene(way, "rsync", true);
    let (near, sent) = (text(&trees.near), far(&scene, &trees.inside));
    for (options, says) in [
        (&["-a"][..], &["--no-links", "symbolic link"][..]),
        (&["-rtD"], &["--no-D"]),
        (&["-rK"], &["symbolic links"]),
        (&["-rb"], &["leave out -b"]),
        (&["-rb", "--backup-dir=/tmp"], &["--backup-dir"]),
        (&["-r", "--link-dest=/etc"], &["--link-dest"]),
        (&["-r", "--temp-dir=/tmp"], &["--temp-dir"]),
        (&["-rs"], &["--secluded-args"]),
        (&["-rz", "--compress-choice=zstd"], &["--compress-choice=zstd"]),
        (&["-rC"], &["-rCe."]),
    ] {
        let done = rsync(&scene, &[options, &[near, &sent]].concat()).fails();
        done.says(&["bartizan: no grant permits"]).says(says);
    }
    assert_eq!(scene.denied().len(), 10);
}

fn filters_of_rsync_name_no_other_files(way: Way) {
    let (scene, trees) = scene(way, "rsync", true);
    fs::write(trees.outside.join("secret"), "small\n").unwrap();
    let (from, to) = (format!("{}/", far(&scene, &trees.inside)), trees.near.join("stolen"));
    let outside = format!("--filter=:- {}", text(&trees.outside.join("secret")));
    for protocol in ["--protocol=29", "--protocol=30", "--protocol=31"] {
        for filter in [outside.as_str(), "--filter=:- ../out/secret", "-F"] {
            rsync(&scene, &["-rv", protocol, filter, &from, text(&to)])
                .fails()
                .says(&["bartizan: ", "leave out -F, -C"]);
            assert!(!to.exists(), "{protocol} {filter}");
        }
        let back = trees.near.join(protocol);
        rsync(&scene, &["-rz", protocol, "--exclude=sma*", "--filter=P x", &from, text(&back)]).ok();
        assert!(back.join("deep/large").exists() && !back.join("small").exists());
    }
    // A target that receives reads filters where it may delete.
    let (sent, near) = (far(&scene, &trees.inside.join("sent")), format!("{}/deep/", trees.near.display()));
    rsync(&scene, &["-r", "--delete", "--exclude=x", &near, &sent]).ok();
    rsync(&scene, &["-r", "--delete", &outside, &near, &sent]).fails().says(&["leave out -F"]);
    rsync(&scene, &["-r", &outside, &near, &sent]).ok();
    assert_eq!(refusals(&scene, "rsync"), 10);
}

/// The same commands, and more, by a grant that has no rules.
fn without_rules_nothing_is_held(way: Way) {
    let (scene, trees) = scene(way, "scp,rsync", false);
    let near = |name: &str| trees.near.join(name);
    old_scp(&scene, &["-rp"], text(&near("deep")), &far(&scene, &trees.outside.join("tree"))).ok();
    old_scp(&scene, &[], &far(&scene, &trees.inside.join("../out/small")), text(&near("back"))).ok();
    same(&near("deep"), &trees.outside.join("tree"));
    fs::write(trees.outside.join("secret"), "small\n").unwrap();
    let (sent, slash) = (far(&scene, &trees.outside.join("sent")), format!("{}/deep/", trees.near.display()));
    rsync(&scene, &["-abHz", "--delete", "--compress-choice=zstd", &slash, &sent]).ok();
    rsync(&scene, &["-aF", "--filter=:- ../secret", &format!("{sent}/"), text(&near("fetched"))]).ok();
    same(&near("deep"), &near("fetched"));
    assert!(scene.denied().is_empty(), "{:#?}", scene.denied());
}
