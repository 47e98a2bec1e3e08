//! The coverage matrix: whatever the kind of channel, with a terminal or without, by either way, its bytes
//! are in the recording, or it is refused.

use std::process::Command;

use bartizan_testkit::{run, run_with_input};

use crate::scene::{Options, Scene, Way, text, ways};

ways! {
    everywhere: ;
    bartizan:
        every_kind_of_channel_leaves_its_bytes,
        the_look_of_a_command_changes_nothing,
        a_narrow_permission_permits_no_more,
        without_a_place_for_recordings_there_is_no_session,
}

/// The recording of the newest session, as the bytes that its channel carried to the client.
fn recorded(scene: &Scene) -> String {
    let session = scene.ended_session();
    let id = session["id"].as_str().unwrap();
    let raw = scene.bartizan().cli(&["session", "export", id, "--format", "raw"]).ok();
    String::from_utf8_lossy(&raw.stdout).into_owned()
}

fn every_kind_of_channel_leaves_its_bytes(way: Way) {
    let scene = Scene::new(way);
    let mark = "seen-by-nobody-else";
    let (host, say) = (scene.host(), format!("echo {mark}"));
    let typed = format!("{say}\nexit\n");
    for (what, options, command, input) in [
        ("exec", &[][..], Some(say.as_str()), ""),
        ("exec with a terminal", &["-tt"][..], Some(&say), ""),
        ("shell", &["-T"][..], None, &typed),
        ("shell with a terminal", &["-tt"][..], None, &typed),
    ] {
        let mut ssh = scene.client.ssh();
        ssh.args(options).arg(host).args(command);
        run_with_input(&mut ssh, input.as_bytes()).ok();
        assert!(recorded(&scene).contains(mark), "{what}");
    }
    let file = scene.folder().join("file");
    std::fs::write(&file, mark).unwrap();
    for (what, options) in [("sftp subsystem", &["-s"][..]), ("scp command", &["-O"][..])] {
        let mut scp = scene.client.scp();
        let from = format!("{host}:{}", text(&file));
        run(scp.args(options).args(["-q", &from, text(&scene.folder().join("copy"))])).ok();
        assert!(recorded(&scene).contains(mark), "{what}");
    }
    let mut rsync = Command::new("rsync");
    let from = format!("{host}:{}", text(&file));
    run(rsync.args(["-We", &scene.client.ssh_line(), &from, text(&scene.folder().join("rsynced"))])).ok();
    assert!(recorded(&scene).contains(mark), "rsync");
    // Each of them names what was asked for.
    assert_eq!(scene.events("command").len(), 7);
}

/// Commands that look like a file transfer, and are more.
fn the_look_of_a_command_changes_nothing(way: Way) {
    let scene = Scene::new(way);
    for command in [
        "scp -t /tmp/nosuch/x; echo beside-scp",
        "rsync --server . /tmp/nosuch; echo beside-rsync",
        "git-upload-pack /nosuch; echo beside-git",
        "/usr/lib/openssh/sftp-server -Q requests; echo beside-sftp",
    ] {
        let mark = command.split(' ').next_back().unwrap();
        scene.exec(command).ok();
        assert!(recorded(&scene).contains(mark), "{command}");
    }
}

fn a_narrow_permission_permits_no_more(way: Way) {
    let scene =
        Scene::with(way, &Options { allow: Some("scp,rsync,git:read,sftp:read"), ..Options::default() });
    let mark = scene.folder().join("mark");
    for command in [
        "touch MARK",
        "scp -t /tmp; touch MARK",
        "scp -S 'touch MARK' -t /tmp",
        "scp -t /tmp && touch MARK",
        "scp -t $(touch MARK)",
        "scp -t `touch MARK`",
        "rsync --server -e.LsfxCIvu . /tmp; touch MARK",
        "rsync --server --rsh='touch MARK' . /tmp",
        "git-upload-pack --exec='touch MARK' /tmp",
        "git-upload-pack /tmp; touch MARK",
    ] {
        let command = command.replace("MARK", text(&mark));
        scene.exec(&command).fails();
        assert!(!mark.exists(), "it ran: {command}");
    }
    // What is permitted works.
    let mut scp = scene.client.scp();
    let file = scene.folder().join("file");
    std::fs::write(&file, "content").unwrap();
    run(scp.args(["-O", "-q", text(&file), &format!("{}:{}", scene.host(), text(&mark))])).ok();
    assert!(mark.exists());
}

fn without_a_place_for_recordings_there_is_no_session(way: Way) {
    let scene = Scene::new(way);
    scene.exec("true").ok();
    let recordings = scene.bartizan().data().join("recordings");
    std::fs::rename(&recordings, recordings.with_extension("away")).unwrap();
    std::fs::write(&recordings, "not a folder").unwrap();
    let mark = scene.folder().join("mark");
    scene.exec(&format!("touch {}", text(&mark))).fails().says(&["recording", "operator"]);
    assert!(!mark.exists());
    std::fs::remove_file(&recordings).unwrap();
    std::fs::rename(recordings.with_extension("away"), &recordings).unwrap();
    scene.exec("true").ok();
}
