//! The folders that are our own: `/` and `/TARGET`, and `/TARGET/LOGIN` as it looks from outside.

use std::collections::VecDeque;

use super::super::packet::{Status, kind};
use super::super::path::Spot;
use super::{Ask, Handle, Order, Root, Waiting, Wants};
use crate::wire::Writer as _;

/// Names in one answer to `SSH_FXP_READDIR`.
const NAMES: usize = 100;
/// `SSH_FILEXFER_ATTR_SIZE`, `_PERMISSIONS` and `_ACMODTIME` (draft-ietf-secsh-filexfer-02 §5).
const ATTRIBUTES: u32 = 1 | 4 | 8;
/// The type of folders among the permissions.
const FOLDER: u32 = 0o040_000;
/// Who our folders belong to in long names.
const OWNER: &str = "bartizan";

/// One name in a folder of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name: a target's or a login's.
    pub name: Vec<u8>,
    /// Whether something may be changed in it.
    pub writable: bool,
}

/// A folder of ours that is open: what was not read of it yet.
pub(super) type Listing = VecDeque<Entry>;

fn permissions(writable: bool) -> u32 {
    FOLDER | if writable { 0o755 } else { 0o555 }
}

fn put_attributes(out: &mut Vec<u8>, writable: bool, time: u32) {
    out.put_u32(ATTRIBUTES);
    out.put_u64(0);
    out.put_u32(permissions(writable));
    out.put_u32(time);
    out.put_u32(time);
}

/// A line as `ls -l` shows it; clients show it as it is.
fn long_name(entry: &Entry, time: u32) -> Vec<u8> {
    let mode = if entry.writable { "drwxr-xr-x" } else { "dr-xr-xr-x" };
    let line = format!("{mode}    1 {OWNER:<8} {OWNER:<8} {:>8} {} ", 0, moment(time));
    [line.as_bytes(), &entry.name].concat()
}

/// `Nov 28 01:42`, in UTC.
fn moment(time: u32) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (mut day, minutes) = (time / 86_400, time % 86_400 / 60);
    let mut year = 1970;
    loop {
        let leap = year % 4 == 0 && year != 2100;
        let length = if leap { 366 } else { 365 };
        if day >= length {
            (day, year) = (day - length, year + 1);
            continue;
        }
        let february = if leap { 29 } else { 28 };
        for (name, length) in MONTHS.iter().zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
            if day < length {
                return format!("{name} {:>2} {:02}:{:02}", day + 1, minutes / 60, minutes % 60);
            }
            day -= length;
        }
    }
}

impl Root {
    /// Answers the question that waited longest: what is there, or none if there is nothing to be seen.
    ///
    /// Of a login there is one entry: itself.
    pub fn answer(&mut self, entries: Option<Vec<Entry>>) {
        let Some((ask, Waiting { id, wants, path })) = self.questions.pop_front() else { return };
        let Some(entries) = entries else { return self.nothing(id, &ask, &path) };
        match wants {
            Wants::Stat => {
                let writable = matches!(ask, Ask::Login { .. }) && entries.iter().any(|entry| entry.writable);
                self.folder_attributes(id, writable);
            }
            Wants::List if self.listings() >= self.limits.listings => {
                self.status(id, Status::Failure, "too many of these folders are open");
            }
            Wants::List => self.open(id, Handle::Listing(entries.into())),
        }
    }

    fn listings(&self) -> usize {
        self.handles.values().filter(|open| matches!(open, Handle::Listing(_))).count()
    }

    fn nothing(&mut self, id: u32, ask: &Ask, path: &[u8]) {
        let reason = match ask {
            Ask::Targets => "nothing may be reached by SFTP",
            Ask::Logins { .. } => "no such target, or no grant lets you reach it by SFTP",
            Ask::Login { .. } => "no such target, or no grant lets you reach it as this login by SFTP",
        };
        // Clients look for files that are not there all the time: no line for each.
        self.status(id, Status::NoSuchFile, reason);
        let refused = Order::Refused { action: "look", path: path.to_vec(), reason: reason.to_owned() };
        self.orders.push_back(refused);
    }

