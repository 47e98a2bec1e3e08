//! Terminals.

use bartizan_testkit::{run, run_with_input, shell};

use crate::scene::{Options, Scene, Way, text, ways};

ways! {
    everywhere:
        a_command_runs_in_a_terminal,
        a_shell_takes_what_is_typed,
        the_size_and_its_changes_arrive;
    bartizan:
        a_shell_says_that_it_is_recorded,
        without_the_permission_there_is_no_shell,
}

fn a_command_runs_in_a_terminal(way: Way) {
    let scene = Scene::new(way);
    let done =
        run(scene.client.ssh().args(["-tt", scene.host(), "tty >/dev/null && echo hi; exit 7"])).exits(7);
    assert!(done.text().ends_with("hi\r\n"), "{done}");
}

fn a_shell_takes_what_is_typed(way: Way) {
    let scene = Scene::new(way);
    let typed = b"echo $((6*7))-$TERM\nexit 3\n";
    let mut ssh = scene.client.ssh();
    let done = run_with_input(ssh.args(["-tt", scene.host()]).env("TERM", "vt220"), typed).exits(3);
    assert!(done.text().contains("42-vt220"), "{done}");
}

fn the_size_and_its_changes_arrive(way: Way) {
    let scene = Scene::new(way);
    let (ready, script) = (scene.folder().join("ready"), scene.folder().join("resize.sh"));
    // The terminal is resized once the far side has shown the first size.
    let far = format!(
        "stty size; touch {0}; until [ \"$(stty size)\" = \"50 120\" ]; do sleep 0.05; done; echo resized",
        ready.display()
    );
    let near = format!(
        "stty rows 40 cols 100\n(until [ -e {} ]; do sleep 0.05; done; stty rows 50 cols 120 </dev/tty) &\n\
         {} -t {} '{far}'\n",
        ready.display(),
        scene.client.ssh_line(),
        scene.host()
    );
    std::fs::write(&script, near).unwrap();
    let done = shell(&format!("script -qec 'bash {}' /dev/null", text(&script))).ok();
    assert!(done.text().contains("40 100") && done.text().contains("resized"), "{done}");
}

fn a_shell_says_that_it_is_recorded(way: Way) {
    let scene = Scene::new(way);
    let done = run_with_input(scene.client.ssh().args(["-tt", scene.host()]), b"exit\n").ok();
    let session = scene.ended_session();
    let id = session["id"].as_str().unwrap();
    assert!(done.text().contains("recorded") && done.text().contains(id), "{done}");
}

fn without_the_permission_there_is_no_shell(way: Way) {
    let scene = Scene::with(way, &Options { allow: Some("exec"), ..Options::default() });
    let done =
        run_with_input(scene.client.ssh().args(["-tt", scene.host()]), b"echo $((6*7))\nexit\n").fails();
    assert!(!done.text().contains("42"), "{done}");
    scene.exec("echo $((6*7))").ok();
}
