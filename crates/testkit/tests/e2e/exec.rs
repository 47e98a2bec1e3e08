//! Commands without a terminal.

use bartizan_testkit::{Pattern, SshdOptions, run, run_with_input, sha256, shell};

use crate::scene::{Options, Scene, Way, text, ways};

ways! {
    everywhere:
        output_and_exit_status_arrive,
        death_by_signal_is_no_success,
        both_outputs_are_exact_to_the_byte,
        a_closed_input_is_an_end_of_file,
        an_end_of_input_does_not_end_the_command,
        a_long_command_line_passes,
        a_reader_that_stops_ends_the_program,
        a_slow_reader_is_taken_for_alive;
    bartizan:
        the_session_is_on_record,
        variables_outside_the_list_do_not_reach_the_target,
        without_the_permission_there_is_no_command,
}

fn output_and_exit_status_arrive(way: Way) {
    let scene = Scene::new(way);
    let done = scene.exec("echo hi; echo oops >&2; exit 7").exits(7);
    assert_eq!(
        (done.text().as_str(), done.errors().as_str()),
        ("hi\n", "oops\n"),
        "no banner, nothing added"
    );
    scene.exec("true").exits(0);
    scene.exec("exit 255").exits(255);
}

fn death_by_signal_is_no_success(way: Way) {
    let done = Scene::new(way).exec("echo before; kill -9 $$").exits(255);
    assert_eq!(done.text(), "before\n");
}

fn both_outputs_are_exact_to_the_byte(way: Way) {
    let scene = Scene::new(way);
    let bytes = Pattern::bytes(1, 2_000_003);
    let command = "f=$(mktemp); cat > $f; cat $f & cat $f >&2; wait; rm $f";
    let done = run_with_input(scene.client.ssh().args([scene.host(), command]), &bytes).ok();
    assert!(done.stdout == bytes && done.stderr == bytes, "{}, {}", done.stdout.len(), done.stderr.len());
}

fn a_closed_input_is_an_end_of_file(way: Way) {
    let scene = Scene::new(way);
    let done = run(scene.client.ssh().args(["-n", scene.host(), "cat; echo done"])).ok();
    assert_eq!(done.text(), "done\n");
    let line = format!("{} {} 'cat; echo done' <&-", scene.client.ssh_line(), scene.host());
    assert_eq!(shell(&line).ok().text(), "done\n");
}

fn an_end_of_input_does_not_end_the_command(way: Way) {
    let scene = Scene::new(way);
    let mut ssh = scene.client.ssh();
    let done = run_with_input(ssh.args([scene.host(), "cat; seq 1 5; exit 3"]), b"in\n").exits(3);
    assert_eq!(done.text(), "in\n1\n2\n3\n4\n5\n");
}

fn a_long_command_line_passes(way: Way) {
    let scene = Scene::new(way);
    let word = "x".repeat(100_000);
    let done = scene.exec(&format!("printf %s {word} | wc -c")).ok();
    assert_eq!(done.text().trim(), "100000");
    if matches!(way, Way::ProxyJump | Way::UserName) {
        scene.ended_session();
        let event = scene.event("command");
        assert_eq!(event["length"], 100_000 + "printf %s  | wc -c".len());
        assert!(event["command"].as_str().unwrap().len() <= 40_000, "cut, with the length kept");
    }
}

/// `eow@openssh.com`, which OpenSSH sends to its like alone: without it this never ends.
fn a_reader_that_stops_ends_the_program(way: Way) {
    let scene = Scene::new(way);
    let (ssh, host) = (scene.client.ssh_line(), scene.host());
    // What the client itself ends with is the pipe's affair.
    assert_eq!(shell(&format!("{{ {ssh} {host} yes || true; }} | head -1")).ok().text(), "y\n");
}

/// The program is over and its channel half closed, and the server asks every second whether somebody is there. The pause is the
/// scenario: meanwhile the client has output to write that nobody takes.
fn a_slow_reader_is_taken_for_alive(way: Way) {
    let config = vec!["ClientAliveInterval 1".into(), "ClientAliveCountMax 2".into()];
    let sshd = SshdOptions { config, ..SshdOptions::default() };
    let scene = Scene::with(way, &Options { sshd, ..Options::default() });
    let (ssh, host, status) = (scene.client.ssh_line(), scene.host(), scene.folder().join("status"));
    let status = text(&status);
    let line =
        format!("({ssh} {host} 'head -c 1000000 /dev/zero; exit 7'; echo $? > {status}) | (sleep 5; wc -c)");
    assert_eq!(shell(&line).ok().text().trim(), "1000000");
    assert_eq!(std::fs::read_to_string(status).unwrap().trim(), "7");
}

fn the_session_is_on_record(way: Way) {
    let scene = Scene::new(way);
    let mut ssh = scene.client.ssh();
    run_with_input(ssh.args([scene.host(), "cat; echo hi; echo no >&2; exit 7"]), b"typed").exits(7);
    let session = scene.ended_session();
    assert_eq!(
        (&session["person"], &session["target"], &session["state"], &session["exit_status"]),
        (&"alice".into(), &"web-1".into(), &"ended".into(), &7.into()),
        "{session:#}"
    );
    assert_eq!(session["login"], scene.target.login());
    assert_eq!(session["way"], if way == Way::ProxyJump { "proxy_jump" } else { "user_name" });
    assert_eq!((&session["bytes_in"], &session["bytes_out"]), (&5.into(), &11.into()), "{session:#}");

    let close = scene.event("channel.close");
    for (direction, bytes) in [("input", &b"typed"[..]), ("output", b"typedhi\n"), ("error", b"no\n")] {
        assert_eq!(close[direction]["bytes"], bytes.len(), "{close:#}");
        assert_eq!(close[direction]["sha256"], sha256(bytes), "{direction} by sha256sum");
    }
    assert_eq!(close["exit_status"], 7);

    let id = session["id"].as_str().unwrap();
    let shown = scene.bartizan().say(&["session", "show", id]);
    for word in ["alice", "web-1", id, &sha256(b"typedhi\n")] {
        assert!(shown.contains(word), "{word} is missing in:\n{shown}");
    }
    assert!(scene.bartizan().say(&["session", "list"]).contains(id));
}

fn variables_outside_the_list_do_not_reach_the_target(way: Way) {
    let everything = SshdOptions { config: vec!["AcceptEnv *".into()], ..SshdOptions::default() };
    let options = Options { sshd: everything, ..Options::default() };
    let ask = |scene: &Scene| {
        let mut ssh = scene.client.ssh();
        ssh.args(["-o", "SetEnv LC_WORD=passes BASH_ENV=/etc/hostname EVIL=reaches"]);
        run(ssh.args([scene.host(), "echo $LC_WORD,$EVIL,$BASH_ENV"])).ok().text()
    };
    let direct = Scene::with(Way::Direct, &options);
    assert!(ask(&direct).starts_with("passes,reaches,"), "the target itself takes all of them");
    assert_eq!(ask(&Scene::with(way, &options)), "passes,,\n");
}

fn without_the_permission_there_is_no_command(way: Way) {
    let scene = Scene::with(way, &Options { allow: Some("shell,sftp:read"), ..Options::default() });
    let mark = scene.folder().join("mark");
    scene.exec(&format!("touch {}", mark.display())).fails().says(&["exec"]);
    assert!(!mark.exists(), "the command did not run");
    scene.ended_session();
    let denied = scene.event("access.deny");
    assert_eq!((&denied["action"], &denied["outcome"]), (&"exec".into(), &"denied".into()), "{denied:#}");
}
