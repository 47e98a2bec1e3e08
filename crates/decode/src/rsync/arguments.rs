//! What an rsync server is asked for, by its command line or inside the stream.

use bartizan_model::observation::Direction;

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
        };
        if !arguments.iter().any(|word| word == b"--server") {
            return None;
        }
        asked.add(arguments);
        Some(asked)
    }

    /// Reads arguments that follow; those inside a stream begin with the program's name, which the caller leaves out.
    pub(super) fn add(&mut self, arguments: &[Vec<u8>]) {
        let mut words = arguments.iter().peekable();
        while words.peek().is_some_and(|word| word.starts_with(b"-") && *word != b"--") {
            let Some(word) = words.next() else { return };
            match word.as_slice() {
                b"--server" => {}
                b"--sender" => self.direction = Direction::Download,
                option => self.option(option),
            }
        }
        // A word of its own, `.`, stands before the paths; `--` may, too.
        let rest = words.skip_while(|word| *word == b"--").skip(1);
        self.paths.extend(rest.cloned());
    }

    fn option(&mut self, option: &[u8]) {
        self.options.push(option.to_vec());
        let chosen = |name: &[u8]| option.starts_with(name);
        if let Some(letters) = option.strip_prefix(b"-").filter(|letters| !letters.starts_with(b"-")) {
            // What follows `e` says what the client can do.
            let flags = letters.split(|letter| *letter == b'e').next().unwrap_or_default();
            self.secluded |= flags.contains(&b's');
            self.names_compression |= flags.contains(&b'z');
        } else if chosen(b"--checksum-choice=") || chosen(b"--cc=") {
            self.names_checksum = false;
        } else if [&b"--compress-choice="[..], b"--zc=", b"--new-compress", b"--old-compress"]
            .into_iter()
            .any(chosen)
        {
            self.names_compression = false;
        } else if option == b"--daemon" {
            self.daemon = true;
        } else if option == b"--secluded-args" || option == b"--protect-args" {
            self.secluded = true;
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
}
