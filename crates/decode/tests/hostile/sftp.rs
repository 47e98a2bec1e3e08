//! SFTP peers that would have events say something else than what the target does, or nothing at all.

use bartizan_decode::Stream::{Input, Output};
use bartizan_model::observation::Direction;

use crate::packets::{close, data, handle, open, read, sftp, status, transfers};

const READ: u32 = 1;
const WRITE: u32 = 2;
const CREAT: u32 = 8;
const TRUNC: u32 = 16;
const EXCL: u32 = 32;

#[test]
fn opening_that_changes_the_file_is_an_upload() {
    use Direction::{Download, Upload};
    // OpenSSH opens for reading where WRITE is not asked for, and makes and empties the file all the same.
    let table: [(u32, bool, &[Direction]); 9] = [
        (READ, false, &[Download]),
        (READ | WRITE, false, &[Upload]),
        (READ | CREAT, false, &[Upload]),
        (READ | CREAT | TRUNC, false, &[Upload]),
        (TRUNC, false, &[Upload]),
        (READ | WRITE | CREAT, true, &[Download]),
        (READ | TRUNC, true, &[Upload, Download]),
        (READ | CREAT | EXCL, true, &[Upload, Download]),
        (READ | WRITE | CREAT | TRUNC, true, &[Upload, Download]),
    ];
    for (flags, is_read, directions) in table {
        let mut said = vec![(Input, open(1, b"/a", flags)), (Output, handle(1, b"h"))];
        if is_read {
            said.extend([(Input, read(2, b"h", 0, 9)), (Output, data(2, b"text"))]);
        }
        said.extend([(Input, close(3, b"h")), (Output, status(3, 0))]);
        let seen = sftp(&said);
        let found: Vec<_> = transfers(&seen).iter().map(|file| file.direction).collect();
        assert_eq!(found, directions, "{flags:#x}");
    }
    let seen = sftp(&[(Input, open(1, b"/a", READ | TRUNC)), (Output, status(1, 3))]);
    assert_eq!(transfers(&seen)[0].direction, Upload);
}
