//! What a list carries of each file, and what passes of its contents, by the options that both ends have.
//!
//! Source: `server_options`, `parse_arguments` and `csum_len_for_type` of rsync 3.0 to 3.5.

/// The options that change what passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) recursive: bool,
    pub(super) uid: bool,
    pub(super) gid: bool,
    pub(super) links: bool,
    pub(super) devices: bool,
    pub(super) specials: bool,
    pub(super) hard_links: bool,
    pub(super) acls: bool,
    pub(super) xattrs: bool,
    pub(super) checksum: bool,
    pub(super) numeric_ids: bool,
    pub(super) atimes: bool,
    pub(super) crtimes: bool,
    pub(super) perms: bool,
    pub(super) times: bool,
    /// Names have the folders of their operands before them.
    pub(super) relative: bool,
    /// Names come from a list, and begin at the operand.
    pub(super) files_from: bool,
    /// Numbers count entries as they came, and not in their order (`--iconv`).
    pub(super) unsorted: bool,
    pub(super) append: bool,
    /// The sender removes what was received, and is told so.
    pub(super) removes: bool,
    deletes: bool,
    deletes_excluded: bool,
    prunes: bool,
    /// Contents go into a file at the sender's (`--only-write-batch`).
    pub(super) batch_only: bool,
    checksums: Option<Vec<u8>>,
    compression: Option<Vec<u8>>,
    level: Option<Vec<u8>>,
}

impl Carried {
    pub(super) fn letters(&mut self, letters: &[u8]) {
        for letter in letters {
            match letter {
                b'a' => self.letters(b"rlptgoD"),
                b'D' => (self.devices, self.specials) = (true, true),
                b'r' => self.recursive = true,
                b'o' => self.uid = true,
                b'g' => self.gid = true,
                b'l' => self.links = true,
                b'H' => self.hard_links = true,
                b'A' => (self.acls, self.perms) = (true, true),
                b'X' => self.xattrs = true,
                b'c' => self.checksum = true,
                b'U' => self.atimes = true,
                b'N' => self.crtimes = true,
                b'p' => self.perms = true,
                b't' => self.times = true,
                b'R' => self.relative = true,
                b'm' => self.prunes = true,
                _ => {}
            }
        }
    }

    /// An option by its name, with its value, if it has one.
    pub(super) fn long(&mut self, name: &[u8], value: Option<&[u8]>) {
        let (name, on) = match name.strip_prefix(b"no-") {
            Some(name) => (name, false),
            None => (name, true),
        };
        if let Some(set) = self.switch(name) {
            *set = on;
            return;
        }
        let value = value.map(<[u8]>::to_vec);
        match name {
            b"archive" => self.letters(b"a"),
            b"D" => (self.devices, self.specials) = (on, on),
            b"compress" | b"z" if !on => self.compression = None,
            b"checksum-choice" | b"cc" => self.checksums = value,
            b"compress-choice" | b"zc" => self.compression = value,
            b"new-compress" | b"old-compress" => self.compression = Some(b"zlib".to_vec()),
            b"compress-level" | b"zl" => self.level = value,
            b"usermap" => self.uid = true,
            b"groupmap" => self.gid = true,
            b"chown" => (self.uid, self.gid) = (true, true),
            _ => {}
        }
    }

    fn switch(&mut self, name: &[u8]) -> Option<&mut bool> {
        Some(match name {
            b"recursive" | b"r" => &mut self.recursive,
            b"owner" | b"o" => &mut self.uid,
            b"group" | b"g" => &mut self.gid,
            b"links" | b"l" => &mut self.links,
            b"devices" => &mut self.devices,
            b"specials" => &mut self.specials,
            b"hard-links" | b"H" => &mut self.hard_links,
            b"acls" | b"A" => &mut self.acls,
            b"xattrs" | b"X" => &mut self.xattrs,
            b"checksum" | b"c" => &mut self.checksum,
            b"numeric-ids" => &mut self.numeric_ids,
            b"atimes" | b"U" => &mut self.atimes,
            b"crtimes" | b"N" => &mut self.crtimes,
            b"perms" | b"p" => &mut self.perms,
            b"times" | b"t" => &mut self.times,
            b"relative" | b"R" => &mut self.relative,
            b"files-from" => &mut self.files_from,
            b"iconv" => &mut self.unsorted,
            b"append" | b"append-verify" => &mut self.append,
            b"delete" | b"del" | b"delete-before" | b"delete-during" | b"delete-delay" | b"delete-after" => {
                &mut self.deletes
            }
            b"remove-source-files" | b"remove-sent-files" => &mut self.removes,
            b"delete-excluded" => &mut self.deletes_excluded,
            b"prune-empty-dirs" | b"m" => &mut self.prunes,
            b"only-write-batch" => &mut self.batch_only,
            _ => return None,
        })
    }

