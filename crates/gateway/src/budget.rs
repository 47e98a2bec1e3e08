//! How many events strangers can make.
//!
//! Whoever can connect can fail to log in, and each event is kept for as long as the log is. So for each source, and for
//! all of them together, there is a pace; what is beyond it is counted, and told once a minute in one event of a source.
//! What is known of a person has no budget: it is logged, or does not happen.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bartizan_model::event::{Body, Severity};

use crate::bucket::{Bucket, Buckets, Pace, source_of};
use crate::parts::Shared;
use crate::trail::Trail;

/// Events of one source.
const OF_ONE: Pace = Pace { burst: 30, interval: Duration::from_secs(10) };
/// Events of all sources: about 90 MB a day, at most.
const OF_ALL: Pace = Pace { burst: 300, interval: Duration::from_secs(1) };
/// What is beyond is told so often.
const TOLD_EACH: Duration = Duration::from_secs(60);
/// Most sources that are told of by name at a time, the busiest; the others are one event together.
const TOLD_SOURCES: usize = 16;
/// Most sources whose events are counted apart.
const COUNTED_SOURCES: usize = 4096;

/// The events that strangers may still make, and how many they could not.
pub(crate) struct Budget(Mutex<Spent>);

struct Spent {
    of_one: Buckets,
    of_all: Bucket,
    untold: HashMap<IpAddr, u64>,
    /// Of sources that are not counted apart, and of none.
    elsewhere: u64,
}

/// Events that were not written one by one.
#[derive(Debug, PartialEq, Eq)]
struct Untold {
    /// Whose; none for those of many.
    source: Option<IpAddr>,
    count: u64,
}

impl Budget {
    /// One of which nothing is spent.
    pub(crate) fn new(now: Instant) -> Self {
        let of_one = Buckets::new(OF_ONE, now);
        Self(Mutex::new(Spent { of_one, of_all: Bucket::full(now), untold: HashMap::new(), elsewhere: 0 }))
    }

    /// Whether a stranger's event is written; if not, it is counted.
    pub(crate) fn spend(&self, source: Option<IpAddr>, now: Instant) -> bool {
        let source = source.map(source_of);
        let mut spent = self.lock();
        let own = source.is_none_or(|source| spent.of_one.take(source, now));
        let written = own && spent.of_all.take(OF_ALL, now);
        if !written {
            *spent.counter(source) += 1;
        }
        written
    }

    /// What was not written since this was asked last, the busiest sources first.
    fn untold(&self) -> Vec<Untold> {
        let mut spent = self.lock();
        let mut sources: Vec<(IpAddr, u64)> = spent.untold.drain().collect();
        sources.sort_unstable_by_key(|&(source, count)| (std::cmp::Reverse(count), source));
        let rest = sources.split_off(sources.len().min(TOLD_SOURCES));
        let elsewhere =
            std::mem::take(&mut spent.elsewhere) + rest.iter().map(|(_, count)| count).sum::<u64>();
        let named = sources.into_iter().map(|(source, count)| Untold { source: Some(source), count });
        named.chain((elsewhere > 0).then_some(Untold { source: None, count: elsewhere })).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Spent> {
        // The counts are whole between statements: a panic elsewhere must not stop logins.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spent {
    fn counter(&mut self, source: Option<IpAddr>) -> &mut u64 {
        let room = self.untold.len() < COUNTED_SOURCES;
        match source.filter(|source| room || self.untold.contains_key(source)) {
            Some(source) => self.untold.entry(source).or_default(),
            None => &mut self.elsewhere,
        }
    }
}

/// Tells of what was not written one by one, until the server stops. What is refused while it stops, [`tell_rest`] tells.
pub(crate) async fn tell(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TOLD_EACH) => tell_rest(&shared),
            () = shared.stopping() => return,
        }
    }
}

/// Tells of what was not written one by one since it was told last.
pub(crate) fn tell_rest(shared: &Arc<Shared>) {
    for Untold { source, count } in shared.budget.untold() {
        let reason = "without a login; too many to be told one by one".to_owned();
        let trail = Trail::new(shared, source.map(|source| (source, 0).into()));
        let body = Body::ConnectionRefuse { reason, count: Some(count) };
        if let Err(error) = trail.failed(Severity::Notice, body) {
            tracing::error!(%error, count, "cannot log that connections were refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn one_source_has_its_burst_and_the_rest_is_counted() {
        let start = Instant::now();
        let budget = Budget::new(start);
        let written = (0..1000).filter(|_| budget.spend(Some(ip(1)), start)).count();
        assert_eq!(written, OF_ONE.burst as usize);
        assert!(budget.spend(Some(ip(2)), start), "another one has its own");
        assert_eq!(budget.untold(), [Untold { source: Some(ip(1)), count: 970 }]);
        assert_eq!(budget.untold(), [], "what is told is told");
        let later = start + OF_ONE.interval;
        assert_eq!([(); 2].map(|()| budget.spend(Some(ip(1)), later)), [true, false]);
        assert_eq!(budget.untold(), [Untold { source: Some(ip(1)), count: 1 }]);
    }

    #[test]
    fn many_sources_share_a_budget_and_no_event_is_lost_uncounted() {
        let start = Instant::now();
        let budget = Budget::new(start);
        let sources = 2 * COUNTED_SOURCES as u32;
        let written = (0..sources).filter(|&n| budget.spend(Some(ip(n)), start)).count();
        assert_eq!(written, OF_ALL.burst as usize);
        assert!(!budget.spend(Some(ip(sources - 1)), start) && !budget.spend(None, start));
        assert_eq!(budget.lock().untold.len(), COUNTED_SOURCES);
        let told = budget.untold();
        assert_eq!(told.len(), TOLD_SOURCES + 1);
        assert_eq!(told.last().unwrap().source, None);
        let counted = told.iter().map(|untold| untold.count).sum::<u64>();
        assert_eq!(counted, u64::from(sources) + 2 - u64::from(OF_ALL.burst));
        assert!(budget.spend(None, start + OF_ALL.interval));
    }
}