    /// Answers what a folder of ours is like.
    pub(super) fn folder_attributes(&mut self, id: u32, writable: bool) {
        let mut body = Vec::new();
        put_attributes(&mut body, writable, self.time);
        self.reply(kind::ATTRS, id, &[&body]);
    }

    /// Gives the client a handle.
    pub(super) fn open(&mut self, id: u32, handle: Handle) {
        let ours = self.next_serial();
        self.handles.insert(ours, handle);
        let mut body = Vec::new();
        body.put_string(&ours.to_be_bytes());
        self.reply(kind::HANDLE, id, &[&body]);
    }

    /// Asks about a spot on behalf of a request.
    pub(super) fn ask(&mut self, id: u32, spot: &Spot<'_>, wants: Wants) {
        let ask = match *spot {
            Spot::Root if wants == Wants::Stat => return self.folder_attributes(id, false),
            Spot::Root | Spot::Nowhere => Ask::Targets,
            Spot::Target(target) => Ask::Logins { target: target.to_vec() },
            Spot::Login(target, login) | Spot::Below(target, login, _) => {
                Ask::Login { target: target.to_vec(), login: login.to_vec() }
            }
        };
        self.questions.push_back((ask, Waiting { id, wants, path: spot.shown() }));
    }

    /// Gives the next names of a folder of ours; false if the handle is none.
    pub(super) fn read_listing(&mut self, id: u32, ours: u64) -> bool {
        let Some(Handle::Listing(listing)) = self.handles.get_mut(&ours) else { return false };
        let some: Vec<Entry> = listing.drain(..listing.len().min(NAMES)).collect();
        if some.is_empty() {
            self.status(id, Status::Eof, "end of folder");
            return true;
        }
        let mut body = Vec::new();
        body.put_u32(u32::try_from(some.len()).unwrap_or_default());
        for entry in some {
            body.put_string(&entry.name);
            body.put_string(&long_name(&entry, self.time));
            put_attributes(&mut body, entry.writable, self.time);
        }
        self.reply(kind::NAME, id, &[&body]);
        true
    }

    /// Answers with one path (`SSH_FXP_REALPATH`).
    pub(super) fn one_name(&mut self, id: u32, path: &[u8]) {
        let body = one_name(path);
        self.reply(kind::NAME, id, &[&body]);
    }

    /// Answers what a file system of ours is like: empty and read-only (`statvfs@openssh.com`).
    pub(super) fn file_system(&mut self, id: u32) {
        const READ_ONLY_NO_SETUID: u64 = 1 | 2;
        let mut body = Vec::new();
        // Sizes of blocks and fragments; blocks, free, available; files, free, available; id, flags, longest name.
        for number in [4096, 4096, 0, 0, 0, 0, 0, 0, 0, READ_ONLY_NO_SETUID, 255] {
            body.put_u64(number);
        }
        self.reply(kind::EXTENDED_REPLY, id, &[&body]);
    }
}

/// The body of an answer that holds one path and nothing about it.
pub(super) fn one_name(path: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_u32(1);
    body.put_string(path);
    body.put_string(path);
    body.put_u32(0);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_read_as_of_ls() {
        let entry = |writable| Entry { name: b"web-1".to_vec(), writable };
        for (time, writable, line) in [
            (0, false, "dr-xr-xr-x    1 bartizan bartizan        0 Jan  1 00:00 web-1"),
            (951_782_399, true, "drwxr-xr-x    1 bartizan bartizan        0 Feb 28 23:59 web-1"),
            (951_782_400, false, "dr-xr-xr-x    1 bartizan bartizan        0 Feb 29 00:00 web-1"),
            (1_795_830_180, false, "dr-xr-xr-x    1 bartizan bartizan        0 Nov 28 01:43 web-1"),
            (u32::MAX, false, "dr-xr-xr-x    1 bartizan bartizan        0 Feb  7 06:28 web-1"),
        ] {
            assert_eq!(String::from_utf8(long_name(&entry(writable), time)).unwrap(), line);
        }
    }
}