    /// Whether a client that sends files says its filters before.
    pub(super) fn filters(&self, version: u32) -> bool {
        let deletes = self.deletes && !self.deletes_excluded;
        self.prunes || deletes || self.deletes_excluded && version >= 29
    }

    /// Lengths of the digests of a file that was sent, and of one in the list. `agreed` is what both ends agreed on by name.
    ///
    /// # Errors
    /// A digest that is not known.
    pub(super) fn sums(&self, agreed: Option<&[u8]>) -> Result<(usize, usize), String> {
        let chosen = self.checksums.as_deref().or(agreed).unwrap_or(b"auto");
        let mut names = chosen.splitn(2, |byte| *byte == b',');
        let sent = names.next().unwrap_or(chosen);
        Ok((sum_length(sent)?, sum_length(names.next().unwrap_or(sent))?))
    }

    /// Whether contents are compressed; `asked` is whether that was asked for, `agreed` the name that both ends agreed on.
    pub(super) fn compressed(&self, asked: bool, agreed: Option<&[u8]>) -> bool {
        let chosen = self.compression.as_deref().filter(|name| !name.eq_ignore_ascii_case(b"auto"));
        let name = match (chosen.or(agreed), asked) {
            (Some(name), _) => name,
            (None, true) => b"zlib",
            (None, false) => return false,
        };
        let off = self.level.as_deref() == Some(b"0") && name.to_ascii_lowercase().starts_with(b"zlib");
        !name.eq_ignore_ascii_case(b"none") && !off
    }
}

fn sum_length(name: &[u8]) -> Result<usize, String> {
    Ok(match name.to_ascii_lowercase().as_slice() {
        // What both ends have without a word is MD4 before protocol 30, MD5 since.
        b"auto" | b"" | b"md4" | b"md5" | b"xxh128" => 16,
        b"xxh64" | b"xxhash" | b"xxh3" => 8,
        b"sha1" => 20,
        b"sha256" => 32,
        b"sha512" => 64,
        b"none" => 1,
        name => return Err(format!("a digest of an unknown kind: {}", crate::text::message(name))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_say_what_the_list_carries() {
        let mut carried = Carried::default();
        carried.letters(b"vlogDtpr");
        carried.long(b"no-specials", None);
        carried.long(b"numeric-ids", None);
        assert!(carried.uid && carried.gid && carried.links && carried.devices && carried.recursive);
        assert!(!carried.specials && carried.numeric_ids && !carried.filters(31));
        carried.long(b"delete-excluded", None);
        assert!(!carried.filters(28) && carried.filters(29));
        carried.long(b"delete-during", None);
        assert!(!carried.filters(28) && carried.filters(29));
    }

    #[test]
    fn sums_and_compression_are_what_was_chosen_or_agreed_on() {
        let mut carried = Carried::default();
        assert_eq!(carried.sums(None), Ok((16, 16)));
        assert_eq!(carried.sums(Some(b"xxh3")), Ok((8, 8)));
        assert!(carried.sums(Some(b"new")).is_err());
        carried.long(b"checksum-choice", Some(b"sha1,none"));
        assert_eq!(carried.sums(Some(b"xxh3")), Ok((20, 1)));
        assert!(!carried.compressed(false, None) && carried.compressed(true, None));
        assert!(carried.compressed(true, Some(b"zstd")) && !carried.compressed(true, Some(b"none")));
        carried.long(b"compress-level", Some(b"0"));
        assert!(carried.compressed(true, Some(b"zstd")) && !carried.compressed(true, Some(b"zlibx")));
    }
}
