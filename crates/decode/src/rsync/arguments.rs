//! What an rsync server is asked for, by its command line or inside the stream.

use bartizan_model::observation::Direction;

use super::carried::Carried;
use super::options::{Argument, Arguments};

/// What a server is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) direction: Direction,
    /// Options as they stand, without `--server` and `--sender`.
    pub(super) options: Vec<Vec<u8>>,
    pub(super) paths: Vec<Vec<u8>>,
    /// With a daemon, the module that the client names.
    pub(super) module: Option<Vec<u8>>,
    /// Whether the target runs a daemon for this one connection.
    pub(super) daemon: bool,
    /// Whether the rest of the arguments follows inside the stream.
    pub(super) secluded: bool,
    /// Whether the ends agree on a checksum by name.
    pub(super) names_checksum: bool,
    /// Whether they agree on a compression by name.
    pub(super) names_compression: bool,
    /// Whether rsync may read the arguments in another way.
    pub(super) uncertain: bool,
    /// Whether no file is to be moved: a trial, or a listing.
    pub(super) idle: bool,
    /// Whether the names of the files come inside the stream (`--files-from=-`).
    pub(super) names_files: bool,
    /// What the list carries, and what passes of contents.
    pub(super) carried: Carried,
    /// How often compression is asked for, and whether it is named.
    compress: u32,
    compression: bool,
}

impl Asked {
    /// None for what is no server.
    pub(super) fn parse(arguments: &[Vec<u8>]) -> Option<Self> {
        let mut asked = Self {
            direction: Direction::Upload,
            options: Vec::new(),
            paths: Vec::new(),
            module: None,
            daemon: false,
            secluded: false,
            names_checksum: true,
            names_compression: false,
            uncertain: false,
            idle: false,
            names_files: false,
            carried: Carried::default(),
            compress: 0,
            compression: false,
        };
        let server = asked.add(arguments);
        // An option that is not known may have taken the word for its value, or not.
        (server || asked.uncertain && arguments.iter().any(|word| word == b"--server")).then_some(asked)
    }

    /// Reads a list of arguments without the program's name; true where one says that it is a server. Paths of a list
    /// before it count no more.
    pub(super) fn add(&mut self, arguments: &[Vec<u8>]) -> bool {
        let (mut arguments, mut server) = (Arguments::new(arguments), false);
        self.paths.clear();
        while let Some((argument, words)) = arguments.next() {
            match argument {
                Argument::Long(b"server") => server = true,
                Argument::Long(b"sender") => self.direction = Direction::Download,
                Argument::Operand(path) => self.paths.push(path.to_vec()),
                Argument::Long(name) => self.option(name, words),
                Argument::Letters(letters) => {
                    self.carried.letters(letters);
                    self.secluded |= letters.contains(&b's');
                    self.idle |= letters.contains(&b'n');
                    self.compress += letters.iter().filter(|letter| **letter == b'z').count() as u32;
                }
            }
            if !matches!(argument, Argument::Long(b"server" | b"sender")) {
                self.options.extend_from_slice(words);
            }
        }
        self.uncertain |= !arguments.certain;
        // The folder where the paths begin stands before them. No client names another one than `.`.
        match self.paths.first().map(Vec::as_slice) {
            Some(b".") => drop(self.paths.remove(0)),
            first => self.uncertain |= first.is_some(),
        }
        // Compression twice is one of a fixed name.
        self.names_compression = self.compress == 1 && !self.compression;
        server
    }

    /// Whether contents are to be compressed.
    pub(super) const fn compresses(&self) -> bool {
        self.compress > 0
    }

    fn option(&mut self, name: &[u8], words: &[Vec<u8>]) {
        let value = match words {
            [word] => word.splitn(2, |byte| *byte == b'=').nth(1),
            words => words.last().map(Vec::as_slice),
        };
        self.carried.long(name, value);
        match name {
            b"dry-run" | b"list-only" => self.idle = true,
            b"files-from" => self.names_files = value == Some(b"-"),
            b"checksum-choice" | b"cc" => self.names_checksum = false,
            b"compress" => self.compress += 1,
            b"no-compress" | b"no-z" => (self.compress, self.compression) = (0, false),
            b"compress-choice" | b"zc" | b"new-compress" | b"old-compress" => self.compression = true,
            b"daemon" => self.daemon = true,
            b"secluded-args" | b"protect-args" => self.secluded = true,
            b"no-secluded-args" | b"no-protect-args" | b"no-s" => self.secluded = false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Option<Asked> {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        Asked::parse(&words)
    }

    #[test]
    fn a_server_is_asked_in_either_direction() {
        let up = asked("--server -logDtpre.iLsfxCIvu --delete . /tmp/dst/").unwrap();
        assert_eq!(up.direction, Direction::Upload);
        assert_eq!(up.paths, [b"/tmp/dst/"]);
        assert_eq!(up.options, [&b"-logDtpre.iLsfxCIvu"[..], b"--delete"]);
        assert!(!up.secluded && up.names_checksum && !up.names_compression);
        let down = asked("--server --sender -logDtprze.iLsfxCIvu . a b").unwrap();
        assert_eq!((down.direction, down.paths.len()), (Direction::Download, 2));
        assert!(down.names_compression);
        assert!(!asked("--server -ze.v --zc=lz4 . x").unwrap().names_compression);
        assert!(!asked("--server -re.v --checksum-choice=md5 . x").unwrap().names_checksum);
        assert!(asked("--server -svlogDtpre.iLsfxCIvu").unwrap().secluded);
        assert!(asked("--server --daemon .").unwrap().daemon);
        assert_eq!(asked("-av x y"), None);
    }

    #[test]
    fn values_are_no_paths_and_say_no_direction() {
        let up = asked("--server -re.v --temp-dir /tmp/t --partial-dir --sender . /dst/").unwrap();
        assert_eq!((up.direction, &up.paths[..]), (Direction::Upload, &[b"/dst/".to_vec()][..]));
        assert_eq!(up.options.len(), 5);
        let down = asked("--log-file /tmp/l --server --sender -re.v . /src").unwrap();
        assert_eq!((down.direction, &down.paths[..]), (Direction::Download, &[b"/src".to_vec()][..]));
        assert!(!up.uncertain && !down.uncertain);
        assert_eq!(asked("--log-file --server . x"), None);
        // In two words, too, an algorithm is chosen.
        let chosen = asked("--server -ze.v --compress-choice zlib --checksum-choice md5 . x").unwrap();
        assert!(!chosen.names_compression && !chosen.names_checksum);
    }

    #[test]
    fn what_rsync_may_read_otherwise_is_uncertain() {
        for line in
            ["--server --new /x . /d", "--new --server . /d", "--server . /d --sender", "--server /etc d"]
        {
            assert!(asked(line).unwrap().uncertain, "{line}");
        }
        assert_eq!(asked("--server /etc d").unwrap().paths, [&b"/etc"[..], b"d"]);
    }
}
