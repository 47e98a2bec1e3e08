use proptest::prelude::*;

use super::*;
use crate::{Asked, program};

fn rules(paths: &[&str], not_paths: &[&str]) -> FileRules {
    let globs = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    FileRules { paths: globs(paths), not_paths: globs(not_paths), max_file_bytes: None }
}

/// Grants of `scp` and `rsync` with these rules.
fn transfers(rules: &[FileRules]) -> FileAccess {
    let extent = || {
        let grants = rules.iter().enumerate().map(|(n, rules)| (GrantId(format!("g{n}")), rules.clone()));
        Extent::Grants(grants.collect())
    };
    FileAccess { scp: extent(), rsync: extent(), ..FileAccess::default() }
}

fn judge(access: &FileAccess, command: &str) -> Result<(), FileDenial> {
    access.judge_program(&program(Asked::Exec(command.as_bytes())).expect(command))
}

#[test]
fn scp_and_rsync_are_held_to_whole_trees() {
    let access = transfers(&[
        rules(&["/srv/app/**", "/srv/my files/**", "/srv/*.conf"], &["/srv/app/keys/**"]),
        rules(&["/tmp/**", "/C:/app/**"], &[]),
    ]);
    for (path, may) in [
        ("/tmp", true),
        ("/tmp/", true),
        ("/tmp/a/b", true),
        ("//tmp/./a", true),
        ("'/tmp/a b'", true),
        ("\"/srv/my files/\"", true),
        ("'/srv/my files/größe'", true),
        ("/srv/app/www", true),
        ("/C:/app/x", true),
        ("\"/C:/app/x y\"", true),
        // An exception is below, or it is one.
        ("/srv/app", false),
        ("/srv/app/keys", false),
        ("/srv/app/keys/x", false),
        // Nobody knows whether it is a folder.
        ("/srv/a.conf", false),
        ("/srv", false),
        ("/", false),
        ("/etc/", false),
        ("/tmpx", false),
        // What only the target knows, and what shells read differently.
        ("x", false),
        (".", false),
        ("tmp/a", false),
        ("~/x", false),
        ("'~/x'", false),
        ("/tmp/~", false),
        ("/tmp/a,/etc", false),
        ("/tmp/../etc", false),
        ("/tmp/..", false),
        ("'/tmp/a/../../etc'", false),
        ("'/C:/app/x y'", false),
        ("C:/app/x", false),
        ("/proc/self/root/tmp", false),
        ("/dev/stdin", false),
    ] {
        for command in
            ["scp -t ", "scp -r -f ", "rsync --server -tre.L . ", "rsync --server --sender -le.L . "]
        {
            let judged = judge(&access, &format!("{command}{path}"));
            assert_eq!(judged.is_ok(), may, "{command}{path}: {judged:?}");
            if let Err(denial) = judged {
                assert_eq!(denial.rules.len(), 2, "{denial:?}");
            }
        }
    }
}

#[test]
fn each_path_is_judged_and_so_are_options() {
    let access = transfers(&[rules(&["/srv/app/**"], &[]), rules(&["/tmp/**"], &[])]);
    for (command, said) in [
        ("scp -f /srv/app/a /tmp/b", None),
        ("scp -f /srv/app/a /etc/b", Some("scp for /etc/b")),
        ("scp -f /srv/app/a b", Some("it is relative")),
        ("scp -f -- -a", Some("it is relative")),
        ("rsync --server --sender -re.L . /srv/app /etc", Some("rsync for /etc")),
        ("rsync --server --sender -le.L . /srv/app /tmp", None),
        ("rsync --server -le.L . /srv/app", Some("--no-links")),
        ("rsync --server -ogDtpre.L . /srv/app", Some("--no-D")),
        ("rsync --server -tre.L --delete . /srv/app", None),
        ("scp -t /srv", Some("scp for /srv and everything below it")),
    ] {
        let judged = judge(&access, command);
        match said {
            None => assert_eq!(judged, Ok(()), "{command}"),
            Some(said) => assert!(judged.unwrap_err().reason.contains(said), "{command}"),
        }
    }
    // Without rules nothing is looked at.
    let free = FileAccess { scp: Extent::Everything, rsync: Extent::Everything, ..FileAccess::default() };
    for command in ["scp -t x", "scp -f ~/x", "rsync --server -blogDtpre.L . /etc/../x"] {
        assert_eq!(judge(&free, command), Ok(()), "{command}");
    }
    let nothing = judge(&FileAccess::default(), "scp -t /x").unwrap_err();
    assert_eq!((nothing.reason.as_str(), nothing.rules.len()), ("no grant permits scp", 0));
    // A size would not be kept.
    let sized = FileRules { max_file_bytes: Some(1), ..FileRules::default() };
    assert!(judge(&transfers(&[sized]), "scp -t /x").is_err());
    assert!(access.judge_transfer(Permission::Exec, "/srv/app").is_err());
    assert_eq!(access.judge_transfer(Permission::Rsync, "/srv/app/x"), Ok(()));
}

/// The words of a line as the shell here makes them.
fn words_of_sh(line: &str) -> Option<Vec<String>> {
    let (name, arguments) = line.split_once(' ')?;
    let script = format!("{name}() {{ printf '%s\\n' \"$@\"; }}; cd /; {name} {arguments}");
    let done =
        std::process::Command::new("sh").args(["-c", &script]).env_clear().env("HOME", "/root").output();
    let done = done.ok().filter(|done| done.status.success())?;
    Some(String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect())
}

