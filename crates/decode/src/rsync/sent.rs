//! What the end that has the files sends: the lists, what moves, and the totals.
//!
//! ```text
//!  [filters]  list  [ids]  [error]      then of each file that differs
//!  index  flags  [basis]  [name]  [attributes]  blocks  contents  digest
//!  a list of a folder's entries (incremental recursion), or the end of a phase;  at last: statistics, goodbye
//! ```
//! Everything comes in one order, so nothing of the other direction is needed. Source: `send_file_list`, `send_files`,
//! `write_ndx`, `recv_files` and `handle_stats` of rsync 3.0 to 3.5.

use bartizan_model::{Beside, LongDigest, Sha256Hex};

use super::entry::{Before, Form, Listed};
use super::extras::{self, Extra};
use super::index::{Index, Numbers};
use super::list::{Entry, FILE, FOLDER, Found, LINK, Lists, kind};
use super::pieces::{self, ATTRIBUTES, CONTENTS, LOCAL, OTHER_NAME, Spoken};
use super::tokens::{Left, Token, token};
use super::wire::Gather;
use crate::digest::Sha256;

/// What both ends agree on, as far as it changes what passes.
pub(super) struct Agreed {
    pub(super) form: Form,
    /// Whether lists of folders follow one after the other.
    pub(super) incremental: bool,
    /// Whether names of the owner 0 are sent.
    pub(super) root_names: bool,
    /// Whether attributes that were sent in another way are left out.
    pub(super) fewer_attributes: bool,
    pub(super) compressed: bool,
    /// The length of a sent file's digest.
    pub(super) sum: usize,
    /// Whether no contents pass: a trial, or a batch.
    pub(super) idle: bool,
    /// Whether filters come first, and statistics last.
    pub(super) filters: bool,
    pub(super) statistics: bool,
}

/// What a decoder may do with contents and names.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) digest: bool,
    pub(super) beside: Option<Beside>,
    /// Bytes of names that are remembered.
    pub(super) names: usize,
}

/// What there was in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Entries of the list.
    pub(super) listed: u64,
    /// Bytes of the files in it.
    pub(super) size: u64,
    /// Files whose contents passed.
    pub(super) transferred: u64,
    /// Bytes of contents that passed, as they passed.
    pub(super) contents: u64,
}

/// A file whose contents passed.
pub(super) struct Moved {
    /// None where there are more names than are remembered.
    pub(super) entry: Option<Entry>,
    /// Bytes of contents that passed, as they passed.
    pub(super) bytes: u64,
    pub(super) digest: Result<Sha256Hex, &'static str>,
}

struct Moving {
    entry: Option<Entry>,
    bytes: u64,
    digest: LongDigest<Sha256>,
    /// Why what passes is not the file.
    differs: Option<&'static str>,
    /// Whether the contents began.
    begun: bool,
}

enum Step {
    Filters,
    Entry,
    Extra(Extra),
    /// Names of owners, or of groups.
    Ids {
        groups: bool,
    },
    /// An error that kept files from the list.
    Error,
    Index,
    /// Values of attributes that the receiver asked for.
    Values,
    Blocks,
    Token,
    Contents(Left),
    Skip(Left, Then),
    Statistics,
    Ended,
}

/// What comes after what is passed over.
#[derive(Clone, Copy)]
enum Then {
    Filters,
    Extra(Extra),
    Values,
    /// The file is whole.
    File,
}

/// Reads the data of the end that has the files.
pub(super) struct Sent {
    agreed: Agreed,
    limits: Limits,
    gather: Gather,
    step: Step,
    before: Before,
    lists: Lists,
    numbers: Numbers,
    phase: u8,
    moving: Option<Moving>,
    totals: Totals,
}

impl Sent {
    pub(super) fn new(agreed: Agreed, limits: Limits) -> Self {
        let version = agreed.form.version;
        Self {
            gather: Gather::new(version >= 30),
            step: if agreed.filters { Step::Filters } else { Step::Entry },
            before: Before::default(),
            lists: Lists::new(version, agreed.incremental, agreed.form.carried.unsorted, limits.names),
            numbers: Numbers::default(),
            phase: 0,
            moving: None,
            totals: Totals::default(),
            agreed,
            limits,
        }
    }

    /// What there was in all, so far.
    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether all was read to its end.
    pub(super) const fn ended(&self) -> bool {
        matches!(self.step, Step::Ended)
    }

    /// The file of which a part has passed.
    pub(super) fn cut(&mut self) -> Option<Moved> {
        self.moving.take_if(|moving| moving.begun).map(|moving| self.moved(moving))
    }

