//! The log as a whole, on a disk that fails, tears and forgets.

mod damage;
mod faults;
mod histories;
mod proofs;
mod sim;
mod space;
mod whole;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bartizan_model::event::{Body, Event};
use bartizan_model::{NodeId, Timestamp};

use crate::error::OpenError;
use crate::log::LogOptions;
use crate::note::Signer;
use crate::open::{self, Opened};
use crate::reader::{Entry, Reader};
use sim::SimDisk;

/// Where the log is on a [`SimDisk`].
fn dir() -> &'static Path {
    Path::new("/log")
}

/// An event that can be told from others by its number.
fn event(n: u64) -> Event {
    let body = Body::Anomaly { what: "test".to_owned(), detail: n.to_string() };
    Event::new(&NodeId("node-1".to_owned()), Timestamp::from_unix_micros(n), body)
}

/// The number of an event made by [`event`], after checking that it is whole and has its index.
fn number(entry: &Entry) -> u64 {
    let read = entry.event().unwrap();
    let Body::Anomaly { detail, .. } = &read.body else { panic!("another event: {read:?}") };
    let n = detail.parse().unwrap();
    assert_eq!(read, Event { index: Some(entry.index), ..event(n) });
    n
}

/// Short segments, so that few events see rotation and release; checkpoints as often as can be.
fn options() -> LogOptions {
    LogOptions {
        segment_bytes: 12 * 1024,
        signer: Some(signer()),
        checkpoint_interval: Duration::from_micros(100),
        reserve_bytes: 2048,
        ..LogOptions::default()
    }
}

fn signer() -> Signer {
    Signer::from_seed(&"example.com/node-1".parse().unwrap(), &[7; 32]).unwrap()
}

fn create(disk: &SimDisk) -> Result<(), OpenError> {
    open::create(disk, dir(), &"example.com/node-1".parse().unwrap())
}

fn open(disk: &SimDisk) -> Result<Opened, OpenError> {
    open::open(Arc::new(disk.clone()), dir(), options())
}

fn new_log(disk: &SimDisk) -> crate::Log {
    create(disk).unwrap();
    open(disk).unwrap().log
}

/// Opens without the key, so that no checkpoint is published.
fn open_unsigned(disk: &SimDisk) -> Result<Opened, OpenError> {
    open::open(Arc::new(disk.clone()), dir(), LogOptions { signer: None, ..options() })
}

fn new_log_of_one_segment(disk: &SimDisk) -> crate::Log {
    create(disk).unwrap();
    open::open(Arc::new(disk.clone()), dir(), LogOptions::default()).unwrap().log
}

/// Appends numbered events and waits until all are durable.
fn append(log: &crate::Log, numbers: std::ops::Range<u64>) {
    let pending: Vec<_> = numbers.map(|n| log.submit(event(n)).unwrap()).collect();
    for pending in pending {
        pending.wait_blocking().unwrap();
    }
}

/// All entries, read in order by an offline reader; their indices are checked to have no gap.
fn read_all(disk: &SimDisk) -> Vec<Entry> {
    let reader = Reader::over(Arc::new(disk.clone()), dir()).unwrap();
    read_all_by(&reader)
}

fn read_all_by(reader: &Reader) -> Vec<Entry> {
    let mut all = Vec::new();
    loop {
        let entries = reader.read(all.len() as u64, 100).unwrap();
        if entries.is_empty() {
            assert_eq!(reader.head().unwrap(), all.len() as u64);
            return all;
        }
        all.extend(entries);
        assert!(all.iter().enumerate().all(|(at, entry)| entry.index == at as u64));
    }
}
