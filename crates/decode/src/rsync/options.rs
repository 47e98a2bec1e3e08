//! The words of rsync's command line, as popt takes them apart.
//!
//! Source: `long_options` and `long_daemon_options` of rsync 3.0 to 3.5. A value stands after `=`, after its letter, or in
//! the next word, whatever that looks like; options may follow operands; `--` ends them.

/// Options that take a value.
const VALUED: &str = "address backup-dir block-size bwlimit cc checksum-choice checksum-seed chmod chown compare-dest \
    compress-choice compress-level config contimeout copy-as copy-dest debug dparam early-input exclude \
    exclude-from files-from filter groupmap iconv include include-from info link-dest log-file \
    log-file-format log-format max-alloc max-delete max-size min-size modify-window only-write-batch \
    out-format outbuf partial-dir password-file port protocol read-batch remote-option rsh rsync-path \
    skip-compress sockopts stderr stop-after stop-at suffix temp-dir time-limit timeout usermap \
    write-batch zc zl";

/// Options that take none. Nor do those that begin with `no-`.
const PLAIN: &str = "8-bit-output acls append append-verify archive atimes backup blocking-io checksum compress \
    copy-devices copy-dirlinks copy-links copy-unsafe-links crtimes cvs-exclude daemon del delay-updates \
    delete delete-after delete-before delete-delay delete-during delete-excluded delete-missing-args \
    detach devices dirs dry-run executability existing fake-super force from0 fsync fuzzy group \
    hard-links help human-readable i-d i-r ignore-errors ignore-existing ignore-missing-args \
    ignore-non-existing ignore-times implied-dirs inc-recursive inplace ipv4 ipv6 itemize-changes \
    keep-dirlinks links list-only mkpath motd msgs2stderr munge-links new-compress numeric-ids old-args \
    old-compress old-d old-dirs omit-dir-times omit-link-times one-file-system open-noatime owner partial \
    perms preallocate progress protect-args prune-empty-dirs qsort quiet recursive relative \
    remove-sent-files remove-source-files safe-links secluded-args size-only sparse specials stats super \
    times trust-sender update use-qsort verbose version whole-file write-devices xattrs sender server";

const VALUED_LETTERS: &[u8] = b"efBMT@";
const PLAIN_LETTERS: &[u8] = b"abcdghiklmnopqrstuvxyzACDEFHIJKLNOPRSUVWX0468";

/// An option, or what is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    /// Options of one letter each; not what is their value.
    Letters(&'a [u8]),
    /// The name of an option, without `--` and value.
    Long(&'a [u8]),
    Operand(&'a [u8]),
}

/// Reads words one after the other.
pub(super) struct Arguments<'a> {
    words: &'a [Vec<u8>],
    ended: bool,
    /// False once a word may be a value or not, or an option or not: rsync may read all from there on otherwise.
    pub(super) certain: bool,
    operands: bool,
}

impl<'a> Arguments<'a> {
    pub(super) const fn new(words: &'a [Vec<u8>]) -> Self {
        Self { words, ended: false, certain: true, operands: false }
    }

    /// The next argument, and all words of it.
    pub(super) fn next(&mut self) -> Option<(Argument<'a>, &'a [Vec<u8>])> {
        let words = self.words;
        let mut word = self.take()?;
        if word == b"--" && !self.ended {
            self.ended = true;
            word = self.take()?;
        }
        let (argument, wants_value) = match word {
            [b'-', b'-', name @ ..] if !self.ended => self.long(name),
            [b'-', letters @ ..] if !self.ended && !letters.is_empty() => self.letters(letters),
            operand => {
                self.operands = true;
                return Some((Argument::Operand(operand), &[]));
            }
        };
        // Where the environment says POSIXLY_CORRECT, what follows an operand is one, too.
        self.certain &= !self.operands;
        if wants_value {
            self.certain &= self.take().is_some();
        }
        Some((argument, &words[..words.len() - self.words.len()]))
    }

    fn take(&mut self) -> Option<&'a [u8]> {
        let (word, rest) = self.words.split_first()?;
        self.words = rest;
        Some(word)
    }

    /// An option by its name, and whether the next word is its value.
    fn long(&mut self, option: &'a [u8]) -> (Argument<'a>, bool) {
        let among = |list: &str, name: &[u8]| list.split(' ').any(|known| known.as_bytes() == name);
        let name = option.split(|byte| *byte == b'=').next().unwrap_or_default();
        let has_value = name.len() < option.len();
        let valued = among(VALUED, name);
        let plain = name.starts_with(b"no-") || among(PLAIN, name);
        // An unknown one that has its value with it takes no word. What popt makes of a value that is not wanted depends.
        self.certain &= if has_value { !plain } else { valued || plain };
        (Argument::Long(name), valued && !has_value)
    }

    /// Options by their letters, and whether the next word is the value of the last.
    fn letters(&mut self, letters: &'a [u8]) -> (Argument<'a>, bool) {
        let valued = letters.iter().position(|letter| VALUED_LETTERS.contains(letter));
        let plain = &letters[..valued.unwrap_or(letters.len())];
        self.certain &= plain.iter().all(|letter| PLAIN_LETTERS.contains(letter));
        (Argument::Letters(plain), valued.is_some_and(|at| at + 1 == letters.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a line, with the number of words of each option, and whether it is certain.
    fn read(line: &str) -> (Vec<String>, bool) {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let (mut arguments, mut found) = (Arguments::new(&words), Vec::new());
        while let Some((argument, words)) = arguments.next() {
            found.push(match argument {
                Argument::Letters(letters) => format!("{} {}", String::from_utf8_lossy(letters), words.len()),
                Argument::Long(name) => format!("{} {}", String::from_utf8_lossy(name), words.len()),
                Argument::Operand(word) => String::from_utf8_lossy(word).into_owned(),
            });
        }
        (found, arguments.certain)
    }

    #[test]
    fn values_are_words_of_their_options() {
        let table: [(&str, &[&str], bool); 14] = [
            ("--server -vze.iLsfx . /d", &["server 1", "vz 1", ".", "/d"], true),
            ("--temp-dir /t --delete . /d", &["temp-dir 2", "delete 1", ".", "/d"], true),
            ("--temp-dir=/t --no-r . /d", &["temp-dir 1", "no-r 1", ".", "/d"], true),
            ("--log-file --server . /d", &["log-file 2", ".", "/d"], true),
            ("-vT /t -T/t -B700 -e sh . /d", &["v 2", " 1", " 1", " 2", ".", "/d"], true),
            ("--suffix -- . -- -x --sender", &["suffix 2", ".", "-x", "--sender"], true),
            (". -", &[".", "-"], true),
            // Read as popt does, but who knows.
            (". /d --sender", &[".", "/d", "sender 1"], false),
            ("--new-option . /d", &["new-option 1", ".", "/d"], false),
            ("--new-option=. /d", &["new-option 1", "/d"], true),
            ("--sender=no . /d", &["sender 1", ".", "/d"], false),
            ("-vZ . /d", &["vZ 1", ".", "/d"], false),
            ("-r --temp-dir", &["r 1", "temp-dir 1"], false),
            ("--", &[], true),
        ];
        for (line, found, certain) in table {
            assert_eq!(
                read(line),
                (found.iter().map(|word| (*word).to_owned()).collect(), certain),
                "{line}"
            );
        }
    }
}
