use super::*;
use bartizan_model::PathGlob;

fn access(read: &[(&[&str], &[&str], Option<u64>)], write: &[(&[&str], &[&str], Option<u64>)]) -> FileAccess {
    let extent = |grants: &[(&[&str], &[&str], Option<u64>)]| {
        let globs = |texts: &[&str]| texts.iter().map(|text| PathGlob::new(text).unwrap()).collect();
        let rules = grants.iter().enumerate().map(|(n, (paths, not_paths, max_file_bytes))| {
            let rules = FileRules {
                paths: globs(paths),
                not_paths: globs(not_paths),
                max_file_bytes: *max_file_bytes,
            };
            (GrantId(format!("g{n}")), rules)
        });
        Extent::Grants(rules.collect())
    };
    FileAccess { read: extent(read), write: extent(write), ..FileAccess::default() }
}

fn path(text: &str) -> FilePath<'_> {
    FilePath::new(text.as_bytes(), Some(b"/home/alice"))
}

#[test]
fn paths_are_made_plain_or_unclear() {
    for (written, plain) in [
        ("/", Some("/")),
        ("//", Some("/")),
        ("/.", Some("/")),
        ("/a/b", Some("/a/b")),
        ("/a//b/./c/", Some("/a/b/c")),
        ("", Some("/home/alice")),
        (".", Some("/home/alice")),
        ("x/y", Some("/home/alice/x/y")),
        ("/a/...", Some("/a/...")),
        ("/a/../b", None),
        ("..", None),
        ("/a\\..\\b", None),
        ("/a\0b", None),
    ] {
        match (path(written), plain) {
            (FilePath::Plain(found), Some(plain)) => assert_eq!(found, plain.as_bytes(), "{written:?}"),
            (FilePath::Unclear(_), None) => {}
            (found, _) => panic!("{written:?} is {found:?}"),
        }
    }
    assert!(matches!(FilePath::new(b"x", None), FilePath::Unclear(_)));
    assert_eq!(FilePath::by_letters(b"/srv/app/../x/..", None), FilePath::new(b"/srv", None));
    assert_eq!(FilePath::by_letters(b"../../..", Some(b"/home/alice")), FilePath::new(b"/", None));
    assert!(matches!(FilePath::by_letters(b"..", None), FilePath::Unclear(_)));
}

/// Whatever the rules except: by another name it is not looked for.
#[test]
fn other_names_of_linux_are_unclear() {
    for (written, plain) in [
        ("/proc/self/root/etc/hosts", false),
        ("/proc/1/cwd", false),
        ("/proc/thread-self/fd/3", false),
        ("//proc/./123/task/123/root/etc", false),
        ("/proc/123/map_files/x", false),
        ("/proc/123/exe", false),
        ("/srv/chroot/proc/1/root/etc", false),
        ("/dev/fd", false),
        ("/dev/fd/3", false),
        ("/dev/stdin", false),
        ("/proc", true),
        ("/proc/self/status", true),
        ("/proc/sys/fs/file-max", true),
        ("/proc/root", true),
        ("/srv/proc/a1/root", true),
        ("/srv/dev/fd", true),
        ("/dev/fd0", true),
    ] {
        assert_eq!(matches!(path(written), FilePath::Plain(_)), plain, "{written}");
        let by_letters = FilePath::by_letters(written.as_bytes(), None);
        assert_eq!(matches!(by_letters, FilePath::Plain(_)), plain, "{written}");
    }
    assert!(matches!(FilePath::by_letters(b"/proc/self/x/../root/etc", None), FilePath::Unclear(_)));
    let all_but = access(&[(&[], &["/etc/**"], None)], &[]);
    assert!(all_but.judge(FileUse::Read, &path("/proc/self/root/etc/hosts")).is_err());
    let sized = access(&[(&[], &[], Some(1))], &[]);
    assert!(sized.judge(FileUse::Read, &path("/proc/self/root/etc/hosts")).is_ok(), "no path is ruled out");
}

