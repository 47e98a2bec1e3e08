//! The filters that a client sends before anything else of its data.
//!
//! They are text, `- *.o` or `: .rsync-filter`, each after four bytes of length; a length of zero ends them. Some have the
//! server read a file for more of them, at any path. A server that receives takes filters only where it may delete, or leave
//! empty folders out.
//!
//! Source: `send_filter_list` and `recv_filter_list` of rsync 2.6 to 3.5.

use bartizan_model::observation::Direction;

use super::arguments::Asked;
use super::mux::Mux;
use super::setup::Setup;
use crate::Stream;
use crate::command::{self, Program};

/// Longest filter: rsync takes none longer than a path and its prefix.
const MAX_FILTER: u32 = 8 << 10;
/// Most bytes that the setup may keep; there are no arguments in it.
const MAX_SETUP: usize = 64 << 10;

/// Reads the filters of one `rsync --server`.
pub struct Filters {
    asked: Asked,
    setup: Setup,
    input: Mux,
    /// What of a length or a filter has come.
    buffer: Vec<u8>,
    /// How long the filter is, once that is known.
    length: Option<u32>,
    over: bool,
}

impl Filters {
    /// `None` of a command that is no server, and of one that says in its stream what it is asked for.
    pub fn for_exec(command: &[u8]) -> Option<Self> {
        let line = command::parse(command).filter(|line| line.program == Program::Rsync && line.plain)?;
        let asked = Asked::parse(&line.arguments)?;
        if asked.uncertain || asked.secluded || asked.daemon {
            return None;
        }
        let over =
            asked.direction == Direction::Upload && !asked.options.iter().any(|word| wants_filters(word));
        let setup = Setup::new(&asked, MAX_SETUP);
        Some(Self { asked, setup, input: Mux::default(), buffer: Vec::new(), length: None, over })
    }

    /// The version of the protocol, once both ends have said theirs.
    pub fn version(&self) -> Option<u32> {
        self.setup.version()
    }

