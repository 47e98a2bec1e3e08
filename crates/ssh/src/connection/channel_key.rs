//! Names that both modes use: a channel, and a stream in it.

use std::fmt;

/// Names one channel for as long as its relay or endpoint lives: never given twice, unlike the numbers on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelKey {
    pub(crate) serial: u64,
    pub(crate) slot: u32,
}

impl ChannelKey {
    /// Counts the channels from 0, in the order in which they were asked for.
    pub const fn serial(self) -> u64 {
        self.serial
    }

    /// A small number that no other channel has at the same time, for use as the index of a table.
    pub const fn slot(self) -> usize {
        self.slot as usize
    }
}

impl fmt::Display for ChannelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.serial)
    }
}

impl fmt::Debug for ChannelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelKey({} in slot {})", self.serial, self.slot)
    }
}

/// Which stream of a channel data belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataKind {
    /// `CHANNEL_DATA`
    Data,
    /// `CHANNEL_EXTENDED_DATA` with its `data_type_code`; 1 is standard error.
    Extended(u32),
}

impl DataKind {
    /// Standard error.
    pub const STDERR: Self = Self::Extended(crate::wire::connection::EXTENDED_DATA_STDERR);
}