    /// Takes data, up to where a file is whole.
    ///
    /// # Errors
    /// What is not understood; what follows it is left.
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Result<Option<Moved>, String> {
        while !input.is_empty() {
            if let Some(moving) = self.piece(input)? {
                self.totals.transferred += 1;
                return Ok(Some(self.moved(moving)));
            }
        }
        Ok(None)
    }

    fn moved(&self, moving: Moving) -> Moved {
        let digest = match moving.differs {
            Some(why) => Err(why),
            None if self.agreed.compressed => Err("compressed by rsync"),
            None if !self.limits.digest => Err("not asked for"),
            None => Ok(moving.digest.finish()),
        };
        Moved { entry: moving.entry, bytes: moving.bytes, digest }
    }

    /// Takes what comes next; gives the file that is whole with it.
    fn piece(&mut self, input: &mut &[u8]) -> Result<Option<Moving>, String> {
        match &mut self.step {
            Step::Skip(left, then) => {
                left.take(input);
                if left.0 == 0 {
                    let then = *then;
                    return Ok(self.then(then));
                }
            }
            Step::Contents(left) => {
                let bytes = left.take(input);
                if left.0 == 0 {
                    self.step = Step::Token;
                }
                self.contents(bytes);
            }
            Step::Entry => self.entry(input)?,
            Step::Extra(extra) => {
                if let Some(next) = self.gather.read(input, |fields| extra.read(fields))? {
                    self.extra(next);
                }
            }
            Step::Index | Step::Ended => self.index(input)?,
            Step::Values => match self.gather.read(input, extras::value)? {
                Some(Some(length)) => self.skip(length.into(), Then::Values),
                Some(None) => self.begin(),
                None => {}
            },
            Step::Blocks => {
                if let Some(count) = self.gather.read(input, pieces::blocks)? {
                    self.blocks(count);
                }
            }
            Step::Token => self.token(input)?,
            _ => self.rare(input)?,
        }
        Ok(None)
    }

