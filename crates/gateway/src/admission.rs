//! Who may hold an unauthenticated connection.
//!
//! Connections that have not proved who they are cost memory and a descriptor, so there is a limit to
//! them, for each source and in all. At a limit the **oldest** unauthenticated connection of that source (or
//! of the busiest source) gives way to the newcomer: a login takes a fraction of a second, a connection held
//! open to starve others grows old. Authenticated connections are never ended here.
//!
//! A key exchange costs milliseconds of a thread that carries sessions, so there is a pace, too, at which those of one
//! source begin. One that ends in a login is given back: who logs in is not counted.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::bucket::{Buckets, Pace, source_of};

/// So many times what one source may begin in a second, it may begin at once.
const BURST: u32 = 5;

/// How many unauthenticated connections there may be.
#[derive(Clone, Copy, Debug)]
pub struct HalfOpenLimits {
    /// From one source: an IPv4 address or an IPv6 /64 network.
    pub per_source: usize,
    /// From all sources together.
    pub total: usize,
    /// How many of one source may begin a key exchange in a second, without those that log in; five times as many may
    /// at once. At least 1.
    pub per_second: u32,
}

impl HalfOpenLimits {
    fn pace(&self) -> Pace {
        let per_second = self.per_second.max(1);
        Pace { burst: per_second.saturating_mul(BURST), interval: Duration::from_secs(1) / per_second }
    }
}

impl Default for HalfOpenLimits {
    fn default() -> Self {
        Self { per_source: 128, total: 2048, per_second: 20 }
    }
}

struct Waiting {
    limits: HalfOpenLimits,
    next_id: u64,
    total: usize,
    sources: HashMap<IpAddr, VecDeque<(u64, oneshot::Sender<()>)>>,
    turns: Buckets,
}

/// The unauthenticated connections there are.
#[derive(Clone)]
pub(crate) struct Admission {
    waiting: Arc<Mutex<Waiting>>,
}

/// A place among the unauthenticated connections; dropping it (when authenticated, or closed) frees the place.
pub(crate) struct Place {
    admission: Admission,
    source: IpAddr,
    id: u64,
    evicted: oneshot::Receiver<()>,
}

impl Admission {
    /// Starts with nobody waiting.
    pub(crate) fn new(limits: HalfOpenLimits) -> Self {
        let turns = Buckets::new(limits.pace(), Instant::now());
        let waiting = Waiting { limits, next_id: 0, total: 0, sources: HashMap::new(), turns };
        Self { waiting: Arc::new(Mutex::new(waiting)) }
    }

    /// Other limits, for newcomers from now on.
    pub(crate) fn set_limits(&self, limits: HalfOpenLimits) {
        let mut waiting = self.lock();
        waiting.turns.set_pace(limits.pace());
        waiting.limits = limits;
    }

    /// How many are waiting.
    pub(crate) fn half_open(&self) -> usize {
        self.lock().total
    }

    /// Gives a newcomer a place, and takes it from the oldest where there are too many.
    pub(crate) fn admit(&self, ip: IpAddr) -> Place {
        let source = source_of(ip);
        let (evict, evicted) = oneshot::channel();
        let mut waiting = self.lock();
        let id = waiting.next_id;
        waiting.next_id += 1;
        if waiting.sources.get(&source).is_some_and(|queue| queue.len() >= waiting.limits.per_source) {
            waiting.evict_oldest(source);
        } else if waiting.total >= waiting.limits.total {
            let busiest =
                waiting.sources.iter().max_by_key(|(_, queue)| queue.len()).map(|(&source, _)| source);
            if let Some(busiest) = busiest {
                waiting.evict_oldest(busiest);
            }
        }
        waiting.sources.entry(source).or_default().push_back((id, evict));
        waiting.total += 1;
        drop(waiting);
        Place { admission: self.clone(), source, id, evicted }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // The table is consistent between statements: a panic elsewhere must not stop logins.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn evict_oldest(&mut self, source: IpAddr) {
        let Some(queue) = self.sources.get_mut(&source) else { return };
        if let Some((_, evict)) = queue.pop_front() {
            self.total -= 1;
            // The connection may have closed by itself meanwhile.
            let _ = evict.send(());
        }
        if queue.is_empty() {
            self.sources.remove(&source);
        }
    }
}

impl Place {
    /// Whether the key exchange may begin; if not, it may be asked again. Asked once more after that it takes another turn.
    pub(crate) fn takes_turn(&self, now: Instant) -> bool {
        self.admission.lock().turns.take(self.source, now)
    }

    /// Somebody was identified: the place is free, and the turn as if it had not been taken.
    pub(crate) fn identified(self) {
        self.admission.lock().turns.give_back(self.source);
    }

    /// Resolves when the place was taken by a newcomer.
    pub(crate) async fn evicted(&mut self) {
        if (&mut self.evicted).await.is_err() {
            // Only `drop` removes the sender without sending, so this cannot be reached while we wait;
            // if it were, waiting forever is the safe answer.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.admission.lock();
        let Some(queue) = waiting.sources.get_mut(&self.source) else { return };
        let before = queue.len();
        queue.retain(|(id, _)| *id != self.id);
        let freed = before - queue.len();
        if queue.is_empty() {
            waiting.sources.remove(&self.source);
        }
        waiting.total -= freed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    const fn limits(per_source: usize, total: usize, per_second: u32) -> HalfOpenLimits {
        HalfOpenLimits { per_source, total, per_second }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_oldest_of_a_greedy_source_gives_way() {
        let admission = Admission::new(limits(2, 100, 20));
        let mut oldest = admission.admit(ip(1));
        let mut second = admission.admit(ip(1));
        let mut other = admission.admit(ip(2));
        let _newcomer = admission.admit(ip(1));
        oldest.evicted().await;
        assert!(second.evicted.try_recv().is_err());
        assert!(other.evicted.try_recv().is_err());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn at_the_total_limit_the_busiest_source_pays() {
        let admission = Admission::new(limits(10, 3, 20));
        let mut greedy = admission.admit(ip(1));
        let _greedy2 = admission.admit(ip(1));
        let mut modest = admission.admit(ip(2));
        let _newcomer = admission.admit(ip(3));
        greedy.evicted().await;
        assert!(modest.evicted.try_recv().is_err());
    }

    #[test]
    fn places_are_freed_and_nothing_is_kept_of_sources_that_left() {
        let admission = Admission::new(limits(2, 4, 20));
        for last in 0..200 {
            let _places = (admission.admit(ip(last)), admission.admit(ip(last)), admission.admit(ip(last)));
        }
        let waiting = admission.lock();
        assert_eq!((waiting.total, waiting.sources.len()), (0, 0));
    }

    #[test]
    fn who_logs_in_is_not_counted_and_who_does_not_is_held_to_the_pace() {
        let admission = Admission::new(limits(100, 100, 2));
        let now = Instant::now();
        let begins = || admission.admit(ip(1)).takes_turn(now);
        assert_eq!((0..20).filter(|_| begins()).count(), 10);
        let later = now + Duration::from_millis(500);
        for _ in 0..20 {
            let place = admission.admit(ip(1));
            assert!(place.takes_turn(later));
            place.identified();
        }
        let place = admission.admit(ip(1));
        assert!(place.takes_turn(later) && !place.takes_turn(later));
        assert!(admission.admit(ip(2)).takes_turn(now), "another source has its own pace");
        // With a faster pace the next one is there sooner.
        let soon = later + Duration::from_millis(1);
        assert!(!place.takes_turn(soon));
        admission.set_limits(limits(100, 100, 2000));
        assert!(place.takes_turn(soon));
    }
}