fn argument() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "/srv/app",
        "/x",
        "/..",
        "/.",
        "/",
        "..",
        "~",
        "*",
        "a b",
        "'",
        "\"",
        " ",
        "-r",
        "$HOME",
        "\\",
        ",",
        ":",
        "?",
        "[a]",
        "{a,b}",
        "#",
        "=",
        "--",
        ";",
        "`id`",
        "é",
        "\n",
        "--log-file=/etc/x",
    ]);
    prop::collection::vec(parts, 1..6).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// What passes the rules names nothing else, as a shell reads it: every word behind the options lies in the tree.
    #[test]
    fn what_passes_names_nothing_else(
        head in prop::sample::select(vec![
            "scp -t ", "scp -f ", "scp -rf -- ", "rsync --server -re.L . ", "rsync --server --sender -re.L . ",
            "rsync --server --sender ", "scp ",
        ]),
        arguments in prop::collection::vec(
            prop_oneof![argument(), argument().prop_map(|a| format!("'/srv/app/{a}'")), argument().prop_map(|a| format!("/srv/app{a}")),
                argument().prop_map(|a| format!("\"/srv/app/{a}\""))],
            1..3,
        ),
    ) {
        let line = format!("{head}{}", arguments.join(" "));
        let Some(program) = program(Asked::Exec(line.as_bytes())) else { return Ok(()) };
        let access = transfers(&[rules(&["/srv/app/**"], &[])]);
        if access.judge_program(&program).is_ok() {
            let words = words_of_sh(&line).expect("a shell reads it");
            let options = ["-t", "-f", "-r", "-rf", "--", "--server", "--sender", "-re.L", "."];
            let named = words.iter().skip_while(|word| options.contains(&word.as_str()));
            for word in named {
                let below = word.strip_prefix("/srv/app").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                prop_assert!(below && !word.split('/').any(|part| part == ".."), "{:?}: {:?}", line, words);
            }
        }
    }
}

/// The grants of a session that permit Git, each for these paths.
fn git(read: &[&[&str]], write: &[&[&str]]) -> FileAccess {
    let rules = |lists: &[&[&str]]| {
        let grant = |(n, paths): (usize, &&[&str])| {
            let paths = paths.iter().map(|path| path.parse().unwrap()).collect();
            (GrantId(format!("g{n}")), FileRules { paths, ..FileRules::default() })
        };
        Extent::Grants(lists.iter().enumerate().map(grant).collect())
    };
    FileAccess { git_read: rules(read), git_write: rules(write), ..FileAccess::default() }
}

#[test]
fn repositories_are_held_to_paths_under_every_name_that_git_may_open() {
    let access = git(&[&["/srv/git/**"], &["/home/alice/*.git"]], &[&["/srv/git/app", "/srv/git/app.git"]]);
    for (written, read, write) in [
        ("/srv/git/app.git", true, true),
        ("/srv/git/app.git/", true, true),
        ("/srv//git/./app.git", true, true),
        ("/srv/git/app", true, true),
        ("/srv/git/other", true, false),
        ("/srv/git", false, false),
        ("/home/alice/x.git", true, false),
        // `/home/alice/x` is not permitted, although what git would make of it is.
        ("/home/alice/x", false, false),
        ("/srv/git/../secret.git", false, false),
        ("/etc/x.git", false, false),
        ("app.git", false, false),
        ("~/app.git", false, false),
        ("", false, false),
    ] {
        assert_eq!(access.judge_repository(Permission::GitRead, written).is_ok(), read, "read {written}");
        assert_eq!(access.judge_repository(Permission::GitWrite, written).is_ok(), write, "write {written}");
        assert!(access.judge_repository(Permission::Exec, written).is_err());
        assert!(FileAccess::default().judge_repository(Permission::GitRead, written).is_err());
        assert!(git(&[&[]], &[]).judge_repository(Permission::GitRead, written).is_ok());
    }
    let denial = git(&[&["/srv/*.git"]], &[]).judge_repository(Permission::GitRead, "/srv/x").unwrap_err();
    assert_eq!(
        denial.reason,
        "no grant permits git:read for /srv/x and /srv/x.git, which git may open instead"
    );
    let denial = access.judge_repository(Permission::GitWrite, "x.git").unwrap_err();
    assert!(denial.reason.contains("relative") && denial.rules.len() == 1, "{denial:?}");
    let denial = git(&[], &[]).judge_repository(Permission::GitRead, "/srv/x.git").unwrap_err();
    assert_eq!(denial.reason, "no grant permits git:read");
}

/// With `a.git.git` alone there, git opens it for `a.git`; likewise `b.git/.git`.
#[test]
fn an_exception_is_not_opened_by_the_name_that_git_completes_to_it() {
    let rules = |paths: &[&str], not_paths: &[&str]| {
        let globs = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let rules = FileRules { paths: globs(paths), not_paths: globs(not_paths), max_file_bytes: None };
        FileAccess { git_read: Extent::Grants(vec![(GrantId("g".into()), rules)]), ..FileAccess::default() }
    };
    for (exception, written, permitted) in [
        ("/srv/a.git.git", "/srv/a.git", false),
        ("/srv/a.git.git", "/srv/a.git/", false),
        ("/srv/b.git/.git", "/srv/b.git", false),
        ("/srv/c.git/.git", "/srv/c", false),
        ("/srv/d.git", "/srv/d", false),
        ("/srv/a.git.git", "/srv/other.git", true),
    ] {
        let access = rules(&["/srv/**"], &[exception]);
        let judged = access.judge_repository(Permission::GitRead, written);
        assert_eq!(judged.is_ok(), permitted, "{exception} {written}");
    }
    let denied = rules(&["/srv/**"], &["/srv/a.git.git"]).judge_repository(Permission::GitRead, "/srv/a.git");
    assert!(denied.unwrap_err().reason.ends_with("git may open a repository instead that is excepted"));
    assert!(rules(&["/srv/a.git"], &[]).judge_repository(Permission::GitRead, "/srv/a.git").is_ok());
}
