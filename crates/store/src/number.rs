//! Numbers as databases hold them.

/// A number of the model as SQL holds it. Numbers beyond `i64` cannot occur (times end in the year 9999,
/// byte counts at 8 EiB) and would be cut.
pub(crate) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that was stored by [`sql`].
pub(crate) fn unsql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
