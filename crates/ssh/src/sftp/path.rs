//! Paths of the root: `/TARGET/LOGIN/PATH`, and what becomes of them on the way to a target and back.
//!
//! Paths are normalised by their letters alone: `..` takes the name before it away, whatever it is on the target. So a
//! request is judged, logged and carried out for the one target that its path names, and no `..` leads from one to
//! another. Paths are bytes in no certain encoding.

/// Longest name of a target or a login that is looked for, in bytes.
const NAME: usize = 255;

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spot<'a> {
    /// `/`.
    Root,
    /// `/TARGET`.
    Target(&'a [u8]),
    /// `/TARGET/LOGIN`.
    Login(&'a [u8], &'a [u8]),
    /// Below a login: target, login, and the path on the target.
    Below(&'a [u8], &'a [u8], Vec<u8>),
    /// No target or login has a name so long.
    Nowhere,
}

impl<'a> Spot<'a> {
    /// Reads a path; a relative one begins at `/`.
    pub(super) fn of(path: &'a [u8]) -> Self {
        match names(path)[..] {
            [] => Self::Root,
            [first, ..] if first.len() > NAME => Self::Nowhere,
            [_, second, ..] if second.len() > NAME => Self::Nowhere,
            [target] => Self::Target(target),
            [target, login] => Self::Login(target, login),
            [target, login, ref rest @ ..] => {
                let mut on_target = joined(rest);
                // To a target it makes a difference whether `LINK` or `LINK/` is asked about.
                if path.ends_with(b"/") || path.ends_with(b"/.") {
                    on_target.push(b'/');
                }
                Self::Below(target, login, on_target)
            }
        }
    }

    /// The path that it is known by.
    pub(super) fn shown(&self) -> Vec<u8> {
        match self {
            Self::Root | Self::Nowhere => b"/".to_vec(),
            Self::Target(target) => joined(&[target]),
            Self::Login(target, login) => joined(&[target, login]),
            Self::Below(target, login, path) => [&joined(&[target, login]), &path[..]].concat(),
        }
    }
}

/// The names of a path, by its letters.
fn names(path: &[u8]) -> Vec<&[u8]> {
    let mut names = Vec::new();
    walk(&mut names, path);
    names
}

/// Goes along a path from where `names` leads; true when it went above `/`, where it stays.
fn walk<'a>(names: &mut Vec<&'a [u8]>, path: &'a [u8]) -> bool {
    let mut above = false;
    for name in path.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => above |= names.pop().is_none(),
            name => names.push(name),
        }
    }
    above
}

/// `/A/B`; nothing when there are no names.
fn joined(names: &[&[u8]]) -> Vec<u8> {
    let mut path = Vec::with_capacity(names.iter().map(|name| name.len() + 1).sum());
    for name in names {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    path
}

/// A target's path in the root, `place` being `/TARGET/LOGIN`; whatever the target says, it stays there.
pub(super) fn outward(place: &[u8], path: &[u8]) -> Vec<u8> {
    [place, &joined(&names(path))].concat()
}

/// What a link on a target says, as it holds in the root: absolute paths begin with `place`, and so does what climbs
/// beyond the target's `/`. `depth` is in how many folders of the target the link is.
pub(super) fn link_outward(place: &[u8], depth: usize, content: &[u8]) -> Vec<u8> {
    if content.starts_with(b"/") {
        return outward(place, content);
    }
    let mut names = vec![&b""[..]; depth];
    // Names are the link's own once it has climbed to the top.
    if walk(&mut names, content) { [place, &joined(&names)].concat() } else { content.to_vec() }
}

/// In how many folders of the target a path's last name is.
pub(super) fn depth(path: &[u8]) -> usize {
    names(path).len().saturating_sub(1)
}

/// What a link is to say on its target, if that means something there: the reverse of [`link_outward`].
pub(super) fn link_inward(place: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    if !content.starts_with(b"/") {
        return Some(content.to_vec());
    }
    let whole = joined(&names(content));
    match whole.strip_prefix(place)? {
        b"" => Some(b"/".to_vec()),
        rest if rest.starts_with(b"/") => Some(rest.to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_lead_where_their_letters_say() {
        let below = |path: &str| Spot::Below(b"web-1", b"root", path.as_bytes().to_vec());
        for (path, spot) in [
            ("", Spot::Root),
            (".", Spot::Root),
            ("/..", Spot::Root),
            ("//web-1/", Spot::Target(b"web-1")),
            ("web-1/root/.", Spot::Login(b"web-1", b"root")),
            ("/web-1/root/etc/hosts", below("/etc/hosts")),
            ("/web-1/root//etc/./", below("/etc/")),
            ("/web-1/root/a/../b", below("/b")),
            ("/web-1/root/../../db-1/root/x", Spot::Below(b"db-1", b"root", b"/x".to_vec())),
            ("/web-1/root/../../etc", Spot::Target(b"etc")),
            ("/web-1/root/a/../..", Spot::Target(b"web-1")),
            ("/web-1/root/...", below("/...")),
        ] {
            assert_eq!(Spot::of(path.as_bytes()), spot, "{path}");
        }
    }

    #[test]
    fn what_targets_say_stays_below_them() {
        for (said, seen) in [
            ("/etc", "/web-1/root/etc"),
            ("/", "/web-1/root"),
            ("/../../db-1/root", "/web-1/root/db-1/root"),
            ("home", "/web-1/root/home"),
        ] {
            assert_eq!(outward(b"/web-1/root", said.as_bytes()), seen.as_bytes(), "{said}");
        }
        for (depth, said, seen) in [
            (1, "/usr/bin", "/web-1/root/usr/bin"),
            (0, "other", "other"),
            (1, "../other", "../other"),
            (1, "a/../../b", "a/../../b"),
            (1, "../../etc", "/web-1/root/etc"),
            (0, "../../db-1/root", "/web-1/root/db-1/root"),
        ] {
            assert_eq!(link_outward(b"/web-1/root", depth, said.as_bytes()), seen.as_bytes(), "{said}");
        }
    }

    #[test]
    fn links_are_made_as_they_are_read() {
        let inward = |content: &str| {
            link_inward(b"/web-1/root", content.as_bytes()).map(|path| String::from_utf8(path).unwrap())
        };
        assert_eq!(inward("../x").as_deref(), Some("../x"));
        assert_eq!(inward("/web-1/root/etc/x").as_deref(), Some("/etc/x"));
        assert_eq!(inward("/web-1/root").as_deref(), Some("/"));
        for elsewhere in ["/etc/x", "/web-1/rooted", "/web-1/root/../bin/x", "/db-1/root/x"] {
            assert_eq!(inward(elsewhere), None, "{elsewhere}");
        }
    }

    proptest! {
        #[test]
        fn a_path_that_is_shown_leads_to_the_same_spot(path in "[a./]{0,24}") {
            let shown = Spot::of(path.as_bytes()).shown();
            let again = Spot::of(&shown);
            prop_assert_eq!(again.shown(), shown.clone());
            prop_assert_eq!(names(path.as_bytes()), names(&shown));
        }

        #[test]
        fn no_answer_of_a_target_leads_to_another(said in "[a./]{0,24}", depth in 0usize..4) {
            let place = b"/t/l";
            prop_assert!(outward(place, said.as_bytes()).starts_with(place));
            let folder = [&place[..], &b"/d".repeat(depth)].concat();
            let link = link_outward(place, depth, said.as_bytes());
            let seen = if link.starts_with(b"/") { link } else { [&folder[..], b"/", &link].concat() };
            prop_assert!(names(&seen).starts_with(&[b"t", b"l"]), "{:?}", seen);
        }
    }
}
