//! Lines as clients send them, and lines made to pass for them.

use proptest::prelude::*;

use super::*;

#[test]
fn a_repository_is_what_the_target_is_told() {
    for (command, wanted) in [
        ("git-upload-pack '/srv/git/a b.git'", Some((Permission::GitRead, "/srv/git/a b.git"))),
        ("git-upload-archive 'x'", Some((Permission::GitRead, "x"))),
        ("git-receive-pack '/srv/x.git'", Some((Permission::GitWrite, "/srv/x.git"))),
        ("git-receive-pack /srv/x.git", None),
        ("git-upload-pack '/srv/x.git' '/y'", None),
        ("git-upload-pack '/srv/x.git';id", None),
        ("scp -t '/srv/x.git'", None),
    ] {
        assert_eq!(repository(Asked::Exec(command.as_bytes())), wanted, "{command}");
    }
    assert_eq!(repository(Asked::Subsystem(b"git-upload-pack '/x'")), None);
    assert_eq!(repository(Asked::Shell), None);
}

fn exec(command: &str) -> String {
    classify(Asked::Exec(command.as_bytes()), false).to_string()
}

#[test]
fn requests_need_their_permissions() {
    for (asked, needs) in [
        (Asked::Shell, "shell"),
        (Asked::Exec(b"uptime"), "exec"),
        (Asked::Exec(b""), "exec"),
        (Asked::Exec(b"\xff\xfe"), "exec"),
        (Asked::Subsystem(b"sftp"), "sftp:read or sftp:write"),
        (Asked::Subsystem(b"SFTP"), "subsystem"),
        (Asked::Subsystem(b"sftp\0"), "subsystem"),
        (Asked::Subsystem(b"netconf"), "subsystem"),
    ] {
        assert_eq!(classify(asked, false).to_string(), needs, "{asked:?}");
    }
}

#[test]
fn lines_as_clients_send_them_are_recognized() {
    for (command, narrow) in [
        ("scp -t /tmp/", "scp"),                   // OpenSSH scp -O
        ("scp -f -- -odd", "scp"),                 // OpenSSH, path like an option
        ("scp -v -r -p -d -t .", "scp"),           // OpenSSH with -rpv
        ("scp -qrt /srv/www", "scp"),              // Go libraries
        ("scp -f '/tmp/with space/größe'", "scp"), // quoted by the user
        ("rsync --server -vlogDtpre.iLsfxCIvu . /tmp/x", "rsync"),
        ("rsync --server --sender -vlogDtpre.iLsfxCIvu . /tmp/x/", "rsync"),
        ("rsync --server -logDtprze.iLsfxCIvu --delete --partial . dir", "rsync"),
        ("rsync --server -e.LsfxCIvu . x", "rsync"),
        ("git-upload-pack '/srv/git/repo.git'", "git:read"),
        ("git-upload-pack '~alice/repo'", "git:read"),
        ("git-upload-archive 'repo.git'", "git:read"),
        ("git-receive-pack 'group/repo.git'", "git:write"),
    ] {
        assert_eq!(exec(command), format!("{narrow} or exec"), "{command}");
        assert_eq!(
            classify(Asked::Exec(command.as_bytes()), true).to_string(),
            "exec",
            "with a PTY: {command}"
        );
    }
}

