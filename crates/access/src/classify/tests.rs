//! Lines as clients send them, and lines made to pass for them.

use proptest::prelude::*;

use super::*;

#[test]
fn a_program_names_what_the_target_is_told() {
    for (command, wanted) in [
        ("git-upload-pack '/srv/git/a b.git'", Some((Permission::GitRead, &["/srv/git/a b.git"][..]))),
        ("git-upload-archive 'x'", Some((Permission::GitRead, &["x"]))),
        ("git-receive-pack '/srv/x.git'", Some((Permission::GitWrite, &["/srv/x.git"]))),
        ("git-receive-pack /srv/x.git", None),
        ("git-receive-pack \"/srv/x.git\"", None),
        ("git-upload-pack '/srv/x.git' '/y'", None),
        ("git-upload-pack '/srv/x.git';id", None),
        ("scp -t '/srv/x.git'", Some((Permission::Scp, &["/srv/x.git"]))),
        ("scp -rf -- -a '/b c' \"/d e\"", Some((Permission::Scp, &["-a", "/b c", "/d e"]))),
        ("scp -f -r /a", Some((Permission::Scp, &["/a"]))),
        ("rsync --server --sender -re.L . /a /b/", Some((Permission::Rsync, &["/a", "/b/"]))),
        ("rsync --server -re.L . /a .", None),
        ("rsync --server -re.L . .", Some((Permission::Rsync, &["."]))),
    ] {
        let program = program(Asked::Exec(command.as_bytes()));
        let named = program.as_ref().map(|program| {
            (program.permission(), program.paths().iter().map(Word::text).collect::<Vec<_>>())
        });
        assert_eq!(named, wanted.map(|(permission, paths)| (permission, paths.to_vec())), "{command}");
    }
    assert_eq!(program(Asked::Subsystem(b"git-upload-pack '/x'")), None);
    assert_eq!(program(Asked::Shell), None);
}

/// What rsync 3.5 and openrsync send for what is often asked for, and what of it leaves the paths.
#[test]
fn options_of_rsync_lead_elsewhere_or_not() {
    for (command, beyond) in [
        ("rsync --server -tpre.iLsfxCIvu . /a/", None),
        ("rsync --server -vogtpre.iLsfxCIvu --delete --partial --log-format=X . /a/", None),
        ("rsync --server -rRe.iLsfxCIvu --timeout=30 --max-size=1048576 . /a/", None),
        ("rsync --server -tre.iLsfxCIvu --inplace --numeric-ids --checksum-seed=3 . /a/", None),
        ("rsync --server -vvHogtpAXrze.iLsfxCIvu --delete-excluded --force . /a/", None),
        ("rsync --server -g -n -o -p -r -t -v --relative --dirs . /a/", None),
        ("rsync --server -logDtpre.iLsfxCIvu . /a/", Some("-logDtpre.iLsfxCIvu")),
        ("rsync --server -l -r . /a/", Some("-l")),
        ("rsync --server -Dre.L . /a/", Some("-Dre.L")),
        ("rsync --server -re.L --specials . /a/", Some("--specials")),
        ("rsync --server -Kre.L . /a/", Some("-Kre.L")),
        ("rsync --server -Lre.L . /a/", Some("-Lre.L")),
        ("rsync --server -kre.L . /a/", Some("-kre.L")),
        ("rsync --server -re.L --no-implied-dirs . /a/", Some("--no-implied-dirs")),
        ("rsync --server -re.L --copy-unsafe-links . /a/", Some("--copy-unsafe-links")),
        ("rsync --server -bre.L . /a/", Some("-bre.L")),
        ("rsync --server -ze.L --compress-choice=zstd . /a/", Some("--compress-choice=zstd")),
        ("rsync --server --sender -re.L --checksum-choice=auto . /a/", Some("--checksum-choice=auto")),
        ("rsync --server --sender -ze.L --compress-level=0 . /a/", Some("--compress-level=0")),
        ("rsync --server --sender -ze.L --new-compress . /a/", Some("--new-compress")),
        ("rsync --server --sender -zrze.L . /a/", Some("-zrze.L")),
        ("rsync --server --sender -z -z . /a/", Some("-z")),
        ("rsync --server --sender -re.iLV . /a/", Some("-re.iLV")),
        ("rsync --server -yre.L . /a/", Some("-yre.L")),
        ("rsync --server -re.L --files-from=- --from0 . /a/", Some("--files-from=-")),
        ("rsync --server --sender -logDtpre.iLsfxCIvu . /a/", None),
        ("rsync --server --sender -Lkre.iLsfxCIvu --copy-unsafe-links --no-implied-dirs . /a/", None),
        ("rsync --server --sender -rRe.iLsfxCIvu --files-from=- --from0 . /a/", None),
        ("rsync --server --sender -re.iLsfxCIvu --remove-source-files . /a/ /b", None),
        ("rsync --server --sender -Kre.L . /a/", Some("-Kre.L")),
        ("rsync --server --sender -bre.L . /a/", Some("-bre.L")),
    ] {
        let program = program(Asked::Exec(command.as_bytes())).unwrap_or_else(|| panic!("{command}"));
        assert_eq!(program.beyond().map(|(option, _)| option), beyond, "{command}");
    }
}

