//! The gate of an rsync that is held to paths: what its client sends as filters names no other files.
//!
//! What rsync reads and writes is in its command, which `access` judges. But before anything else a client sends filters, and a
//! filter can have the target read a file for more of them: `: /etc/shadow`. What is in it shows in errors, and in what is left
//! out. So such filters end the channel, before they are whole at the target.
//!
//! Pure: bytes of both directions in any chunking in, a refusal out. Nothing is held back or changed. What follows the
//! filters is not looked at.

use bartizan_decode::{Stream, rsync::Filters};

/// The version of the protocol from which on filters can name files that hold more.
const MERGES: u32 = 29;

/// Why a channel ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The filter; empty where what came could not be read.
    pub(crate) filter: Vec<u8>,
    /// Why, and what to do.
    pub(crate) reason: String,
}

/// The gate of one channel.
pub(crate) struct FilterGate {
    filters: Filters,
}

impl FilterGate {
    /// `None` of a command that cannot be followed.
    pub(crate) fn for_exec(command: &[u8]) -> Option<Self> {
        Filters::for_exec(command).map(|filters| Self { filters })
    }

    /// Whether nothing that comes is looked at any more.
    pub(crate) const fn is_over(&self) -> bool {
        self.filters.is_over()
    }

    /// Judges what an end sends, before it passes.
    ///
    /// # Errors
    /// [`Refused`]: it must not pass, and the channel must end.
    pub(crate) fn feed(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), Refused> {
        let mut found = Vec::new();
        let read = self.filters.feed(stream, bytes, &mut |filter| found.push(filter.to_vec()));
        let old = self.filters.version().is_some_and(|version| version < MERGES);
        let harmless = |filter: &[u8]| if old { !looks_like_merge(filter) } else { names_no_file(filter) };
        if let Some(filter) = found.into_iter().find(|filter| !harmless(filter)) {
            let reason = "this filter of rsync has the target read a file that rules for paths do not hold: leave out -F, -C, \
                          --cvs-exclude and filters with merge, dir-merge, . and :";
            return Err(Refused { filter, reason: reason.to_owned() });
        }
        read.map_err(|why| Refused {
            filter: Vec::new(),
            reason: format!("rsync is held to paths, and its filters cannot be read ({why}): use SFTP"),
        })
    }
}

/// Whether a filter is a pattern of names and nothing else: `- *.o`, `+,s x`, `P_y`, `!`. Clients send short names of rules.
fn names_no_file(filter: &[u8]) -> bool {
    match filter {
        b"!" => true,
        [b'+' | b'-' | b'P' | b'H' | b'R' | b'S', rest @ ..] => {
            let rest = rest.strip_prefix(b",").unwrap_or(rest);
            let end = rest.iter().position(|byte| matches!(byte, b' ' | b'_'));
            end.is_some_and(|end| rest[..end].iter().all(|modifier| b"/!sprx".contains(modifier)))
        }
        _ => false,
    }
}

/// Older versions know no such filters, but not every program that speaks them is rsync.
fn looks_like_merge(filter: &[u8]) -> bool {
    matches!(filter, [b'.' | b':' | b'm' | b'd', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(version: u8, filters: &[&str]) -> (FilterGate, Vec<u8>) {
        let mut gate = FilterGate::for_exec(b"rsync --server --sender -re.L . /srv/x").unwrap();
        gate.feed(Stream::Input, &[version, 0, 0, 0]).unwrap();
        gate.feed(Stream::Output, b"\x1D\0\0\0seed").unwrap();
        let of = |text: &&str| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
        (gate, filters.iter().flat_map(of).chain([0; 4]).collect())
    }

    #[test]
    fn filters_that_name_files_end_the_channel() {
        for (filter, passes) in [
            ("- *.o", true),
            ("+ /x/**", true),
            ("-,s x", true),
            ("-p_x", true),
            ("P keep", true),
            ("H!/ x", true),
            ("-x user.*", true),
            ("!", true),
            (": .rsync-filter", false),
            (":- ../../etc/passwd", false),
            (". /etc/shadow", false),
            (".,w /etc/shadow", false),
            ("merge /etc/shadow", false),
            ("dir-merge,n- x", false),
            ("exclude x", false),
            ("-C", false),
            (":C", false),
            ("-C x", false),
            ("-", false),
            ("", true),
        ] {
            let (mut gate, list) = fetch(32, &["- first", filter]);
            // An empty one ends the list.
            let done = list.iter().try_for_each(|byte| gate.feed(Stream::Input, &[*byte]));
            assert_eq!(done.is_ok(), passes, "{filter}");
            assert_eq!(gate.is_over(), passes, "{filter}");
            if let Err(refused) = done {
                assert_eq!(refused.filter, filter.as_bytes());
            }
            let (mut gate, list) = fetch(32, &["- first", filter]);
            assert_eq!(gate.feed(Stream::Input, &list).is_ok(), passes, "at once: {filter}");
        }
    }

    #[test]
    fn old_clients_send_patterns_alone() {
        for (filter, passes) in [("*.o", true), ("- x", true), (": x", false), ("merge x", false)] {
            let (mut gate, list) = fetch(28, &[filter]);
            assert_eq!(gate.feed(Stream::Input, &list).is_ok(), passes, "{filter}");
        }
    }

    #[test]
    fn what_cannot_be_read_does_not_pass() {
        let (mut gate, _) = fetch(32, &[]);
        let refused = gate.feed(Stream::Input, b"\xFF\xFF\xFF\xFF").unwrap_err();
        assert!(refused.filter.is_empty() && refused.reason.contains("use SFTP"), "{refused:?}");
        let mut gate = FilterGate::for_exec(b"rsync --server --sender -re.L . /srv/x").unwrap();
        assert!(
            gate.feed(Stream::Input, b"\x20\0\0\0\0\0\0\0\0").is_err(),
            "before the target said its version"
        );
        assert!(FilterGate::for_exec(b"rsync --server -se.L").is_none());
    }
}
