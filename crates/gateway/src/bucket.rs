//! Token buckets, one for each source, in bounded memory.
//!
//! Time is a parameter: nothing here looks at a clock.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Most sources that are told apart at a time; further ones share a bucket until some of these have filled up again.
const MAX_SOURCES: usize = 16_384;
/// When there are so many, those that are full again are looked for this often.
const SWEEP: Duration = Duration::from_secs(1);

/// How fast something may go on: `burst` at once, then one each `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) burst: u32,
    pub(crate) interval: Duration,
}

/// What was taken of a pace, kept as the moment at which all of it is there again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket(Instant);

impl Bucket {
    /// One of which nothing was taken.
    pub(crate) const fn full(now: Instant) -> Self {
        Self(now)
    }

    /// Takes one, if one is left.
    pub(crate) fn take(&mut self, pace: Pace, now: Instant) -> bool {
        let full_again = self.0.max(now) + pace.interval;
        let left = full_again - now <= pace.interval * pace.burst;
        if left {
            self.0 = full_again;
        }
        left
    }

    fn give_back(&mut self, pace: Pace) {
        self.0 = self.0.checked_sub(pace.interval).unwrap_or(self.0);
    }

    fn is_full(&self, now: Instant) -> bool {
        self.0 <= now
    }
}

/// A bucket for each source.
pub(crate) struct Buckets {
    pace: Pace,
    sources: HashMap<IpAddr, Bucket>,
    rest: Bucket,
    swept: Instant,
}

impl Buckets {
    /// Buckets of this pace, all full.
    pub(crate) fn new(pace: Pace, now: Instant) -> Self {
        Self { pace, sources: HashMap::new(), rest: Bucket::full(now), swept: now }
    }

    /// Another pace from now on; what was taken stays taken for as long.
    pub(crate) const fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Takes one of a source's, if one is left.
    pub(crate) fn take(&mut self, source: IpAddr, now: Instant) -> bool {
        let pace = self.pace;
        self.of(source, now).take(pace, now)
    }

    /// Gives one back. What was forgotten meanwhile is full already.
    pub(crate) fn give_back(&mut self, source: IpAddr) {
        if let Some(bucket) = self.sources.get_mut(&source) {
            bucket.give_back(self.pace);
        }
    }

    fn of(&mut self, source: IpAddr, now: Instant) -> &mut Bucket {
        let is_new = !self.sources.contains_key(&source);
        if is_new && self.sources.len() >= MAX_SOURCES {
            if now >= self.swept + SWEEP {
                self.swept = now;
                self.sources.retain(|_, bucket| !bucket.is_full(now));
            }
            if self.sources.len() >= MAX_SOURCES {
                return &mut self.rest;
            }
        }
        self.sources.entry(source).or_insert(Bucket::full(now))
    }
}

/// What counts as one source: an IPv4 address, or the /64 network that one IPv6 host has to itself.
pub(crate) fn source_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { burst: 3, interval: Duration::from_secs(2) };

    fn ip(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn a_burst_and_then_one_each_interval() {
        let start = Instant::now();
        let mut buckets = Buckets::new(PACE, start);
        let mut take = |source, seconds| buckets.take(ip(source), start + Duration::from_secs(seconds));
        assert_eq!([0, 0, 0, 0].map(|at| take(1, at)), [true, true, true, false]);
        assert!(take(2, 0), "another source has its own");
        assert_eq!([1, 2, 3, 4].map(|at| take(1, at)), [false, true, false, true]);
        assert_eq!(
            [100, 100, 100, 100].map(|at| take(1, at)),
            [true, true, true, false],
            "no more is saved up"
        );
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let now = Instant::now();
        let mut buckets = Buckets::new(PACE, now);
        for _ in 0..50 {
            assert!(buckets.take(ip(1), now));
            buckets.give_back(ip(1));
        }
        // More than was taken is never there.
        for _ in 0..50 {
            buckets.give_back(ip(1));
        }
        assert_eq!([(); 4].map(|()| buckets.take(ip(1), now)), [true, true, true, false]);
    }

    #[test]
    fn many_sources_take_bounded_memory_and_those_beyond_share() {
        let start = Instant::now();
        let mut buckets = Buckets::new(PACE, start);
        for number in 0..MAX_SOURCES as u32 {
            assert!(buckets.take(ip(number), start));
        }
        let beyond = [(); 4].map(|()| MAX_SOURCES as u32).into_iter().enumerate();
        let taken = beyond.map(|(n, number)| buckets.take(ip(number + n as u32), start)).collect::<Vec<_>>();
        assert_eq!(taken, [true, true, true, false]);
        assert_eq!(buckets.sources.len(), MAX_SOURCES);
        let later = start + PACE.interval;
        assert!(buckets.take(ip(u32::MAX), later), "by now the others are full again");
        assert_eq!(buckets.sources.len(), 1);
    }

    #[test]
    fn an_ipv6_host_cannot_be_many_sources() {
        assert_eq!(source_of("2001:db8::1".parse().unwrap()), source_of("2001:db8::ffff:1".parse().unwrap()));
        assert_eq!(source_of("::ffff:10.0.0.1".parse().unwrap()), IpAddr::from([10, 0, 0, 1]));
    }
}