#[test]
fn what_is_wrong_with_a_line_is_said() {
    let why = |command: &str, pty| not_plain(Asked::Exec(command.as_bytes()), pty);
    for (command, pty, said) in [
        ("scp -t '/srv/app/$(id)'", false, "in single quotes"),
        ("scp -f /srv/app/*", false, "in single quotes"),
        ("scp -t /srv/app/x; id", false, "in single quotes"),
        ("scp -t /a /b", false, "one path to write to"),
        ("scp -S sh -t /a", false, "lines that its client sends"),
        ("scp -t /a", true, "with a terminal"),
        ("rsync --server -slogDtpre.iLsfxCIvu", false, "leave out -s and --secluded-args"),
        ("rsync --server --log-file=/etc/x -re.L . /a", false, "not for --log-file=/etc/x"),
        ("rsync --server -re.L --temp-dir /etc . /a", false, "not for --temp-dir"),
        ("rsync --server --daemon .", false, "not for --daemon"),
    ] {
        let (_, said_so) = why(command, pty).unwrap_or_else(|| panic!("{command}"));
        assert!(said_so.contains(said), "{command}: {said_so}");
    }
    for other in ["uptime", "scp -t /a", "sudo scp -t /a", "", "git-upload-pack /x"] {
        assert_eq!(why(other, false), None, "{other}");
    }
    assert_eq!(not_plain(Asked::Shell, true), None);
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
        ("scp -qt \"/srv/with space\"", "scp"),    // Go libraries
        ("scp -f /srv/a /srv/b", "scp"),           // `scp -O 'host:/srv/a /srv/b' .`
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
        "scp -t \"x",
        "scp -t \"x\"y",
        "scp -t \"x'",
        "scp -t \"$(bash)\"",
        "scp -t \"`bash`\"",
        "scp -t \"%COMSPEC%\"",
        "scp -t \"x\\\"",
        "scp -t \"x!y\"",
        "scp -t \"\"",
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
        "scp -f x -r",
        "scp -f x -oProxyCommand=x",
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
        "rsync --server -re.L --temp-dir /x . y",
        "rsync --server --sender -re.L . x --log-file=/x",
        "rsync --server --sender -re.L --files-from=/etc/shadow . x",
        "rsync --server --sender -re.L --timeout=/x . x",
        "rsync --server --sender -re.L --log-format=%o . x",
        "rsync --server -re.L --copy-dest=/x . x",
        "rsync --server -re.L --write-devices . x",
        "rsync --server --sender -re.L --copy-devices . x",
        "rsync --server -re.L '.' x",
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
        if program(Asked::Exec(line.as_bytes())).is_some() {
            let bare = tail.chars().all(|c| c.is_ascii_alphanumeric() || "-_./+:@~, ".contains(c));
            let quoted = ['\'', '"'].iter().any(|quote| tail.split(*quote).count() == 3 && tail.ends_with(*quote));
            prop_assert!(bare || quoted, "{:?}", tail);
        }
    }
}