    /// Whether all filters have come.
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Takes what passed of one stream, in order; gives each filter that is whole with it to `found`.
    ///
    /// # Errors
    /// What is not understood; nothing that follows is.
    pub fn feed(
        &mut self,
        stream: Stream,
        mut bytes: &[u8],
        found: &mut dyn FnMut(&[u8]),
    ) -> Result<(), String> {
        while !self.over && !bytes.is_empty() {
            if !self.setup.done(stream)? {
                self.setup.take(stream, &mut bytes, &mut self.asked)?;
            } else if stream == Stream::Output {
                break;
            } else {
                let plain = self.setup.input_is_plain();
                let data = if plain { self.input.plain(&mut bytes) } else { self.input.take(&mut bytes)? };
                self.read(data, found)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, mut data: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        while !self.over && !data.is_empty() {
            let wanted = self.length.unwrap_or(4) as usize;
            let (taken, rest) = data.split_at(data.len().min(wanted - self.buffer.len()));
            self.buffer.extend_from_slice(taken);
            data = rest;
            if self.buffer.len() < wanted {
                break;
            }
            match (self.length.take(), <[u8; 4]>::try_from(self.buffer.as_slice())) {
                (Some(_), _) => found(&self.buffer),
                (None, Ok(four)) => match u32::from_le_bytes(four) {
                    0 => self.over = true,
                    length @ ..=MAX_FILTER => self.length = Some(length),
                    length => return Err(format!("a filter of {length} bytes")),
                },
                (None, Err(_)) => return Err("a length that is none".to_owned()),
            }
            self.buffer.clear();
        }
        Ok(())
    }
}

/// Whether a server that receives reads filters because of this option: at least where rsync does.
fn wants_filters(word: &[u8]) -> bool {
    match word {
        [b'-', b'-', name @ ..] => name.starts_with(b"del") || name.starts_with(b"prune"),
        [b'-', letters @ ..] => {
            letters.iter().take_while(|letter| **letter != b'e').any(|letter| *letter == b'm')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FETCH: &[u8] = b"rsync --server --sender -re.iLsfxCIvu . /x";

    /// The filters of a stream, however it is cut.
    fn filters(command: &[u8], pieces: &[(Stream, &[u8])]) -> Result<(Vec<String>, bool), String> {
        let results = [1, 3, usize::MAX].map(|size| {
            let (mut reader, mut found) = (Filters::for_exec(command).unwrap(), Vec::new());
            for (stream, bytes) in pieces {
                for chunk in bytes.chunks(size) {
                    let mut keep = |filter: &[u8]| found.push(String::from_utf8_lossy(filter).into_owned());
                    reader.feed(*stream, chunk, &mut keep)?;
                }
            }
            Ok((found, reader.is_over()))
        });
        assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
        results[0].clone()
    }

    #[test]
    fn filters_are_read_in_every_protocol() {
        use Stream::{Input, Output};
        let list = b"\x05\0\0\0- *.o\x06\0\0\0: ../x\0\0\0\0";
        let messages = [
            &b"\x04\0\0\x07\x05\0\0\0\x02\0\0\x07- \x0D\0\0\x07"[..],
            &list[6..6 + 13],
            b"\x04\0\0\x07\0\0\0\0",
        ]
        .concat();
        let wanted = (vec!["- *.o".to_owned(), ": ../x".to_owned()], true);
        for version in [27, 29] {
            let said = [version, 0, 0, 0];
            let pieces = [(Input, &said[..]), (Output, b"\x20\0\0\0seed"), (Input, list)];
            assert_eq!(filters(FETCH, &pieces), Ok(wanted.clone()), "{version}");
        }
        for (version, flags, names) in
            [(30, &b"\x3F"[..], &b""[..]), (31, b"\x81\xFF", b"\x03md5"), (32, b"\x81\xFF", b"\x80\x03md5")]
        {
            let said = [version, 0, 0, 0];
            let output = [b"\x20\0\0\0", flags, names, b"seed"].concat();
            let input = [names, &messages].concat();
            let pieces = [(Input, &said[..]), (Output, &output), (Input, &input)];
            assert_eq!(filters(FETCH, &pieces), Ok(wanted.clone()), "{version}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said() {
        use Stream::{Input, Output};
        let (said, answer) = (&b"\x1D\0\0\0"[..], &b"\x20\0\0\0seed"[..]);
        let long = [(Input, said), (Output, answer), (Input, b"\0\x01\x01\0")];
        assert_eq!(filters(FETCH, &long), Err("a filter of 65792 bytes".to_owned()));
        let early = [(Input, &b"\x20\0\0\0\0\0\0\0\0"[..])];
        assert!(filters(FETCH, &early).unwrap_err().contains("does not wait"));
        assert!(filters(FETCH, &[(Input, b"\x02\0\0\0")]).unwrap_err().contains("protocol 2"));
        for command in [
            "rsync --server -se.L",
            "rsync --server --daemon .",
            "rsync x",
            "scp -t x",
            "rsync --server /x . y",
        ] {
            assert!(Filters::for_exec(command.as_bytes()).is_none(), "{command}");
        }
    }

    #[test]
    fn what_is_sent_has_filters_where_something_may_be_deleted() {
        for (options, over) in [
            ("-logDtpre.iLsfxCIvu", true),
            ("-re.iLsfxCImu", true),
            ("-mre.iLsfxCIvu", false),
            ("-re.iLsfxCIvu --delete", false),
            ("-re.iLsfxCIvu --delete-excluded", false),
        ] {
            let command = format!("rsync --server {options} . /x");
            assert_eq!(Filters::for_exec(command.as_bytes()).unwrap().is_over(), over, "{options}");
        }
        assert!(!Filters::for_exec(FETCH).unwrap().is_over());
    }

    proptest::proptest! {
        /// Whatever the ends say: no panic, and the same however it is cut.
        #[test]
        fn the_chunking_does_not_matter(
            version in 20_u8..40,
            answer in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..24),
            said in proptest::collection::vec(0_u8..9, 0..64),
        ) {
            use Stream::{Input, Output};
            let head = [version, 0, 0, 0];
            let answer = [&b"\x1F\0\0\0"[..], &answer].concat();
            let pieces = [(Input, &head[..]), (Output, &answer), (Input, &said)];
            drop(filters(FETCH, &pieces));
            drop(filters(b"rsync --server -ze.L --delete . /x", &pieces));
        }
    }
}