#[test]
fn anything_that_a_shell_could_read_otherwise_needs_exec() {
    for command in [
        // More than one command, in every way there is.
        "scp -t /tmp/x; bash",
        "scp -t /tmp/x;bash",
        "scp -t /tmp/x && bash",
        "scp -t /tmp/x || bash",
        "scp -t /tmp/x | bash",
        "scp -t /tmp/x & bash",
        "scp -t /tmp/x\nbash",
        "scp -t /tmp/x\rbash",
        "bash;scp -t x",
        "\nscp -t x",
        " scp -t x",
        "scp -t x ",
        "scp -t x\n",
        "scp -t x\0",
        // Substitutions and expansions.
        "scp -t $(bash)",
        "scp -t `bash`",
        "scp -t ${IFS}x",
        "scp -t $HOME",
        "scp -t %COMSPEC%",
        "scp -t <(bash)",
        "scp -t >(bash)",
        "scp -t x>y",
        "scp -t x<y",
        "scp -t x{a,b}",
        "scp -t *",
        "scp -t ?",
        "scp -t [a]",
        "scp -t !!",
        "scp -t x#y",
        "scp -t ^a^b",
        "scp -t (bash)",
        // Quotes that do not end where they seem to.
        "scp -t 'x'y",
        "scp -t x'y'",
        "scp -t 'x",
        "scp -t 'x''y'",
        "scp -t 'x'\\''y'",
        "scp -t ''",
        "scp -t \"x\"",
        "scp -t 'x;bash'",
        "scp -t 'x\nbash'",
        "scp -t '$(bash)'",
        "scp -t 'a & calc'",
        "scp -t x\\",
        "scp -t '\\'",
        "scp -t 'x!y'",
        "'scp' -t x",
        "scp '-t' x",
        // Other programs, environments, paths to programs.
        "/usr/bin/scp -t x",
        "./scp -t x",
        "SCP -t x",
        "scp2 -t x",
        "sudo scp -t x",
        "A=b scp -t x",
        "env scp -t x",
        "exec scp -t x",
        // Other arguments.
        "scp",
        "scp x",
        "scp -t",
        "scp -t x y",
        "scp -t -f x",
        "scp -tt x",
        "scp -t -S prog x",
        "scp -tS x",
        "scp -t -oProxyCommand=x y",
        "scp -o x -t y",
        "scp - -t x",
        "scp -t --",
        "scp -t -- -- x",
        "scp -t -x",
        "scp -r x",
        "scp --t x",
        "scp\t-t\tx",
        "scp  -t x",
        "scp -- -t x",
        // rsync: daemons, protected arguments, options that run or read things.
        "rsync --server --daemon .",
        "rsync --server --daemon . x",
        "rsync --server -slogDtpre.iLsfxCIvu . x",
        "rsync --server -e /bin/sh . x",
        "rsync --server -esh . x",
        "rsync --server --rsh=sh . x",
        "rsync --server --log-file=/etc/passwd -re.L . x",
        "rsync --server -re.L --files-from=/etc/shadow . x",
        "rsync --server -re.L . x y",
        "rsync --server -re.L x",
        "rsync -re.L . x",
        "rsync --server . -x",
        "rsync --sender --server -re.L . x",
        "rsync --server -re.L --temp-dir=/x . y",
        "rsync --server - . x",
        "rsync --server -Me.L . x",
        "rsync --server -re.L;id . x",
        // git: unquoted, options (CVE-2017-8386), more than one path.
        "git-upload-pack repo",
        "git-upload-pack '--help'",
        "git-upload-pack '-x'",
        "git upload-pack 'x'",
        "git-upload-pack --strict 'x'",
        "git-upload-pack 'x' 'y'",
        "git-receive-pack ''",
        "git-upload-pack 'x'\\''y'",
        "git-receive-pack 'x';id",
        "git-shell -c x",
        // Characters that look like others.
        "scp\u{a0}-t x",
        "scp -t x\u{2028}bash",
        "scp -t x\u{85}bash",
        "scp -t '\u{202e}x'",
        "ѕcp -t x",
        "scp -t x\u{ff1b}bash",
    ] {
        assert_eq!(exec(command), "exec", "{command:?}");
    }
}

#[test]
fn needs_are_met_by_all_of_one_alternative() {
    let allow = |text: &str| text.parse().unwrap();
    let scp = classify(Asked::Exec(b"scp -t x"), false);
    assert!(scp.met_by(&allow("scp")) && scp.met_by(&allow("exec")) && !scp.met_by(&allow("shell,rsync")));
    let sftp = classify(Asked::Subsystem(b"sftp"), false);
    assert!(sftp.met_by(&allow("sftp:read")) && sftp.met_by(&allow("sftp:write")));
    assert!(!sftp.met_by(&allow("scp,exec")));
    assert!(!classify(Asked::Shell, true).met_by(&allow("exec")), "exec is no shell");
    assert!(!classify(Asked::Shell, true).met_by(&PermissionSet::default()));
}

/// Lines that are narrow, to spoil.
fn plain_lines() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "scp -t /tmp/x",
        "scp -r -p -f 'a b'",
        "rsync --server -vlogDtpre.iLsfxCIvu . /tmp/x",
        "git-receive-pack 'group/repo.git'",
    ])
    .prop_map(String::from)
}

proptest! {
    #[test]
    fn a_shell_metacharacter_anywhere_needs_exec(
        line in plain_lines(),
        at in any::<prop::sample::Index>(),
        meta in prop::sample::select("\n\r\t\0\x0b\x0c\x1b\x7f;&|<>()$`\\\"*?!^%".chars().collect::<Vec<_>>()),
    ) {
        let mut spoiled = line.clone();
        spoiled.insert(at.index(line.len() + 1), meta);
        prop_assert_eq!(exec(&spoiled), "exec", "{:?}", spoiled);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_always_need_something(bytes in any::<Vec<u8>>(), pty in any::<bool>()) {
        for asked in [Asked::Exec(&bytes), Asked::Subsystem(&bytes)] {
            prop_assert!(!classify(asked, pty).met_by(&PermissionSet::default()));
        }
    }

    #[test]
    fn what_is_narrow_has_the_plain_words_that_a_posix_shell_reads(tail in "[ -~]{0,24}") {
        let line = format!("scp -t {tail}");
        if narrow(line.as_bytes()).is_some() {
            let bare = tail.chars().all(|c| c.is_ascii_alphanumeric() || "-_./+:@~, ".contains(c));
            let quoted = tail.split('\'').count() == 3 && tail.ends_with('\'');
            prop_assert!(bare || quoted, "{:?}", tail);
        }
    }
}
