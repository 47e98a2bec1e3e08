//! Paths of requests, as they are judged.

use std::borrow::Cow;

/// A path of a request, made plain if it can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilePath<'a> {
    /// Starts with `/`; no part is empty, `.` or `..`.
    Plain(Cow<'a, [u8]>),
    /// Where it leads cannot be told, for this reason.
    Unclear(&'static str),
}

impl<'a> FilePath<'a> {
    /// Makes a path plain. Relative ones begin at `start`, the folder in which the server began, once it is known.
    pub fn new(written: &'a [u8], start: Option<&[u8]>) -> Self {
        let whole = match whole(written, start) {
            Ok(whole) => whole,
            Err(why) => return Self::Unclear(why),
        };
        let mut parts = whole.split(|&byte| byte == b'/').skip(1);
        if parts.clone().any(|part| part == b"..") {
            return Self::Unclear(
                "it has .. in it, which leads elsewhere behind a symbolic link: write it without",
            );
        }
        if parts.all(|part| !part.is_empty() && part != b".") {
            return Self::Plain(whole);
        }
        Self::Plain(
            joined(whole.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".")).into(),
        )
    }

    /// The path by its letters alone: `..` takes the part before it away. For questions about names, which open nothing.
    pub fn by_letters(written: &'a [u8], start: Option<&[u8]>) -> Self {
        let whole = match whole(written, start) {
            Ok(whole) => whole,
            Err(why) => return Self::Unclear(why),
        };
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in whole.split(|&byte| byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        Self::Plain(joined(parts.into_iter()).into())
    }
}

/// The path from `/` on.
fn whole<'a>(written: &'a [u8], start: Option<&[u8]>) -> Result<Cow<'a, [u8]>, &'static str> {
    if written.contains(&0) || written.contains(&b'\\') {
        return Err("it holds a NUL or a backslash, which servers read differently");
    }
    match (written.first(), start) {
        (Some(b'/'), _) => Ok(Cow::Borrowed(written)),
        (_, Some(start)) => Ok(Cow::Owned([start, b"/", written].concat())),
        (_, None) => Err("it is relative, and nobody asked the target yet where it begins: write it from /"),
    }
}

fn joined<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let joined = parts.flat_map(|part| [b"/", part].concat()).collect::<Vec<u8>>();
    if joined.is_empty() { b"/".to_vec() } else { joined }
}