#[test]
fn other_names_of_windows_are_unclear() {
    let windows = |text: &'static str| FilePath::new(text.as_bytes(), Some(b"/C:/Users/alice"));
    for (written, plain) in [
        ("x", Some("/C:/Users/alice/x")),
        ("/C:/Users/alice/x", Some("/C:/Users/alice/x")),
        ("/c:/a.b/.c", Some("/c:/a.b/.c")),
        ("/D:/", Some("/D:")),
        ("/", Some("/")),
        ("C:/secret", None),
        ("C:secret", None),
        ("a:b/c", None),
        ("x/C:/secret", None),
        ("x:stream", None),
        ("/C:/x::$DATA", None),
        ("/C:/keys./x", None),
        ("/C:/keys /x", None),
        ("/C:/keys.", None),
        ("/Users/alice/x", None),
        ("//server/share", None),
    ] {
        match (windows(written), plain) {
            (FilePath::Plain(found), Some(plain)) => assert_eq!(found, plain.as_bytes(), "{written:?}"),
            (FilePath::Unclear(_), None) => {}
            (found, _) => panic!("{written:?} is {found:?}"),
        }
    }
    // Where the server began is not always known, and a server on Windows may begin at a path without a drive.
    assert!(matches!(FilePath::new(b"/C:/x:y", None), FilePath::Unclear(_)));
    assert!(matches!(path("C:/secret"), FilePath::Unclear(_)));
    // Elsewhere these are names like any other.
    for written in ["/srv/12:30.log", "/srv/a.", "/srv/a ", "x/12:30", "/x:/a"] {
        assert!(matches!(path(written), FilePath::Plain(_)), "{written:?}");
    }
}

#[test]
fn what_one_grant_permits_is_permitted_with_the_larger_size() {
    let access =
        access(&[(&["/srv/**"], &["/srv/keys/**"], Some(10)), (&["/srv/keys/public"], &[], None)], &[]);
    let read = |text| access.judge(FileUse::Read, &path(text));
    assert_eq!(read("/srv/a"), Ok(FileSize::UpTo(10)));
    assert_eq!(read("/srv/keys/public"), Ok(FileSize::Any), "the exception is of the other grant");
    assert!(read("/srv/keys/private").is_err());
    let denial = read("/etc/passwd").unwrap_err();
    assert_eq!(denial.reason, "no grant permits sftp:read for /etc/passwd");
    assert_eq!(denial.rules.len(), 2);
    let denial = access.judge(FileUse::Write, &path("/srv/a")).unwrap_err();
    assert_eq!((denial.reason.as_str(), denial.rules.len()), ("no grant permits sftp:write", 0));
}

#[test]
fn the_way_to_what_is_permitted_can_be_seen_and_not_listed() {
    let access = access(&[], &[(&["/srv/app/**"], &["/srv/app/keys/**"], None)]);
    for (text, look) in [
        ("/", true),
        ("/srv", true),
        ("/srv/app/x", true),
        ("/etc", false),
        ("/srv/other", false),
        ("/srv/app/keys", false),
        ("/srv/../etc", false),
    ] {
        assert_eq!(access.judge(FileUse::Look, &path(text)).is_ok(), look, "{text}");
    }
    assert!(access.judge(FileUse::Read, &path("/srv")).is_err());
}

#[test]
fn a_name_moves_only_to_where_the_same_holds() {
    let all = access(
        &[(&["/srv/**"], &[], None)],
        &[(&["/srv/**"], &["/srv/keys/**"], None), (&["/tmp/*"], &[], None)],
    );
    for (from, to, may) in [
        ("/srv/a", "/srv/b", true),
        ("/srv/a", "/etc/b", false),
        ("/etc/a", "/srv/b", false),
        ("/srv/keys", "/srv/b", false),
        ("/srv", "/srv/b", false),
        ("/srv/a", "/srv/keys/a", false),
        ("/tmp/a", "/tmp/b", false),
        ("/srv/a", "/tmp/b", false),
        ("/srv/a", "/srv/x/../b", false),
    ] {
        assert_eq!(all.judge_pair(&path(from), &path(to)).is_ok(), may, "{from} {to}");
    }
    // Written everywhere, read in one place: nothing may be brought there to be read.
    let drop = access(&[(&["/srv/out/**"], &[], None)], &[(&["/srv/**"], &[], None)]);
    assert!(drop.judge_pair(&path("/srv/in/a"), &path("/srv/out/a")).is_err());
    assert!(drop.judge_pair(&path("/srv/in/a"), &path("/srv/in/b")).is_ok());
    assert!(drop.judge_pair(&path("/srv/out/a"), &path("/srv/out/b")).is_ok());
    // A size alone rules out no name.
    let sized = access(&[(&[], &[], Some(1))], &[(&[], &[], Some(1))]);
    assert!(sized.judge_pair(&path("/a"), &path("../b")).is_ok());
}