    /// Takes what comes once: filters, names of owners, an error, statistics.
    fn rare(&mut self, input: &mut &[u8]) -> Result<(), String> {
        match &self.step {
            Step::Filters => {
                if let Some(length) = self.gather.read(input, pieces::filter)? {
                    let skip = Step::Skip(Left(length.into()), Then::Filters);
                    self.step = if length == 0 { Step::Entry } else { skip };
                }
            }
            Step::Ids { groups } => {
                let (groups, root) = (*groups, self.agreed.root_names);
                if self.gather.read(input, |fields| pieces::id(fields, root))?.is_some_and(|more| !more) {
                    self.after_ids(groups);
                }
            }
            Step::Error => {
                let read = self.gather.read(input, |fields| fields.int())?;
                self.step = read.map_or(Step::Error, |_| Step::Index);
            }
            Step::Statistics => {
                let more = self.agreed.form.version >= 29;
                if self.gather.read(input, |fields| pieces::statistics(fields, more))?.is_some() {
                    self.step = Step::Ended;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn skip(&mut self, length: u64, then: Then) {
        self.step = Step::Skip(Left(length), then);
        if length == 0 {
            self.then(then);
        }
    }

    fn then(&mut self, then: Then) -> Option<Moving> {
        self.step = match then {
            Then::Filters => Step::Filters,
            Then::Extra(Extra::None) => Step::Entry,
            Then::Extra(extra) => Step::Extra(extra),
            Then::Values => Step::Values,
            Then::File => {
                self.step = Step::Index;
                return self.moving.take();
            }
        };
        None
    }

    fn entry(&mut self, input: &mut &[u8]) -> Result<(), String> {
        if self.lists.is_empty() {
            self.lists.begin()?;
        }
        let Self { agreed, before, lists, .. } = self;
        let read = self.gather.read(input, |fields| agreed.form.read(fields, before, lists))?;
        let Some(listed) = read else { return Ok(()) };
        let Some(Listed { entry, first_link }) = listed else {
            self.lists.end();
            self.after_list();
            return Ok(());
        };
        self.before.remember(&entry);
        self.lists.add(&entry, first_link)?;
        self.totals.listed += 1;
        if matches!(kind(entry.mode), FILE | LINK) {
            self.totals.size = self.totals.size.saturating_add(entry.size);
        }
        let carried = &self.agreed.form.carried;
        let acls = match kind(entry.mode) {
            _ if !carried.acls => 0,
            LINK => 0,
            FOLDER => 2,
            _ => 1,
        };
        self.extra(extras::Next::Read(Extra::new(acls, carried.xattrs)));
        Ok(())
    }

    fn extra(&mut self, next: extras::Next) {
        match next {
            extras::Next::Read(Extra::None) => self.step = Step::Entry,
            extras::Next::Read(extra) => self.step = Step::Extra(extra),
            extras::Next::Skip(length, extra) => self.skip(length, Then::Extra(extra)),
        }
    }

    fn after_list(&mut self) {
        let carried = &self.agreed.form.carried;
        let named = !self.agreed.incremental && !carried.numeric_ids;
        if named && (carried.uid || carried.acls) {
            self.step = Step::Ids { groups: false };
        } else {
            self.after_ids(false);
        }
    }

    fn after_ids(&mut self, groups: bool) {
        let carried = &self.agreed.form.carried;
        let named = !self.agreed.incremental && !carried.numeric_ids;
        self.step = match self.agreed.form.version {
            _ if !groups && named && (carried.gid || carried.acls) => Step::Ids { groups: true },
            ..30 => Step::Error,
            _ => Step::Index,
        };
    }

    fn index(&mut self, input: &mut &[u8]) -> Result<(), String> {
        let (version, numbers) = (self.agreed.form.version, self.numbers);
        let read = self.gather.read(input, |fields| pieces::spoken(fields, version, numbers))?;
        let Some(Spoken { index, numbers, flags }) = read else { return Ok(()) };
        self.numbers = numbers;
        let ended = self.ended();
        match index {
            Index::Entry(number) if !ended => self.speaks(number, flags)?,
            Index::Done if !ended => self.phase_ends(),
            Index::Folder if !ended && self.agreed.incremental => {
                self.lists.begin()?;
                self.step = Step::Entry;
            }
            Index::NoMoreLists if !ended && self.agreed.incremental => {}
            Index::Done | Index::Deleted if version >= 31 => {}
            _ if ended => return Err("something after its end".to_owned()),
            index => return Err(format!("{index:?} among the entries")),
        }
        Ok(())
    }

    fn phase_ends(&mut self) {
        if self.agreed.incremental && !self.lists.is_empty() {
            self.lists.done();
            if !self.lists.is_empty() {
                return;
            }
        }
        self.phase += 1;
        let phases = if self.agreed.form.version >= 29 { 3 } else { 2 };
        if self.phase == phases {
            self.step = if self.agreed.statistics { Step::Statistics } else { Step::Ended };
        }
    }

    /// An entry is spoken of.
    fn speaks(&mut self, number: u32, flags: u32) -> Result<(), String> {
        let moves = flags & CONTENTS != 0 && !self.agreed.idle;
        let entry = match self.lists.find(number) {
            Found::Nothing => return Err(format!("entry {number}, which no list has")),
            Found::Folder if moves => return Err(format!("contents of entry {number}, a folder")),
            Found::Entry(entry) if moves && matches!(kind(entry.mode), FOLDER | LINK) => {
                return Err(format!("contents of entry {number}, which is no file"));
            }
            Found::Folder | Found::Forgotten => None,
            Found::Entry(entry) => Some(entry),
        };
        if moves {
            let (bytes, digest, differs, begun) = (0, LongDigest::default(), None, false);
            self.moving = Some(Moving { entry, bytes, digest, differs, begun });
        }
        let known = flags & (OTHER_NAME | LOCAL) == OTHER_NAME | LOCAL && self.agreed.fewer_attributes;
        if self.agreed.form.carried.xattrs && flags & ATTRIBUTES != 0 && !self.agreed.idle && !known {
            self.step = Step::Values;
        } else {
            self.begin();
        }
        Ok(())
    }

    /// What was said of an entry is read; its contents follow, if they do.
    fn begin(&mut self) {
        self.step = if self.moving.is_some() { Step::Blocks } else { Step::Index };
    }

    /// The receiver has so many blocks.
    fn blocks(&mut self, count: u32) {
        self.step = Step::Token;
        if let Some(moving) = &mut self.moving {
            moving.begun = true;
            if count > 0 && self.agreed.form.carried.append {
                moving.differs = Some("only its end was sent");
            }
        }
    }

    fn token(&mut self, input: &mut &[u8]) -> Result<(), String> {
        let compressed = self.agreed.compressed;
        let Some(token) = self.gather.read(input, |fields| token(fields, compressed))? else { return Ok(()) };
        match token {
            Token::End => self.skip(self.agreed.sum as u64, Then::File),
            Token::Data(0) => {}
            Token::Data(length) => self.step = Step::Contents(Left(length as u64)),
            Token::Blocks => {
                if let Some(moving) = &mut self.moving {
                    moving.differs.get_or_insert("rsync sent differences");
                }
            }
        }
        Ok(())
    }

    fn contents(&mut self, bytes: &[u8]) {
        self.totals.contents += bytes.len() as u64;
        let Some(moving) = &mut self.moving else { return };
        moving.bytes += bytes.len() as u64;
        if self.limits.digest && !self.agreed.compressed && moving.differs.is_none() {
            moving.digest.update(bytes, self.limits.beside);
        }
    }
}
